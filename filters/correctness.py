"""Correctness: does the answer equal the gold?"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, Literal, NamedTuple, cast

import polars as pl

from filters.answers import GoldType, canonical, equal, last_value, options_of
from filters.contract import Example, Filter

_OUTCOMES: Mapping[str | None, tuple[bool | None, str | None]] = {
    "equal": (True, None),
    "different": (False, "wrong_answer"),
    "unparseable": (None, "answer_unparseable"),
    "gold_unparseable": (None, "gold_unparseable"),
    "too_large": (None, "answer_too_large"),
    "time_out": (None, "time_out"),
    None: (None, "not_verified"),
}


class _Verdict(NamedTuple):
    """One row's verdict and its facts."""

    keep: bool | None
    reason: str | None
    value: str | None = None
    body_value: str | None = None
    supported: bool | None = None


class Correctness(Filter):
    """Drop samples whose answer is not the gold, compared by the gold's type.

    A right answer is not right reasoning: where the rationale's own last number or date can be
    read and is not the answer, the evidence says so (`supported` false). Teachers who were shown
    the gold state it whatever they computed, so for them `unsupported: drop` is worth its price;
    elsewhere it also drops rationales that end with an aside ("in 2 days"). Where a model thinks
    apart, the answer is the solution's, and the last value the thought's.
    """

    version: ClassVar[int] = 3
    reasons: ClassVar[Mapping[str, str]] = {
        "wrong_answer": "the answer is not the gold",
        "no_answer": "no known form states one answer of the gold's type",
        "unsupported_answer": "right, but the rationale's last value is another one",
        "gold_unparseable": "the gold can't be read as its type, so nothing can be told",
        "not_comparable": "a letter stands against a text and the options are not known",
        "answer_unparseable": "LaTeX that the verifier can't read",
        "answer_too_large": "LaTeX too long or too costly to verify",
        "time_out": "verifying took too long",
        "not_verified": "LaTeX that was not verified",
    }
    abstains: ClassVar[Collection[str]] = (
        "gold_unparseable",
        "not_comparable",
        "answer_unparseable",
        "answer_too_large",
        "time_out",
        "not_verified",
    )
    worse: ClassVar[Mapping[str, str]] = {"wrong_answer": "wrong"}
    tells_right: ClassVar[bool] = True
    evidence: ClassVar[Mapping[str, pl.DataType]] = {
        "answer": pl.String(),
        "value": pl.String(),
        "answer_form": pl.String(),
        "body_value": pl.String(),
        "supported": pl.Boolean(),
    }

    example: ClassVar[Example] = Example(
        (
            {"answer": "7", "gold": "7", "gold_type": "number", "rationale": "3 + 4 = 7."},
            {"answer": "8", "gold": "7", "gold_type": "number", "rationale": "3 + 4 = 8."},
        )
    )

    use: Literal["correctness"] = "correctness"
    unsupported: Literal["keep", "drop"] = "keep"
    """What to do with a right answer that the rationale does not arrive at."""

    def reads(self) -> Sequence[str]:
        """Name the columns needed."""
        return (
            "answer",
            "answer_form",
            "rationale",
            "gold",
            "gold_type",
            "choices",
            "question",
            "verify_outcome",
        )

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Compare every row by its own gold's type."""
        columns = ("answer", "rationale", "gold", "gold_type", "choices", "question")
        rows = zip(*(frame[name].to_list() for name in (*columns, "verify_outcome")), strict=True)
        verdicts = [
            self._judge_one(
                answer,
                rationale,
                gold,
                cast("GoldType", gold_type),
                options_of(choices, question) if gold_type == "choice" else (),
                outcome,
            )
            for answer, rationale, gold, gold_type, choices, question, outcome in rows
        ]
        table = pl.DataFrame(
            verdicts,
            schema={
                "keep": pl.Boolean,
                "reason": pl.String,
                "value": pl.String,
                "body_value": pl.String,
                "supported": pl.Boolean,
            },
            orient="row",
        )
        facts = {name: table[name] for name in ("value", "body_value", "supported")}
        return self.verdicts(
            table["keep"],
            table["reason"],
            evidence={"answer": frame["answer"], "answer_form": frame["answer_form"], **facts},
        )

    def _judge_one(
        self,
        answer: str | None,
        rationale: str | None,
        gold: str | None,
        gold_type: GoldType,
        options: tuple[str, ...],
        outcome: str | None,
    ) -> _Verdict:
        """Judge one row: gold first, then the answer, then what the rationale arrives at."""
        if gold is None or _canonical(gold, gold_type, options) is None:
            return _Verdict(None, "gold_unparseable")
        value = None if answer is None else canonical(answer, gold_type, options)
        if answer is None or value is None:
            return _Verdict(keep=False, reason="no_answer")
        same = equal(answer, gold, gold_type, options)
        if same is None and gold_type == "latex":
            keep, reason = _OUTCOMES[outcome]
        elif same is None:
            keep, reason = None, "not_comparable"
        else:
            keep, reason = _OUTCOMES["equal" if same else "different"]
        body, supported = _support(rationale, answer, value, gold_type, options)
        if keep and supported is False and self.unsupported == "drop":
            keep, reason = False, "unsupported_answer"
        return _Verdict(keep, reason, value, body, supported)


@lru_cache(maxsize=4096)
def _canonical(gold: str, gold_type: GoldType, options: tuple[str, ...]) -> str | None:
    """Read a gold once for all its samples."""
    return canonical(gold, gold_type, options)


def _support(
    rationale: str | None, answer: str, value: str, gold_type: GoldType, options: tuple[str, ...]
) -> tuple[str | None, bool | None]:
    """Give the rationale's last value and whether it is the answer, null where it has none."""
    body = last_value(rationale, gold_type, options) if rationale else None
    if body is None:
        return None, None
    return body, body == value or bool(equal(answer, body, gold_type, options))
