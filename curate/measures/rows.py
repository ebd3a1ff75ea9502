"""What scoring reads of a row."""

from typing import NamedTuple, cast

import polars as pl

from curate.measures.masking import mask_value
from curate.models.rendering import answer_text, question_text
from curate.models.students.pairs import Pair
from filters.answers import GoldType, options_of

READS = ("question", "gold", "gold_type", "choices", "rationale", "answer")


class Row(NamedTuple):
    """One sample and its question.

    Attributes:
        question: text.
        gold: as it was given.
        kind: type of the gold.
        choices: the question's own list of options.
        rationale: with its final clause stripped.
        answer: as the sample gives it.
    """

    question: str
    gold: str | None
    kind: GoldType
    choices: list[str] | None
    rationale: str | None
    answer: str | None

    @property
    def options(self) -> tuple[str, ...]:
        """The options, also where they stand in the question's text."""
        return options_of(self.choices, self.question) if self.kind == "choice" else ()

    def pair(self, mask: str) -> Pair | None:
        """Give what the student sees of it, None where there is no rationale or no gold."""
        if not (self.gold and self.rationale and self.rationale.strip()):
            return None
        rationale = self.rationale.strip()
        return Pair(
            question_text(self.question, self.choices),
            answer_text(self.gold, self.kind, self.options),
            rationale,
            mask_value(rationale, self.answer, self.kind, self.options, mask),
        )


def rows_of(frame: pl.DataFrame) -> list[Row]:
    """Read the rows of a table with the columns of `READS`."""
    return [
        Row(*cast("tuple[str, str, GoldType, list[str], str, str]", row))
        for row in frame.select(READS).iter_rows()
    ]
