"""One of each thing that a package can bring: a filter, a measure, a source, a format, an arm."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import polars as pl

from curate.measures import DerivedMeasure
from curate.release.formats import RowFormat
from curate.release.formats.base import SAMPLE
from curate.release.formats.wording import Record, Row, Wording
from curate.select.arms import ArmKind
from curate.sources import ReadSource, Tally
from curate.sources.drafts import Drafts
from curate.sources.questions import QuestionsTable
from filters.columns import Column, Glossary
from filters.contract import Example, Filter


class Capitals(DerivedMeasure):
    """Writes ``capital_share``: how much of a rationale's letters are capitals."""

    name: ClassVar[str] = "capitals"
    reads = ("rationale",)
    writes = Glossary(
        [
            Column(
                "capital_share",
                pl.Float64(),
                "share of capitals among the rationale's letters",
                published=True,
                score="lower",
            )
        ]
    )

    def instrument(self) -> Mapping[str, Any]:
        """Nothing but this code measures."""
        return {}

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Count the letters of each rationale."""
        letters = [list(filter(str.isalpha, text or "")) for text in frame["rationale"]]
        shares = [sum(map(str.isupper, each)) / len(each) if each else None for each in letters]
        return pl.DataFrame({"capital_share": pl.Series(shares, dtype=pl.Float64)})


class Calm(Filter):
    """Drop rationales that shout."""

    reasons: ClassVar[Mapping[str, str]] = {
        "shouting": "more capitals than `max`; the score is their share"
    }
    example: ClassVar[Example] = Example(({"capital_share": 0.1}, {"capital_share": 0.9}))

    use: Literal["calm"] = "calm"
    max: float = 0.5
    """Largest share of capitals kept."""

    def reads(self) -> Sequence[str]:
        """Name the column needed."""
        return ("capital_share",)

    def compares(self) -> str:
        """The score is that column."""
        return "capital_share"

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Compare each share."""
        score = frame["capital_share"].fill_null(0.0)
        reasons = [None if share <= self.max else "shouting" for share in score]
        return self.verdicts(score <= self.max, pl.Series(reasons, dtype=pl.String), score=score)


class Verdict(ReadSource):
    """Samples that state each question's answer, in capitals where that is wanted."""

    use: Literal["verdict"] = "verdict"
    loud: bool = False
    """Whether they shout."""

    def rows(self, questions: QuestionsTable, folder: Path, tally: Tally) -> Iterator[pl.DataFrame]:
        """Make one sample of every question."""
        del folder, tally
        drafts = Drafts(self.name, gold_shown=True)
        for question, gold in questions.frame.select("question_id", "gold").iter_rows():
            text = f"We add both numbers and get {gold}."
            text = text.upper() if self.loud else text
            drafts.add(question, self.name, None, f"{text} The answer is {gold}.")
        yield drafts.take()


class Flashcards(RowFormat):
    """What is asked on one side, what is answered on the other."""

    name: ClassVar[str] = "flashcards"
    about: ClassVar[str] = "front and back of a card"
    untried: ClassVar[str | None] = "cards are not for training"

    def columns(self, wording: Wording) -> Glossary:
        """Two strings."""
        del wording
        return Glossary(
            (
                SAMPLE,
                Column("front", pl.String(), "the question"),
                Column("back", pl.String(), "the rationale"),
            )
        )

    def of_row(self, row: Row, wording: Wording) -> Iterator[Record]:
        """Write one card."""
        del wording
        yield {
            "sample_id": row["sample_id"],
            "front": row["question"],
            "back": row["rationale"],
        }


CALMEST: Final = ArmKind(
    word="calmest",
    takes="as many a question as the selection, the calmest; no model is asked more",
    order=("capital_share",),
)
