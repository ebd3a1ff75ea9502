"""Two tasks a row, its rationale and its label (Distilling Step-by-Step, arXiv 2305.02301)."""

from collections.abc import Iterator
from typing import Any, ClassVar

import polars as pl

from curate.models.rendering import question_text
from curate.release.formats.base import RowFormat, turns
from curate.release.formats.wording import Record, Row, Wording, answer_of
from filters.columns import Column, Glossary


class Tasks(RowFormat):
    """A record for the rationale and one for the answer."""

    name: ClassVar[str] = "tasks"
    about: ClassVar[str] = (
        "rationale and label as two tasks (Distilling Step-by-Step, arXiv 2305.02301)"
    )

    def columns(self, wording: Wording) -> Glossary:
        """Both sides, and whose they are."""
        dtype, _ = turns(wording) if wording.layout == "chat" else (pl.String(), pl.String())
        return Glossary(
            (
                Column("sample_id", pl.String(), "the sample's id with the task behind it"),
                Column("parent_id", pl.String(), "the sample it was made from"),
                Column("prompt", dtype, "the question with the task before it"),
                Column("completion", dtype, "the rationale, or the answer"),
            )
        )

    def of_row(self, row: Row, wording: Wording) -> Iterator[Record]:
        """Make both; a sample without a rationale has the answer alone."""
        question = question_text(row["question"], row.get("choices"))
        texts = {"rationale": (row["rationale"] or "").strip(), "label": answer_of(row)}
        for task, text in texts.items():
            if not text:
                continue
            prompt: Any = f"[{task}] {question}"
            completion: Any = text
            if wording.layout == "chat":
                prompt = [{"role": "user", "content": prompt}]
                completion = [{"role": "assistant", "content": text}]
            yield {
                "sample_id": f"{row['sample_id']}-{task}",
                "parent_id": row["sample_id"],
                "prompt": prompt,
                "completion": completion,
            }
