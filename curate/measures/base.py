"""What a measure is: columns about rows, remembered row by row.

A measure that costs money or cannot be repeated bit by bit is *memoised*: it names the items it
needs (one a row, one a question, whatever it likes), the engine looks each up in the record and
asks `compute` only for those never measured, and `assemble` turns recorded values into columns.
A measure that is cheap and pure (`parse`) overrides `derive` alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import polars as pl

from curate.store.keys import key


class Item(NamedTuple):
    """One thing to measure.

    Attributes:
        key: memo key; equal texts under an equal instrument have equal keys.
        payload: what `compute` needs, picklable and small (texts, not tensors).
    """

    key: str
    payload: Any


@dataclass(frozen=True, slots=True)
class PoolRequest:
    """Rows a measure wants to look at once a run, live or not, before it measures the live ones.

    Attributes:
        questions: at most so many questions, chosen by seeded hash of the question's id.
        columns: what to hand over.
        seed: of the hash.
    """

    questions: int
    columns: tuple[str, ...]
    seed: int = 0


class Measure(ABC):
    """Writes columns about rows.

    Attributes:
        name: what the recipe's `measures` section calls it.
        version: raised when values change for the same input; part of every key.
        reads: columns needed, of the sample or its question.
        writes: columns made, with their types.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reads: tuple[str, ...]
    writes: Mapping[str, pl.DataType]

    @abstractmethod
    def instrument(self) -> Mapping[str, Any]:
        """Identify what measures, JSON-able: model, revision, dtype, templates, deciding libraries.

        Two measures with equal instruments give interchangeable values.
        """

    def memo_key(self, *texts: Any) -> str:
        """Key one item: measure, version, instrument, and the texts it reads."""
        return key(self.name, self.version, self.instrument(), texts)


class DerivedMeasure(Measure):
    """A measure cheap and pure enough to be done again at will."""

    @abstractmethod
    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Compute the columns of `writes` for every row, in the frame's row order."""


class MemoMeasure(Measure):
    """A measure whose values are kept for ever in the record.

    Attributes:
        detail: key that a recorded value must hold to be used again, where the recipe asks for more
            than was once recorded; None takes every value.
    """

    detail: str | None = None

    def pool(self) -> PoolRequest | None:
        """Ask for rows to look at once a run (calibration, a threshold); None for no look."""
        return None

    def pool_items(self, pool: pl.DataFrame) -> Sequence[Item]:  # noqa: ARG002 - the hook's shape
        """List what must be measured on the pool."""
        return ()

    def conclude(
        self,
        pool: pl.DataFrame,  # noqa: ARG002 - the hook's shape
        values: Mapping[str, Mapping[str, Any]],  # noqa: ARG002
    ) -> Mapping[str, Any]:
        """Turn the pool's values into facts about the run, JSON-able; they go to the manifest."""
        return {}

    @abstractmethod
    def items(self, frame: pl.DataFrame) -> Sequence[Item]:
        """List what must be measured for these rows; items shared by rows may be repeated."""

    @abstractmethod
    def compute(self, items: Iterable[Item]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Measure items, yielding (key, JSON-able value) as they are done, in any order.

        Loads the model on first use. Every value yielded is recorded at once; an interrupted run
        loses only what was not yet yielded. Values may be orjson-serialisable only (floats, not
        numpy arrays; NaN is not allowed).
        """

    @abstractmethod
    def assemble(
        self,
        frame: pl.DataFrame,
        values: Mapping[str, Mapping[str, Any]],
        facts: Mapping[str, Any],
    ) -> pl.DataFrame:
        """Turn recorded values into the columns of `writes`, in the frame's row order.

        Args:
            frame: live rows with the columns of `reads`.
            values: recorded value by memo key, for every item of these rows.
            facts: what `conclude` found.
        """

    def close(self) -> None:
        """Free the model."""
