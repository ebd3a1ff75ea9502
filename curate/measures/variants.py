"""Measures that have the student read other texts in place of a rationale, cut step by step.

Each reads more than `score` does, so none runs unless something reads its columns; what they have
in common is here.
"""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, ClassVar, Self

import polars as pl
from pydantic import Field

from curate.measures.asking import Asking
from curate.measures.base import ColumnOptions, Item, MemoMeasure, Need, Setup
from curate.measures.rows import READS, Row, rows_of
from curate.measures.score_options import ScoreOptions
from curate.measures.steps import SPLIT_AT, Delimiters, split_steps
from curate.models.students.packing import Summed
from curate.models.students.pairs import Pair
from curate.models.students.variants import Variant, VariantReader

Step = tuple[int, int]


class StepOptions(ColumnOptions):
    """Where steps end."""

    split_at: Delimiters = SPLIT_AT
    """What a step of a rationale ends with."""
    most_steps: int = Field(default=64, ge=1)
    """Rationales of more steps are left out: what they cost grows with the square."""


class VariantMeasure(MemoMeasure):
    """Has variants of each rationale read; null where it is too long.

    Too long is a rationale of too many steps, or of which a variant exceeds the student's context.

    Args:
        options: of this measure.
        asking: the student.
        template: target line.
        demand: columns to write.

    Attributes:
        afterwards: options that only tell what is made of recorded values.
    """

    reads = READS
    needs: ClassVar[Collection[Need]] = ("student",)
    item_bytes: ClassVar[int] = 400
    on_request: ClassVar[bool] = True
    afterwards: ClassVar[Collection[str]] = ()

    def __init__(
        self, options: StepOptions, asking: Asking, template: str, demand: Collection[str]
    ) -> None:
        self._options = options
        self._asking = asking
        self._template = template
        self.writes = self.columns(options, demand)
        self._reader: VariantReader | None = None

    @classmethod
    def open(cls, setup: Setup) -> Self:
        """Ask the recipe's student."""
        assert isinstance(setup.options, StepOptions)
        assert isinstance(setup.score, ScoreOptions)
        asking = Asking(setup.score, setup.models["student"], setup.server)
        return cls(setup.options, asking, setup.score.templates[0], setup.demand)

    def instrument(self) -> Mapping[str, Any]:
        """Identify the student, the way it is asked, and where steps end."""
        own = self._options.model_dump(
            mode="json", exclude={*ColumnOptions.model_fields, *self.afterwards}
        )
        return {**self._asking.identity, "template": self._template, **own}

    @abstractmethod
    def variants(self, pair: Pair, steps: Sequence[Step]) -> list[Variant]:
        """List what is to be read of one rationale.

        Args:
            pair: with the rationale as it stands, nothing masked.
            steps: characters of its steps, one step at least.
        """

    @abstractmethod
    def values(self, nats: Sequence[float], tokens: Sequence[int]) -> Mapping[str, Any]:
        """Make the columns of one rationale.

        Args:
            nats: negative log-likelihood of each variant's wanted part, in their order.
            tokens: how many tokens it has; 0 where it has none of its own.
        """

    def items(self, frame: pl.DataFrame) -> Sequence[Item]:
        """List the rationales that have steps, and not too many."""
        return [item for item in map(self._item, rows_of(frame)) if item]

    def compute(self, items: Iterable[Item]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Read question by question, so that what texts share is read once.

        Raises:
            ModelError: the student can't be loaded, or its chat template drops rationales.
        """
        waiting = sorted(items, key=lambda item: item.payload.question)
        if not waiting:
            return
        reader = self._reader = self._reader or VariantReader.load(
            self._asking.student.path, self._asking.open, self._asking.layout, self._template
        )
        for batch in self._batches(waiting, reader.window):
            variants = [self.variants(item.payload, self._steps(item.payload)) for item in batch]
            sums = iter(reader.read(list(chain.from_iterable(variants))))
            for item, own in zip(batch, variants, strict=True):
                yield item.key, _recorded(list(islice(sums, len(own))))

    def assemble(
        self,
        frame: pl.DataFrame,
        values: Mapping[str, Mapping[str, Any]],
        facts: Mapping[str, Any],  # noqa: ARG002 - it has none
    ) -> pl.DataFrame:
        """Make the columns."""
        items = [self._item(row) for row in rows_of(frame)]
        recorded = [values.get(item.key) if item else None for item in items]
        made = [self.values(**value) if value else None for value in recorded]
        return pl.DataFrame(
            [
                pl.Series(name, [row[name] if row else None for row in made], dtype=dtype)
                for name, dtype in self.writes.types.items()
            ]
        )

    def close(self) -> None:
        """Free the student."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _item(self, row: Row) -> Item | None:
        """Key a rationale by what is read of it, so that its masking is nothing to it."""
        pair = row.pair("")
        if pair is None or not 0 < len(self._steps(pair)) <= self._options.most_steps:
            return None
        plain = pair._replace(masked="")
        return Item(self.memo_key(*plain), plain)

    def _steps(self, pair: Pair) -> list[Step]:
        return split_steps(pair.rationale, self._options.split_at)

    def _batches(self, items: Sequence[Item], window: int) -> Iterator[list[Item]]:
        """Cut items so that each batch has about as many variants as are best read together."""
        batch: list[Item] = []
        count = 0
        for item in items:
            batch.append(item)
            count += len(self._steps(item.payload)) + 1
            if count >= window:
                yield batch
                batch, count = [], 0
        if batch:
            yield batch


def _recorded(sums: Sequence[Summed | None]) -> Mapping[str, Any]:
    """Give the record's value: nothing where one of the texts exceeds the student's context."""
    read = [of for of in sums if of is not None]
    if len(read) < len(sums):
        return {}
    return {"nats": [-of.total for of in read], "tokens": [of.tokens for of in read]}
