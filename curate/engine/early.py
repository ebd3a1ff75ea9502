"""Look at samples of one source before all samples are there, to go on from some of them.

They are measured and judged as the whole table will be, by measures and filters that see one sample
alone, so that a verdict here is the verdict there; what is derived for it is found again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree

import polars as pl

from curate.engine.chain import Chain
from curate.engine.subjects import SubjectFile, Subjects
from curate.engine.table import Table, build_table
from curate.recipe.early import (
    READ,
    EarlyPlan,
    plan_accepting,
    plan_answers,
    plan_judging,
    plan_parents,
)
from curate.recipe.model import Recipe
from curate.recipe.steps import FilterStep
from curate.sources import SampledSource
from curate.sources.where import verdict_is
from curate.store.store import write_parquet
from filters.columns import SOURCE_COLUMNS, VERDICT_PREFIX
from filters.conditions import value_is
from filters.contract import Filter


@dataclass(frozen=True, slots=True)
class EarlyLook:
    """Finds the samples that a source goes on from.

    Attributes:
        recipe: whose filters judge.
        questions: of the run.
        chain: what measures and judges.
    """

    recipe: Recipe
    questions: pl.DataFrame
    chain: Chain

    def subjects(
        self,
        source: SampledSource,
        batches: Iterable[pl.DataFrame],
        work: Path,
        number: int,
        before: Subjects | None = None,
    ) -> Subjects:
        """Write down the samples of which all conditions of a source hold.

        Those without any text are left out, since there is nothing to go on from, and so are those
        in which nothing is changed against the sample that they were made from.

        Args:
            source: that goes on from them.
            batches: samples, as sources make them.
            work: a new folder, where what is found stays.
            number: how often the source goes on by that, from 1.
            before: those from which these samples were made; None in the first round.
        """
        plan = plan_parents(self.recipe, source)
        table = self._judged(plan, batches, self.questions, work)
        files: list[SubjectFile] = []
        for shard in table.shards:
            rows = shard.read([*READ, "parent_id", *plan.reads], shard.live)
            subjects = _chosen(rows, plan).with_columns(pl.lit(number, pl.Int32).alias("pass"))
            earlier = before and before.of_shard(shard.number)
            if earlier is not None:
                subjects = _changed(subjects, earlier)
            if subjects.height:
                path = work / f"subjects-{shard.number:05d}.parquet"
                write_parquet(subjects, path)
                ids = subjects["question_id"]
                files.append(SubjectFile(shard.number, path, ids[0], ids[-1]))
        return Subjects(tuple(files))

    def accepted(
        self,
        source: SampledSource,
        batches: Iterable[pl.DataFrame],
        questions: pl.Series,
        work: Path,
    ) -> pl.DataFrame:
        """Count the samples that a source takes for enough.

        Args:
            source: is adaptive.
            batches: samples of one round.
            questions: ids of those that it was about.
            work: a new folder; it is gone afterwards.

        Returns:
            ``question_id``, ``count`` and ``tokens``, those of all samples of the question, where
            they are known; one row a question that has samples.
        """
        plan = plan_accepting(self.recipe, source)
        about = self.questions.filter(pl.col("question_id").is_in(questions.implode()))
        table = self._judged(plan, batches, about, work)
        counts = [
            shard.read(["completion_tokens", *plan.reads])
            .group_by("question_id", maintain_order=True)
            .agg(
                count=pl.all_horizontal(_conditions(plan)).sum(),
                tokens=pl.col("completion_tokens").sum(),
            )
            for shard in table.shards
        ]
        rmtree(work)
        return pl.concat(counts)

    def answers(
        self, source: SampledSource, batches: Iterable[pl.DataFrame], work: Path
    ) -> pl.DataFrame:
        """Find the answers that samples state.

        Args:
            source: whose they are.
            batches: of them.
            work: a new folder; it is gone afterwards.

        Returns:
            ``question_id`` and ``answer``, a row a sample that did not fail, null where it states
            none.
        """
        plan = plan_answers(self.recipe, source)
        shards = self._judged(plan, batches, self.questions, work).shards
        received = pl.col("finish_reason").fill_null("") != "error"
        answers = pl.concat(
            [shard.read(["answer", "finish_reason"]).filter(received) for shard in shards]
        )
        rmtree(work)
        return answers.select("question_id", "answer")

    def rollouts(
        self, source: SampledSource, batches: Iterable[pl.DataFrame], work: Path
    ) -> Iterator[pl.DataFrame]:
        """Judge the samples of a student.

        Args:
            source: whose they are.
            batches: all of them.
            work: a new folder.

        Yields:
            `SOURCE_COLUMNS`, ``rationale``, ``answer``, and ``right``: whether the filter that
            tells right from wrong keeps them; null where none does, or it abstains.
        """
        plan = plan_judging(self.recipe, source)
        columns = [*SOURCE_COLUMNS, "rationale", "answer"]
        for shard in self._judged(plan, batches, self.questions, work).shards:
            rows = shard.read([*columns, *plan.reads])
            verdicts = [pl.col(name).struct.field("keep") for name in plan.reads]
            right = pl.coalesce(*verdicts, pl.lit(None, pl.Boolean))
            yield rows.select(*columns, right.alias("right"))

    def _judged(
        self,
        plan: EarlyPlan,
        batches: Iterable[pl.DataFrame],
        questions: pl.DataFrame,
        work: Path,
    ) -> Table:
        """Measure and judge samples as far as a plan has it."""
        size = self.recipe.runtime.questions_per_shard
        table = build_table(questions, batches, work / "table", size, self.recipe.carried.types)
        chain = replace(self.chain, work=work, again=True)
        chain.run(plan.measures, table)
        for filter_ in plan.filters:
            _judge_alone(chain, filter_, table)
        return table


def _judge_alone(chain: Chain, filter_: Filter, table: Table) -> None:
    """Add a filter's verdicts on every row, whatever other filters say."""
    fork = Table(table.questions, [shard.fork() for shard in table.shards])
    chain.run([FilterStep(filter_)], fork)
    for shard, judged in zip(table.shards, fork.shards, strict=True):
        for part in judged.parts[len(shard.parts) :]:
            shard.add(part)


