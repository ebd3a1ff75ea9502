"""Ranking: which of the live samples are taken, and which the control arms take instead.

Filters hold thresholds, `select` alone ranks and counts. The budget is filled in rounds, every
question's best sample before any question's second, questions in the order of a seeded hash and
never by difficulty: more than half of the variance of log RD lies between questions, so a global
cut would choose questions instead of rationales. Every live sample gets a rank, and the selection
is a prefix of that ranking, so that a smaller budget is always contained in a larger one. What was
given up for that: a token budget stops at the first sample that does not fit, even where a later,
shorter one would.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

import numpy as np
import polars as pl

from curate.errors import InputError
from curate.select.arms import Arm
from curate.select.options import Budget, SelectOptions, weighing
from curate.select.orders import Key, columns_of, order_of
from curate.select.quota import GROUP, Part, filled, parts_of
from curate.select.ranking import (
    DIFFICULTY,
    follows,
    hashes,
    inside_questions,
    matching_tokens,
    may_be_taken,
    number,
)
from filters.columns import QUESTION_COLUMNS

SELECTED: Final = "selected"
RANK: Final = "selection_rank"
MADE: Final = frozenset({"live", "live_correct", "nonempty", "tokens"})
"""Columns that the engine makes for this alone."""


def needed_columns(options: SelectOptions, arms: Sequence[Arm]) -> tuple[str, ...]:
    """List the columns of the table that `select` reads, `rd_spread` and `student_follows` too."""
    keys = [*options.order_by, *options.questions_by, *(k for arm in arms for k in arm.order_by)]
    keys += options.stages.by if options.stages else ()
    names = ["sample_id", "question_id", "live", "tokens"]
    names += [name for key in keys for name in columns_of(key)]
    names += [name for arm in arms for name in (arm.pool, *arm.reads)]
    if options.one_per:
        names.append(options.one_per)
    if options.quota:
        names.append(options.quota.by)
    if options.weight:
        names += weighing(options.weight).meta.root_names()
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
    if options.quota:
        groups = options.quota.groups(pl.col(options.quota.by)).alias(GROUP)
        table = table.with_columns(groups)
    live = table.filter("live")
    selected = _ranked(table, "live", options, SELECTED)
    taken = _within_budget(selected, options, live)
    chosen = {SELECTED: taken["row"]}
    for arm in arms:
        if arm.kind.size == "all":
            chosen[arm.column] = table.filter(arm.pool)["row"]
        elif arm.kind.size == "budget":
            own = arm.within(options).without((written or {}).get(arm.operand, ()))
            # One pool, one hash: what differs from the selection is its order or its budget.
            salt = SELECTED if arm.pool == "live" else arm.text
            ranked = _ranked(table, arm.pool, own, salt)
            chosen[arm.column] = _within_budget(ranked, own, live)["row"]
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
        .with_columns(_extras(table, chosen[SELECTED], options))
        .select(
            "sample_id", "question_id", SELECTED, RANK, *(arm.column for arm in arms),
            *options.extras,
        )
    )  # fmt: skip


def _extras(table: pl.DataFrame, taken: pl.Series, options: SelectOptions) -> list[pl.Series]:
    """Make the columns that the options ask for beside the selection: ``stage`` and ``weight``."""
    made: list[pl.Series] = []
    if options.stages is not None:
        rows = table.filter(pl.col("row").is_in(taken.implode())).with_columns(question=0, all=True)
        orders = [order_of(key) for key in options.stages.by]
        order = inside_questions(rows, "all", orders, (options.seed, "stages"), trusting=True)
        numbers = pl.int_range(pl.len()) * options.stages.count // pl.len() + 1
        stage = order.select("row", stage=numbers.cast(pl.Int32))
        made.append(table.select("row").join(stage, "row", "left", maintain_order="left")["stage"])
    if options.weight is not None:
        weight = weighing(options.weight).cast(pl.Float64)
        made.append(table.select(weight=pl.when(weight.is_finite()).then(weight))["weight"])
    return made


def quota_parts(
    table: pl.DataFrame, selection: pl.DataFrame, options: SelectOptions
) -> Sequence[Part]:
    """Say of each value of a quota what it was given and what it got; nothing without one.

    Args:
        table: as for `select`.
        selection: what it returned.
        options: of it.
    """
    quota, budget = options.quota, options.budget
    if quota is None or (budget is not None and budget.tokens is not None):
        return ()
    groups = table.select(quota.groups(pl.col(quota.by))).to_series()
    live = groups.filter(table["live"])
    rows = None if budget is None else _rows_of(budget, len(live))
    return list(parts_of(quota, live, groups.filter(selection[SELECTED]), rows))


def redraw(table: pl.DataFrame, arm: Arm, options: SelectOptions, seed: int) -> pl.Series:
    """Draw one arm of the selection's size, or of all, beside a selection that stands.

    Args:
        table: as for `select`, with the selection in ``selected``.
        arm: of either size.
        options: of the selection, whose seed orders questions.
        seed: of the draw.

    Returns:
        Booleans in the row order of `table`.

    Raises:
        InputError: a column is named that the table lacks.
    """
    _require_columns(table, options, (arm,))
    questions = _question_order(table, options.seed)
    table = table.with_row_index("row").join(
        questions, on="question_id", how="left", maintain_order="left"
    )
    if arm.kind.size == "all":
        rows = table.filter(arm.pool)["row"]
    else:
        rows = _sized_as(table.filter(SELECTED), table, arm, seed)
    marks = np.isin(np.arange(table.height), rows.to_numpy(), kind="table")
    return pl.Series(arm.column, marks)


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


def idle_keys(table: pl.DataFrame, keys: Sequence[Key]) -> dict[str, str]:
    """Name the columns among keys that decide nothing, with the reason, for the funnel's notes."""
    live = table.filter("live")
    idle: dict[str, str] = {}
    for key in keys if live.height else ():
        text = order_of(key).text
        for column in order_of(key).keys:
            if why := _idle(live, column.removeprefix("-")):
                idle[text if text == column else f"{column} in {text}"] = why
    return idle


