"""Instruction and output as bare strings: the trainer's own template goes around them."""

from collections.abc import Iterator
from typing import ClassVar

import polars as pl

from curate.models.rendering import question_text
from curate.release.formats.base import SAMPLE, RowFormat
from curate.release.formats.wording import Record, Row, Think, Wording, completion
from filters.columns import Column, Glossary


class Alpaca(RowFormat):
    """Question and what the student is to say, as Alpaca's data set names them."""

    name: ClassVar[str] = "alpaca"
    about: ClassVar[str] = "instruction and output, bare strings in the trainer's own template"
    thinks: ClassVar[tuple[Think, ...]] = ("none", "inline")
    worded: ClassVar[bool] = True
    untried: ClassVar[str | None] = "the trainer puts its own template around the question"

    def columns(self, wording: Wording) -> Glossary:
        """Three strings."""
        del wording
        return Glossary(
            (
                SAMPLE,
                Column("instruction", pl.String(), "the question"),
                Column("input", pl.String(), "always empty"),
                Column("output", pl.String(), "rationale and target line"),
            )
        )

    def of_row(self, row: Row, wording: Wording) -> Iterator[Record]:
        """Give the question bare."""
        yield {
            "sample_id": row["sample_id"],
            "instruction": question_text(row["question"], row.get("choices")),
            "input": "",
            "output": completion(row, wording._replace(layout="plain")),
        }
