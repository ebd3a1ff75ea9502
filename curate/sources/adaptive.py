"""As many samples as it takes: which questions are sampled on, and how often, after each round.

A round is planned from counts of the rounds before it, so that the same samples come whatever order
they are drawn in, and a killed run goes on where it was. No round draws more than could still be
needed were all of it accepted; so what is accepted never exceeds what was asked for, but for a
`min` or `step` that is larger.
"""

from typing import Final, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from curate.store.keys import rank

COUNTS: Final = {"question_id": pl.String(), "drawn": pl.Int32(), "accepted": pl.Int32()}
"""Of every question: samples drawn so far, and how many of these are accepted."""


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Until(_Options):
    """When enough is drawn."""

    correct: int | None = Field(default=None, ge=1)
    """So many samples a question that the filter which tells right from wrong keeps."""
    kept: int | None = Field(default=None, ge=1)
    """So many samples a question that every filter of `by` keeps, each asked alone."""
    by: tuple[str, ...] = ()
    """Names of filters that look at one sample, and ask no model."""
    in_all: int | None = Field(default=None, ge=1)
    """So many such samples of all questions together, if that is reached before."""

    @model_validator(mode="after")
    def _says_what_counts(self) -> Self:
        if (self.correct is None) == (self.kept is None):
            raise ValueError("name one of the two: correct: 2, or kept: 2 with by: [completeness]")
        if bool(self.by) != (self.kept is not None):
            raise ValueError("kept and by go together: kept: 2 with by: [completeness]")
        return self

    @property
    def enough(self) -> int:
        """Accepted samples that are enough of a question."""
        return self.correct or self.kept or 0

    def __str__(self) -> str:
        """Say it in a clause."""
        by = f"kept by {' and '.join(self.by)}" if self.by else "right"
        in_all = f" or {self.in_all:,} in all" if self.in_all else ""
        return f"until {self.enough} of a question are {by}{in_all}"


class Adaptive(_Options):
    """Samples a question: as many as it takes, between two bounds."""

    min: int = Field(default=1, ge=1)
    """Drawn of every question in the first round."""
    max: int = Field(ge=1)
    """Most samples of a question, whether that was enough or not."""
    until: Until
    """When enough is drawn of a question, and of all."""
    step: int = Field(default=1, ge=1)
    """Least samples of a question that a later round draws; by default as many as are lacking. More
    make fewer rounds, and may draw more than is needed.
    """

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) is above max ({self.max})")
        return self

    def __str__(self) -> str:
        """Say it in a clause."""
        return f"{self.min} to {self.max} a question, {self.until}"

    def due(self, counts: pl.DataFrame) -> pl.DataFrame:
        """Plan the next round.

        Args:
            counts: `COUNTS` of every question.

        Returns:
            ``question_id``, ``drawn`` and ``due``, the samples to draw now, of the questions that
            have some; in the order of `counts`. Empty where nothing is left to do.
        """
        lacking = self.until.enough - pl.col("accepted")
        later = pl.max_horizontal(lacking, self.step)
        due = (
            pl.when(pl.col("drawn") == 0)
            .then(self.min)
            .when(lacking > 0)
            .then(pl.min_horizontal(later, self.max - pl.col("drawn")))
            .otherwise(0)
        )
        planned = counts.with_columns(due=due.cast(pl.Int64))
        if self.until.in_all is not None:
            left = max(self.until.in_all - int(counts["accepted"].sum()), 0)
            planned = planned.with_columns(due=_cut(planned, left))
        return planned.filter(pl.col("due") > 0).select("question_id", "drawn", "due")


def _cut(planned: pl.DataFrame, left: int) -> pl.Series:
    """Cut a round to what is left of the whole, in the order of the questions' hashes."""
    order = [rank("until", question) for question in planned["question_id"]]
    numbered = planned.with_row_index("place").with_columns(order=pl.Series(order, dtype=pl.UInt64))
    before = pl.col("due").cum_sum() - pl.col("due")
    cut = numbered.sort("order").with_columns(
        due=pl.min_horizontal("due", (pl.lit(left) - before).clip(lower_bound=0))
    )
    return cut.sort("place")["due"]


def before_any(questions: pl.DataFrame) -> pl.DataFrame:
    """Give the counts before the first round.

    Args:
        questions: with ``question_id``.
    """
    none = pl.lit(0, pl.Int32)
    return questions.select("question_id", drawn=none, accepted=none)


def counted(counts: pl.DataFrame, due: pl.DataFrame, accepted: pl.DataFrame) -> pl.DataFrame:
    """Add a round to the counts.

    Args:
        counts: before it.
        due: as it was planned.
        accepted: ``question_id`` and ``count`` of what was accepted of it.
    """
    drawn = due.select("question_id", "due")
    joined = counts.join(drawn, on="question_id", how="left", maintain_order="left")
    joined = joined.join(accepted, on="question_id", how="left", maintain_order="left")
    return joined.select(
        "question_id",
        drawn=(pl.col("drawn") + pl.col("due").fill_null(0)).cast(pl.Int32),
        accepted=(pl.col("accepted") + pl.col("count").fill_null(0)).cast(pl.Int32),
    )
