"""Gold: the worked solutions that the questions themselves came with, as samples."""

from collections.abc import Iterator
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from curate.errors import InputError
from curate.sources.drafts import Drafts
from curate.sources.questions import QuestionsTable


class GoldSource(BaseModel):
    """Samples from the column that `questions.columns.rationale` names.

    Attributes:
        name: unique among the sources.
        teacher: who wrote the solutions, as rows and card name them.
        gold_shown: the writer knew the answer, as authors of data sets do.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    use: Literal["gold"] = "gold"
    name: str = Field(default="gold", min_length=1)
    teacher: str = "human"
    gold_shown: bool = True

    def rows(self, questions: QuestionsTable) -> Iterator[pl.DataFrame]:
        """Make one sample of every solution; merged rows with the same solution make one.

        Yields:
            `SOURCE_COLUMNS`, one batch.

        Raises:
            InputError: no question has a solution.
        """
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
