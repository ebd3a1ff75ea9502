"""One conversation a row, as most trainers read them."""

from collections.abc import Iterator
from typing import ClassVar

from curate.release.formats.base import SAMPLE, RowFormat, turns
from curate.release.formats.wording import Record, Row, Think, Wording, completion, prompt
from filters.columns import Column, Glossary


class Messages(RowFormat):
    """A conversation of the question and what the student is to say."""

    name: ClassVar[str] = "messages"
    about: ClassVar[str] = "conversations, one a row, as most trainers read them"
    thinks: ClassVar[tuple[Think, ...]] = ("none", "inline", "field")
    worded: ClassVar[bool] = True

    def columns(self, wording: Wording) -> Glossary:
        """The turns."""
        _, completion_type = turns(wording)
        return Glossary(
            (SAMPLE, Column("messages", completion_type, "turns of user and assistant"))
        )

    def of_row(self, row: Row, wording: Wording) -> Iterator[Record]:
        """Ask and answer in turns, whatever the layout."""
        talk = wording._replace(layout="chat")
        yield {
            "sample_id": row["sample_id"],
            "messages": [*prompt(row, talk), *completion(row, talk)],
        }
