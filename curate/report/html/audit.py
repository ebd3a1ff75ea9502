"""A finished run as the report reads it: narrow columns of every row, texts of a few."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import polars as pl

from curate.measures.compliance import Compliance
from curate.release.funnel import Funnel
from curate.release.runs import Run
from curate.store.keys import rank
from filters.columns import VERDICT_PREFIX, Column
from filters.contract import Filter, Threshold
from filters.rationale_difficulty import RationaleDifficulty

OUTCOMES: Final = ("selected", "live", "dropped", "abstained", "quarantined")
"""Where a sample may have ended: `live` beyond the budget, `abstained` where that stopped it."""
MOST: Final = 2_000
"""Rows whose texts a page holds."""
_MORE: Final = ("states_gold", "steps", "tokens_per_step", "cluster", "selection_rank")
"""Columns read beside scores and lengths, where there are such."""
_TEXTS: Final = ("question", "gold", "answer", "rationale")


@dataclass(frozen=True)
class Audit:
    """A finished run.

    Attributes:
        run: as `Run` reads it.
        rows: one row a sample: ids, ``teacher``, ``prompt_id``, scores, lengths and what is
            counted of compliance, `_MORE`, arms,
            ``outcome`` (see `OUTCOMES`), ``rejected_by``, ``rejected_reason``, ``filter`` (number
            of the one that stopped it, as many as there are where none did), ``right`` (whether its
            answer was judged right), and a column `number_of` for each threshold, null where the
            filter abstained, and ``one_per``, the column of `select.one_per`, where there is one.
    """

    run: Run
    rows: pl.DataFrame

    @classmethod
    def read(cls, reference: Path) -> Self:
        """Read a run.

        Args:
            reference: as for `find_run`.

        Raises:
            InputError: there is no such run.
        """
        run = Run.open(reference)
        return cls(run, _read(run))

    @property
    def folder(self) -> Path:
        """Of the run."""
        return self.run.folder

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Of its release."""
        return self.run.manifest

    @property
    def account(self) -> Mapping[str, Any]:
        """Its ``run.json``."""
        return self.run.account

    @property
    def filters(self) -> tuple[Filter, ...]:
        """Its filters, in order, with the parameters they judged by."""
        return self.run.filters

    @property
    def funnel(self) -> Funnel:
        """Where samples and questions went, as the run counted them."""
        return self.run.funnel

    @property
    def judge(self) -> Filter | None:
        """The filter that told right from wrong."""
        return self.run.judge

    @property
    def arms(self) -> list[str]:
        """Columns of the selection and of the control arms."""
        return self.run.arms

    @cached_property
    def scores(self) -> list[Column]:
        """The scores that any row has, those by which the run decided first."""
        scores = self.run.glossary.scores.values()
        return [score for score in scores if self.rows[score.name].count()]

    @cached_property
    def score(self) -> Column | None:
        """The score to look at first: what a filter compared or the selection went by, else any.

        Where neither did, it is Rationale Difficulty as its filter compares it by default.
        """
        scores = {score.name: score for score in self.scores}
        names = (*self.run.deciding, RationaleDifficulty().compares(), *scores)
        return next((scores[name] for name in names if name in scores), None)

    @cached_property
    def length(self) -> str | None:
        """The column of lengths: the student's tokens, the teacher's, or words.

        The student's are counted of live rows alone; where that leaves scored ones out, it is one
        of the others.
        """
        rows = self.rows if self.score is None else self.rows.drop_nulls(self.score.name)
        lengths = ("rationale_tokens", *self.run.glossary.lengths)
        counts = {n: rows[n].count() for n in lengths if n in rows.columns}
        most = max(counts.values(), default=0)
        return next((name for name, count in counts.items() if count == most > 0), None)

    @cached_property
    def pass_rates(self) -> pl.DataFrame | None:
        """Share of each question's samples whose answer was right; None where nobody judged.

        Columns ``question_id`` and ``pass_rate``. A sample that was stopped before its answer was
        judged counts as not right, one about which the judge abstained does not count;
        quarantined questions are left out, and those of which nothing is known.
        """
        if self.judge is None:
            return None
        used = self.rows.filter(pl.col("outcome") != "quarantined")
        rates = used.group_by("question_id").agg(pass_rate=pl.col("right").mean())
        return rates.drop_nulls("pass_rate")

    def texts(self, ids: Sequence[str]) -> pl.DataFrame:
        """Read the texts of some rows: `_TEXTS` and the verdicts, in the order of the ids."""
        choice = pl.DataFrame({"sample_id": ids}, schema={"sample_id": pl.String()})
        # Ids are looked at first and texts decoded of rows that match alone; file by file, since
        # all texts of a large run don't fit into memory.
        frames = [self._some(path, choice) for path in self.run.parts]
        return choice.join(pl.concat(frames), on="sample_id", maintain_order="left")

    def _some(self, path: Path, choice: pl.DataFrame) -> pl.DataFrame:
        scan = pl.scan_parquet(path, parallel="prefiltered")
        columns = scan.collect_schema().names()
        verdicts = [f"{VERDICT_PREFIX}{each.name}" for each in self.filters]
        names = [name for name in (*_TEXTS, *verdicts) if name in columns]
        here = pl.col("sample_id").is_in(choice["sample_id"].implode())
        return scan.filter(here).select("sample_id", *names).collect()


