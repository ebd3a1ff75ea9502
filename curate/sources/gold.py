"""Gold: the worked solutions that the questions themselves came with, as samples."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from curate.errors import InputError
from curate.sources.base import ReadSource, Tally
from curate.sources.drafts import Drafts
from curate.sources.questions import QuestionsTable


class Gold(ReadSource):
    """Makes a sample of each question's own solution (`questions.columns.rationale`)."""

    use: Literal["gold"] = "gold"
    name: str = Field(default="gold", min_length=1)
    """Unique among the sources."""
    teacher: str = "human"
    """Who wrote the solutions, as rows and card name them."""
    gold_shown: bool = True
    """The writer knew the answer, as authors of data sets do."""

    @property
    def writer(self) -> str:
        """Who wrote the solutions."""
        return self.teacher

    def rows(self, questions: QuestionsTable, folder: Path, tally: Tally) -> Iterator[pl.DataFrame]:
        """Make one sample of every solution; merged rows with the same solution make one.

        Yields:
            `SOURCE_COLUMNS`, one batch.

        Raises:
            InputError: no question has a solution.
        """
        del folder, tally
        solutions = (
            questions.inputs.select("question_id", "rationale")
            .drop_nulls()
            .unique(maintain_order=True)
            .join(questions.frame, on="question_id", how="semi", maintain_order="left")
        )
        if solutions.is_empty():
            raise InputError(
                "no question came with a solution; name the column that holds it in "
                "questions.columns.rationale, or leave this source out",
                f"sources: {self.name}",
            )
        drafts = Drafts(self.name, gold_shown=self.gold_shown)
        for name, solution in solutions.iter_rows():
            drafts.add(name, self.teacher, None, solution)
        yield drafts.take()
