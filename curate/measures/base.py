"""What a measure is: columns about rows, remembered row by row.

A measure that costs money or cannot be repeated bit by bit is *memoised*: it names the items it
needs (one a row, one a question, whatever it likes), the engine looks each up in the record and
asks `compute` only for those never measured, and `assemble` turns recorded values into columns.
A measure that is cheap and pure (`parse`) overrides `derive` alone.

A measure says of itself all that others ask: which columns it reads and writes, which section of
the recipe has its options, which models it needs, what a recorded item weighs, and how a run opens
it. So a new one is a file here and a line in ``__init__``.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import polars as pl
from pydantic import BaseModel, ConfigDict

from curate.measures.score_options import ScoreOptions
from curate.models.references import ResolvedModel
from curate.models.rendering import Rendered
from curate.models.servers.servers import StudentServer
from curate.store.keys import key
from filters.answers.reading import TextOptions
from filters.columns import Glossary
from filters.contract import Filter, Scope

Need = Literal["student", "encoder"]
"""A model that a recipe names for its measures: under ``score`` or ``embed``."""


class ColumnOptions(BaseModel):
    """Columns that are written though nothing reads them."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    columns: tuple[str, ...] = ()
    """Columns to write though no filter, order or arm reads them."""
    before_filters: bool = False
    """Write these before any filter judges, wrong rationales included, and not behind the last one:
    dearer, and what it takes to compare scores by whether they tell right from wrong.
    """


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


@dataclass(frozen=True, slots=True)
class RowRequest:
    """The live rows that a measure is content with; all others are null.

    Attributes:
        questions: at most so many questions, drawn as a probe draws them.
        samples: at most so many rows of a question and teacher, by seeded hash of the sample's id.
        seed: of the hash.
    """

    questions: int
    samples: int
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a run has for a measure that it opens.

    Attributes:
        options: the recipe's section of the measure's name, or its defaults; None where the measure
            takes none.
        models: the models it needs, found on this machine.
        folder: what relative paths are relative to.
        texts: how the text of each source is read, by its name.
        filter: the filter that it serves; None where several do, or an order.
        demand: columns that somebody reads, of those that are written on demand.
        server: where the student is served; None where it is loaded.
        score: how the recipe has its student asked; None where it names none.
    """

    options: BaseModel | None = None
    models: Mapping[Need, ResolvedModel] = field(default_factory=dict[Need, ResolvedModel])
    folder: Path = Path()
    texts: Mapping[str, TextOptions] = field(default_factory=dict[str, TextOptions])
    filter: Filter | None = None
    server: StudentServer | None = None
    score: ScoreOptions | None = None
    demand: Collection[str] = ()


class Measure(ABC):
    """Writes columns about rows.

    Attributes:
        name: what the recipe's `measures` section calls it, and the owner of its columns.
        version: raised when values change for the same input; part of every key.
        reads: columns needed, of the sample or its question.
        writes: columns made; a column that names no owner gets this one.
        section: model of its options in the recipe, None where it takes none.
        needs: models it asks for; without any, a replay may work values out anew.
        item_bytes: of one recorded item, for a forecast of the disk.
        cost: what it has a model read of a row, where it is worth a word; a clause for the plan.
        on_request: whether of its columns only those are written that somebody reads.
        by_section: whether it runs where the recipe has its section, though nothing reads its
            columns: once, right behind the filter that tells right from wrong.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reads: tuple[str, ...]
    writes: Glossary
    section: ClassVar[type[BaseModel] | None] = None
    needs: ClassVar[Collection[Need]] = ()
    item_bytes: ClassVar[int] = 0
    cost: ClassVar[str] = ""
    on_request: ClassVar[bool] = False
    by_section: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        """Make the class the owner of its columns."""
        super().__init_subclass__(**options)
        glossary: Glossary | None = cls.__dict__.get("writes")
        if glossary is not None and isinstance(cls.__dict__.get("name"), str):
            cls.writes = Glossary(
                column if column.of else replace(column, of=cls.name)
                for column in glossary.values()
            )

    @classmethod
    def columns(
        cls,
        options: BaseModel | None,  # noqa: ARG003 - the hook's shape
        demand: Collection[str] = (),
    ) -> Glossary:
        """Give the columns that it writes under these options.

        Args:
            options: its section of the recipe.
            demand: columns that somebody reads; of those made on demand only they are written.
        """
        return cls.writes.among(demand) if cls.on_request else cls.writes

    @classmethod
    def reads_for(cls, demand: Collection[str]) -> Sequence[str]:
        """Give the columns needed to write those asked for: all of `reads`, or fewer."""
        del demand
        return cls.reads

    @classmethod
    def on_demand(cls, column: str) -> str:
        """Say how a recipe gets a column that is not written though it is asked for."""
        return f"ask for {column!r} under measures.{cls.name}"

    @classmethod
    def open(cls, setup: Setup) -> Self:
        """Make the measure of a run; loads nothing.

        Raises:
            InputError: the options, or a file they name, are wrong.
            ModelError: a model is not one that this measure can use.
        """
        del setup
        return cls()

    def shown(self, frame: pl.DataFrame) -> Rendered | None:
        """Render the first row that can be measured as the model reads it; None where none is."""
        del frame
        return None

    @abstractmethod
    def instrument(self) -> Mapping[str, Any]:
        """Identify what measures, JSON-able: model, revision, dtype, templates, deciding libraries.

        Two measures with equal instruments give interchangeable values.
        """

    def memo_key(self, *texts: Any) -> str:
        """Key one item: measure, version, instrument, and the texts it reads."""
        return key(self.name, self.version, self.instrument(), texts)


class DerivedMeasure(Measure):
    """A measure cheap and pure enough to be done again at will.

    Attributes:
        scope: what it compares a row with: nothing, its live siblings (``question``), or what
            `settle` learned of all live rows (``dataset``).
        learns_from: columns that `settle` looks at; ids are there always.
    """

    scope: ClassVar[Scope] = "sample"
    learns_from: ClassVar[Sequence[str]] = ()

    def settle(self, pool: pl.DataFrame) -> Self:  # noqa: ARG002 - the hook's shape
        """Learn what depends on all live rows; what was learned is part of the instrument.

        Args:
            pool: all of them with the columns of `learns_from`, sorted by question and sample.

        Returns:
            A measure that derives; this one where the scope is no ``dataset``.
        """
        return self

    @abstractmethod
    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Compute the columns of `writes` for every row, in the frame's row order."""


class MemoMeasure(Measure):
    """A measure whose values are kept for ever in the record.

    Attributes:
        details: keys that a recorded value must hold to be used again, where more is asked for
            than was once recorded.
    """

    details: Collection[str] = ()

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

    def choice(self) -> RowRequest | None:
        """Say which live rows suffice; None for all."""
        return None

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

    def looks_back_on(self) -> Sequence[str]:
        """Name columns to see again once arms are drawn; none for no look."""
        return ()

    def look_back(
        self,
        rows: pl.DataFrame,  # noqa: ARG002 - the hook's shape
        arms: Mapping[str, bool],  # noqa: ARG002
    ) -> Mapping[str, Any]:
        """Add to the facts what can be said once arms are drawn, JSON-able.

        Args:
            rows: those of which it wrote a value, with ids, the columns asked for, and a Boolean
                for each arm.
            arms: the selection and the control arms; whether each was drawn from no other rows
                than those that are right and live.
        """
        return {}

    def close(self) -> None:
        """Free the model."""
