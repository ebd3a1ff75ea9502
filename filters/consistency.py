"""Consistency: how often does the teacher get this question right?"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from filters.columns import VERDICT_PREFIX
from filters.contract import Example, Filter, Scope, Sees, Threshold


class Consistency(Filter):
    """Keep questions whose pass rate lies in a band.

    The pass rate is the share of a question's judged samples that the filter named by `of` kept.
    Samples it dropped count, whatever became of them later; samples it abstained on or never saw
    do not. Every sample of a question gets the question's verdict.
    """

    version: ClassVar[int] = 1
    scope: ClassVar[Scope] = "question"
    sees: ClassVar[Sees] = "all"
    reasons: ClassVar[Mapping[str, str]] = {
        "too_hard": "a pass rate below `min`",
        "too_easy": "a pass rate above `max`",
        "too_few_judged": "fewer than `fewest` samples were judged right or wrong",
    }
    abstains: ClassVar[Collection[str]] = ("too_few_judged",)
    evidence: ClassVar[Mapping[str, pl.DataType]] = {
        "pass_rate": pl.Float64(),
        "counted": pl.Int32(),
    }

    example: ClassVar[Example] = Example(
        (
            {"verdict_correctness": {"keep": True, "reason": None, "score": None}},
            {"verdict_correctness": {"keep": False, "reason": "wrong_answer", "score": None}},
        ),
        {"max": 0.4},
    )

    use: Literal["consistency"] = "consistency"
    min: float = Field(default=0.0, ge=0, le=1)
    """Lowest pass rate kept, a share; 0 keeps questions never answered right."""
    max: float = Field(default=1.0, ge=0, le=1)
    """Highest pass rate kept; below 1 it drops questions that teach nothing new."""
    fewest: int = Field(default=1, ge=1)
    """Judged samples a rate needs; a question with fewer can't be told."""
    of: str = "correctness"
    """Name of the filter whose verdicts are counted."""

    @model_validator(mode="after")
    def _band(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: no pass rate is kept")
        return self

    def reads(self) -> Sequence[str]:
        """Name the columns needed."""
        return (VERDICT_PREFIX + self.of,)

    def thresholds(self) -> Sequence[Threshold]:
        """Both ends of the band."""
        return (
            Threshold("min", "min", "too_hard", "pass_rate"),
            Threshold("max", "max", "too_easy", "pass_rate"),
        )

    def would_pass(
        self, reason: str, score: float | None, evidence: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Move the bound to its question's rate or count."""
        del score
        match reason:
            case "too_hard":
                return {"min": evidence["pass_rate"]}
            case "too_easy":
                return {"max": evidence["pass_rate"]}
            case _:
                return {"fewest": evidence["counted"]} if evidence["counted"] else None

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Count the question's samples and compare the rate with the band."""
        right = pl.col(VERDICT_PREFIX + self.of).struct.field("keep")
        rate = right.mean().over("question_id")
        counted = right.count().over("question_id")
        judged = frame.select(rate=rate, counted=counted.cast(pl.Int32)).with_columns(
            reason=pl.when(pl.col("counted") < self.fewest)
            .then(pl.lit("too_few_judged"))
            .when(pl.col("rate") < self.min)
            .then(pl.lit("too_hard"))
            .when(pl.col("rate") > self.max)
            .then(pl.lit("too_easy"))
        )
        keep = judged.select(
            pl.when(pl.col("reason") == "too_few_judged")
            .then(None)
            .otherwise(pl.col("reason").is_null())
            .alias("keep")
        )["keep"]
        return self.verdicts(
            keep,
            judged["reason"],
            score=judged["rate"],
            evidence={"pass_rate": judged["rate"], "counted": judged["counted"]},
        )
