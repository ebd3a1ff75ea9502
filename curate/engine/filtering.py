"""Put a filter's verdicts beside the rows it sees, and take down who is still live.

The derived key of a shard's verdicts is the digest of the columns the filter reads over the rows it
sees: a change upstream that alters nothing stops here, and content that was remade is judged again.
The filter itself is in it by its parameters and its `version`, one's own by its source, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version as library_version
from pathlib import Path

import numpy as np
import polars as pl

from curate.engine.executors.base import Executor
from curate.engine.progress.progress import Progress
from curate.engine.table import Part, Shard
from curate.errors import count_of
from curate.release.funnel import FilterCount, count
from curate.store.keys import digest, key
from curate.store.store import Store, read_parquet, write_parquet
from filters.columns import VERDICT_PREFIX
from filters.contract import Contract, DatasetFilter, Filter

Versions = Mapping[str, int | str]
"""What can change a filter's verdicts, by what it is the version of."""
GROUPS = {"part": pl.UInt8(), "sample_id": pl.String(), "leader": pl.String()}


@dataclass(frozen=True, slots=True)
class ShardVerdicts:
    """What judging one shard gave; small, so that it travels between processes.

    Attributes:
        part: the file with the verdicts and the columns written beside them.
        live: who is still live, in the shard's order.
        fresh: rows judged now rather than found in the store.
    """

    part: Part
    live: pl.Series
    count: FilterCount
    fresh: int


def judge(
    filter_: Filter,
    code: Versions,
    shards: Sequence[Shard],
    store: Store,
    work: Path,
    executor: Executor,
    progress: Progress,
) -> list[ShardVerdicts]:
    """Judge every shard, add the verdicts to it and update its liveness in place.

    Args:
        filter_: the configured filter, settled where it looks at the pool.
        code: its `versions`.
        shards: the table's shards, or a fork of them.
        store: where verdicts are kept.
        work: scratch of this run, for sketches.
        executor: where shards are judged.
        progress: told of every shard judged.

    Returns:
        What each shard gave, in order.
    """
    tasks = [_Task(filter_, code, shard, store.root) for shard in shards]
    verdicts: list[ShardVerdicts] = []
    with progress.stage(f"filter {filter_.name}", len(tasks), "shards", brief=True) as stage:
        if isinstance(filter_, DatasetFilter):
            tasks = _look_across(filter_, tasks, work, executor)
        for result in executor.map(_judge_shard, tasks):
            verdicts.append(result)
            stage.advance()
    for shard, result in zip(shards, verdicts, strict=True):
        shard.add(result.part)
        shard.live = result.live
    return verdicts


@dataclass(frozen=True, slots=True)
class _Task:
    """One shard to judge; picklable."""

    filter: Filter
    code: Versions
    shard: Shard
    root: Path
    groups: tuple[Path, ...] = ()
    across: str = ""

    def seen(self) -> pl.Series | None:
        return None if self.filter.sees == "all" else self.shard.live

    def frame(self) -> pl.DataFrame:
        return self.shard.read(Contract.of(self.filter).reads, self.seen())

    def key(self, frame: pl.DataFrame) -> str:
        parameters = Contract.of(self.filter).parameters
        return key("filter", parameters, self.code, self.across, digest(frame))


def versions(filter_: Filter, source: str | None) -> Versions:
    """Give what can change a filter's verdicts: its version, its source, its libraries' versions.

    Args:
        filter_: the filter.
        source: digest of its source; empty for a filter of this project, whose version says all.
    """
    libraries = {name: library_version(name) for name in filter_.libraries}
    return {"": filter_.version, **({"source code": source} if source else {}), **libraries}


def _judge_shard(task: _Task) -> ShardVerdicts:
    filter_, store = task.filter, Store(task.root)
    step = f"filter-{filter_.model_dump()['use']}"
    verdict = f"{VERDICT_PREFIX}{filter_.name}"
    frame = task.frame()
    address = task.key(frame)
    artefact = store.derived(step, address, ("sample_id", VERDICT_PREFIX, *filter_.writes))
    fresh = 0 if artefact is not None else frame.height
    if artefact is None:
        verdicts = _verdicts(task, frame)
        fields = [field.name for field in filter_.verdict_type().fields]
        artefact = verdicts.select(pl.struct(fields).alias(VERDICT_PREFIX), *filter_.writes)
        artefact = artefact.with_columns(frame["sample_id"])
        store.put_derived(step, address, artefact)
    # the artefact does not hold the filter's name: renaming a filter judges nothing again
    part = Part(
        store.derived_path(step, address),
        (verdict, *filter_.writes),
        renamed=((VERDICT_PREFIX, verdict),),
    )
    live = task.shard.live & _passes(filter_, artefact, task)
    return ShardVerdicts(part, live, _count(filter_, task.shard, part, live), fresh)


