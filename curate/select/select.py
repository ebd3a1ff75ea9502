"""Ranking: which of the live samples are taken, and which the control arms take instead.

Filters hold thresholds, `select` alone ranks and counts. The budget is filled in rounds, every
question's best sample before any question's second, questions in the order of a seeded hash and
never by difficulty: more than half of the variance of log RD lies between questions, so a global
cut would choose questions instead of rationales. Every live sample gets a rank, and the selection
is a prefix of that ranking, so that a smaller budget is always contained in a larger one. What was
given up for that: a token budget stops at the first sample that does not fit, even where a later,
shorter one would.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final, Self

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from curate.errors import InputError
from curate.select.arms import Arm
from curate.select.ranking import (
    DIFFICULTY,
    follows,
    hashes,
    inside_questions,
    matching_tokens,
    may_be_taken,
    number,
)

SELECTED: Final = "selected"
RANK: Final = "selection_rank"


class Budget(BaseModel):
    """How much to take; exactly one of the three."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rows: int | None = Field(default=None, ge=1)
    """Number of samples."""
    tokens: int | None = Field(default=None, ge=1)
    """Sum of the tokens of the samples' rationales, counted by the student's tokenizer, so it wants
    a student under ``measures.score``.
    """
    share: float | None = Field(default=None, gt=0, le=1)
    """Of the samples live after the last filter, rounded down. ``without:`` arms take as many rows
    as this share of the chain's own pool, so that arms stay comparable.
    """

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        keys = sorted(self.model_fields_set)
        if len(keys) != 1 or getattr(self, keys[0]) is None:
            raise ValueError(
                f"got {', '.join(keys) or 'nothing'}; wanted exactly one of rows, tokens, share, "
                "for example {rows: 10000}"
            )
        return self


class SelectOptions(BaseModel):
    """The recipe's ``select`` section."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    budget: Budget | None = None
    """How much to take, by one of three; left out, all that the other keys allow."""
    per_question: int | None = Field(default=None, ge=1)
    """Most samples of one question."""
    one_per: str | None = None
    """Column of which a question's samples must differ (``cluster``); a null is a group of its own.
    """
    order_by: tuple[str, ...] = ()
    """Columns that order the samples of one question, the first deciding; ``-column`` for
    descending. Nulls come last either way, and what is still tied goes by seeded hash.
    """
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)
    """Of the hash that orders questions and breaks ties."""


def needed_columns(options: SelectOptions, arms: Sequence[Arm]) -> tuple[str, ...]:
    """List the columns of the table that `select` reads, `rd_spread` and `student_follows` too."""
    keys = [*options.order_by, *(key for arm in arms for key in arm.order_by)]
    names = ["sample_id", "question_id", "live", "tokens", *(key.removeprefix("-") for key in keys)]
    names += [arm.pool for arm in arms]
    if options.one_per:
        names.append(options.one_per)
    if any(name in DIFFICULTY for name in names):
        names += ["rd_spread", "student_follows"]
    return tuple(dict.fromkeys(names))


def select(
    table: pl.DataFrame,
    options: SelectOptions,
    arms: Sequence[Arm] = (),
    written: Mapping[str, Collection[str]] | None = None,
) -> pl.DataFrame:
    """Rank every live sample, take the budget, and draw the control arms.

    Args:
        table: all samples, one row each, in any order: ``sample_id``, ``question_id``, ``tokens``
            (Int32) and Booleans ``live`` (after the last filter), ``live_correct`` (after
            ``correctness``), ``nonempty`` and ``live_without_<filter>``, each only where an arm
            draws from it, and the columns that `options` and `arms` name. ``rd_spread`` (half the
            range of log RD over the templates) and ``student_follows`` are used where present.
        options: order and budgets.
        arms: control arms, see `Arm.parse`.
        written: for each filter the columns it writes; an arm ``without:FILTER`` neither orders by
            them nor keeps one per group of them, for without the filter they would not exist.

    Returns:
        In the row order of `table`: ``sample_id``, ``question_id``, ``selected`` (Boolean),
        ``selection_rank`` (Int64, from 1, null where not live) and one Boolean ``arm_<name>`` each.
        Live samples that `one_per` or `per_question` rule out are ranked after all others.

    Raises:
        InputError: a column is named that the table lacks.
    """
    _require_columns(table, options, arms)
    questions = _question_order(table, options.seed)
    names = [name for name in needed_columns(options, arms) if name in table.columns]
    table = (
        table.select(names)
        .with_row_index("row")
        .join(questions, on="question_id", how="left", maintain_order="left")
    )
    limit = _row_limit(options.budget, int(table["live"].sum()))
    selected = _ranked(table, "live", options, SELECTED)
    taken = _within_budget(selected, options.budget, limit)
    chosen = {SELECTED: taken["row"]}
    for arm in arms:
        if arm.kind.size == "all":
            chosen[arm.column] = table.filter(arm.pool)["row"]
        elif arm.kind.size == "budget":
            unknown = (written or {}).get(arm.operand, ())
            ranked = _ranked(table, arm.pool, options, arm.text, unknown)
            chosen[arm.column] = _within_budget(ranked, options.budget, limit)["row"]
        else:
            chosen[arm.column] = _sized_as(taken, table, arm, options.seed)
    order = pl.DataFrame({"row": selected["row"], RANK: selected["rank"]})
    marks = [
        pl.Series(name, np.isin(np.arange(table.height), rows.to_numpy(), kind="table"))
        for name, rows in chosen.items()
    ]
    return (
        table.select("row", "sample_id", "question_id")
        .join(order, on="row", how="left", maintain_order="left")
        .with_columns(marks)
        .select("sample_id", "question_id", SELECTED, RANK, *(arm.column for arm in arms))
    )


def choice_share(table: pl.DataFrame, chosen: pl.DataFrame, column: str = SELECTED) -> float:
    """Tell in what share of the questions taken from there was more to take than was taken.

    A share of 0 says that the order decided nothing: every live sample of these questions is in.

    Args:
        table: as for `select`.
        chosen: what `select` returned for it.
        column: ``selected`` or an arm's column; the arm is compared with the live samples.

    Returns:
        Between 0 and 1; 0 where nothing was taken.
    """
    counts = (
        chosen.select("sample_id", "question_id", taken=pl.col(column))
        .join(table.select("sample_id", "live"), on="sample_id")
        .group_by("question_id")
        .agg(taken=pl.col("taken").sum(), left=(pl.col("live") & ~pl.col("taken")).any())
        .filter(pl.col("taken") > 0)
    )
    return float(counts.select(pl.col("left").mean()).item() or 0.0)


def idle_keys(table: pl.DataFrame, options: SelectOptions) -> dict[str, str]:
    """Name the keys of `order_by` that decide nothing, with the reason, for the funnel's notes."""
    live = table.filter("live")
    idle: dict[str, str] = {}
    for key in options.order_by if live.height else ():
        name = key.removeprefix("-")
        trusted = follows(live, name)
        if not live.select(trusted.any()).item():
            idle[key] = "the calibration says that the student cannot follow rationales"
        elif not live.select((number(live, name).is_not_null() & trusted).any()).item():
            idle[key] = "no live sample has a value"
    return idle


