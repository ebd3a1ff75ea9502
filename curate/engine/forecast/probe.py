"""``curate plan --probe``: run a few questions, keep their samples, and say what all will take.

The questions are a random draw (by hash, so that a second probe asks the same ones), taken through
the whole recipe up to its last filter and, without a budget, its selection. What was paid for is in
the record: the run afterwards does not pay for it again.
"""

import math
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import polars as pl

from curate.engine.forecast.estimate import WIDEST, Interval, predict
from curate.engine.forecast.forecast import (
    Asking,
    FilterForecast,
    Forecast,
    SourceForecast,
    StageForecast,
)
from curate.engine.pipeline import PipelineResult, passed
from curate.engine.progress.progress import Progress, Stage
from curate.measures.base import MemoMeasure, RowRequest
from curate.models.rendering import Rendered
from curate.recipe.files import RecipeFile
from curate.recipe.steps import FilterStep, MeasureStep
from curate.select.options import Budget
from curate.select.select import select
from curate.sources import SampledSource, Source
from curate.sources.lineage import wanted_of
from curate.store.keys import draw

FEWEST_UNITS: Final = 16
"""Fewer say nothing of a rate: loading the model took most of their time."""
MOST_WIDER: Final = 8.0
"""Times too wide that an interval is taken to be, where it has no end."""
SAMPLE_BYTES: Final = 450
"""Of a recorded sample beside its text: key, checksum, counts; and its row in the audit."""
TOKEN_BYTES: Final = 6
"""Of a token of the teacher's: its log-probability, and where it ends."""


@dataclass(slots=True)
class _Timed:
    """One stage, timed from its start to its first and its last unit."""

    title: str
    started: float = field(default_factory=time.monotonic)
    first: float | None = None
    last: float = 0.0
    units: int = 0

    def seconds(self, units: Interval) -> Interval | None:
        """Give the time that so many units will take; None where too few were done to tell.

        The start is counted once, then the rate. Where all units came at once, as of one batch,
        they say nothing of a rate, and each is given its share of the whole.
        """
        if self.first is None or self.units < FEWEST_UNITS:
            return None
        start, each = self.first - self.started, self.last - self.first
        if each < (self.last - self.started) / 4:
            return units.scaled((self.last - self.started) / self.units)
        return units.scaled(each / max(self.units - 1, 1), start)


class _Watched:
    """Passes on what a stage is told, and notes when."""

    def __init__(self, stage: Stage, timed: _Timed) -> None:
        self._stage, self._timed = stage, timed

    def advance(self, count: int = 1, tokens: int = 0) -> None:
        now = time.monotonic()
        timed = self._timed
        timed.first = now if timed.first is None else timed.first
        timed.last, timed.units = now, timed.units + count
        self._stage.advance(count, tokens)

    def cut(self) -> None:
        self._stage.cut()

    def failed(self, error: str) -> None:
        self._stage.failed(error)


