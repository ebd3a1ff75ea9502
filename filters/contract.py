"""The contract every filter keeps: a pure function from columns to verdicts.

A filter is a frozen pydantic model whose fields are its thresholds. It sees a table and returns one
verdict a row: kept, dropped (with a snake_case reason) or abstained (the *gold* or the *judging*
failed, so nothing is known about the row). It never removes a row, never ranks, never counts how
many are wanted, and has no effect: no disk, network, clock, model or randomness.

Three scopes:

* ``sample``: a verdict depends on its own row. `judge` may be given any rows in any order.
* ``question``: a verdict depends on the siblings of the same question. `judge` is given whole
  questions, as many at a time as the engine likes.
* ``dataset``: a verdict depends on the whole table. `DatasetFilter` splits the work into three
  pure functions, so that memory stays bounded and any cutting into shards gives the same verdicts.

The laws, checked for every registered filter by ``tests/filters/test_contract.py``: same input,
same verdicts; row order does not matter; cutting the table (between questions, for scope
``question``) does not matter; every drop and abstention has a declared reason.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, NamedTuple, Self, cast

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from filters.columns import GLOSSARY, VERDICT_PREFIX, Glossary
from filters.conditions import Condition

_VERDICT: Final = pl.Struct({"keep": pl.Boolean(), "reason": pl.String(), "score": pl.Float64()})
"""What a filter may know of an earlier one's verdict."""

Scope = Literal["sample", "question", "dataset"]
Sees = Literal["live", "all"]
OnAbstain = Literal["keep", "drop"]


class Example(NamedTuple):
    """Rows on which a filter is shown to people.

    Attributes:
        rows: of one question, with columns of `Filter.reads`; those left out are null.
        parameters: where the defaults would show nothing.
    """

    rows: tuple[Mapping[str, Any], ...]
    parameters: Mapping[str, Any] = {}


class Threshold(NamedTuple):
    """A parameter with which a number of each row is compared.

    Attributes:
        parameter: its name.
        side: ``max`` where rows above it are dropped, ``min`` where rows below it are.
        reason: for which they are.
        number: what is compared: ``score``, or a field of the evidence.
    """

    parameter: str
    side: Literal["min", "max"]
    reason: str
    number: str = "score"


