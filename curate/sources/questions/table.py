"""The questions of a run, and what it takes to join samples to them."""

from dataclasses import dataclass

import polars as pl

from curate.sources.questions.summary import QuestionsSummary


@dataclass(frozen=True, slots=True)
class QuestionsTable:
    """Questions and what it takes to join other rows to them.

    Attributes:
        frame: `QUESTION_COLUMNS`, one row a question, in order of first appearance.
        beyond: questions behind the limit, same columns; rows that join to them are known, but not
            wanted in this run.
        inputs: one row an input row, in file order: question_id, external_id and rationale
            (the source's own, null where the recipe names no such column).
        summary: what loading found, before the limit.
    """

    frame: pl.DataFrame
    beyond: pl.DataFrame
    inputs: pl.DataFrame
    summary: QuestionsSummary

    @property
    def original(self) -> pl.DataFrame:
        """Those of the frame that came with the recipe, and were not posed."""
        return self.frame.filter(pl.col("posed_by").is_null())

    @property
    def origins(self) -> dict[str, str]:
        """From which given question each posed one was made in the end, by their ids."""
        posed = self.frame.filter(pl.col("posed_by").is_not_null())
        origins: dict[str, str] = {}
        for name, parent in posed.select("question_id", "parent_question_id").iter_rows():
            origins[name] = origins.get(parent) or str(parent)  # parents come before children
        return origins
