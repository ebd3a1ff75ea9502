"""Take the table through the steps of a plan: measure, judge, measure, judge.

Each step runs over all shards before the next begins, so that one model is resident at a time.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import polars as pl

from curate.engine.executors.base import Executor
from curate.engine.filtering import Versions, judge, versions
from curate.engine.limits import Meter
from curate.engine.measuring import MeasureResult, Recording, derive, memoise
from curate.engine.progress.progress import Progress
from curate.engine.table import Part, Shard, Table, write_part
from curate.measures.base import DerivedMeasure, Measure, MemoMeasure
from curate.recipe.steps import FACTS, FilterStep, MeasureStep, Step
from curate.release.funnel import FilterCount
from curate.store.keys import digest, key
from curate.store.source_code import source_digest
from curate.store.store import Store
from filters.contract import Contract, Filter

OpenMeasure = Callable[[MeasureStep], Measure]


@dataclass(slots=True)
class ChainResult:
    """What the steps did.

    Attributes:
        measured: one entry a measure, in order.
        counts: one funnel line a filter, in order.
        filters: the filters as they judged, settled.
        judged: rows judged anew, by filter.
        started: liveness of every shard before the first step.
        live_after: liveness of every shard after each filter, by the filter's name.
        forks: the steps after a filter and the table as it was before it, by the filter's name.
    """

    measured: list[MeasureResult] = field(default_factory=list[MeasureResult])
    counts: list[FilterCount] = field(default_factory=list[FilterCount])
    filters: list[Filter] = field(default_factory=list[Filter])
    judged: dict[str, int] = field(default_factory=dict[str, int])
    started: list[pl.Series] = field(default_factory=list[pl.Series])
    live_after: dict[str, list[pl.Series]] = field(default_factory=dict[str, list[pl.Series]])
    forks: dict[str, tuple[tuple[Step, ...], Table]] = field(
        default_factory=dict[str, tuple[tuple[Step, ...], Table]]
    )


@dataclass(frozen=True, slots=True)
class Chain:
    """What steps need beside the table.

    Attributes:
        store: where verdicts and the record lie.
        work: scratch of this run.
        executor: where shards are judged.
        progress: told of what is measured and judged.
        open_measure: makes a step's instrument.
        replay: refuse to call a model.
        meter: ends a measure at a limit.
        again: judge for a control arm; its counts are no part of the run's funnel.
    """

    store: Store
    work: Path
    executor: Executor
    progress: Progress
    open_measure: OpenMeasure
    replay: bool
    meter: Meter = field(default_factory=Meter)
    again: bool = False

    def run(
        self, steps: Sequence[Step], table: Table, fork_before: Collection[str] = ()
    ) -> ChainResult:
        """Take the table through the steps; shards are changed in place.

        Args:
            steps: measures and filters, in order.
            table: the table.
            fork_before: filters before which the state is copied into `ChainResult.forks`.
        """
        result = ChainResult(started=[shard.live for shard in table.shards])
        for index, step in enumerate(steps):
            match step:
                case MeasureStep():
                    result.measured.append(self.measure(step, table))
                case FilterStep(filter_):
                    if filter_.name in fork_before:
                        fork = Table(table.questions, [shard.fork() for shard in table.shards])
                        result.forks[filter_.name] = (_read(steps[index + 1 :]), fork)
                    self._judge(filter_, table, result)
        return result

    def without(
        self, name: str, result: ChainResult, table: Table
    ) -> tuple[list[pl.Series], ChainResult]:
        """Judge the chain again without one filter.

        Rows that live only there are measured too; what is measured is added to `table`, so that
        the arm's rows can be ordered and released like any other.

        Args:
            name: the filter left out.
            result: of the whole chain, run with this filter among `fork_before`.
            table: as the whole chain left it.

        Returns:
            Who is live at the end, by shard, and what was done for it.
        """
        steps, fork = result.forks[name]
        work = self.work / f"without-{name}"
        work.mkdir()
        rerun = replace(self, work=work, again=True).run(steps, fork)
        columns = [name for s in steps if isinstance(s, MeasureStep) for name in s.writes]
        for shard, other in zip(table.shards, fork.shards, strict=True) if columns else ():
            shard.add(_filled(shard, other, columns, work))
        return [shard.live for shard in fork.shards], rerun

    def measure(
        self, step: MeasureStep, table: Table, facts: Mapping[str, Any] | None = None
    ) -> MeasureResult:
        """Write a measure's columns for the live rows of a table.

        Args:
            step: of the plan.
            table: shards are changed in place.
            facts: what the measure concluded of the run's pool; None where it has yet to look.
        """
        measure = self.open_measure(step)
        if isinstance(measure, DerivedMeasure):
            source = source_digest(type(measure))
            keeper = self._keeper(source)
            return derive(measure, source, table, keeper, self.executor, self.progress)
        assert isinstance(measure, MemoMeasure)
        recording = Recording(self.store, self.progress, self.meter, self.replay)
        return memoise(measure, table, recording, self.work, facts)

    def _keeper(self, source: str | None) -> Store:
        """Give the store of what is derived: scratch where nobody knows which code derives it."""
        return Store(self.work / "typed-in") if source is None else self.store

    def _judge(self, filter_: Filter, table: Table, result: ChainResult) -> None:
        source = source_digest(type(filter_))
        code, store = versions(filter_, source), self._keeper(source)
        settled = _settle(filter_, code, table.shards, store)
        verdicts = judge(
            settled, code, table.shards, store, self.work, self.executor, self.progress
        )
        result.filters.append(settled)
        result.judged[filter_.name] = sum(each.fresh for each in verdicts)
        result.live_after[filter_.name] = [shard.live for shard in table.shards]
        if verdicts:
            result.counts.append(reduce(add, (each.count for each in verdicts)))
            if not self.again:
                self.progress.filtered(result.counts[-1])


def _read(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Leave out what no filter reads and runs for the facts: these are of the run's own rows."""
    filters = [step.filter for step in steps if isinstance(step, FilterStep)]
    reads = {name for filter_ in filters for name in Contract.of(filter_).reads}
    return tuple(
        step
        for step in steps
        if isinstance(step, FilterStep) or step.needed_by != FACTS or reads & step.writes.keys()
    )


def _filled(shard: Shard, fork: Shard, columns: Sequence[str], work: Path) -> Part:
    """Fill gaps of measured columns with what a fork measured."""
    rows, fork_rows = shard.read(columns), fork.read(columns)
    values = rows.select(pl.coalesce(pl.col(c), fork_rows[c]).alias(c) for c in columns)
    return write_part(work / f"filled-{shard.number:05d}.parquet", rows["sample_id"], values)


def _settle(filter_: Filter, code: Versions, shards: Sequence[Shard], store: Store) -> Filter:
    """Let a filter turn what depends on the pool into a number, once for the same pool."""
    columns = filter_.pool_columns()
    if not columns or not shards:
        return filter_
    pool = pl.concat([shard.read(columns, shard.live) for shard in shards])
    address = key("settle", Contract.of(filter_).parameters, code, digest(pool))
    artefact = store.derived("settle", address, ["settled"])
    if artefact is None:
        parameters = filter_.settle(pool).model_dump(exclude={"name", "on_abstain"})
        artefact = pl.DataFrame({"settled": [json.dumps(parameters)]})
        store.put_derived("settle", address, artefact)
    return type(filter_).model_validate(
        {**filter_.model_dump(), **json.loads(artefact["settled"][0])}
    )