class Filter(BaseModel, ABC):
    """One filter of the chain; the config is the object."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    version: ClassVar[int] = 1
    """Raised whenever a verdict changes for some input; part of the derived key."""
    scope: ClassVar[Scope] = "sample"
    sees: ClassVar[Sees] = "live"
    reasons: ClassVar[Mapping[str, str]] = {}
    """Every reason this filter can give, with one sentence that explains it to a curator."""
    abstains: ClassVar[Collection[str]] = ()
    """Those of them with which it abstains."""
    depends_on_run: ClassVar[Collection[str]] = ()
    """Those that a run over more questions may not give, so that a probe can't foresee them."""
    worse: ClassVar[Mapping[str, str]] = {}
    """Those that make a row the worse side of a preference pair, with the kind of worse it is."""
    tells_right: ClassVar[bool] = False
    """Whether kept means a right answer and dropped a wrong one: pass rates are counted by it."""
    evidence: ClassVar[Mapping[str, pl.DataType]] = {}
    """Name and type of each evidence field, the facts the verdict rests on."""
    writes: ClassVar[Glossary] = Glossary()
    """Columns written beside the verdict."""
    libraries: ClassVar[Sequence[str]] = ()
    """Distributions whose version can change a verdict (``scikit-learn``); part of the key."""

    example: ClassVar[Example] = Example(())
    """A few rows, kept and stopped ones, for `work_example`."""

    name: str = ""
    """What the verdict column is called (``verdict_<name>``); by default its `use`."""
    on_abstain: OnAbstain = "drop"
    """Whether a row stays live where this filter could not tell."""

    @model_validator(mode="before")
    @classmethod
    def _default_name(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        fields = cast("dict[str, object]", data)
        return fields if fields.get("name") else {**fields, "name": cls.model_fields["use"].default}

    @abstractmethod
    def reads(self) -> Sequence[str]:
        """Name the columns this filter needs; the plan inserts the measures that write them."""

    @abstractmethod
    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Give a verdict for every row.

        Args:
            frame: the columns named by `reads`, plus `sample_id` and `question_id`. Rows of a
                question stand together for scope ``question``.

        Returns:
            A table made by `verdicts`: same height and row order as `frame`.
        """

    @classmethod
    def work_example(cls) -> tuple[Self, pl.DataFrame, pl.DataFrame]:
        """Judge the example.

        Returns:
            The filter, the rows with the columns it reads, and its verdicts.
        """
        filter_ = cls.model_validate(
            {"use": cls.model_fields["use"].default, **cls.example.parameters}
        )
        kinds: dict[str, pl.DataType | None] = {
            "sample_id": pl.String(),
            "question_id": pl.String(),
        }
        for name in filter_.reads():
            column, verdict = GLOSSARY.get(name), name.startswith(VERDICT_PREFIX)
            # A column of somebody else's measure is what the rows have in it.
            kinds[name] = column.dtype if column else _VERDICT if verdict else None
        ids = [chr(ord("a") + number) for number in range(len(cls.example.rows))]
        rows = [
            {"sample_id": letter, "question_id": "q", **row}
            for letter, row in zip(ids, cls.example.rows, strict=True)
        ]
        frame = pl.DataFrame(rows, schema=kinds)
        return filter_, frame, filter_.judge(frame)

    def would_pass(
        self, reason: str, score: float | None, evidence: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Give parameters under which a row would not have been stopped for this reason.

        Args:
            reason: of its verdict.
            score: likewise.
            evidence: likewise; empty where the filter declares none.

        Returns:
            The nearest value of each parameter that must change; None where no parameter helps, or
            where a verdict does not tell which value would.
        """
        del reason, score, evidence
        return None

    def thresholds(self) -> Sequence[Threshold]:
        """Name the parameters whose change is foreseen exactly from the verdicts given.

        Moving one changes the verdicts of those rows alone that were kept or stopped for the reason
        of a threshold, and a row is kept where its numbers are within all of them. Where siblings
        or anything else than a number decides too, a parameter is none.
        """
        return ()

    def stops(self, verdict: pl.Expr) -> pl.Expr:
        """Tell whether a verdict stops a row: a drop does, an abstention where `on_abstain` drops.

        Args:
            verdict: structs with ``keep``; null where the filter did not see the row.
        """
        keep = verdict.struct.field("keep")
        return verdict.is_not_null() & ~keep.fill_null(self.on_abstain == "keep")

    def stops_row(self, verdict: Mapping[str, Any] | None) -> bool:
        """Tell the same of one row's verdict."""
        if verdict is None:
            return False
        return verdict["keep"] is False or (verdict["keep"] is None and self.on_abstain == "drop")

    def compares(self) -> str | None:
        """Name the column whose value is the score of a verdict; None where it is none's."""
        return None

    def conditions(self) -> Sequence[tuple[str, Condition]]:
        """Name columns with what they are compared with; the plan holds that their types fit."""
        return ()

    def prompts(self) -> Sequence[str]:
        """Name the prompts that it tells apart, as patterns in which ``*`` is any text."""
        return ()

    def compared_scope(self) -> Scope:
        """Tell what a verdict depends on under these parameters; never more than `scope` says."""
        return self.scope

    def files(self) -> Sequence[str]:
        """Name the files beside the recipe that its verdicts rest on."""
        return ()

    def pool_columns(self) -> Sequence[str]:
        """Name the columns `settle` looks at; empty where nothing is left to settle."""
        return ()

    def settle(self, pool: pl.DataFrame) -> Self:  # noqa: ARG002 - the hook's shape
        """Turn what depends on the whole pool into a number, once a run and before judging.

        Args:
            pool: `pool_columns`, `sample_id` and `question_id` of all live rows, in any order.

        Returns:
            A filter whose verdicts depend on nothing but the rows it is given.
        """
        return self

    def verdicts(
        self,
        keep: pl.Series,
        reason: pl.Series,
        *,
        score: pl.Series | None = None,
        evidence: Mapping[str, pl.Series] | None = None,
        writes: Mapping[str, pl.Series] | None = None,
    ) -> pl.DataFrame:
        """Build the table `judge` returns, typed as declared.

        Args:
            keep: true = kept, false = dropped, null = abstained; one entry a row.
            reason: a declared reason wherever `keep` is not true, null elsewhere.
            score: the number the threshold was compared with, higher or lower as the filter says.
            evidence: one series for each declared evidence field; missing fields become null.
            writes: one series for each column in `writes`; missing ones become null.

        Returns:
            Columns ``keep``, ``reason``, ``score``, ``evidence`` (only where fields are declared)
            and the columns of `writes`.
        """
        height = keep.len()
        facts = evidence or {}
        columns = [
            keep.cast(pl.Boolean).alias("keep"),
            reason.cast(pl.String).alias("reason"),
            (pl.Series([None] * height) if score is None else score)
            .cast(pl.Float64)
            .alias("score"),
        ]
        if self.evidence:
            fields = [
                (facts[name] if name in facts else pl.Series([None] * height))
                .cast(dtype)
                .alias(name)
                for name, dtype in self.evidence.items()
            ]
            columns.append(pl.DataFrame(fields).to_struct("evidence"))
        extra = writes or {}
        columns += [
            (extra[name] if name in extra else pl.Series([None] * height)).cast(dtype).alias(name)
            for name, dtype in self.writes.types.items()
        ]
        return pl.DataFrame(columns)

    @classmethod
    def verdict_type(cls) -> pl.Struct:
        """Give the type of this filter's verdict column; a null struct means skipped."""
        fields: dict[str, pl.DataType] = {
            "keep": pl.Boolean(),
            "reason": pl.String(),
            "score": pl.Float64(),
        }
        if cls.evidence:
            fields["evidence"] = pl.Struct(dict(cls.evidence))
        return pl.Struct(fields)


class DatasetFilter(Filter):
    """A filter whose verdicts depend on the whole table.

    The engine calls `sketch` for every batch of rows, gathers the sketches of one part at a time
    (spilled to disk, at most 64 bytes a row a part), calls `resolve` for each part, and hands the
    rows back to `assess` with what every part found about them.
    """

    scope: ClassVar[Scope] = "dataset"

    @abstractmethod
    def sketch(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Reduce rows to what must be compared across the table.

        Returns:
            Columns ``part`` (UInt8), ``sample_id`` (String) and ``key`` (UInt64); a row may appear
            in many parts and any number of times.
        """

    @abstractmethod
    def resolve(self, part: pl.DataFrame) -> pl.DataFrame:
        """Find, within one part, what the rows are to each other.

        Args:
            part: all sketches of one part, in any order.

        Returns:
            Columns ``sample_id`` and ``leader`` (String): the representative the row belongs to,
            only for rows that are not their own leader.
        """

    @abstractmethod
    def assess(self, frame: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
        """Give the verdicts for a batch, knowing the groups of its rows.

        Args:
            frame: a batch of rows, as `judge` gets it.
            groups: columns ``part``, ``sample_id``, ``leader`` for the rows of this batch.

        Returns:
            A table made by `verdicts`.
        """

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Judge a table that fits in memory: sketch, resolve every part, assess."""
        sketches = self.sketch(frame)
        parts = [
            self.resolve(part).with_columns(part=pl.lit(key, pl.UInt8))
            for (key,), part in sketches.partition_by("part", as_dict=True).items()
        ]
        empty = pl.DataFrame(schema={"sample_id": pl.String, "leader": pl.String, "part": pl.UInt8})
        groups = pl.concat([empty, *(g.select(empty.columns) for g in parts)])
        return self.assess(frame, groups)


class Contract(BaseModel):
    """What a filter asks of the plan, in a form that prints and compares."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: int
    scope: Scope
    sees: Sees
    reads: tuple[str, ...] = Field(default=())
    parameters: dict[str, Any]

    @classmethod
    def of(cls, filter_: Filter) -> Self:
        """Describe one configured filter."""
        reads = tuple(dict.fromkeys(("sample_id", "question_id", *filter_.reads())))
        return cls(
            name=filter_.name,
            version=filter_.version,
            scope=filter_.scope,
            sees=filter_.sees,
            reads=reads,
            parameters=filter_.model_dump(mode="json", exclude={"name", "on_abstain"}),
        )
