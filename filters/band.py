"""Band: any number of a row must lie between two bounds."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from filters.contract import Example, Filter, Threshold


class Band(Filter):
    """Drop rows whose column is below or above a band.

    It goes by any column that holds one number or flag: a score that came with imported rows, or
    what a student's own samples say of the question (``student_pass_rate`` at most 0.5: only what
    it gets wrong at least every other time).
    """

    version: ClassVar[int] = 1
    reasons: ClassVar[Mapping[str, str]] = {
        "below": "less than `min`; the score is the value",
        "above": "more than `max`; the score is the value",
        "not_measured": "the column holds nothing there",
    }
    abstains: ClassVar[Collection[str]] = ("not_measured",)

    example: ClassVar[Example] = Example(
        ({"student_pass_rate": 0.25}, {"student_pass_rate": 1.0}, {"student_pass_rate": None}),
        {"column": "student_pass_rate", "max": 0.5},
    )

    use: Literal["band"] = "band"
    column: str = Field(min_length=1)
    """The column; a flag counts as 1 or 0."""
    min: float | None = None
    """Smallest value kept; left out, no bound."""
    max: float | None = None
    """Largest value kept; left out, no bound."""

    @model_validator(mode="after")
    def _band(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("band needs `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: no row can pass")
        return self

    def reads(self) -> Sequence[str]:
        """Name the column needed."""
        return (self.column,)

    def thresholds(self) -> Sequence[Threshold]:
        """Both bounds, where they are set."""
        bounds = (Threshold("min", "min", "below"), Threshold("max", "max", "above"))
        return [bound for bound in bounds if getattr(self, bound.parameter) is not None]

    def compares(self) -> str:
        """The column it goes by."""
        return self.column

    def would_pass(
        self, reason: str, score: float | None, evidence: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Move the bound to its value."""
        del evidence
        bound = {"below": "min", "above": "max"}.get(reason)
        return None if bound is None or score is None else {bound: score}

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Compare each value with the band; what is no number is not there."""
        value = pl.col(self.column).cast(pl.Float64, strict=False)
        value = pl.when(value.is_not_nan()).then(value)
        reason = (
            pl.when(value.is_null())
            .then(pl.lit("not_measured"))
            .when(False if self.min is None else value < self.min)
            .then(pl.lit("below"))
            .when(False if self.max is None else value > self.max)
            .then(pl.lit("above"))
        )
        judged = frame.select(
            keep=pl.when(value.is_not_null()).then(reason.is_null()),
            reason=reason,
            score=value,
        )
        return self.verdicts(judged["keep"], judged["reason"], score=judged["score"])
