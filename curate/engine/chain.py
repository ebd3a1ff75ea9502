"""Take the table through the steps of a plan: measure, judge, measure, judge.

Each step runs over all shards before the next begins, so that one model is resident at a time.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from pathlib import Path

import polars as pl

from curate.engine.executors.base import Executor
from curate.engine.filtering import judge, versions
from curate.engine.limits import Meter
from curate.engine.measuring import MeasureResult, derive, memoise
from curate.engine.progress.progress import Progress
from curate.engine.table import Part, Shard, Table, write_part
from curate.measures.base import DerivedMeasure, Measure, MemoMeasure
from curate.recipe.plan import FilterStep, MeasureStep, Step
from curate.release.funnel import FilterCount
from curate.store.keys import digest, key
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
        ran = ChainResult(started=[shard.live for shard in table.shards])
        for index, step in enumerate(steps):
            match step:
                case MeasureStep():
                    ran.measured.append(self._measure(step, table))
                case FilterStep(filter_):
                    if filter_.name in fork_before:
                        forked = Table(table.questions, [shard.fork() for shard in table.shards])
                        ran.forks[filter_.name] = (tuple(steps[index + 1 :]), forked)
                    self._judge(filter_, table, ran)
        return ran

    def without(
        self, name: str, ran: ChainResult, table: Table
    ) -> tuple[list[pl.Series], ChainResult]:
        """Judge the chain again without one filter.

        Rows that live only there are measured too; what is measured is added to `table`, so that
        the arm's rows can be ordered and released like any other.

        Args:
            name: the filter left out.
            ran: of the whole chain, run with this filter among `fork_before`.
            table: as the whole chain left it.

        Returns:
            Who is live at the end, by shard, and what was done for it.
        """
        steps, forked = ran.forks[name]
        work = self.work / f"without-{name}"
        work.mkdir()
        again = replace(self, work=work, again=True).run(steps, forked)
        columns = [name for s in steps if isinstance(s, MeasureStep) for name in s.writes]
        for shard, other in zip(table.shards, forked.shards, strict=True) if columns else ():
            shard.add(_filled(shard, other, columns, work))
        return [shard.live for shard in forked.shards], again

    def _measure(self, step: MeasureStep, table: Table) -> MeasureResult:
        measure = self.open_measure(step)
        if isinstance(measure, DerivedMeasure):
            return derive(measure, table, self.store, self.executor, self.progress)
        assert isinstance(measure, MemoMeasure)
        return memoise(
            measure, table, self.store, self.work, self.progress, replay=self.replay,
            meter=self.meter,
        )  # fmt: skip

    def _judge(self, filter_: Filter, table: Table, ran: ChainResult) -> None:
        settled = _settle(filter_, table.shards, self.store)
        judged = judge(settled, table.shards, self.store, self.work, self.executor, self.progress)
        ran.filters.append(settled)
        ran.judged[filter_.name] = sum(result.fresh for result in judged)
        ran.live_after[filter_.name] = [shard.live for shard in table.shards]
        if judged:
            ran.counts.append(reduce(add, (result.count for result in judged)))
            if not self.again:
                self.progress.gate(ran.counts[-1])


def _filled(shard: Shard, other: Shard, columns: Sequence[str], work: Path) -> Part:
    """Fill gaps of measured columns with what a fork measured."""
    mine, theirs = shard.read(columns), other.read(columns)
    filled = mine.select(pl.coalesce(pl.col(c), theirs[c]).alias(c) for c in columns)
    return write_part(work / f"filled-{shard.number:05d}.parquet", mine["sample_id"], filled)


def _settle(filter_: Filter, shards: Sequence[Shard], store: Store) -> Filter:
    """Let a filter turn what depends on the pool into a number, once for the same pool."""
    columns = filter_.pool_columns()
    if not columns or not shards:
        return filter_
    pool = pl.concat([shard.read(columns, shard.live) for shard in shards])
    address = key("settle", Contract.of(filter_).parameters, versions(filter_), digest(pool))
    known = store.derived("settle", address)
    if known is None:
        settled = filter_.settle(pool).model_dump(exclude={"name", "on_abstain"})
        known = pl.DataFrame({"settled": [json.dumps(settled)]})
        store.put_derived("settle", address, known)
    return type(filter_).model_validate({**filter_.model_dump(), **json.loads(known["settled"][0])})
