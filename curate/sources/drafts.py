"""Making sample rows: ids from content, running numbers, declared columns."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import polars as pl

from curate.store import keys as lineage
from filters.columns import SOURCE_COLUMNS, Glossary

_WRITTEN: Final = (
    "sample_id", "question_id", "sample_index", "teacher", "prompt_id", "raw_output",
    "reasoning_field", "finish_reason",
)  # fmt: skip
NO_COLUMNS: Final = Glossary()


class Drafts:
    """Collects texts that exist already and hands them out as `SOURCE_COLUMNS`.

    A sample's id hashes source, teacher, prompt, question, text, a thought that came apart from it
    and, for a text that was seen before, its number, so that it depends on no other row. For that,
    eight bytes of every id are remembered as long as the source is read: about 90 MB for a million
    samples.

    Args:
        source: name of the source.
        gold_shown: whether the writer saw the known answer.
        more: columns that follow, of which `add` is given the values.
    """

    def __init__(self, source: str, *, gold_shown: bool, more: Glossary = NO_COLUMNS) -> None:
        self._source = source
        self._gold_shown = gold_shown
        self._more = more.types
        self._seen: set[int] = set()
        self._repeats: Counter[int] = Counter()
        self._per_question: Counter[str] = Counter()
        self._rows: list[tuple[object, ...]] = []

    @property
    def height(self) -> int:
        """Samples collected and not yet taken."""
        return len(self._rows)

    def add(
        self,
        question_id: str,
        teacher: str | None,
        prompt_id: str | None,
        raw: str,
        reasoning: str | None = None,
        finish_reason: str | None = None,
        more: Sequence[object] = (),
    ) -> None:
        """Add one sample.

        Args:
            question_id: of its question.
            teacher: who wrote it.
            prompt_id: the prompt it answers.
            raw: all that was written, but for a thought that is kept apart.
            reasoning: that thought.
            finish_reason: ``stop`` or ``length``, None where it is not known.
            more: values of the columns that follow; they are no part of its id.
        """
        index = self._per_question[question_id]
        self._per_question[question_id] = index + 1
        content = (self._source, teacher, prompt_id, question_id, raw)
        sample_id = self._id(content if reasoning is None else (*content, reasoning))
        about = sample_id, question_id, index, teacher, prompt_id
        self._rows.append((*about, raw, reasoning, finish_reason, *more))

    def take(self) -> pl.DataFrame:
        """Hand out what was collected and begin anew."""
        taken, self._rows = self._rows, []
        schema = {name: SOURCE_COLUMNS[name] for name in _WRITTEN} | self._more
        columns = list(zip(*taken, strict=True)) or [()] * len(schema)
        frame = pl.DataFrame(columns, schema=schema)
        constants = {"source": self._source, "round": 0, "gold_shown": self._gold_shown}
        return frame.select(
            pl.col(name) if name in schema else pl.lit(constants.get(name), dtype=kind).alias(name)
            for name, kind in {**SOURCE_COLUMNS, **self._more}.items()
        )

    def _id(self, content: tuple[str | None, ...]) -> str:
        first = lineage.short_id(*content, 0)
        number = int(first, 16)
        if number not in self._seen:
            self._seen.add(number)
            return first
        self._repeats[number] += 1
        return lineage.short_id(*content, self._repeats[number])