def _require_columns(table: pl.DataFrame, options: SelectOptions, arms: Sequence[Arm]) -> None:
    wanted = {f"select.order_by {key!r}": key.removeprefix("-") for key in options.order_by}
    wanted |= {f"arm {arm.text!r}": key.removeprefix("-") for arm in arms for key in arm.order_by}
    wanted |= {f"the pool of arm {arm.text!r}": arm.pool for arm in arms}
    if options.one_per:
        wanted[f"select.one_per {options.one_per!r}"] = options.one_per
    for where, column in wanted.items():
        if column not in table.columns:
            raise InputError(
                f"{where} needs column {column!r}, which no step of this recipe writes; name one "
                f"of {', '.join(sorted(table.columns))}, or add the filter or measure that writes "
                "it"
            )


def _question_order(table: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Number the questions by seeded hash: columns ``question_id`` and ``question`` (UInt32)."""
    ids = table.select(pl.col("question_id").unique())
    order = hashes(ids["question_id"], seed)
    return (
        ids.with_columns(order=order)
        .sort("order", "question_id")
        .with_row_index("question")
        .select("question_id", "question")
    )


def _row_limit(budget: Budget | None, live: int) -> int | None:
    if budget is None or budget.tokens is not None:
        return None
    if budget.rows is not None:
        return budget.rows
    return int(Decimal(str(budget.share)) * live)


def _within_budget(ranked: pl.DataFrame, budget: Budget | None, limit: int | None) -> pl.DataFrame:
    """Cut the ranking where the budget ends; samples that may never be taken end it before."""
    eligible = ranked.filter("eligible")
    if budget is not None and budget.tokens is not None:
        return eligible.filter(pl.col("tokens").cum_sum() <= budget.tokens)
    return eligible if limit is None else eligible.head(limit)


def _ranked(
    table: pl.DataFrame,
    pool: str,
    options: SelectOptions,
    salt: str,
    unknown: Collection[str] = (),
) -> pl.DataFrame:
    """Rank a pool in rounds.

    Returns:
        One row for each sample of the pool, best first: ``row``, ``question``, ``tokens``,
        ``rank`` (Int64, from 1) and ``eligible`` (not ruled out by `one_per` or `per_question`).
    """
    keys = [key for key in options.order_by if key.removeprefix("-") not in unknown]
    ordered = inside_questions(table, pool, keys, (options.seed, salt), trusting=False)
    one_per = None if options.one_per in unknown else options.one_per
    if one_per:
        group = pl.col(one_per)
        place = pl.int_range(pl.len()).over("question", group)
        ordered = ordered.with_columns(nth=pl.when(group.is_null()).then(0).otherwise(place)).sort(
            "question", "nth", maintain_order=True
        )
    ordered = ordered.with_columns(
        round=pl.int_range(pl.len()).over("question"),
        eligible=may_be_taken("question", one_per, options.per_question),
    )
    return (
        ordered.sort("eligible", "round", "question", descending=[True, False, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
        .select("row", "question", "tokens", "rank", "eligible")
    )


def _sized_as(taken: pl.DataFrame, table: pl.DataFrame, arm: Arm, seed: int) -> pl.Series:
    """Take as many samples of each question as `taken` holds, in the arm's own order."""
    sizes = taken.group_by("question").agg(size=pl.len())
    pool = table.join(sizes, on="question", how="inner")
    ordered = inside_questions(pool, arm.pool, arm.order_by, (seed, arm.text), trusting=True)
    if arm.kind.matches_tokens:
        return matching_tokens(ordered, int(taken["tokens"].sum()))
    return ordered.filter(pl.int_range(pl.len()).over("question") < pl.col("size"))["row"]
