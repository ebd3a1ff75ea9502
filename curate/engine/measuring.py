"""Measure the rows that are live, asking a model only for what the record does not hold."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.engine.executors.base import Executor
from curate.engine.limits import Meter
from curate.engine.progress.progress import Progress
from curate.engine.table import Part, Shard, Table, write_part
from curate.errors import RecordError, count_of
from curate.measures.base import (
    DerivedMeasure,
    Item,
    Measure,
    MemoMeasure,
    PoolRequest,
    RowRequest,
)
from curate.store.keys import digest, draw, key, rank
from curate.store.record import Book
from curate.store.store import Store

_CHOSEN_FROM: Final = {"question_id": pl.String, "sample_id": pl.String, "teacher": pl.String}


@dataclass(frozen=True, slots=True)
class MeasureResult:
    """What a measure did in a run.

    Attributes:
        name: the measure's.
        instrument: what measured, for the manifest.
        facts: what it found out about the run as a whole (calibration).
        fresh: items measured now.
        reused: items taken from the record.
        damaged: record lines that failed their checksum.
    """

    name: str
    instrument: Mapping[str, Any]
    facts: Mapping[str, Any]
    fresh: int
    reused: int
    damaged: int = 0


def derive(
    measure: DerivedMeasure,
    source: str | None,
    table: Table,
    store: Store,
    executor: Executor,
    progress: Progress,
) -> MeasureResult:
    """Write a pure measure's columns for every live row, adding a part to each shard.

    Args:
        measure: the configured measure, picklable.
        source: digest of its source; empty for a measure of this project, whose version says all.
        table: shards are changed in place.
        store: where derived columns are kept.
        executor: where shards are worked on.
        progress: told of every shard.
    """
    if measure.scope == "dataset" and table.shards:
        measure = measure.settle(_all_live(measure, table))
    tasks = [_Task(measure, source, shard, store.root) for shard in table.shards]
    with progress.stage(f"measure {measure.name}", len(tasks), "shards", brief=True) as stage:
        for shard, part in zip(table.shards, executor.map(_derive, tasks), strict=True):
            shard.add(part)
            stage.advance()
    return MeasureResult(measure.name, measure.instrument(), {}, 0, 0)


@dataclass(frozen=True, slots=True)
class Recording:
    """Where remembered values lie, and what may be done for those that are missing.

    Attributes:
        store: where the record lies.
        progress: told of every item measured.
        meter: ends the measuring at a limit.
        replay: refuse to call a model.
    """

    store: Store
    progress: Progress
    meter: Meter
    replay: bool


def memoise(
    measure: MemoMeasure,
    table: Table,
    recording: Recording,
    work: Path,
    facts: Mapping[str, Any] | None = None,
) -> MeasureResult:
    """Write a remembered measure's columns for every live row, adding a part to each shard.

    Args:
        measure: the configured measure; closed afterwards.
        table: shards are changed in place.
        recording: where values are looked up and kept.
        work: scratch of this run; assembled columns live there.
        facts: what the measure concluded of the run's pool; None where it has yet to look.

    Raises:
        RecordError: the run is a replay, and an item is not in the record that a model is asked
            for.
        SpendingLimitError: a limit was reached; what was measured is recorded.
    """
    try:
        with recording.store.book(
            measure.name,
            key(measure.name, measure.version, measure.instrument()),
            about=measure.instrument(),
        ) as book:
            return _memoise(measure, table, work, _Ledger(measure, book, recording), facts)
    finally:
        measure.close()


@dataclass(frozen=True, slots=True)
class _Task:
    measure: DerivedMeasure
    source: str | None
    shard: Shard
    root: Path


def _derive(task: _Task) -> Part:
    """Find or make a pure measure's columns for one shard."""
    measure, shard, store = task.measure, task.shard, Store(task.root)
    frame = shard.read(measure.reads, shard.live)
    step = f"measure-{measure.name}"
    code = (measure.version, *filter(None, [task.source]))
    if len(measure.writes) < len(type(measure).writes):
        code += tuple(measure.writes)
    address = key(measure.name, *code, measure.instrument(), digest(frame))
    if store.derived(step, address, ("sample_id", *measure.writes)) is None:
        columns = _typed(measure, measure.derive(frame))
        store.put_derived(step, address, columns.with_columns(frame["sample_id"]))
    return Part(store.derived_path(step, address), tuple(measure.writes))


def _memoise(
    measure: MemoMeasure,
    table: Table,
    work: Path,
    ledger: "_Ledger",
    facts: Mapping[str, Any] | None,
) -> MeasureResult:
    request = measure.pool() if facts is None else None
    pool = gather_pool(table, request) if request is not None else None
    probes: Sequence[Item] = () if pool is None else measure.pool_items(pool)
    seen = _seen(measure, table)
    live = (
        item
        for shard, rows in zip(table.shards, seen, strict=True)
        for item in measure.items(shard.read(measure.reads, rows))
    )
    # At once, so that a measure may compute together what they share.
    ledger.settle(chain(probes, live))
    facts = facts or {}
    if pool is not None:
        facts = measure.conclude(pool, ledger.values(probes))
    for shard, rows in zip(table.shards, seen, strict=True):
        frame = shard.read(measure.reads, rows)
        values = ledger.values(measure.items(frame))
        columns = _typed(measure, measure.assemble(frame, values, facts))
        path = work / f"measure-{measure.name}-{shard.number:05d}.parquet"
        shard.add(write_part(path, frame["sample_id"], columns))
    return MeasureResult(
        measure.name, measure.instrument(), facts, ledger.fresh, ledger.reused, ledger.damaged
    )