def _idle(live: pl.DataFrame, name: str) -> str | None:
    if name in QUESTION_COLUMNS:
        return "it is of the question, of which all samples have the same"
    trusted = follows(live, name)
    if not live.select(trusted.any()).item():
        return "the calibration says that the student cannot follow rationales"
    if not live.select((number(live, name).is_not_null() & trusted).any()).item():
        return "no live sample has a value"
    return None


def _require_columns(table: pl.DataFrame, options: SelectOptions, arms: Sequence[Arm]) -> None:
    for where, column in _wanted(options, arms):
        if column not in table.columns:
            raise InputError(
                f"{where} needs column {column!r}, which no step of this recipe writes; name one "
                f"of {', '.join(sorted(table.columns))}, or add the filter or measure that writes "
                "it"
            )


def _wanted(options: SelectOptions, arms: Sequence[Arm]) -> Iterator[tuple[str, str]]:
    """Give who needs a column, and which."""
    for key in options.questions_by:
        yield from ((f"select.questions_by {order_of(key).text!r}", n) for n in columns_of(key))
    for key in options.stages.by if options.stages else ():
        yield from ((f"select.stages {order_of(key).text!r}", name) for name in columns_of(key))
    if options.quota:
        yield f"select.quota {options.quota.by!r}", options.quota.by
    if options.weight:
        names = weighing(options.weight).meta.root_names()
        yield from ((f"select.weight {options.weight!r}", name) for name in names)
    for key in options.order_by:
        yield from ((f"select.order_by {order_of(key).text!r}", name) for name in columns_of(key))
    for arm in arms:
        for key in arm.order_by:
            yield from ((f"arm {arm.text!r}", name) for name in columns_of(key))
        yield from ((f"arm {arm.text!r}", name) for name in arm.reads)
        yield f"the pool of arm {arm.text!r}", arm.pool
    if options.one_per:
        yield f"select.one_per {options.one_per!r}", options.one_per


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


