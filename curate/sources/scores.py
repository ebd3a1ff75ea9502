"""Scores that came with imported rows: what another tool found out about a rationale.

They say something about a row and are no part of what it is, so no sample is another one for them.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, cast

import polars as pl
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from curate.errors import InputError, count_of
from curate.sources.questions.options import Columns
from curate.sources.tables.cells import cell
from filters.columns import Column, Score

NAME: Final = r"^[a-z][a-z0-9_]{0,63}$"
"""What a column may be called."""


class ImportedScore(BaseModel):
    """A score in a column of the files, and which side of it is better."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    column: Columns
    """Column that holds it: one number a completion, so a list where `completion` is one, and as
    many columns as `completion` names.
    """
    better: Score = "none"
    """``lower``, ``higher``, or ``none`` where neither side is."""

    def declared(self, name: str) -> Column:
        """Declare the column that it becomes."""
        meaning = "score that came with imported rows, null for all others"
        return Column(name, pl.Float64(), meaning, "import", published=True, score=self.better)


def _form(value: object) -> str:
    return "score" if isinstance(value, dict | ImportedScore) else "columns"


ScoreColumns = dict[
    Annotated[str, Field(pattern=NAME)],
    Annotated[
        Annotated[Columns, Tag("columns")] | Annotated[ImportedScore, Tag("score")],
        Discriminator(_form),
    ],
]
"""Scores by the names they get: the column that holds each, or what else is known of it."""


def scores_of(columns: Mapping[str, Columns | ImportedScore]) -> dict[str, ImportedScore]:
    """Give what a recipe says of each score."""
    return {
        name: score if isinstance(score, ImportedScore) else ImportedScore(column=score)
        for name, score in columns.items()
    }


class ScoreReader:
    """Reads the scores of one source, row by row, and counts what is none.

    Args:
        scores: by name.
        where: what is said of a row that can't be read.
    """

    def __init__(self, scores: Mapping[str, ImportedScore], where: str) -> None:
        self._scores = scores
        self._where = where
        self._odd: Counter[str] = Counter()
        self._example: dict[str, str] = {}

    @property
    def paths(self) -> list[str]:
        """The columns that are read."""
        return [path for score in self._scores.values() for path in _paths(score.column)]

    def read(self, row: object, completions: int, file: str) -> list[tuple[float | None, ...]]:
        """Read a row's scores, those of each completion together.

        Raises:
            InputError: there are neither as many as completions nor none at all.
        """
        values = [self._read(row, name, completions, file) for name in self._scores]
        return list(zip(*values, strict=True)) if values else [()] * completions

    def notes(self) -> Iterator[str]:
        """Say of which score how many values are no number."""
        for name, number in self._odd.items():
            yield (
                f"score {name!r}: {count_of(number, 'value')} became null for want of a finite "
                f"number, such as {self._example[name]}"
            )

    def _read(self, row: object, name: str, completions: int, file: str) -> list[float | None]:
        values: list[object] = []
        for path in _paths(self._scores[name].column):
            value = cell(row, path)
            values += cast("list[object]", value) if isinstance(value, list) else [value]
        if all(value is None for value in values):
            return [None] * completions
        if len(values) != completions:
            raise InputError(
                f"a row has {count_of(completions, 'completion')} and "
                f"{count_of(len(values), 'value')} of score {name!r}; name a column that holds one "
                "for each",
                self._where,
            )
        return [self._number(value, name, file) for value in values]

    def _number(self, value: object, name: str, file: str) -> float | None:
        number = _number(value)
        if number is None and value is not None and value != "":
            self._odd[name] += 1
            self._example.setdefault(name, f"{repr(value)[:60]} in {file}")
        return number


def _number(value: object) -> float | None:
    """Read a finite number, also one written as text; None where it is none."""
    if not isinstance(value, int | float | str) or (isinstance(value, str) and "_" in value):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _paths(columns: Columns) -> Sequence[str]:
    return (columns,) if isinstance(columns, str) else columns
