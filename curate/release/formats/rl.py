"""Questions to train on by reward: their answers, and how often the teachers were right."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import polars as pl

from curate.models.rendering import answer_text
from curate.release.formats.base import QUESTION, Format, Pool, spoken
from curate.release.formats.wording import Record, Row, Wording, prompt
from filters.answers import equal, options_of
from filters.columns import VERDICT_PREFIX, Column, Glossary


class GradedPrompts(Format):
    """Every question that was sampled, with its answer and pass rate."""

    name: ClassVar[str] = "rl"
    about: ClassVar[str] = "questions with their answers and pass rates, for training by reward"
    untried: ClassVar[str | None] = "it has no completion to learn"
    of_questions: ClassVar[bool] = True

    def columns(self, wording: Wording) -> Glossary:
        """A prompt, its answer, and how often it was reached."""
        prompt_type, _ = spoken(wording._replace(think="none"))
        return Glossary(
            (
                QUESTION,
                Column("prompt", prompt_type, "the question as the student is asked it"),
                Column("answer", pl.String(), "the known answer"),
                Column("pass_rate", pl.Float64(), "share of its samples that were right"),
                Column("samples", pl.Int64(), "samples that did not fail"),
            )
        )

    def records(self, pool: Pool, wording: Wording) -> Iterator[Record]:
        """Count how often each question's samples were right; those without any are left out."""
        received = pool.samples.filter(pl.col("finish_reason").fill_null("") != "error")
        judged = received[f"{VERDICT_PREFIX}{pool.judge}"].struct.field("keep")
        right = pl.Series(
            "right", map(_is_right, judged, received.iter_rows(named=True)), pl.Boolean
        )
        counts = (
            received.with_columns(right)
            .group_by("question_id")
            .agg(right=pl.col("right").sum().cast(pl.Int64), received=pl.len().cast(pl.Int64))
        )
        questions = pool.questions.join(counts, on="question_id", maintain_order="left")
        return (graded_prompt(row, wording) for row in questions.iter_rows(named=True))


def graded_prompt(row: Row, wording: Wording) -> Record:
    """Word one question.

    Args:
        row: a question, with ``right`` and ``received``, numbers of samples.
        wording: of the prompt.
    """
    kind = row["gold_type"]
    options = options_of(row.get("choices"), row["question"]) if kind == "choice" else ()
    return {
        "question_id": row["question_id"],
        "prompt": prompt(row, wording),
        "answer": answer_text(row["gold"], kind, options),
        "pass_rate": row["right"] / row["received"],
        "samples": row["received"],
    }


def _is_right(judged: bool | None, row: Mapping[str, Any]) -> bool:
    """Tell whether a sample was right, also where an earlier filter stopped it unjudged."""
    if judged is not None or not row["answer"]:
        return bool(judged)
    kind = row["gold_type"]
    options = options_of(row.get("choices"), row["question"]) if kind == "choice" else ()
    return equal(row["answer"], row["gold"], kind, options) is True
