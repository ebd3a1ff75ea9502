"""Length: a band the rationale must fall into."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from filters.contract import Example, Filter, Threshold


class Length(Filter):
    """Drop rationales shorter or longer than a band.

    Of a model that thinks apart the thought is measured, whole, without the solution behind it.
    """

    version: ClassVar[int] = 1
    reasons: ClassVar[Mapping[str, str]] = {
        "too_short": "shorter than `min`; the score is its length",
        "too_long": "longer than `max`; the score is its length",
        "not_measured": "its length is not known",
    }
    abstains: ClassVar[Collection[str]] = ("not_measured",)

    example: ClassVar[Example] = Example(
        ({"rationale_tokens": 80}, {"rationale_tokens": 900}), {"max": 512}
    )

    use: Literal["length"] = "length"
    unit: Literal["tokens", "words"] = "tokens"
    """``tokens`` are the student's, what its context and its loss see; ``words`` are known without
    a student.
    """
    min: int | None = Field(default=None, ge=0)
    """Shortest rationale kept; left out, no bound."""
    max: int | None = Field(default=None, ge=0)
    """Longest rationale kept; left out, no bound."""

    @model_validator(mode="after")
    def _band(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("length needs `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: no rationale can pass")
        return self

    @property
    def column(self) -> str:
        """The column that holds the length."""
        return f"rationale_{self.unit}"

    def reads(self) -> Sequence[str]:
        """Name the column needed."""
        return (self.column,)

    def thresholds(self) -> Sequence[Threshold]:
        """Both bounds, where they are set."""
        bounds = (Threshold("min", "min", "too_short"), Threshold("max", "max", "too_long"))
        return [bound for bound in bounds if getattr(self, bound.parameter) is not None]

    def compares(self) -> str:
        """The length it goes by."""
        return self.column

    def would_pass(
        self, reason: str, score: float | None, evidence: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Move the bound to its length."""
        del evidence
        bound = {"too_short": "min", "too_long": "max"}.get(reason)
        return None if bound is None or score is None else {bound: int(score)}

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Compare each length with the band."""
        length = pl.col(self.column)
        reason = (
            pl.when(length.is_null())
            .then(pl.lit("not_measured"))
            .when(length < (0 if self.min is None else self.min))
            .then(pl.lit("too_short"))
            .when(False if self.max is None else length > self.max)
            .then(pl.lit("too_long"))
        )
        judged = frame.select(
            keep=pl.when(length.is_not_null()).then(reason.is_null()),
            reason=reason,
            score=length,
        )
        return self.verdicts(judged["keep"], judged["reason"], score=judged["score"])
