"""Run a recipe: take it through its filters (`curate.engine.pipeline`), select, release."""

import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from curate.engine.account import Account, Tally, funnel_of
from curate.engine.hindsight import Arms, look_back
from curate.engine.inputs import lock_data
from curate.engine.pipeline import deciding_libraries, passed
from curate.engine.planted import plant_faults
from curate.engine.progress.pace import duration
from curate.engine.progress.progress import Progress
from curate.engine.sampling import Sampler
from curate.engine.setups import MeasureSetups
from curate.engine.table import Table
from curate.errors import InputError, count_of
from curate.recipe.files import RecipeFile
from curate.recipe.lock import Lock
from curate.recipe.model import Recipe
from curate.recipe.plan import make_plan
from curate.recipe.steps import Plan
from curate.release.funnel import Funnel
from curate.release.repositories import push
from curate.release.runs import mark_latest, next_folder
from curate.release.write import ReleaseSummary, write_release
from curate.select.select import select
from curate.store.keys import key
from curate.store.store import Store
from filters.columns import QUESTION_COLUMNS, SOURCE_COLUMNS


class RunOptions(BaseModel):
    """How this one run is done."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    limit: int | None = Field(default=None, ge=1)
    """Use only the first so many questions; by default as the recipe says."""
    replay: bool = False
    """Make it from the record alone; no model is ever called."""
    retry: str | None = None
    """Draw samples again that a server did not give: ``failed`` for all, ``empty`` for those
    without text, or words of the error, such as ``content filter``.
    """
    locked: bool = False
    """Refuse to resolve anything that is not in the lock file."""
    out: Path | None = None
    """Put the run into this very folder instead of ``runs/<name>/``."""
    runs: Path = Path("runs")
    """Where run folders go."""


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
        """Say in four lines what was done and where it lies."""
        selected = sum(self.summary.configs[0].splits.values())
        return (
            f"{count_of(selected, 'row')} selected, dataset_hash {self.summary.dataset_hash}\n"
            f"sampled {self.tally.sampled}, measured {self.tally.measured}, "
            f"reused {self.tally.reused} in {duration(self.tally.seconds)}\n"
            f"{self.folder}   load it with datasets.load_dataset({str(self.folder)!r})\n"
            f"curate report {self.folder}   shows it on a page"
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
    def audit(self) -> pl.DataFrame:
        """Every sample with every verdict."""
        return pl.read_parquet(self.folder / "audit" / "samples-*.parquet")


def run(
    recipe: RecipeFile | Recipe,
    options: RunOptions | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run a recipe to a release folder.

    Args:
        recipe: as `curate.recipe.files.read_recipe` gives it, or made here; its relative paths then
            begin in the working folder.
        options: how this run is done.
        progress: where to report; standard error by default.

    Raises:
        InputError: the recipe or its input is wrong; nothing was written.
        CurateError: a model, a server or the record failed; what was recorded is kept.
    """
    if options and options.retry and options.replay:
        raise InputError("--retry draws samples anew, and --replay draws none; give one of them")
    progress = progress or Progress()
    file = RecipeFile.of(recipe) if isinstance(recipe, Recipe) else recipe
    with progress.shown():
        return _run(file, options or RunOptions(), progress)


def _run(file: RecipeFile, options: RunOptions, progress: Progress) -> RunResult:
    started = time.monotonic()
    _refuse_used(options.out)
    _refuse_unwritable(options.out or options.runs / file.recipe.name)
    with passed(
        file,
        progress,
        limit=options.limit,
        replay=options.replay,
        retry=options.retry,
        locked=options.locked,
    ) as pipeline:
        plan, table, result, sources = (
            pipeline.plan,
            pipeline.table,
            pipeline.result,
            pipeline.sampler.results,
        )
        planted = plant_faults(pipeline)
        with progress.stage("select", brief=True):
            ranking, reruns = pipeline.ranked()
            columns = {each.name: tuple(each.writes) for each in result.filters}
            selection = select(ranking, file.recipe.select, plan.arms, columns)
            arms = Arms.of(plan, ranking, selection)
            result.measured = look_back(result.measured, plan, table, arms, pipeline.setups.open)
        funnel = funnel_of(
            pipeline.questions, sources, table, result, ranking, selection, file.recipe
        )
        account = Account(
            file,
            pipeline.limit,
            pipeline.lock,
            plan,
            pipeline.setups,
            sources,
            result,
            pipeline.sampler.prompts(),
            planted.facts if planted else None,
        )
        identity = account.identity()
        tests = [planted.result] if planted else []
        tally = Tally.of(sources, [result, *reruns, *tests], started)

        def complete(folder: Path) -> None:
            for path in (*pipeline.sampler.rollouts, *pipeline.sampler.posed):
                copyfile(path, folder / "audit" / path.name)
            account.write_run_file(folder, tally)

        summary = write_release(
            options.out or next_folder(file.recipe.name, key(identity), options.runs),
            _release_shards(plan, table, selection, progress),
            account.spec(funnel, identity),
            questions=_question_facts(table),
            complete=complete,
        )
    if options.out is None:
        mark_latest(summary.folder)
    return RunResult(summary.folder, funnel, tally, summary)


def ready(file: RecipeFile, limit: int | None = None) -> None:
    """Find out, before a run costs anything, whether its release could be published.

    Args:
        file: the recipe.
        limit: of questions, where the run is given one.

    Raises:
        InputError: it could not (see `curate.release.repositories.push.ready`).
        CurateError: the repository can't be reached.
    """
    recipe = file.recipe
    terms = {source.name: source.terms for source in recipe.used_sources if recipe.shows(source)}
    push.ready(recipe.publish, recipe.release, terms, file.made_by(limit))


def pin(file: RecipeFile) -> Path:
    """Renew the lock file of a recipe from what is there now; give its path."""
    lock = Lock(file.lock, renew=True, written=file.written)
    plan = make_plan(file.recipe)
    MeasureSetups(file, lock, plan)
    Sampler(file, lock, Store(), Progress(quiet=True), replay=True)
    lock_data(file, lock)
    lock.libraries(deciding_libraries(plan))
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


def _refuse_unwritable(place: Path) -> None:
    """Refuse a place where no run folder can be made before anything is paid for it."""
    place = place.absolute()
    nearest = next(path for path in (place, *place.parents) if path.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise InputError(
            f"the run is to go to {str(place)!r}, and {str(nearest)!r} is no folder to write to; "
            "name another place",
            "--out",
        )


def _release_shards(
    plan: Plan, table: Table, selection: pl.DataFrame, progress: Progress
) -> Iterator[pl.DataFrame]:
    """Join everything known about the samples, shard by shard."""
    names = {name for shard in table.shards for part in shard.parts for name in part.columns}
    scratch = plan.glossary.where(lambda column: not column.kept)
    columns = [*QUESTION_COLUMNS, *SOURCE_COLUMNS, *sorted(names - scratch.keys())]
    marks = [*(arm.column for arm in plan.arms), "selected", "selection_rank"]
    marks += plan.recipe.select.extras
    begin = 0
    with progress.stage("write the release", len(table.shards), "shards", brief=True) as stage:
        for shard in table.shards:
            # `selection` keeps the row order of the shards it was made from
            rows = selection.slice(begin, shard.height).select(marks)
            begin += shard.height
            yield shard.read(columns).hstack(rows).with_columns(shard.live.alias("live"))
            stage.advance()


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
