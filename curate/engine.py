"""Run a recipe: load questions, draw samples, measure and judge them, select, release.

Read `run` from top to bottom: it is the pipeline.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from curate.accounts import Account, Tally, funnel_of
from curate.chain import Chain, Ran
from curate.drawing import Drawing, Drawn
from curate.errors import InputError
from curate.executors import open_executor
from curate.funnel import Funnel
from curate.instruments import Instruments
from curate.lineage import key
from curate.lock import Lock
from curate.partition import NEVER_RELEASED
from curate.plan import Plan, make_plan
from curate.progress import Progress, duration
from curate.questions import QuestionsTable, assign_splits, load_questions
from curate.reading.tables import find
from curate.recipe import Import
from curate.recipe_file import RecipeFile
from curate.release import ReleaseSummary, write_release
from curate.runs import mark_latest, next_folder
from curate.select import needed_columns, select
from curate.store import Store
from curate.table import IDS, Table, build_table
from filters.columns import QUESTION_COLUMNS, SOURCE_COLUMNS

if TYPE_CHECKING:
    import datasets


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How this one run is done.

    Attributes:
        limit: use only the first so many questions; by default `questions.limit` of the recipe.
        replay: from the record alone; no model is ever called.
        locked: refuse to resolve anything that is not in the lock file.
        out: put the run into this very folder instead of ``runs/<name>/``.
        runs: where run folders go.
    """

    limit: int | None = None
    replay: bool = False
    locked: bool = False
    out: Path | None = None
    runs: Path = Path("runs")


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run.

    Attributes:
        folder: holds ``dataset/``, ``audit/``, ``run.json`` and a card.
        funnel: where samples and questions went.
        tally: what was asked of models, and what it took.
        summary: what was released.
    """

    folder: Path
    funnel: Funnel
    tally: Tally
    summary: ReleaseSummary

    def closing(self) -> str:
        """Say in three lines what was done and where it lies."""
        selected = sum(self.summary.configs[0].splits.values())
        return (
            f"{selected} rows selected, dataset_hash {self.summary.dataset_hash}\n"
            f"sampled {self.tally.sampled}, measured {self.tally.measured}, "
            f"reused {self.tally.reused} in {duration(self.tally.seconds)}\n"
            f"{self.folder}   load it with datasets.load_dataset({str(self.folder)!r})"
        )

    def as_json(self) -> dict[str, Any]:
        """Say the same to a program."""
        return {
            "folder": str(self.folder),
            "dataset_hash": self.summary.dataset_hash,
            "rows": sum(self.summary.configs[0].splits.values()),
            **asdict(self.tally),
            "funnel": self.funnel.model_dump(mode="json"),
        }

    @property
    def dataset(self) -> "datasets.DatasetDict":
        """The selection, through `datasets.load_dataset`."""
        import datasets

        return datasets.load_dataset(str(self.folder))

    @property
    def audit(self) -> pl.DataFrame:
        """Every sample with every verdict."""
        return pl.read_parquet(self.folder / "audit" / "samples-*.parquet")


def run(
    file: RecipeFile, options: RunOptions | None = None, progress: Progress | None = None
) -> RunResult:
    """Run a recipe to a release folder.

    Args:
        file: the recipe, as `curate.recipe_file.read_recipe` gives it.
        options: how this run is done.
        progress: where to report; standard error by default.

    Raises:
        InputError: the recipe or its input is wrong; nothing was written.
        CurateError: a model, a server or the record failed; what was recorded is kept.
    """
    options, progress = options or RunOptions(), progress or Progress()
    started = time.monotonic()
    store = Store()
    plan = make_plan(file.recipe)
    lock = Lock(
        file.lock,
        locked=options.locked,
        start=file.lock_text,
        written=file.written,
        tell=progress.say,
    )
    _refuse_used(options.out)
    # Whatever may be wrong with the input comes before models, whose digests are written down.
    limits = (options.limit, file.limit, file.recipe.questions.limit)
    limit = next((one for one in limits if one is not None), None)
    questions = _questions(file, limit)
    _lock_data(file, lock)
    instruments = Instruments(file, lock, plan)
    drawing = Drawing(file, lock, store, progress, replay=options.replay)
    _tell_questions(questions, progress)
    executor = open_executor(file.recipe.runtime.executor, file.recipe.runtime.workers)
    lock.libraries(_deciding_libraries(plan))
    lock.save()
    try:
        with store.workspace() as work:
            table = build_table(
                questions.frame,
                drawing.batches(questions),
                work / "table",
                file.recipe.runtime.questions_per_shard,
            )
            _tell_sources(drawing.drawn, progress)
            chain = Chain(store, work, executor, progress, instruments.open, options.replay)
            without = [arm.operand for arm in plan.arms if arm.kind == "without"]
            ran = chain.run(plan.steps, table, fork_before=without)
            ranked, again = _rank(plan, chain, ran, table)
            chosen = select(
                ranked, file.recipe.select, plan.arms, {g.name: tuple(g.writes) for g in ran.gates}
            )
            drawn = drawing.drawn
            funnel = funnel_of(questions, drawn, table, ran, ranked, chosen, file.recipe.select)
            prompts = drawing.prompts()
            account = Account(file, limit, lock, plan, instruments, drawn, ran, prompts)
            identity = account.identity()
            tally = Tally.of(drawn, [ran, *again], started)
            summary = write_release(
                options.out or next_folder(file.recipe.name, key(identity), options.runs),
                _release_shards(plan, table, chosen),
                account.spec(funnel, identity),
                questions=_question_facts(table),
                complete=lambda folder: account.write_run_file(folder, tally),
            )
    finally:
        executor.close()
    if options.out is None:
        mark_latest(summary.folder)
    return RunResult(summary.folder, funnel, tally, summary)


def pin(file: RecipeFile) -> Path:
    """Renew the lock file of a recipe from what is there now; give its path."""
    lock = Lock(file.lock, renew=True, written=file.written)
    plan = make_plan(file.recipe)
    Instruments(file, lock, plan)
    Drawing(file, lock, Store(), Progress(quiet=True), replay=True)
    _lock_data(file, lock)
    lock.libraries(_deciding_libraries(plan))
    lock.save()
    return file.lock


def _refuse_used(out: Path | None) -> None:
    """Refuse a folder that holds something before anything is paid for its run."""
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            f"{str(out)!r} is not empty; a finished run is never changed: name another folder, or "
            "move this one away",
            "--out",
        )


def _deciding_libraries(plan: Plan) -> list[str]:
    return sorted({name for gate in plan.gates for name in gate.libraries})


def _lock_data(file: RecipeFile, lock: Lock) -> None:
    """Note the digests of the local files the recipe reads."""
    recipe = file.recipe
    paths = [recipe.questions.path, *(s.path for s in recipe.used_sources if isinstance(s, Import))]
    for path in dict.fromkeys(paths):
        if "://" not in path:
            lock.data(path, key([_file_digest(found) for found in find(path, file.folder)]))


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _questions(file: RecipeFile, limit: int | None) -> QuestionsTable:
    recipe = file.recipe
    questions = load_questions(recipe.questions, file.folder, limit)
    split = assign_splits(questions.frame, recipe.splits.validation, recipe.select.seed)
    return replace(questions, frame=split)


def _tell_questions(questions: QuestionsTable, progress: Progress) -> None:
    if questions.summary.quarantined:
        for line in questions.summary.lines():
            progress.say(line)


def _tell_sources(drawn: Sequence[Drawn], progress: Progress) -> None:
    for source in drawn:
        if source.damaged:
            progress.say(
                f"{source.name}: {source.damaged} damaged record lines are treated as never made; "
                "`curate store verify` names them"
            )
        for line in (*source.tally.quoted, *source.tally.notes) if source.tally else ():
            progress.say(f"{source.name}: {line}")


def _rank(plan: Plan, chain: Chain, ran: Ran, table: Table) -> tuple[pl.DataFrame, list[Ran]]:
    """Gather the narrow table `select` works on, judging the chain again for ``without:`` arms."""
    pools = {"live": [shard.live for shard in table.shards]}
    correct = plan.recipe.judge_of_answers
    pools["live_correct"] = ran.live_after[correct] if correct else ran.started
    again: list[Ran] = []
    for arm in plan.arms:
        if arm.kind == "without":
            pools[arm.pool], more = chain.without(arm.operand, ran, table)
            again.append(more)
    available = {
        *SOURCE_COLUMNS,
        *(name for shard in table.shards for p in shard.parts for name in p.columns),
    }
    lengths = [
        n for n in ("rationale_tokens", "completion_tokens", "rationale_words") if n in available
    ]
    wanted = [n for n in needed_columns(plan.recipe.select, plan.arms) if n in available]
    frames: list[pl.DataFrame] = []
    for number, shard in enumerate(table.shards):
        frame = shard.read([*wanted, *lengths, "raw_output"])
        frames.append(
            frame.select(
                *dict.fromkeys((*IDS, *wanted)),
                pl.coalesce(lengths).cast(pl.Int32).alias("tokens"),
                (pl.col("raw_output").fill_null("").str.strip_chars() != "").alias("nonempty"),
                *(live[number].alias(name) for name, live in pools.items()),
            )
        )
    return pl.concat(frames), again


def _release_shards(plan: Plan, table: Table, chosen: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Join everything known about the samples, shard by shard."""
    written = {name for shard in table.shards for part in shard.parts for name in part.columns}
    columns = [*QUESTION_COLUMNS, *SOURCE_COLUMNS, *sorted(written - set(NEVER_RELEASED))]
    marks = [*(arm.column for arm in plan.arms), "selected", "selection_rank"]
    begin = 0
    for shard in table.shards:
        # `chosen` keeps the row order of the shards it was made from
        mine = chosen.slice(begin, shard.height).select(marks)
        begin += shard.height
        yield shard.read(columns).hstack(mine).with_columns(shard.live.alias("live"))


def _question_facts(table: Table) -> pl.DataFrame:
    """Add to the questions what their samples say about them."""
    facts: list[pl.DataFrame] = []
    for shard in table.shards:
        rows = shard.read(["finish_reason"])
        facts.append(
            rows.group_by("question_id").agg(
                samples_asked=pl.len().cast(pl.Int32),
                samples_received=(pl.col("finish_reason").fill_null("") != "error")
                .sum()
                .cast(pl.Int32),
            )
        )
    return table.questions.join(pl.concat(facts), on="question_id", how="left")
