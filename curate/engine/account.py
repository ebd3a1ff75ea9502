"""What a run says about itself: the funnel, its identity for the manifest, times for run.json."""

import resource
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import orjson
import polars as pl

from curate.engine.asking import SourceResult
from curate.engine.chain import ChainResult
from curate.engine.made_with import devices, made_with
from curate.engine.setups import MeasureSetups
from curate.engine.table import Table
from curate.measures.gradient import Gradient
from curate.measures.score import Score
from curate.recipe.files import RecipeFile
from curate.recipe.lock import Lock, lock_text
from curate.recipe.model import Recipe
from curate.recipe.steps import Plan
from curate.release.card import CardFacts, ModelFacts
from curate.release.files import hashes
from curate.release.formats.wording import wording_of
from curate.release.funnel import (
    Funnel,
    PickCount,
    QuestionCount,
    SourceCount,
    SweepCount,
    count_picks,
)
from curate.release.licences import OTHER
from curate.release.partition import ReleaseSpec
from curate.release.runs import APART
from curate.select.quota import in_words
from curate.select.select import choice_share, idle_keys, quota_parts
from curate.select.sweep import outcomes
from curate.sources.questions import QuestionsTable
from curate.sources.tables import is_from_memory
from filters.contract import Contract

REPRODUCIBLE = (
    "From the record (`curate run --replay`): the same dataset_hash everywhere. From models run "
    "again: no byte promise, since engines and batch sizes move the last bits."
)
FROM_MEMORY = (
    " What {keys} names came from memory, so the recipe alone can't repeat it: it takes a file of "
    "the same rows."
)


