"""Completeness: is there a whole rationale at all?"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import polars as pl

from filters.contract import Example, Filter

REFUSAL = (
    r"(?i)^\W*(?:(?:i['\x{2019}]?m|i am) (?:really |very )?sorry|sorry,|as an ai\b|"
    r"i (?:can(?:no|['\x{2019}])t|cannot|am unable to|am not able to) "
    r"(?:help|assist|answer|provide|solve|comply|do that))"
)


class Completeness(Filter):
    """Drop samples that failed, are empty, were cut off or refuse to answer.

    Words are counted in the rationale: where a model thinks apart, in its thought and not in the
    solution behind it.
    """

    version: ClassVar[int] = 1
    reasons: ClassVar[Mapping[str, str]] = {
        "source_error": "the teacher's request failed for good; evidence holds the error",
        "empty": "the output holds no text",
        "cut_off": "the output ended at the token limit before it was finished",
        "refusal": "the output begins by declining to answer",
        "no_rationale": "fewer words of reasoning than `min_words`",
    }
    evidence: ClassVar[Mapping[str, pl.DataType]] = {
        "finish_reason": pl.String(),
        "error": pl.String(),
    }

    example: ClassVar[Example] = Example(
        (
            {"raw_output": "3 + 4 = 7. The answer is 7", "finish_reason": "stop",
             "rationale": "3 + 4 = 7.", "rationale_words": 5},
            {"raw_output": "3 + 4 is", "finish_reason": "length",
             "rationale": "3 + 4 is", "rationale_words": 4},
        )
    )  # fmt: skip

    use: Literal["completeness"] = "completeness"
    allow_cut: bool = False
    """Keep samples that ended at the token limit. They rarely hold an answer; with false,
    `max_tokens` of the source decides how many are lost here.
    """
    min_words: int = 1
    """Fewest words a rationale may have; 0 keeps answers without reasoning."""

    def reads(self) -> Sequence[str]:
        """Name the columns needed."""
        return (
            "raw_output",
            "reasoning_field",
            "finish_reason",
            "error",
            "rationale",
            "rationale_words",
        )

    def would_pass(
        self, reason: str, score: float | None, evidence: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Let cut samples pass, or ask for as few words as it has."""
        del evidence
        match reason:
            case "cut_off":
                return {"allow_cut": True}
            case "no_rationale":
                return {"min_words": int(score or 0)}
            case _:
                return None

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Check in the order a person would: failed, empty, cut, refusing, bare."""
        text = pl.concat_str(
            pl.col("reasoning_field").fill_null(""), pl.col("raw_output").fill_null("")
        )
        reason = (
            pl.when(pl.col("finish_reason") == "error")
            .then(pl.lit("source_error"))
            .when(text.str.strip_chars().str.len_bytes() == 0)
            .then(pl.lit("empty"))
            .when((pl.col("finish_reason") == "length") & (not self.allow_cut))
            .then(pl.lit("cut_off"))
            .when(pl.col("raw_output").fill_null("").str.contains(REFUSAL))
            .then(pl.lit("refusal"))
            .when(pl.col("rationale_words").fill_null(0) < self.min_words)
            .then(pl.lit("no_rationale"))
        )
        judged = frame.select(reason=reason, score=pl.col("rationale_words"))
        return self.verdicts(
            judged["reason"].is_null(),
            judged["reason"],
            score=judged["score"],
            evidence={"finish_reason": frame["finish_reason"], "error": frame["error"]},
        )