def _typed(measure: Measure, columns: pl.DataFrame) -> pl.DataFrame:
    """Hold a measure to the columns and types it declared."""
    return columns.select(pl.col(name).cast(dtype) for name, dtype in measure.writes.types.items())


def _seen(measure: MemoMeasure, table: Table) -> list[pl.Series]:
    """Mark the rows of each shard that are measured: the live ones, or those it is content with."""
    request = measure.choice()
    if request is None:
        return [shard.live for shard in table.shards]
    chosen = chosen_rows([shard.read(["teacher"], shard.live) for shard in table.shards], request)
    return [shard.read([])["sample_id"].is_in(chosen.implode()) for shard in table.shards]


def chosen_rows(frames: Sequence[pl.DataFrame], request: RowRequest) -> pl.Series:
    """Choose questions as a probe draws them, and rows by seeded hash.

    Args:
        frames: live rows: ``question_id``, ``sample_id`` and ``teacher``.
        request: how many.

    Returns:
        Ids of the samples.
    """
    rows = pl.concat(
        [pl.DataFrame(schema=_CHOSEN_FROM), *(f.select(*_CHOSEN_FROM) for f in frames)]
    )
    questions = sorted(rows["question_id"].unique(), key=draw)[: request.questions]
    rows = rows.filter(pl.col("question_id").is_in(questions))
    order = [rank(request.seed, "row", sample) for sample in rows["sample_id"]]
    return (
        rows.with_columns(order=pl.Series(order, dtype=pl.UInt64))
        .sort("order", "sample_id")
        .group_by("question_id", "teacher")
        .head(request.samples)["sample_id"]
    )


def _all_live(measure: DerivedMeasure, table: Table) -> pl.DataFrame:
    frames = [shard.read(measure.learns_from, shard.live) for shard in table.shards]
    return pl.concat(frames).sort("question_id", "sample_id")


class _Ledger:
    """Counts items, each once, and has the missing ones measured."""

    def __init__(self, measure: MemoMeasure, book: Book, recording: Recording) -> None:
        self._measure = measure
        self._book = book
        self._progress = recording.progress
        self._meter = recording.meter
        self._replay = recording.replay
        self._known: set[str] = set()
        self.fresh = 0
        self.reused = 0

    def settle(self, items: Iterable[Item]) -> None:
        """Have every item not in the record measured, and recorded as it is done."""
        missing: dict[str, Item] = {}
        for item in items:
            if item.key in self._known:
                continue
            self._known.add(item.key)
            if self._has(item.key):
                self.reused += 1
            else:
                missing[item.key] = item
        if not missing:
            return
        if self._replay and self._measure.needs:
            details = " and ".join(self._measure.details)
            lacking = f", or without {details}" if details else ""
            raise RecordError(
                f"--replay: the record lacks {count_of(len(missing), 'item')} of measure "
                f"{self._measure.name!r}{lacking}; run without --replay to have them measured"
            )
        done = 0
        with self._progress.stage(f"measure {self._measure.name}", len(missing), "items") as stage:
            for address, value in self._measure.compute(missing.values()):
                # What a run was built on stays as it was; only what it lacked is added.
                self._book.append(address, {**value, **(self._book.get(address) or {})})
                self.fresh += 1
                stage.advance()
                done += 1
                if self._meter.reached is not None and done < len(missing):
                    self._meter.hold_back()
                    break
        self._book.flush()
        self._meter.check()

    @property
    def damaged(self) -> int:
        """Count the record lines that failed their checksum."""
        return len(self._book.damaged)

    def _has(self, address: str) -> bool:
        """Tell whether the record holds an item, with all that is asked of it."""
        details = self._measure.details
        if not details or address not in self._book:
            return address in self._book
        return set(details) <= (self._book.get(address) or {}).keys()

    def values(self, items: Sequence[Item]) -> dict[str, Mapping[str, Any]]:
        """Look up recorded values by key; an item that could not be measured is left out."""
        values = {item.key: self._book.get(item.key) for item in items}
        return {address: value for address, value in values.items() if value is not None}


def gather_pool(table: Table, request: PoolRequest) -> pl.DataFrame:
    """Read all samples, live or not, of a seeded choice of questions."""
    questions = sorted(
        table.questions.filter(pl.col("status") == "ok")["question_id"],
        key=lambda question: rank(request.seed, "pool", question),
    )[: request.questions]
    choice = pl.DataFrame({"question_id": questions}, schema={"question_id": pl.String})
    frames = [
        shard.read(request.columns).join(choice, on="question_id", how="semi")
        for shard in table.shards
    ]
    return pl.concat(frames).sort("question_id", "sample_id")
