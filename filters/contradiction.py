"""Contradiction: does the text argue for the answer that it states?"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Literal

import polars as pl

from filters.admissions import Admission, admissions
from filters.answers import GoldType, options_of
from filters.argument import Argument
from filters.contract import Example, Filter

CLOSING: Final = 400
"""Characters looked at from where a text states its answer, up to a blank line."""


class Contradiction(Filter):
    """Drop rationales that argue against their answer, or towards one that they were shown.

    A teacher that is shown the gold states it, whatever it worked out: "= 320. There must be a
    mistake. The answer is 336." Its answer is right, so `correctness` keeps it. Here only what can
    be told for sure is dropped: a cue is no contradiction where a step comes to the answer, so
    corrections that lead somewhere stay, and so does a thought that tries this and that and ends
    in agreement with the solution behind it. The gold is not looked at.

    Of 74,877 SVAMP, GSM8K and OpenBookQA rationales whose teachers were shown the gold it drops
    217, of 20,154 answers that models gave without having seen it none. Of 60 drops read by hand 59
    were right; of the admissions that a broad search by words finds, it finds about nine in ten.
    """

    version: ClassVar[int] = 1
    reasons: ClassVar[Mapping[str, str]] = {
        "contradicts_itself": "it comes to another answer than it states, or doubts it to the end",
        "cites_answer": "it appeals to an answer that it was shown instead of coming to it",
    }
    evidence: ClassVar[Mapping[str, pl.DataType]] = {"sentence": pl.String()}

    example: ClassVar[Example] = Example(
        (
            {"rationale": "8 * 42 = 336.", "raw_output": "8 * 42 = 336. The answer is 336.",
             "answer": "336", "gold_type": "number"},
            {"rationale": "8 * 40 = 320. There must be a mistake in the question.",
             "answer": "336", "gold_type": "number"},
            {"rationale": "8 * 40 = 320. But the answer is 336, so 2 are missing: 8 * 42 = 336.",
             "answer": "336", "gold_type": "number"},
        )
    )  # fmt: skip

    use: Literal["contradiction"] = "contradiction"

    def reads(self) -> Sequence[str]:
        """Name the columns needed."""
        return (
            "rationale",
            "solution",
            "raw_output",
            "answer",
            "gold_type",
            "choices",
            "question",
        )

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Look for the first admission of each text; a row without a rationale is kept."""
        rows = zip(*(frame[name].to_list() for name in self.reads()), strict=True)
        admitted = [_admission(*row) if row[0] else None for row in rows]
        reason = pl.Series([a and a.reason for a in admitted], dtype=pl.String)
        sentence = pl.Series([a and a.sentence for a in admitted], dtype=pl.String)
        return self.verdicts(reason.is_null(), reason, evidence={"sentence": sentence})


def _admission(
    rationale: str,
    solution: str | None,
    raw_output: str | None,
    answer: str | None,
    gold_type: GoldType,
    choices: Sequence[str] | None,
    question: str | None,
) -> Admission | None:
    argument = Argument(
        rationale,
        f"\n{solution}" if solution else _closing(rationale, raw_output or ""),
        question or "",
        answer or "",
        gold_type,
        options_of(choices, question) if gold_type == "choice" else (),
    )
    return next(admissions(argument), None)


def _closing(rationale: str, raw_output: str) -> str:
    """Give what follows a rationale and states the answer."""
    _, inside, behind = raw_output.rpartition(rationale)
    return behind[:CLOSING].partition("\n\n")[0] if inside else ""