def _within_budget(
    ranked: pl.DataFrame, options: SelectOptions, live: pl.DataFrame
) -> pl.DataFrame:
    """Cut a ranking where the budget ends; samples that may never be taken end it before.

    Args:
        ranked: as `_ranked` gives it.
        options: with the budget, and the quota within it.
        live: the rows of the table that are.
    """
    eligible, budget = ranked.filter("eligible"), options.budget
    rows = None if budget is None else _rows_of(budget, live.height)
    tokens = None if budget is None else budget.tokens
    if options.quota is not None:
        return filled(options.quota, eligible, live[GROUP], rows, tokens)
    if tokens is not None:
        return eligible.filter(pl.col("tokens").cum_sum() <= tokens)
    return eligible if rows is None else eligible.head(rows)


def _rows_of(budget: Budget, live: int) -> int | None:
    """Give the rows of a budget; None where it is one of tokens."""
    if budget.share is not None:
        return int(Decimal(str(budget.share)) * live)
    return budget.rows


def _ranked(table: pl.DataFrame, pool: str, options: SelectOptions, salt: str) -> pl.DataFrame:
    """Rank a pool in rounds.

    Returns:
        One row for each sample of the pool, best first: ``row``, ``question``, ``tokens``,
        ``rank`` (Int64, from 1) and ``eligible`` (not ruled out by `one_per` or `per_question`).
    """
    orders, one_per = [order_of(key) for key in options.order_by], options.one_per
    ordered = inside_questions(table, pool, orders, (options.seed, salt), trusting=False)
    if one_per:
        ordered = _apart(ordered, one_per)
    ordered = ordered.with_columns(
        round=pl.int_range(pl.len()).over("question"),
        eligible=may_be_taken("question", one_per, options.per_question),
    )
    turns = _turns(ordered, options, salt)
    group = [GROUP] if options.quota else []
    return (
        ordered.join(turns, on="question", maintain_order="left")
        .sort("eligible", "round", "turn", descending=[True, False, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
        .select("row", "question", "tokens", "rank", "eligible", *group)
    )


def _turns(ordered: pl.DataFrame, options: SelectOptions, salt: str) -> pl.DataFrame:
    """Number the questions in the order in which they are taken: ``question`` and ``turn``."""
    if not options.questions_by:
        return ordered.select("question", turn="question").unique()
    best = ordered.filter(pl.col("round") == 0).select(
        pl.exclude("question", "hash", "^key_.*$"), pl.lit(0).alias("question"),
        pl.col("question").alias("own"), pl.lit(value=True).alias("all"),
    )  # fmt: skip
    orders = [order_of(key) for key in options.questions_by]
    salts = (options.seed, f"{salt} questions")
    turned = inside_questions(best, "all", orders, salts, trusting=False)
    return turned.with_row_index("turn").select(pl.col("own").alias("question"), "turn")


def _apart(ordered: pl.DataFrame, column: str) -> pl.DataFrame:
    """Order the samples of a question in rounds, one of each value of a column; a null is its own.

    Returns:
        The same rows, with the round in ``nth``.
    """
    group = pl.col(column)
    place = pl.int_range(pl.len()).over("question", group)
    return ordered.with_columns(nth=pl.when(group.is_null()).then(0).otherwise(place)).sort(
        "question", "nth", maintain_order=True
    )


def _sized_as(taken: pl.DataFrame, table: pl.DataFrame, arm: Arm, seed: int) -> pl.Series:
    """Take as many samples of each question as `taken` holds, in the arm's own order."""
    sizes = taken.group_by("question").agg(size=pl.len())
    pool = table.join(sizes, on="question", how="inner")
    for column, value in arm.conditions.items():
        pool = pool.filter(pl.col(column).cast(pl.String) == value)
    orders = [order_of(key) for key in arm.order_by]
    ordered = inside_questions(pool, arm.pool, orders, (seed, arm.text), trusting=True)
    if arm.kind.matches_tokens:
        return matching_tokens(ordered, int(taken["tokens"].sum()))
    if arm.apart:
        ordered = _apart(ordered, arm.apart)
    return ordered.filter(pl.int_range(pl.len()).over("question") < pl.col("size"))["row"]