def number_of(filter_: Filter, threshold: Threshold) -> str:
    """Name the column that holds what a threshold compares."""
    return f"{filter_.name}:{threshold.number}"


def chosen_few(audit: Audit, most: int = MOST) -> pl.DataFrame:
    """Choose the rows whose texts a page holds.

    Half are whole questions, so that siblings can be compared; the rest are spread evenly over all
    ways a sample ended, so that the rarest reason is there too.

    Args:
        audit: of the run.
        most: at most so many rows.

    Returns:
        Rows of `Audit.rows` in their order there, with ``sibling`` true where all rows of the
        question are among them.
    """
    rows = audit.rows.with_row_index("place").with_columns(
        order=_hashes(audit.rows["sample_id"]), whole=_question_order(audit.rows)
    )
    if rows.height <= most:
        return rows.drop("place", "order", "whole").with_columns(sibling=pl.lit(value=True))
    sizes = rows.group_by("whole").agg(size=pl.len()).sort("whole")
    fitting = sizes.filter(pl.col("size").cum_sum() <= most // 2)["whole"]
    together = rows.filter(pl.col("whole").is_in(fitting.implode()))
    others = rows.filter(~pl.col("whole").is_in(fitting.implode()))
    strata = others.sort("order").with_columns(
        nth=pl.int_range(pl.len()).over("outcome", "rejected_by", "rejected_reason")
    )
    spread = strata.sort("nth", "order").head(most - together.height).drop("nth")
    few = pl.concat(
        [
            together.with_columns(sibling=pl.lit(value=True)),
            spread.with_columns(sibling=pl.lit(value=False)),
        ]
    )
    return few.sort("place").drop("place", "order", "whole")


def _hashes(ids: pl.Series) -> pl.Series:
    return pl.Series([rank("report", id_) for id_ in ids], dtype=pl.UInt64)


def _question_order(rows: pl.DataFrame) -> pl.Series:
    """Number the questions in an order that has nothing to do with what they say."""
    questions = rows["question_id"].unique()
    order = pl.DataFrame({"question_id": questions, "hash": _hashes(questions)}).sort("hash")
    numbered = order.with_row_index("whole")
    joined = rows.select("question_id").join(numbered, on="question_id", maintain_order="left")
    return joined["whole"]


def _read(run: Run) -> pl.DataFrame:
    filters, names = run.filters, run.columns
    one_per = run.manifest["select"].get("one_per")
    columns: dict[str, pl.Expr] = {}
    for each in filters:
        verdict = pl.col(f"{VERDICT_PREFIX}{each.name}")
        for threshold in each.thresholds():
            if threshold.number == "score":
                number = verdict.struct.field("score")
            else:
                number = verdict.struct.field("evidence").struct.field(threshold.number)
            condition = verdict.struct.field("keep").is_not_null()
            columns[number_of(each, threshold)] = pl.when(condition).then(
                number.cast(pl.Float64).fill_nan(None)
            )
    judge = run.judge
    if judge is not None:
        verdict = pl.col(f"{VERDICT_PREFIX}{judge.name}")
        keep = verdict.struct.field("keep")
        columns["right"] = pl.when(verdict.is_null()).then(pl.lit(value=False)).otherwise(keep)
    if one_per in names:
        columns["one_per"] = pl.col(one_per)
    glossary = run.glossary
    numbers = [*glossary.scores, *glossary.lengths, *glossary.of(Compliance.name), *_MORE]
    numbers = [name for name in dict.fromkeys(numbers) if name in names]
    # Verdicts are as wide as all else together; of each only what is compared is kept.
    rows = run.samples().select(
        "sample_id", "question_id", pl.coalesce("teacher", "source").alias("teacher"), "prompt_id",
        "status", "live", *run.arms, *numbers, "rejected_by", "rejected_reason",
        _abstained(filters).alias("abstained"), **columns,
    ).collect(engine="streaming")  # fmt: skip
    places = {each.name: number for number, each in enumerate(filters)}
    outcome = (
        pl.when(pl.col("status") != "ok").then(pl.lit("quarantined"))
        .when("selected").then(pl.lit("selected"))
        .when("live").then(pl.lit("live"))
        .when("abstained").then(pl.lit("abstained"))
        .otherwise(pl.lit("dropped"))
    )  # fmt: skip
    stop = pl.col("rejected_by").replace_strict(places, default=len(filters), return_dtype=pl.Int32)
    return rows.with_columns(outcome=outcome, filter=stop).drop("status", "abstained")


def _abstained(filters: Sequence[Filter]) -> pl.Expr:
    """Tell whether the first verdict that stopped a row was an abstention."""
    first = pl.lit(None, pl.Boolean)
    for each in reversed(filters):
        verdict = pl.col(f"{VERDICT_PREFIX}{each.name}")
        abstained = verdict.struct.field("keep").is_null()
        first = pl.when(each.stops(verdict)).then(abstained).otherwise(first)
    return first.fill_null(value=False)