def _chosen(rows: pl.DataFrame, plan: EarlyPlan) -> pl.DataFrame:
    """Keep the rows of which all conditions hold, with the columns of `SUBJECT`."""
    written = pl.col("raw_output").fill_null("").str.strip_chars() != ""
    return rows.filter(written, *_conditions(plan)).select(
        "question_id",
        pl.col("sample_id").alias("parent_id"),
        "round",
        "gold_shown",
        "rationale",
        "answer",
        pl.col("raw_output").alias("output"),
        pl.coalesce(pl.lit(None, pl.String), *map(_problem, plan.filters)).alias("problem"),
        pl.col("parent_id").alias("origin_id"),
    )


def _conditions(plan: EarlyPlan) -> list[pl.Expr]:
    """Tell of each condition whether it holds."""
    filters = {each.name for each in plan.filters}
    return [
        verdict_is(pl.col(f"{VERDICT_PREFIX}{name}"), condition)
        if name in filters
        else value_is(pl.col(name), condition)
        for name, condition in plan.conditions
    ]


def _changed(subjects: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Leave out samples that say what the one said from which they were made."""
    same = before.select(pl.col("parent_id").alias("origin_id"), "rationale", "answer")
    columns = ["origin_id", "rationale", "answer"]
    return subjects.join(same, on=columns, how="anti", nulls_equal=True, maintain_order="left")


def _problem(filter_: Filter) -> pl.Expr:
    """Say in words why a filter did not keep a row; null where it did."""
    reason = pl.col(f"{VERDICT_PREFIX}{filter_.name}").struct.field("reason")
    return reason.replace_strict(
        list(filter_.reasons), list(filter_.reasons.values()), default=None, return_dtype=pl.String
    )
