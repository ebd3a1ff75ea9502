"""``curate why``: what one sample of a run went through."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import polars as pl
from rich.console import Console, ConsoleOptions, RenderResult

from curate.errors import InputError
from curate.recipe.model import known_filters
from curate.release.runs import find_run
from curate.report.funnel import why
from filters.columns import VERDICT_PREFIX
from filters.contract import Filter


@dataclass(frozen=True, slots=True)
class Explanation:
    """One sample's way through the chain; prints itself.

    Attributes:
        row: of the audit.
        gates: the run's filters.
        siblings: rows of the question's other samples, without their verdicts, by rank.
        select: the recipe's ``select`` section.
    """

    row: dict[str, Any]
    gates: tuple[Filter, ...]
    siblings: tuple[dict[str, Any], ...] = ()
    select: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for a terminal."""
        yield why(self.row, self.gates, self.siblings, self.select)

    def as_json(self) -> str:
        """Give the audit row as JSON."""
        return orjson.dumps(self.row, option=orjson.OPT_INDENT_2, default=str).decode()


def explain(reference: Path, sample: str) -> Explanation:
    """Look one sample up in a run's audit.

    Args:
        reference: as for `find_run`.
        sample: the sample's id, or enough of its start.

    Raises:
        InputError: no sample, or more than one, has an id that starts so.
    """
    folder = find_run(reference)
    rows = (
        pl.scan_parquet(folder / "audit" / "samples-*.parquet")
        .filter(pl.col("sample_id").str.starts_with(sample))
        .collect()
    )
    if rows.height != 1:
        found = f"{rows.height} samples have ids that start with" if rows.height else "no sample is"
        raise InputError(
            f"{found} {sample!r} in {folder}; ids are in the column sample_id of {folder / 'audit'}"
        )
    row = rows.row(0, named=True)
    samples = pl.scan_parquet(folder / "audit" / "samples-*.parquet")
    verdicts = [name for name in row if name.startswith(VERDICT_PREFIX)]
    siblings = (
        samples.drop(verdicts)
        .filter(question_id=row["question_id"])
        .filter(pl.col("sample_id") != row["sample_id"])
        .sort("selection_rank", "sample_id", nulls_last=True)
        .collect()
    )
    manifest = orjson.loads((folder / "dataset" / "manifest.json").read_bytes())
    return Explanation(row, gates_of(folder), tuple(siblings.to_dicts()), manifest["select"])


def gates_of(folder: Path) -> tuple[Filter, ...]:
    """Give a run's filters, in order, with the parameters they judged by.

    Args:
        folder: of the run.
    """
    manifest = orjson.loads((folder / "dataset" / "manifest.json").read_bytes())
    kinds = {kind.model_fields["use"].default: kind for kind in known_filters()}
    found: list[Filter] = []
    for given in manifest["filters"]:
        use = given["parameters"]["use"]
        if (kind := kinds.get(use)) is None:
            raise InputError(
                f"the run was judged by a filter {use!r} that is not installed here; install the "
                "package that brings it"
            )
        # a parameter that names a file is in no manifest
        places = {name: "unknown" for name, field in kind.model_fields.items() if field.exclude}
        told = {"name": given["name"], "on_abstain": given["on_abstain"]}
        found.append(kind.model_validate({**places, **given["parameters"], **told}))
    return tuple(found)
