"""``curate diff A B``: what changed from one release to the next, and what changed it.

Rows are matched by `sample_id`. Where a row went is read from the releases alone: it is in the
selection, among the rejected with the filter that stopped it, or in neither, which means that it
was never drawn or live beyond the budget.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import polars as pl
from pydantic import BaseModel, ConfigDict

from curate.release.flat import flat
from curate.release.read import Release
from curate.release.templates import environment
from filters.columns import GLOSSARY

SELECTED: Final = "selected"
ABSENT: Final = "not released"
_NOT_DATA: Final = ("runtime", "publish", "release")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Side(_Part):
    """One of the two."""

    title: str
    """Name and version."""
    dataset_hash: str
    """Of the selection."""
    rows: int
    """Selected."""
    questions: int
    """With a selected row."""


class Move(_Part):
    """Samples that were here and are there."""

    before: str
    """``selected``, ``FILTER: REASON``, or ``not released``."""
    after: str
    """Likewise."""
    samples: int
    """How many."""
    example: str
    """The id of one."""


class Change(_Part):
    """A parameter, model or library that differs; None where one side has none."""

    name: str
    before: str | None
    after: str | None


class Shift(_Part):
    """Quartiles of a column of the selection: 25 %, median, 75 %."""

    column: str
    before: tuple[float, float, float]
    after: tuple[float, float, float]


class Share(_Part):
    """Share of the selected rows with a value in a column."""

    column: str
    value: str
    before: float
    after: float


class Diff(_Part):
    """What changed."""

    before: Side
    """The first release."""
    after: Side
    """The second."""
    added: int
    """Rows only the second selects."""
    removed: int
    """Rows only the first selects."""
    kept: int
    """Rows both select."""
    altered: Mapping[str, int]
    """For each column, in how many kept rows its value differs."""
    moves: tuple[Move, ...]
    """Every change of place, the most frequent first."""
    parameters: tuple[Change, ...]
    """What differs in recipe, models and libraries."""
    shifts: tuple[Shift, ...]
    """Quartiles that differ."""
    shares: tuple[Share, ...]
    """Shares that differ."""

    @property
    def same(self) -> bool:
        """Whether both select the same rows with the same content."""
        return self.before.dataset_hash == self.after.dataset_hash

    def markdown(self) -> str:
        """Write it as a section for a card."""
        return environment().get_template("diff.md.jinja").render(diff=self).strip() + "\n"


def diff(before: Path, after: Path) -> Diff:
    """Compare two releases.

    Args:
        before: a run folder, ``runs/<name>``, or a release folder.
        after: likewise.

    Raises:
        InputError: one of them is no release.
    """
    a, b = Release.open(before), Release.open(after)
    rows_a, rows_b = _selected(a), _selected(b)
    glossary = b.glossary
    for more in (a.glossary, GLOSSARY):
        glossary = glossary.plus(column for column in more.values() if column.name not in glossary)
    both = rows_a.join(rows_b, on="sample_id", suffix="_after")
    stopped = [release.rejected() for release in (a, b)]
    if not all(release.knows_rejected for release in (a, b)):
        stopped = [pl.DataFrame(), pl.DataFrame()]  # else all of one side's would have moved
    return Diff(
        before=_side(a, rows_a),
        after=_side(b, rows_b),
        added=rows_b.height - both.height,
        removed=rows_a.height - both.height,
        kept=both.height,
        altered=dict(_altered(both)),
        moves=tuple(_moves(_places(rows_a, stopped[0]), _places(rows_b, stopped[1]))),
        parameters=tuple(_parameters(a, b)),
        shifts=tuple(_shifts(rows_a, rows_b, [*glossary.scores, *glossary.lengths])),
        shares=tuple(_shares(rows_a, rows_b, glossary.categories)),
    )


def _selected(release: Release) -> pl.DataFrame:
    rows = release.config("default")
    empty = {"sample_id": pl.String(), "question_id": pl.String()}
    return rows if rows.height else pl.DataFrame(schema=empty)


def _side(release: Release, rows: pl.DataFrame) -> Side:
    return Side(
        title=release.title,
        dataset_hash=release.manifest["dataset_hash"],
        rows=rows.height,
        questions=rows["question_id"].n_unique(),
    )


def _altered(both: pl.DataFrame) -> Iterator[tuple[str, int]]:
    """Count, column by column, kept rows whose value is another one."""
    for name in both.columns:
        other = f"{name}_after"
        if other in both.columns and both.height:
            count = int(both[name].ne_missing(both[other]).sum())
            if count:
                yield name, count


def _places(selected: pl.DataFrame, rejected: pl.DataFrame) -> pl.DataFrame:
    """Say of every sample of a release where it is."""
    parts = [selected.select("sample_id", pl.lit(SELECTED).alias("place"))]
    if rejected.height:
        why = pl.concat_str("rejected_by", "rejected_reason", separator=": ", ignore_nulls=True)
        parts.append(rejected.select("sample_id", why.alias("place")))
    return pl.concat(parts)


def _moves(before: pl.DataFrame, after: pl.DataFrame) -> Iterator[Move]:
    joined = before.join(after, on="sample_id", how="full", coalesce=True, suffix="_after")
    moves = (
        joined.with_columns(pl.col("place", "place_after").fill_null(ABSENT))
        .filter(pl.col("place") != pl.col("place_after"))
        .group_by("place", "place_after")
        .agg(samples=pl.len(), example=pl.col("sample_id").min())
        .sort(["samples", "place", "place_after"], descending=[True, False, False])
    )
    for place, place_after, samples, example in moves.iter_rows():
        yield Move(before=place, after=place_after, samples=samples, example=example)


def _parameters(a: Release, b: Release) -> Iterator[Change]:
    """Compare what made the two: recipe, models, data, libraries, and versions that both state."""
    before, after = _facts(a), _facts(b)
    for name in a.made_with.keys() & b.made_with.keys():
        before[f"made_with.{name}"] = a.made_with[name]
        after[f"made_with.{name}"] = b.made_with[name]
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Change(name=name, before=before.get(name), after=after.get(name))


def _facts(release: Release) -> dict[str, str]:
    manifest = release.manifest
    facts: dict[str, Any] = {
        "recipe": {k: part for k, part in release.recipe().items() if k not in _NOT_DATA},
        "limit": manifest.get("limit"),
        "models": manifest.get("models", {}),
        "teachers": manifest.get("teachers", {}),
        "versions": {entry["name"]: entry.get("version") for entry in manifest.get("filters", [])},
        "measures": {
            name: measure.get("instrument")
            for name, measure in manifest.get("measures", {}).items()
        },
        "data": manifest.get("lock", {}).get("data", {}),
        "libraries": manifest.get("lock", {}).get("libraries", {}),
    }
    return {path: _said(leaf) for path, leaf in flat(facts)}


def _said(leaf: Any) -> str:
    return ", ".join(map(str, leaf)) if isinstance(leaf, list) else str(leaf)  # pyright: ignore[reportUnknownArgumentType]


def _shifts(before: pl.DataFrame, after: pl.DataFrame, columns: Iterable[str]) -> Iterator[Shift]:
    for column in columns:
        if column in before.columns and column in after.columns:
            a, b = _quartiles(before[column]), _quartiles(after[column])
            if a and b and a != b:
                yield Shift(column=column, before=a, after=b)


def _quartiles(values: pl.Series) -> tuple[float, float, float] | None:
    quartiles = [values.quantile(share, "linear") for share in (0.25, 0.5, 0.75)]
    return None if None in quartiles else cast("tuple[float, float, float]", tuple(quartiles))


def _shares(before: pl.DataFrame, after: pl.DataFrame, columns: Iterable[str]) -> Iterator[Share]:
    for column in columns:
        if column not in before.columns or column not in after.columns:
            continue
        a, b = (
            dict(rows[column].fill_null("none").value_counts(normalize=True).iter_rows())
            for rows in (before, after)
        )
        for value in sorted(a.keys() | b.keys()):
            if a.get(value) != b.get(value):
                yield Share(
                    column=column, value=value, before=a.get(value, 0.0), after=b.get(value, 0.0)
                )
