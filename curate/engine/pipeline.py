"""A recipe taken as far as its last filter: what a run does before it selects, and a probe at all.

Read `passed` from top to bottom: questions, models, samples, then measures and filters in turn.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from curate.engine.asking import SourceResult
from curate.engine.chain import Chain, ChainResult
from curate.engine.early import EarlyLook
from curate.engine.executors import open_executor
from curate.engine.inputs import lock_data, read_questions
from curate.engine.limits import Meter
from curate.engine.progress.progress import Progress
from curate.engine.sampling import Sampler
from curate.engine.setups import MeasureSetups
from curate.engine.table import IDS, Table, build_table, write_part
from curate.models.libraries import ENCODER, SERVED_STUDENT, STUDENT, require
from curate.models.teachers.open import TEACHERS
from curate.recipe.files import RecipeFile
from curate.recipe.lock import Lock
from curate.recipe.plan import make_plan
from curate.recipe.steps import Plan
from curate.select.select import needed_columns
from curate.sources import SampledSource
from curate.sources.questions import QuestionsTable
from curate.sources.rollouts import FACTS, facts_of
from curate.store.store import Store, read_parquet
from filters.columns import QUESTION_COLUMNS, SOURCE_COLUMNS, TOKEN_COLUMNS, VERDICT_PREFIX

Choose = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineResult:
    """What is known after the last filter.

    Attributes:
        plan: the steps.
        lock: what was pinned.
        limit: of questions, where one was given.
        questions: as loaded.
        setups: the models that measured.
        sampler: the sources.
        table: the samples, in shards that live as long as the pipeline is open.
        chain: what judges.
        result: what the steps did.
    """

    plan: Plan
    lock: Lock
    limit: int | None
    questions: QuestionsTable
    setups: MeasureSetups
    sampler: Sampler
    table: Table
    chain: Chain
    result: ChainResult

    def ranked(self) -> tuple[pl.DataFrame, list[ChainResult]]:
        """Gather the narrow table `select` works on; ``without:`` arms have the chain run again.

        Beside what `select` reads it has ``in_words``, whether ``tokens`` are words, and where the
        recipe sweeps ``answer_right``, null where nobody judged.
        """
        plan, table, result = self.plan, self.table, self.result
        pools = {"live": [shard.live for shard in table.shards]}
        correct = plan.recipe.judge_of_answers
        pools["live_correct"] = result.live_after[correct] if correct else result.started
        reruns: list[ChainResult] = []
        for arm in plan.arms:
            if arm.kind.judged_again:
                pools[arm.pool], rerun = self.chain.without(arm.operand, result, table)
                reruns.append(rerun)
        verdict = f"{VERDICT_PREFIX}{correct}"
        judged = [verdict] if correct and plan.recipe.sweep else []
        right = pl.col(verdict).struct.field("keep") if judged else pl.lit(None, pl.Boolean)
        available = {
            *QUESTION_COLUMNS,
            *SOURCE_COLUMNS,
            *(name for shard in table.shards for p in shard.parts for name in p.columns),
        }
        tokens = [n for n in ("rationale_tokens", "completion_tokens") if n in available]
        lengths = [*tokens, "rationale_words"]
        columns = [n for n in needed_columns(plan.recipe.select, plan.arms) if n in available]
        frames: list[pl.DataFrame] = []
        for number, shard in enumerate(table.shards):
            frame = shard.read([*columns, *lengths, *judged, "raw_output"])
            frames.append(
                frame.select(
                    *dict.fromkeys((*IDS, *columns)),
                    pl.coalesce(lengths).cast(pl.Int32).alias("tokens"),
                    pl.all_horizontal(pl.col(tokens).is_null()).alias("in_words"),
                    (pl.col("raw_output").fill_null("").str.strip_chars() != "").alias("nonempty"),
                    right.alias("answer_right"),
                    *(live[number].alias(name) for name, live in pools.items()),
                )
            )
        return pl.concat(frames), reruns


@contextmanager
def passed(
    file: RecipeFile,
    progress: Progress,
    *,
    limit: int | None = None,
    replay: bool = False,
    retry: str | None = None,
    locked: bool = False,
    choose: Choose | None = None,
) -> Generator[PipelineResult]:
    """Load, sample, measure and judge; what is made lies in scratch until this closes.

    Args:
        file: the recipe.
        progress: where to report.
        limit: use only the first so many questions; by default as the recipe says.
        replay: from the record alone.
        retry: which recorded samples to draw again.
        locked: refuse to resolve what the lock file does not hold.
        choose: takes the questions in use and gives those to go on with; the others are left out.

    Raises:
        InputError: the recipe or its input is wrong; nothing was paid for.
        CurateError: a model, a server or the record failed; what was recorded is kept.
    """
    for note in file.notes:
        progress.say(note)
    meter, store = Meter(file.recipe.runtime), Store()
    plan = make_plan(file.recipe)
    if not replay:
        require(optional_libraries(plan), "add --replay where all of it is recorded")
    lock = Lock(
        file.lock, locked=locked, start=file.lock_text, written=file.written, tell=progress.say
    )
    # Whatever may be wrong with the input comes before models, whose digests are written down.
    limit = file.limited_to(limit)
    with progress.stage("load questions", brief=True):
        lock_data(file, lock)
        questions = read_questions(file, limit, lock)
    if choose is not None:
        choice = choose(questions.frame)
        others = questions.frame.join(choice, on="question_id", how="anti")
        beyond = pl.concat([others.select(questions.beyond.columns), questions.beyond])
        questions = replace(questions, frame=choice, beyond=beyond)
    setups = MeasureSetups(file, lock, plan)
    sampler = Sampler(file, lock, store, progress, replay=replay, retry=retry, meter=meter)
    _tell_questions(questions, progress)
    for step in plan.measures:  # a file that one reads may be wrong too
        setups.open(step)
    lock.libraries(deciding_libraries(plan))
    executor = open_executor(file.recipe.runtime.executor, file.recipe.runtime.workers)
    try:
        with store.workspace() as work:
            chain = Chain(store, work, executor, progress, setups.open, replay, meter)
            questions = sampler.pose(questions, chain, work / "posed")
            look = EarlyLook(plan.recipe, questions.frame, chain)
            batches = sampler.batches(questions, look, work / "sources")
            shards = file.recipe.runtime.questions_per_shard
            table = build_table(
                questions.frame, batches, work / "table", shards, plan.recipe.carried.types
            )
            sampler.close()
            if plan.recipe.facts:
                _add_facts(table, sampler.rollouts, questions, work)
            if plan.reads & TOKEN_COLUMNS.keys():
                _add_tokens(table, sampler, work)
            lock.save()
            _tell_sources(sampler.results, progress)
            without = [arm.operand for arm in plan.arms if arm.kind.judged_again]
            result = chain.run(plan.steps, table, fork_before=without)
            yield PipelineResult(
                plan=plan, lock=lock, limit=limit, questions=questions, setups=setups,
                sampler=sampler, table=table, chain=chain, result=result,
            )  # fmt: skip
    finally:
        sampler.close()
        executor.close()


def _add_facts(
    table: Table, rollouts: Sequence[Path], questions: QuestionsTable, work: Path
) -> None:
    """Add to every row what the student's samples say of its question."""
    own = questions.inputs.select("question_id", "rationale").drop_nulls()
    solutions = own.unique("question_id", keep="first", maintain_order=True)
    none = pl.DataFrame(schema={"question_id": pl.String(), **FACTS.types})
    facts = pl.concat([none, *(facts_of(read_parquet(path), solutions) for path in rollouts)])
    for shard in table.shards:
        rows = shard.read([]).join(facts, on="question_id", how="left", maintain_order="left")
        path = work / f"student-{shard.number:05d}.parquet"
        shard.add(write_part(path, rows["sample_id"], rows.select(list(FACTS))))


