"""Prompt and completion apart, so that the loss is on the completion alone."""

from collections.abc import Iterator
from typing import ClassVar

from curate.release.formats.base import SAMPLE, RowFormat, spoken
from curate.release.formats.wording import Record, Row, Think, Wording, completion, prompt
from filters.columns import Column, Glossary


class PromptCompletion(RowFormat):
    """What the student is asked, and what it is to say."""

    name: ClassVar[str] = "prompt-completion"
    about: ClassVar[str] = "prompt and completion, the loss on the completion"
    thinks: ClassVar[tuple[Think, ...]] = ("none", "inline", "field")
    worded: ClassVar[bool] = True

    def columns(self, wording: Wording) -> Glossary:
        """Both sides."""
        prompt_type, completion_type = spoken(wording)
        return Glossary(
            (
                SAMPLE,
                Column("prompt", prompt_type, "the question as the student is asked it"),
                Column("completion", completion_type, "rationale and target line"),
            )
        )

    def of_row(self, row: Row, wording: Wording) -> Iterator[Record]:
        """Word both sides."""
        yield {
            "sample_id": row["sample_id"],
            "prompt": prompt(row, wording),
            "completion": completion(row, wording),
        }