class _Stopwatch(Progress):
    """A progress that also times its stages."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress.console, quiet=progress.quiet)
        self.stages: list[_Timed] = []

    @contextmanager
    def stage(
        self, title: str, total: int = 0, unit: str = "", *, brief: bool = False
    ) -> Generator[Stage]:
        with super().stage(title, total, unit, brief=brief) as stage:
            self.stages.append(_Timed(title))
            yield _Watched(stage, self.stages[-1])


def probe(file: RecipeFile, questions: int = 32, progress: Progress | None = None) -> Forecast:
    """Run a few questions and predict the rest.

    Args:
        file: the recipe.
        questions: how many; all where there are fewer.
        progress: where to report.

    Raises:
        InputError: the recipe or its input is wrong.
        CurateError: a model, a server or the record failed; what was recorded is kept.
    """
    watch = _Stopwatch(progress or Progress())
    everything: list[pl.DataFrame] = []

    def choose(frame: pl.DataFrame) -> pl.DataFrame:
        usable = frame.filter(pl.col("status") == "ok")
        everything.append(usable)
        order = [draw(question) for question in usable["question_id"]]
        by_hash = usable.with_columns(order=pl.Series(order, dtype=pl.UInt64)).sort("order")
        ids = by_hash.head(questions)["question_id"]
        return frame.filter(pl.col("question_id").is_in(ids.implode()))

    with watch.shown(), passed(file, watch, choose=choose) as pipeline:
        # before what is asked about the probe draws or measures anything else
        return _forecast(file, pipeline, everything[0], tuple(watch.stages))


def _forecast(
    file: RecipeFile, pipeline: PipelineResult, questions: pl.DataFrame, stages: Sequence[_Timed]
) -> Forecast:
    of = questions.height
    recorded = pipeline.sampler.recorded(replace(pipeline.questions, frame=questions))
    seen = pipeline.questions.original.height
    facts = _by_question(pipeline)
    filters = tuple(_filters(pipeline, facts, of))
    sources = tuple(_sources(file, pipeline, facts, recorded, of))
    selected = _selected(file, facts, filters, of)
    tokens = file.recipe.select.budget is not None and file.recipe.select.budget.tokens is not None
    beyond = tokens or file.recipe.select.quota is not None
    beyond |= any(line.rows is None and line.most is not None for line in filters)
    return Forecast(
        seen=seen,
        of=of,
        samples=_samples(file, facts, of),
        filters=filters,
        selected=selected if selected.is_narrow and not beyond else None,
        most=selected.high if beyond else None,
        sources=sources,
        stages=tuple(_stages(pipeline, facts, sources, stages, of)),
        disk=_disk(pipeline, facts, of),
        student=_student(pipeline),
    )


def _samples(file: RecipeFile, facts: Mapping[str, list[float]], of: int) -> Interval:
    """Predict the rows: those that are drawn are known, others vary."""
    sources = file.recipe.used_sources
    counts = {source.name: _counted(source, sources, of) for source in sources}
    draws = sum(count for count in counts.values() if count is not None)
    names = [f"rows {name}" for name, count in counts.items() if count is None]
    if not names:
        return Interval(*[float(draws)] * 3)
    others = [sum(rows) for rows in zip(*(facts[name] for name in names), strict=True)]
    return predict(others, of).scaled(1, draws)


def _counted(source: Source, sources: Sequence[Source], questions: int) -> int | None:
    """Count the rows that a source makes of so many questions, where that is known."""
    if not source.released:
        return 0
    return wanted_of(source, sources, questions) if isinstance(source, SampledSource) else None


def _by_question(pipeline: PipelineResult) -> Mapping[str, list[float]]:
    """Gather, for each question of the probe, what is predicted: one list a quantity."""
    ids = pipeline.questions.original.select("question_id")
    origins = pipeline.questions.origins
    frames: list[pl.DataFrame] = []
    for number, shard in enumerate(pipeline.table.shards):
        rows = shard.read(["source", "raw_output", "completion_tokens"])
        live = {
            f"live {filter_.name}": pipeline.result.live_after[filter_.name][number]
            for filter_ in pipeline.result.filters
        }
        frames.append(
            rows.select(
                "question_id", "source", "completion_tokens",
                bytes=pl.col("raw_output").fill_null("").str.len_bytes() + SAMPLE_BYTES
                + pl.col("completion_tokens").fill_null(0) * TOKEN_BYTES,
                started=pipeline.result.started[number],
            ).with_columns(series.alias(name) for name, series in live.items())
        )  # fmt: skip
    rows = pl.concat(frames).with_columns(pl.col("question_id").replace(origins))
    names = [f"live {filter_.name}" for filter_ in pipeline.result.filters]
    sources = [source.name for source in pipeline.plan.recipe.used_sources]
    table = ids.join(
        rows.group_by("question_id").agg(
            pl.len().alias("samples"), pl.col("bytes").sum(), pl.col("started").sum(),
            *(pl.col(name).sum() for name in names),
            *(pl.col(name).any().cast(pl.Int64).alias(f"any {name}") for name in names),
            *((pl.col("source") == source).sum().alias(f"rows {source}") for source in sources),
        ),
        on="question_id", how="left", maintain_order="left",
    ).fill_null(0)  # fmt: skip
    ranking, _ = pipeline.ranked()
    free = pipeline.plan.recipe.select.model_copy(update={"budget": None})
    selection = select(ranking, free).filter("selected")
    selection = selection.with_columns(pl.col("question_id").replace(origins))
    counts = selection.group_by("question_id").agg(selected=pl.len())
    table = table.join(counts, on="question_id", how="left", maintain_order="left").fill_null(0)
    return {name: table[name].cast(pl.Float64).to_list() for name in table.columns[1:]}


def _filters(
    pipeline: PipelineResult, facts: Mapping[str, list[float]], of: int
) -> Iterator[FilterForecast]:
    beyond: str | None = None
    seen = len(facts["samples"])
    most = max(facts["samples"])
    abstained = {count.name: count.abstained for count in pipeline.result.counts}
    for filter_ in pipeline.result.filters:
        if filter_.scope == "dataset":
            beyond = f"{filter_.name} compares rows of all questions"
        if set(filter_.depends_on_run) & abstained[filter_.name].keys():
            beyond = "the probe has too few questions to calibrate the student; a run may not"
        rows = predict(facts[f"live {filter_.name}"], of, most=most)
        questions = predict(facts[f"any live {filter_.name}"], of).at_most(of)
        if beyond is not None:
            yield FilterForecast(filter_.name, None, None, beyond, rows.high)
        elif not rows.is_narrow:
            # the reach falls with the square root of the questions; where none was kept, try more
            number = seen * min(rows.reach / WIDEST, MOST_WIDER) ** 2
            why = f"too few of its questions tell; --probe {min(math.ceil(number), of)} may"
            yield FilterForecast(
                filter_.name, None, questions if questions.is_narrow else None, why
            )
        else:
            yield FilterForecast(filter_.name, rows, questions if questions.is_narrow else None)


def _selected(
    file: RecipeFile,
    facts: Mapping[str, list[float]],
    filters: Sequence[FilterForecast],
    of: int,
) -> Interval:
    """Predict what is selected: what the rules allow of the live rows, cut by the budget."""
    free = predict(facts["selected"], of)
    budget: Budget | None = file.recipe.select.budget
    if budget is None:
        return free
    if budget.rows is not None:
        return free.at_most(budget.rows)
    if budget.share is not None:
        live = predict(facts[f"live {filters[-1].name}" if filters else "samples"], of)
        return Interval(*map(min, free, live.scaled(budget.share)))
    return free  # how many rows fit into so many tokens is not known, only that no more do


def _sources(
    file: RecipeFile,
    pipeline: PipelineResult,
    facts: Mapping[str, list[float]],
    recorded: Mapping[str, tuple[int, int] | None],
    of: int,
) -> Iterator[SourceForecast]:
    spent = pipeline.sampler.spent(pipeline.questions)
    for source in file.recipe.used_sources:
        if not isinstance(source, SampledSource):
            yield SourceForecast(source.name, predict(facts[f"rows {source.name}"], of))
            continue
        prompt_tokens, tokens, samples = spent[source.name]
        wanted, stock, share = _left(source, pipeline, samples, recorded[source.name], of)
        completion = predict(tokens, of) if any(tokens) else None
        prompt = None if prompt_tokens is None else predict(prompt_tokens, of)
        options = file.recipe.backend(source.name)
        price = options.tariff()
        cost = None
        if price is not None and prompt_tokens is not None and prompt and completion:
            prompt_rest = prompt.scaled(share, -share * sum(prompt_tokens))
            completion_rest = completion.scaled(share, -share * sum(tokens))
            cost = Interval(
                *(price.of(*pair) for pair in zip(prompt_rest, completion_rest, strict=True))
            )
        asking = Asking(wanted, stock, prompt, completion, cost, options.gpus())
        rows = wanted if source.released else Interval(0.0, 0.0, 0.0)
        yield SourceForecast(source.name, rows, asking)


def _left(
    source: SampledSource,
    pipeline: PipelineResult,
    samples: Sequence[float],
    counts: tuple[int, int] | None,
    of: int,
) -> tuple[Interval, int, float]:
    """Say how many samples a source wants, how many of these are there, what share of the rest is.

    Args:
        source: that asks.
        pipeline: of the probe.
        samples: that it drew of each question of the probe.
        counts: samples wanted of all questions and those recorded; None where that takes samples.
        of: how many questions these are.

    Returns:
        The samples wanted; those recorded; and, of those that the probe did not see, the share that
        is still to be drawn: some may be in the record all the same.
    """
    seen = pipeline.questions.original.height
    if counts is None:
        wanted = _capped(source, pipeline, predict(samples, of))
        stock = round(sum(samples))
        return wanted, stock, 1.0 if of > seen and wanted.high > stock else 0.0
    total, stock = counts
    unseen = total - (source.wanted(seen) or 0)
    return Interval(*[float(total)] * 3), stock, (total - stock) / unseen if unseen else 0.0


def _capped(source: SampledSource, pipeline: PipelineResult, wanted: Interval) -> Interval:
    """Cut what a source wants where it ends once there is enough of all questions together."""
    results = {result.name: result for result in pipeline.sampler.results}
    enough = results[source.name].enough
    most = source.adaptive.until.in_all if source.adaptive else None
    if most is None or enough is None or not enough.accepted:
        return wanted
    return wanted.at_most(most * enough.samples / enough.accepted)


def _stages(
    pipeline: PipelineResult,
    facts: Mapping[str, list[float]],
    sources: Sequence[SourceForecast],
    timed: Sequence[_Timed],
    of: int,
) -> Iterator[StageForecast]:
    stages = {stage.title: stage for stage in timed}
    counts = {measure.name: measure.fresh + measure.reused for measure in pipeline.result.measured}
    for source in sources:
        if (asking := source.asking) is None:
            continue
        stage = stages.get(f"sample {source.name}")
        units = asking.wanted.scaled(1, -asking.recorded)
        if asking.completion is not None:  # longer texts take longer, more or less in proportion
            units = asking.completion.scaled(units.middle / asking.completion.middle)
        yield StageForecast(
            f"sample {source.name}", stage.seconds(units) if stage else None, asking.gpus
        )
    live, here = predict(facts["started"], of), sum(facts["started"])
    covered = sum(rows > 0 for rows in facts["started"])
    for step in pipeline.plan.steps:
        if isinstance(step, FilterStep):
            name = f"live {step.filter.name}"
            live, here = predict(facts[name], of), sum(facts[name])
            covered = sum(rows > 0 for rows in facts[name])
        elif issubclass(step.kind, MemoMeasure):
            already = counts[step.measure]
            if not already:
                continue
            title = f"measure {step.measure}"
            stage = stages.get(title)
            if stage is None or not here:
                yield StageForecast(title, None)
                continue
            units = live.scaled(already / here, -already)
            if request := _content(pipeline, step):
                units = units.at_most(most_items(already, covered, request) - already)
            yield StageForecast(title, stage.seconds(units))


def most_items(already: int, covered: int, request: RowRequest) -> float:
    """Tell how many items a measure that is content with a few rows will measure at most.

    Args:
        already: those of the probe.
        covered: questions of the probe with a live row, at least one.
        request: what it is content with.
    """
    return already / min(covered, request.questions) * request.questions


def _content(pipeline: PipelineResult, step: MeasureStep) -> RowRequest | None:
    """Tell whether a measure is content with a few rows."""
    measure = pipeline.setups.open(step)
    return measure.choice() if isinstance(measure, MemoMeasure) else None


def _student(pipeline: PipelineResult) -> Rendered | None:
    """Render a sample that was scored as the student read it."""
    for step in pipeline.plan.measures:
        measure = pipeline.setups.open(step)
        for shard in pipeline.table.shards:
            if (text := measure.shown(shard.read(measure.reads, shard.live))) is not None:
                return text
    return None


def _disk(pipeline: PipelineResult, facts: Mapping[str, list[float]], of: int) -> Interval:
    sizes = list(facts["bytes"])
    live = facts["started"]
    for step in pipeline.plan.steps:
        if isinstance(step, FilterStep):
            live = facts[f"live {step.filter.name}"]
        else:
            each = float(step.kind.item_bytes)
            covered = of * sum(rows > 0 for rows in live) / len(live)
            if (request := _content(pipeline, step)) and covered > request.questions:
                each *= request.questions / covered
            sizes = [size + rows * each for size, rows in zip(sizes, live, strict=True)]
    return predict(sizes, of)
