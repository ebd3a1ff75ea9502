"""Tokens: how long a rationale is to the student."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, cast

import polars as pl

from curate.measures.base import Item, MemoMeasure, Need, Setup
from curate.models.references import ResolvedModel
from filters.columns import GLOSSARY, Glossary

_BATCH = 1000


class Tokens(MemoMeasure):
    """Writes ``rationale_tokens``, counted by the student's tokenizer without special tokens.

    Counting is cheap, loading a tokenizer is not (up to 4 s), so the counts are remembered. Of a
    model that thinks apart the thought is counted.

    Args:
        student: whose tokenizer counts.
    """

    name: ClassVar[str] = "tokens"
    reads = ("rationale",)
    writes: Glossary = GLOSSARY.of("tokens")
    needs: ClassVar[Collection[Need]] = ("student",)
    item_bytes: ClassVar[int] = 120

    def __init__(self, student: ResolvedModel) -> None:
        self._student = student
        self._tokenizer: Any = None

    @classmethod
    def open(cls, setup: Setup) -> Self:
        """Count with the student's tokenizer."""
        return cls(setup.models["student"])

    def instrument(self) -> Mapping[str, Any]:
        """Identify the tokenizer by its model."""
        return {"student": self._student.name, "revision": self._student.revision}

    def items(self, frame: pl.DataFrame) -> Sequence[Item]:
        """List the rationales."""
        texts = cast("list[str]", frame["rationale"].drop_nulls().to_list())
        return [Item(self.memo_key(text), text) for text in texts]

    def compute(self, items: Iterable[Item]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Count, a thousand at a time."""
        waiting = list(items)
        if not waiting:
            return
        from curate.models.students.tokenizing import count_tokens, load_tokenizer

        self._tokenizer = self._tokenizer or load_tokenizer(self._student.path)
        for start in range(0, len(waiting), _BATCH):
            batch = waiting[start : start + _BATCH]
            counts = count_tokens(self._tokenizer, [item.payload for item in batch])
            for item, count in zip(batch, counts, strict=True):
                yield item.key, {"tokens": count}

    def assemble(
        self,
        frame: pl.DataFrame,
        values: Mapping[str, Mapping[str, Any]],
        facts: Mapping[str, Any],  # noqa: ARG002 - counting has none
    ) -> pl.DataFrame:
        """Give every rationale its count, null where there is no rationale."""
        counts = [
            None if text is None else values[self.memo_key(text)]["tokens"]
            for text in cast("list[str | None]", frame["rationale"].to_list())
        ]
        return pl.DataFrame({"rationale_tokens": pl.Series(counts, dtype=pl.Int32)})

    def close(self) -> None:
        """Free the tokenizer."""
        self._tokenizer = None
