"""Plain text with the marks of Fine-tune-CoT (arXiv 2212.10071, section 3)."""

from collections.abc import Iterator
from typing import ClassVar

import polars as pl

from curate.models.rendering import question_text
from curate.release.formats.base import SAMPLE, RowFormat
from curate.release.formats.wording import Record, Row, Wording, answer_of
from filters.columns import Column, Glossary


class FineTuneCot(RowFormat):
    """Question, rationale and answer between marks."""

    name: ClassVar[str] = "text"
    about: ClassVar[str] = "plain text with the marks of Fine-tune-CoT (arXiv 2212.10071)"
    untried: ClassVar[str | None] = "its marks stand for a template"

    def columns(self, wording: Wording) -> Glossary:
        """Two strings."""
        del wording
        return Glossary(
            (
                SAMPLE,
                Column("prompt", pl.String(), "the question, then ###"),
                Column("completion", pl.String(), "rationale --> answer END"),
            )
        )

    def of_row(self, row: Row, wording: Wording) -> Iterator[Record]:
        """Set the marks."""
        del wording
        question = question_text(row["question"], row.get("choices"))
        yield {
            "sample_id": row["sample_id"],
            "prompt": f"{question} ###",
            "completion": f" {(row['rationale'] or '').strip()} --> {answer_of(row)} END",
        }
