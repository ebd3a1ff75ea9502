"""Run folders: where a run goes, which one is the latest, and what one sample went through.

``runs/<name>/<n>-<key8>/`` never changes once it is there; ``runs/<name>/latest`` names the last
finished one and is written last, so whoever follows it finds a whole run.
"""

import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl
from rich.console import Console, ConsoleOptions, RenderResult

from curate.errors import InputError
from curate.recipe import known_filters
from curate.report import why
from filters.contract import Filter

_RUN = re.compile(r"(\d+)-[0-9a-f]{8}")


def next_folder(name: str, key: str, runs: Path) -> Path:
    """Name the folder of the next run of a recipe: a running number and the run's identity."""
    numbers = [
        int(match[1]) for path in (runs / name).glob("*-*") if (match := _RUN.fullmatch(path.name))
    ]
    return runs / name / f"{max(numbers, default=0) + 1:03d}-{key[:8]}"


def mark_latest(folder: Path) -> None:
    """Let ``latest`` name a finished run."""
    scratch = folder.parent / f".latest-{uuid.uuid4().hex}"
    scratch.write_text(f"{folder.name}\n", encoding="utf-8")
    scratch.rename(folder.parent / "latest")


def is_run(reference: Path) -> bool:
    """Tell whether `find_run` finds one there."""
    return (reference / "run.json").is_file() or (reference / "latest").is_file()


def find_run(reference: Path) -> Path:
    """Find a finished run.

    Args:
        reference: a run folder, or ``runs/<name>``, whose latest run is meant.

    Raises:
        InputError: there is none.
    """
    if (reference / "run.json").is_file():
        return reference
    latest = reference / "latest"
    if latest.is_file():
        return reference / latest.read_text(encoding="utf-8").strip()
    known = sorted(str(path.parent) for path in Path("runs").glob("*/latest"))
    there = f"there are {', '.join(known)}" if known else "no run was finished here yet"
    raise InputError(f"no finished run at {str(reference)!r}; {there}")


@dataclass(frozen=True, slots=True)
class Explanation:
    """One sample's way through the chain; prints itself."""

    row: dict[str, Any]
    gates: tuple[Filter, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for a terminal."""
        yield why(self.row, self.gates)

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
    return Explanation(rows.row(0, named=True), gates_of(folder))


def gates_of(folder: Path) -> tuple[Filter, ...]:
    """Give a run's filters, in order, with the parameters they judged by.

    Args:
        folder: of the run.
    """
    manifest = orjson.loads((folder / "dataset" / "manifest.json").read_bytes())
    kinds = {kind.model_fields["use"].default: kind for kind in known_filters()}
    return tuple(
        # not validated: a parameter that names a file is in no manifest
        kinds[given["parameters"]["use"]].model_construct(
            **given["parameters"], name=given["name"], on_abstain=given["on_abstain"]
        )
        for given in manifest["filters"]
    )
