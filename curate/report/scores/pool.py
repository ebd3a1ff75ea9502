"""The scored rows of a run as arrays, questions together, each score with its better end up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import polars as pl

from curate.measures.compliance import Compliance
from curate.measures.statistics import Counts, Flags, Floats
from curate.report.html.audit import Audit
from curate.report.html.scores import in_order
from filters.columns import Column

STEPS: Final = ("steps", "tokens_per_step")
"""Columns that say in what steps a rationale goes, where a measure writes them."""


@dataclass(frozen=True)
class Pool:
    """The samples of a run; those of quarantined questions are left out.

    Attributes:
        audit: of the run.
        rows: of `Audit.rows`, sorted by question and sample, so that no order of files matters.
        group: number of each row's question, ascending.
        groups: how many questions there are.
        scores: those that tell siblings apart anywhere, by which the run decided first.
    """

    audit: Audit
    rows: pl.DataFrame
    group: Counts
    groups: int
    scores: tuple[Column, ...]

    @classmethod
    def of(cls, audit: Audit) -> Self:
        """Lay out the rows of a run."""
        rows = audit.rows.filter(pl.col("outcome") != "quarantined")
        rows = rows.sort("question_id", "sample_id")
        group = (rows["question_id"].rle_id() if rows.height else pl.Series([])).to_numpy()
        group = group.astype(np.int64)
        groups = int(group[-1]) + 1 if len(group) else 0
        return cls(audit, rows, group, groups, tuple(_varying(rows, in_order(audit))))

    @property
    def sided(self) -> tuple[Column, ...]:
        """The scores of which one end is the better."""
        return tuple(score for score in self.scores if score.score in {"lower", "higher"})

    @property
    def lengths(self) -> tuple[str, ...]:
        """The columns of length: the one that most rows have, and the steps where they are known.

        One that is a score itself is told among the scores.
        """
        names = [*([self.audit.length] if self.audit.length else []), *STEPS]
        return tuple(n for n in names if n in self.rows.columns and self.rows[n].count())

    @property
    def described(self) -> tuple[str, ...]:
        """The columns that say what rationales are like, better or not: length and compliance."""
        length = [self.audit.length] if self.audit.length else []
        names = (*length, *self.audit.run.glossary.of(Compliance.name))
        kinds = self.rows.schema
        return tuple(n for n in names if n in kinds and not kinds[n].is_nested())

    @property
    def trusted(self) -> bool:
        """Whether scores count that rest on the student following rationales, as calibrated."""
        calibration: Mapping[str, Any] | None = self.audit.manifest.get("calibration")
        return calibration is None or calibration.get("student_follows") is True

    def floats(self, name: str) -> Floats:
        """Read a column of numbers, NaN where there is none."""
        return _floats(self.rows[name])

    def oriented(self, score: Column) -> Floats:
        """Read a score with the better end up; as it is where neither is better."""
        values = self.floats(score.name)
        return -values if score.score == "lower" else values

    def flags(self, name: str) -> Flags:
        """Read a column of truths, false where there is none."""
        return self.rows[name].fill_null(value=False).to_numpy().astype(np.bool_)

    @cached_property
    def scored(self) -> Flags:
        """Which rows have any of the scores."""
        return np.any([~np.isnan(self.floats(score.name)) for score in self.scores], axis=0)

    @cached_property
    def judged(self) -> Flags:
        """Which rows the filter that tells right from wrong decided about."""
        audit = self.audit
        if audit.judge is None:
            return np.zeros(self.rows.height, dtype=np.bool_)
        reached = (self.rows["filter"] >= audit.filters.index(audit.judge)).to_numpy()
        return reached & self.rows["right"].is_not_null().to_numpy()

    @cached_property
    def right(self) -> Flags:
        """Which rows it judged right."""
        if self.audit.judge is None:
            return np.zeros(self.rows.height, dtype=np.bool_)
        return self.judged & self.flags("right")


def _floats(values: pl.Series) -> Floats:
    numbers = values.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _varying(rows: pl.DataFrame, scores: Sequence[Column]) -> list[Column]:
    """Choose the scores of which any two siblings have different values."""
    numbers = [pl.col(score.name).cast(pl.Float64).fill_nan(None) for score in scores]
    spans = rows.group_by("question_id").agg(*(one.max() - one.min() for one in numbers))
    return [score for score in scores if (spans[score.name] > 0).any()]