def _count(filter_: Filter, shard: Shard, part: Part, live: pl.Series) -> FilterCount:
    fork = shard.fork()
    fork.add(part)
    frame = fork.read([f"{VERDICT_PREFIX}{filter_.name}"])
    frame = frame.with_columns(live_before=shard.live, live_after=live)
    return count(frame, filter_.name)


def _verdicts(task: _Task, frame: pl.DataFrame) -> pl.DataFrame:
    filter_ = task.filter
    if not isinstance(filter_, DatasetFilter):
        verdicts = filter_.judge(frame)
    else:
        groups = [
            read_parquet(path).join(frame.select("sample_id"), on="sample_id", how="semi")
            for path in task.groups
        ]
        verdicts = filter_.assess(frame, pl.concat([pl.DataFrame(schema=GROUPS), *groups]))
    _check_conservation(filter_, frame, verdicts)
    return verdicts


def _check_conservation(filter_: Filter, frame: pl.DataFrame, verdicts: pl.DataFrame) -> None:
    """Hold kept + dropped + abstained = rows seen, and a declared reason for all but kept."""
    if verdicts.height != frame.height:
        raise AssertionError(
            f"filter {filter_.name!r} gave {count_of(verdicts.height, 'verdict')} for "
            f"{count_of(frame.height, 'row')}"
        )
    unkept = verdicts.filter(pl.col("keep").is_null() | ~pl.col("keep"))
    reasons = set(unkept["reason"].unique().to_list())
    if not reasons <= filter_.reasons.keys():
        unknown = sorted(map(str, reasons - filter_.reasons.keys()))
        raise AssertionError(f"filter {filter_.name!r} gave undeclared reasons {unknown}")
    wrong = unkept.filter(pl.col("keep").is_null() != pl.col("reason").is_in(filter_.abstains))
    if wrong.height:
        raise AssertionError(
            f"filter {filter_.name!r} gave keep {wrong['keep'][0]} for {wrong['reason'][0]!r}; "
            f"it declares that it abstains with {', '.join(filter_.abstains) or 'none'}"
        )


def _passes(filter_: Filter, artefact: pl.DataFrame, task: _Task) -> pl.Series:
    passing = artefact.select(~filter_.stops(pl.col(VERDICT_PREFIX))).to_series()
    seen = task.seen()
    if seen is None:
        return passing
    passes = np.zeros(task.shard.height, dtype=np.bool_)
    passes[seen.to_numpy()] = passing.to_numpy()
    return pl.Series(passes)


@dataclass(frozen=True, slots=True)
class _Sketched:
    digest: str
    files: dict[int, Path]


@dataclass(frozen=True, slots=True)
class _SketchTask:
    task: _Task
    folder: Path


def _look_across(
    filter_: DatasetFilter, tasks: list[_Task], work: Path, executor: Executor
) -> list[_Task]:
    """Sketch every shard, resolve part by part, and give each task the groups."""
    folder = work / f"across-{filter_.name}"
    folder.mkdir()
    sketches = list(executor.map(_sketch_shard, [_SketchTask(task, folder) for task in tasks]))
    across = key([sketch.digest for sketch in sketches])
    groups: list[Path] = []
    for part in sorted({part for sketch in sketches for part in sketch.files}):
        files = [sketch.files[part] for sketch in sketches if part in sketch.files]
        resolved = filter_.resolve(pl.concat([read_parquet(file) for file in files]))
        path = folder / f"groups-{part:03d}.parquet"
        labelled = resolved.with_columns(pl.lit(part, pl.UInt8).alias("part"))
        write_parquet(labelled.select(list(GROUPS)), path)
        groups.append(path)
    return [replace(task, groups=tuple(groups), across=across) for task in tasks]


def _sketch_shard(task: _SketchTask) -> _Sketched:
    frame = task.task.frame()
    filter_ = task.task.filter
    assert isinstance(filter_, DatasetFilter)
    files: dict[int, Path] = {}
    parts = filter_.sketch(frame).partition_by("part", as_dict=True)
    for (part,), rows in parts.items():
        files[int(part)] = task.folder / f"{task.task.shard.number:05d}-{int(part):03d}.parquet"
        write_parquet(rows, files[int(part)])
    return _Sketched(digest(frame), files)