def _add_tokens(table: Table, sampler: Sampler, work: Path) -> None:
    """Add the teachers' own tokens, which take twice the room of all else, where they are read."""
    questions = (read_parquet(shard.questions) for shard in table.shards)
    for shard, tokens in zip(table.shards, sampler.tokens(questions), strict=True):
        path = work / f"tokens-{shard.number:05d}.parquet"
        shard.add(write_part(path, tokens["sample_id"], tokens.drop("sample_id")))


def deciding_libraries(plan: Plan) -> list[str]:
    """Name the libraries whose version can change a verdict."""
    return sorted({name for each in plan.filters for name in each.libraries})


def optional_libraries(plan: Plan) -> set[str]:
    """Name the libraries that not every install has, and that a run of a recipe imports."""
    recipe = plan.recipe
    names = {"ray"} if recipe.runtime.executor == "ray" else set[str]()
    for source in recipe.used_sources:
        kind = TEACHERS.get(recipe.backend(source.name).backend)
        if isinstance(source, SampledSource) and kind is not None:
            names.update(kind.libraries)
    needs = {need for step in plan.measures for need in step.kind.needs}
    if "encoder" in needs:
        names.update(ENCODER)
    if "student" in needs:
        here = recipe.score is None or recipe.score.dtype != "served"
        names.update(STUDENT if here else SERVED_STUDENT)
    return names


def _tell_questions(questions: QuestionsTable, progress: Progress) -> None:
    if questions.summary.quarantined:
        for line in questions.summary.lines():
            progress.say(line)


def _tell_sources(sources: Sequence[SourceResult], progress: Progress) -> None:
    for source in sources:
        if source.damaged:
            progress.say(
                f"{source.name}: {source.damaged} damaged record lines are treated as never made; "
                "`curate store verify` names them"
            )
        for line in (*source.tally.quoted, *source.tally.notes):
            progress.say(f"{source.name}: {line}")
