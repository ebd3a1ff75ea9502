"""Rationale Difficulty: is this rationale of use to *this* student?"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, cast

import polars as pl
from pydantic import Field, model_validator

from filters.contract import Example, Filter, OnAbstain, Scope, Threshold


class RationaleDifficulty(Filter):
    """Keep rationales whose Rationale Difficulty lies in a band (MoRSD, arXiv 2509.23574).

    RD below 1 means that the answer becomes likelier to the student with the rationale in view.
    Which end to keep is a choice: MoRSD and SRD keep the easy end, student-error filters the hard
    one, so both ends can be set, in RD or in quantiles; a row must be inside all that are set.
    Quantiles are taken within each question, over its scored live rows: more than half of log RD's
    variance lies between questions, so a quantile of the whole table would choose questions.

    With ``masked`` the filter abstains where calibration found that the student does not follow
    rationales, or could not tell. ``paper`` is the measure as published, which asks no such thing,
    and so it never abstains for that reason; the calibration's figures still stand in the manifest.
    Where a model thinks apart, the thought is what the student was given, not the solution.
    """

    version: ClassVar[int] = 1
    scope: ClassVar[Scope] = "question"
    reasons: ClassVar[Mapping[str, str]] = {
        "too_difficult": "Rationale Difficulty above `max`",
        "too_easy": "Rationale Difficulty below `min`",
        "among_most_difficult": "above `max_quantile` of the question's rationales",
        "among_easiest": "below `min_quantile` of the question's rationales",
        "student_cannot_follow": "right and wrong siblings score alike once their "
        "values are masked, so this student's scores say nothing about reasoning",
        "uncalibrated": "too few questions have right and wrong siblings to tell "
        "whether the student follows rationales",
        "not_scored": "no Rationale Difficulty, because there is no rationale or the "
        "question exceeds the student's context",
    }
    abstains: ClassVar[Collection[str]] = ("student_cannot_follow", "uncalibrated", "not_scored")
    depends_on_run: ClassVar[Collection[str]] = ("student_cannot_follow", "uncalibrated")
    worse: ClassVar[Mapping[str, str]] = {"too_difficult": "hard"}
    evidence: ClassVar[Mapping[str, pl.DataType]] = {
        "rd": pl.Float64(),
        "nll": pl.Float64(),
        "spread": pl.Float64(),
        "truncated": pl.Boolean(),
    }

    example: ClassVar[Example] = Example(
        (
            {"rd_masked": 0.62, "nll_masked": 0.4, "student_follows": True},
            {"rd_masked": 1.35, "nll_masked": 1.9, "student_follows": True},
        )
    )

    use: Literal["rationale_difficulty"] = "rationale_difficulty"
    variant: Literal["masked", "paper"] = "masked"
    """``masked`` compares `rd_masked`, ``paper`` `rd_paper`."""
    max: float | None = Field(default=None, gt=0)
    """Highest RD kept; 1.0 where no limit at all is set: the rationale must help."""
    min: float | None = Field(default=None, gt=0)
    """Lowest RD kept."""
    max_quantile: float | None = Field(default=None, ge=0, le=1)
    """Highest quantile of a question's rows kept; 0.3 keeps the easiest 30 %, and always the
    easiest row.
    """
    min_quantile: float | None = Field(default=None, ge=0, le=1)
    """Lowest quantile kept; 0.7 keeps the hardest 30 %, and always the hardest row."""
    on_abstain: OnAbstain = "keep"
    """Whether a row stays live where this filter could not tell: `keep` or `drop`."""

    @model_validator(mode="before")
    @classmethod
    def _default_band(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        fields = cast("dict[str, object]", data)
        limits = ("max", "min", "max_quantile", "min_quantile")
        return (
            fields
            if any(fields.get(limit) is not None for limit in limits)
            else {**fields, "max": 1.0}
        )

    @model_validator(mode="after")
    def _can_be_passed(self) -> Self:
        for low, high, name in (
            (self.min, self.max, ""),
            (self.min_quantile, self.max_quantile, "_quantile"),
        ):
            if low is not None and high is not None and low > high:
                raise ValueError(f"min{name} {low} is above max{name} {high}; nothing could pass")
        return self

    def reads(self) -> Sequence[str]:
        """Name the columns needed."""
        rd, nll = self._columns()
        return (rd, nll, "rd_spread", "score_truncated", "student_follows")

    def thresholds(self) -> Sequence[Threshold]:
        """Both limits, where they alone decide: a quantile compares siblings."""
        if self.max_quantile is not None or self.min_quantile is not None:
            return ()
        limits = (Threshold("min", "min", "too_easy"), Threshold("max", "max", "too_difficult"))
        return [limit for limit in limits if getattr(self, limit.parameter) is not None]

    def compares(self) -> str:
        """Rationale Difficulty, in the variant it goes by."""
        return self._columns()[0]

    def compared_scope(self) -> Scope:
        """Its own row, unless a quantile compares siblings."""
        return "sample" if self.thresholds() else self.scope

    def would_pass(
        self, reason: str, score: float | None, evidence: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Move the limit to its score; a quantile that lets all of a question pass is 0 or 1."""
        del evidence
        match reason:
            case "too_difficult":
                return {"max": score}
            case "too_easy":
                return {"min": score if score and score > 0 else None}  # a limit is above 0
            case "among_most_difficult":
                return {"max_quantile": 1.0}
            case "among_easiest":
                return {"min_quantile": 0.0}
            case _:
                return None

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Abstain where the score says nothing, then compare with the band."""
        rd, nll = self._columns()
        score = pl.col(rd)
        # Share of the question's other rows below this one: 0 easiest, 1 hardest; ties keep both.
        others = score.count().over("question_id") - 1
        below, up_to = (
            pl.when(others > 0).then((score.rank(ties).over("question_id") - 1) / others)
            for ties in ("min", "max")
        )
        reason = (
            pl.when(score.is_null())
            .then(pl.lit("not_scored"))
            .when(self._masked() & pl.col("student_follows").is_null())
            .then(pl.lit("uncalibrated"))
            .when(self._masked() & ~pl.col("student_follows"))
            .then(pl.lit("student_cannot_follow"))
            .when(self._outside(score, high=self.max))
            .then(pl.lit("too_difficult"))
            .when(self._outside(score, low=self.min))
            .then(pl.lit("too_easy"))
            .when(self._outside(below, high=self.max_quantile))
            .then(pl.lit("among_most_difficult"))
            .when(self._outside(up_to, low=self.min_quantile))
            .then(pl.lit("among_easiest"))
        )
        judged = frame.select(
            reason=reason,
            score=score,
            nll=nll,
            spread="rd_spread",
            truncated="score_truncated",
        )
        unknown = judged["reason"].is_in(self.abstains)
        keep = judged.select(
            pl.when(~unknown.fill_null(value=False)).then(pl.col("reason").is_null())
        ).to_series()
        return self.verdicts(
            keep,
            judged["reason"],
            score=judged["score"],
            evidence={
                "rd": judged["score"],
                "nll": judged["nll"],
                "spread": judged["spread"],
                "truncated": judged["truncated"],
            },
        )

    def _masked(self) -> pl.Expr:
        return pl.lit(self.variant == "masked")

    def _columns(self) -> tuple[str, str]:
        """Name the columns of RD and NLL that the variant compares."""
        if self.variant == "masked":
            return "rd_masked", "nll_masked"
        return "rd_paper", "nll_with_rationale"

    @staticmethod
    def _outside(value: pl.Expr, *, high: float | None = None, low: float | None = None) -> pl.Expr:
        """Tell whether a value lies above or below a limit that may not be set."""
        if high is not None:
            return value > high
        return value < low if low is not None else pl.lit(value=False)