@dataclass(frozen=True, slots=True)
class Tally:
    """What a run asked of models, and what it took.

    Attributes:
        sampled: samples drawn from models in this run.
        measured: items measured in this run.
        reused: samples and items taken from the record.
        judged: rows judged anew.
        damaged: record lines that failed their checksum and were made again if needed.
        seconds: wall time until the release was written.
        peak_memory: largest resident size of this process and of any worker, in MB.
    """

    sampled: int
    measured: int
    reused: int
    judged: int
    damaged: int
    seconds: float
    peak_memory: float

    @classmethod
    def of(
        cls, sources: Sequence[SourceResult], results: Sequence[ChainResult], started: float
    ) -> Self:
        """Add up what sources and chains did."""
        measures = [m for result in results for m in result.measured]
        peak = max(
            resource.getrusage(who).ru_maxrss
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        return cls(
            sampled=sum(source.fresh for source in sources),
            measured=sum(m.fresh for m in measures),
            reused=sum(s.reused for s in sources) + sum(m.reused for m in measures),
            judged=sum(rows for result in results for rows in result.judged.values()),
            damaged=sum(s.damaged for s in sources) + sum(m.damaged for m in measures),
            seconds=time.monotonic() - started,
            peak_memory=peak / 1024,
        )


def funnel_of(
    questions: QuestionsTable,
    sources: Sequence[SourceResult],
    table: Table,
    result: ChainResult,
    ranking: pl.DataFrame,
    selection: pl.DataFrame,
    recipe: Recipe,
) -> Funnel:
    """Count both tables from the first row read to the last one taken.

    Args:
        questions: as loaded.
        sources: what each source gave.
        table: after the last step.
        result: what the steps did.
        ranking: what `select` was given.
        selection: what it returned.
        recipe: of the run.

    Raises:
        ConservationError: rows were lost or made.
    """
    summary = questions.summary
    picks = count_picks(ranking, selection, choice_share(ranking, selection))
    funnel = Funnel(
        questions=QuestionCount(
            read=summary.rows,
            merged=summary.merged,
            quarantined=dict(summary.quarantined),
            in_use=questions.frame.filter(pl.col("status") == "ok").height,
        ),
        sources=tuple(
            SourceCount(
                name=source.name,
                rows=source.rows,
                unmatched=source.tally.unmatched.total(),
                errors=source.errors,
                excluded=source.excluded,
                rollouts=source.makes == "facts",
                posed=source.posed,
                enough=source.enough,
            )
            for source in sources
        ),
        samples=table.height,
        quarantined=sum(int((~live).sum()) for live in result.started),
        covered=ranking["question_id"].n_unique(),
        filters=tuple(result.counts),
        picks=picks,
        sweep=tuple(_swept(recipe, picks, ranking, selection)),
        notes=tuple(_notes(recipe, ranking, selection)),
    )
    funnel.check()
    return funnel


def _swept(
    recipe: Recipe, picks: Sequence[PickCount], ranking: pl.DataFrame, selection: pl.DataFrame
) -> Iterator[SweepCount]:
    """Say of each arm of the sweep where it stands and what it holds."""
    counts = {pick.name: pick for pick in picks}
    points = recipe.points
    for point, outcome in zip(points, outcomes(points, ranking, selection), strict=True):
        yield SweepCount(
            **dict(counts[point.arm.name]),
            key=point.key_text,
            direction=point.direction,
            budget=point.budget_text,
            **outcome._asdict(),
        )


def _notes(recipe: Recipe, ranking: pl.DataFrame, selection: pl.DataFrame) -> Iterator[str]:
    """Say which keys decide nothing, and what a quota lacks."""
    if recipe.select.quota and (parts := quota_parts(ranking, selection, recipe.select)):
        yield in_words(parts, recipe.select.quota.by)
    swept = recipe.sweep.order_by if recipe.sweep else ()
    for where, keys in (("order_by", recipe.select.order_by), ("sweep by", swept)):
        for name, why in idle_keys(ranking, keys).items():
            yield f"{where} {name} decides nothing: {why}"


@dataclass(frozen=True, slots=True)
class Account:
    """Everything a finished run can be told from.

    Attributes:
        file: the recipe.
        limit: of questions, where one was given.
        lock: what was pinned.
        plan: the steps.
        setups: the models that measured.
        sources: what each source gave.
        result: what the steps did.
        prompts: text of the prompts beside the recipe, by file.
        faults: which of those planted the scores saw; None where none were.
    """

    file: RecipeFile
    limit: int | None
    lock: Lock
    plan: Plan
    setups: MeasureSetups
    sources: Sequence[SourceResult]
    result: ChainResult
    prompts: Mapping[str, str]
    faults: Mapping[str, Any] | None = None

    def identity(self) -> dict[str, Any]:
        """Say what made this release, without time, host or path."""
        measures = {
            m.name: {"instrument": m.instrument, "facts": m.facts} for m in self.result.measured
        }
        return {
            **self.file.made_by(self.limit),
            "models": self.setups.models(),
            "teachers": {source.name: source.teacher for source in self.sources if source.teacher},
            "terms": {source.name: source.terms for source in self.file.recipe.used_sources},
            "measures": measures,
            "select": self.file.recipe.select.model_dump(mode="json"),
            "filters": [
                {
                    "name": each.name,
                    "on_abstain": each.on_abstain,
                    "version": each.version,
                    "parameters": Contract.of(each).parameters,
                }
                for each in self.result.filters
            ],
            "lock": self.lock.used.model_dump(mode="json"),
            "files": sorted({*self.prompts, *filter(None, [self.file.recipe.verdicts_file])}),
            "reproducible": self.reproducible,
            **({"planted_faults": self.faults} if self.faults else {}),
        }

    @property
    def reproducible(self) -> str:
        """Say what can be made again, and how exactly."""
        keys = [key for key, path in self.file.recipe.inputs if is_from_memory(path)]
        return REPRODUCIBLE + (FROM_MEMORY.format(keys=" and ".join(keys)) if keys else "")

    def spec(self, funnel: Funnel, identity: Mapping[str, Any]) -> ReleaseSpec:
        """Gather what the release says beside its rows."""
        recipe = self.file.recipe
        licence = recipe.licence
        other = None if isinstance(licence, str | None) else licence
        return ReleaseSpec(
            card=CardFacts(
                name=recipe.name,
                release=recipe.release,
                funnel=funnel,
                description=recipe.description,
                licence=licence if isinstance(licence, str | None) else OTHER,
                licence_name=other.name if other else None,
                licence_link=other.link if other else None,
                language=recipe.language,
                models=tuple(self._models()),
                select=recipe.select.model_dump(mode="json"),
                faults=self.faults,
                calibration=self._facts(Score.name),
                gradients=self._facts(Gradient.name),
                reproducible=self.reproducible,
                formats=recipe.publish.formats,
                data={k: v for k, v in self.lock.used.data.items() if "://" in k},
                made_with=made_with(self.plan),
            ),
            glossary=self.plan.glossary,
            filters=tuple(self.result.filters),
            arms=tuple(arm.name for arm in self.plan.arms),
            publish=recipe.publish,
            wording=wording_of(
                identity["measures"], recipe.publish.think, solution=recipe.publish.solution
            ),
            judge=recipe.judge_of_answers,
            recipe=self.file.text,
            prompts=self.prompts,
            verdicts=recipe.verdicts_file,
            lock=lock_text(self.lock.used),
            identity=identity,
        )

    def _facts(self, measure: str) -> Mapping[str, Any] | None:
        return next((m.facts for m in self.result.measured if m.name == measure), None)

    def _models(self) -> Iterator[ModelFacts]:
        teachers = {source.name: source.teacher for source in self.sources}
        for source in self.file.recipe.used_sources:
            teacher = teachers[source.name]
            name, revision = teacher.get("model", source.writer), teacher.get("revision")
            yield ModelFacts(
                "teacher", str(name), str(revision) if revision else None, terms=source.terms
            )
        for part, model in self.setups.models().items():
            yield ModelFacts(part, model["name"], model["revision"])

    def write_run_file(self, folder: Path, tally: Tally) -> None:
        """Write what is true of this one run: times, host, versions, what was asked of models."""
        facts = {
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "made_with": made_with(self.plan),
            "devices": devices(self.file.recipe, self.sources, self.result.measured),
            "tally": asdict(tally),
            "sources": [
                {"name": s.name, "rows": s.rows, "sampled": s.fresh, "reused": s.reused}
                for s in self.sources
            ],
            "measures": [
                {"name": m.name, "measured": m.fresh, "reused": m.reused}
                for m in self.result.measured
            ],
            "judged": self.result.judged,
            "publish": self.file.recipe.publish.model_dump(include={"repo", "private"}),
            "digests": hashes(folder, APART),
        }
        (folder / "run.json").write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
