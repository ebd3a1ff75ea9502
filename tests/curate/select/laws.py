"""The laws of choosing, each a function that raises where an arm breaks it.

An arm is data, and `select` carries it out: the laws hold what comes out against what the data
says. They are given what chooses, so that the suite can hand them something that chooses wrongly.
"""

import math
import random
import re
from collections.abc import Callable, Sequence
from typing import Final

import polars as pl
from polars.testing import assert_frame_equal

from curate.errors import InputError
from curate.select.arms import Arm, ArmKind
from curate.select.options import Budget, SelectOptions
from curate.select.orders import columns_of
from curate.select.ranking import DIFFICULTY
from curate.select.select import RANK, SELECTED

Choose = Callable[[pl.DataFrame, SelectOptions, Sequence[Arm]], pl.DataFrame]

POOLS: Final = ("live", "live_correct", "nonempty", "live_without_{operand}")
"""What a run makes for arms to take from; see `curate.engine.pipeline`."""


def rows_are_of_its_pool(
    arm: Arm, rows: pl.DataFrame, options: SelectOptions, choose: Choose
) -> None:
    """An arm takes from its pool, and the selection from what is live."""
    chosen = choose(rows, options, [arm])
    assert chosen["sample_id"].equals(rows["sample_id"])
    for column, pool in ((arm.column, arm.pool), (SELECTED, "live")):
        assert chosen.schema[column] == pl.Boolean
        assert not (chosen[column] & ~rows[pool]).any()
    assert set(_taken(chosen, arm.column)) <= set(_eligible(arm, rows)["sample_id"])


def size_is_as_it_says(
    arm: Arm, rows: pl.DataFrame, options: SelectOptions, choose: Choose
) -> None:
    """An arm holds as much as its `size` says: of the selection, of the budget, or all."""
    chosen = choose(rows, options, [arm])
    pool = rows.filter(arm.pool)
    if arm.kind.size == "all":
        assert set(_taken(chosen, arm.column)) == set(pool["sample_id"])
    elif arm.kind.size == "budget":
        assert len(_taken(chosen, arm.column)) == _most(pool, options)
    else:
        there_is = rows["sample_id"].is_in(_eligible(arm, rows)["sample_id"].implode()).alias("is")
        counts = rows.select("question_id", there_is, chosen[SELECTED], chosen[arm.column])
        for _, question in counts.group_by("question_id"):
            taken, wanted, there = (question[c].sum() for c in (arm.column, SELECTED, "is"))
            assert taken == min(wanted, there)
    assert len(_taken(chosen, SELECTED)) == _most(rows.filter("live"), options)


def its_order_decides(arm: Arm, rows: pl.DataFrame, options: SelectOptions, choose: Choose) -> None:
    """What an arm leaves of a question is no better by its first key; what has no value is last.

    By Rationale Difficulty two samples may tie, so there only the missing values are looked at.
    """
    chosen = choose(rows, options, [arm])
    first = arm.order_by[0] if arm.order_by else None
    if not isinstance(first, str):
        return
    name, down = first.removeprefix("-"), first.startswith("-")
    table = rows.with_columns(chosen[arm.column]).filter(arm.pool)
    for _, question in table.group_by("question_id"):
        taken = [_place(value, down=down) for value in question.filter(arm.column)[name]]
        left = [_place(value, down=down) for value in question.filter(~pl.col(arm.column))[name]]
        if name in DIFFICULTY:
            taken, left = ([math.isinf(place) for place in places] for places in (taken, left))
        if taken and left:
            assert max(taken) <= min(left)


def its_samples_differ(
    arm: Arm, rows: pl.DataFrame, options: SelectOptions, choose: Choose
) -> None:
    """An arm that is to differ by a column takes a value twice only when it has all there are."""
    if not arm.apart:
        return
    chosen = choose(rows, options, [arm])
    table = rows.with_columns(chosen[arm.column])
    for _, question in table.group_by("question_id"):
        taken = question.filter(arm.column)[arm.apart]
        there = question.filter(arm.pool)[arm.apart]
        values, nulls = there.drop_nulls().n_unique(), there.null_count()
        different = taken.drop_nulls().n_unique() + taken.null_count()
        assert different == min(len(taken), values + nulls)


def ranking_ends_with_what_has_no_value(
    arm: Arm, rows: pl.DataFrame, options: SelectOptions, choose: Choose
) -> None:
    """Live samples are ranked from 1; of a question, those without the first key come last."""
    chosen = choose(rows, options.model_copy(update={"one_per": None}), [arm])
    assert chosen[RANK].is_not_null().equals(rows["live"])
    ranks = chosen[RANK].drop_nulls().sort().to_list()
    assert ranks == list(range(1, len(ranks) + 1))
    if not options.order_by:
        return
    names = dict.fromkeys(columns_of(options.order_by[0]))
    table = rows.select("question_id", *names, chosen[RANK]).drop_nulls(RANK).sort(RANK)
    for _, question in table.group_by("question_id", maintain_order=True):
        values = question.select(*names).rows()
        lacking = [all(math.isinf(_place(v, down=False)) for v in row) for row in values]
        assert lacking == sorted(lacking)


def order_of_rows_is_irrelevant(
    arm: Arm, rows: pl.DataFrame, options: SelectOptions, choose: Choose
) -> None:
    """The same samples are chosen wherever their rows stand."""
    dice = random.Random(7)
    expected = choose(rows, options, [arm]).sort("sample_id")
    places = list(range(rows.height))
    dice.shuffle(places)
    chosen = choose(rows[places], options, [arm])
    assert chosen["sample_id"].equals(rows[places]["sample_id"])
    assert_frame_equal(chosen.sort("sample_id"), expected)


def a_smaller_budget_is_a_prefix(
    arm: Arm, rows: pl.DataFrame, options: SelectOptions, choose: Choose
) -> None:
    """A budget cuts the ranking and never changes it, so less is contained in more.

    So it is in an arm, unless it is drawn anew to hold as many tokens as the selection.
    """
    budgets = [Budget(rows=2), Budget(rows=5), Budget(tokens=40), Budget(tokens=150), None]
    chosen = [choose(rows, options.model_copy(update={"budget": b}), [arm]) for b in budgets]
    for table in chosen:
        assert table[RANK].equals(chosen[-1][RANK])
        ranks = table.filter(SELECTED)[RANK].sort().to_list()
        assert ranks == list(range(1, len(ranks) + 1))
    columns = [SELECTED] if arm.kind.matches_tokens else [SELECTED, arm.column]
    for less, more in ((0, 1), (1, 4), (2, 3), (3, 4)):
        for column in columns:
            assert not (chosen[less][column] & ~chosen[more][column]).any()


def kind_is_of_one_piece(kind: ArmKind, operand: str) -> None:
    """A kind of arm says nothing that nobody carries out, and can be written down and read.

    Args:
        kind: of arm.
        operand: something that it may name.
    """
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.word)
    assert len(kind.takes.split()) > 2
    assert kind.takes == kind.takes.strip(" .")
    assert ("{operand}" in kind.takes) == bool(kind.operand), "the plan says of what"
    assert kind.pool in POOLS
    assert ("{operand}" in kind.pool) == kind.judged_again
    by_column = any("{operand}" in text for text in (*map(str, kind.order), kind.apart))
    assert by_column == (kind.operand == "COLUMN")
    assert not (kind.apart and (kind.matches_tokens or kind.size != "selection"))
    assert not kind.order or kind.size != "all", "nothing is ordered by it"
    assert kind.budget is None or kind.size == "budget", "nothing is cut by it"
    assert not kind.matches_tokens or kind.size == "selection"
    assert not (kind.matches_tokens and kind.order), "a draw that matches follows no order"
    assert not kind.judged_again or kind.size == "budget"
    arm = Arm.parse(f"{kind.word}:{operand}" if operand else kind.word)
    assert arm == Arm(kind, operand)
    assert Arm.parse(arm.text) == arm
    assert arm.column == f"arm_{arm.name}"
    assert arm.name.isidentifier()
    assert not any("{" in text for text in (arm.adds, arm.pool, *map(str, arm.order_by)))
    other = kind.word if operand else f"{kind.word}:anything"
    try:
        Arm.parse(other)
    except InputError:
        return
    raise AssertionError(f"{other!r} is no arm")


def _eligible(arm: Arm, rows: pl.DataFrame) -> pl.DataFrame:
    """Give what an arm may take: its pool, and of that what has the value it names."""
    pool = rows.filter(arm.pool)
    for column, value in arm.conditions.items():
        pool = pool.filter(pl.col(column).cast(pl.String) == value)
    return pool


def _taken(chosen: pl.DataFrame, column: str) -> list[str]:
    return chosen.filter(column)["sample_id"].to_list()


def _most(pool: pl.DataFrame, options: SelectOptions) -> int:
    """Count what the options allow of a pool, in rows."""
    most = 0
    for _, question in pool.group_by("question_id"):
        count = question.height
        if options.one_per:
            groups = question[options.one_per]
            count = groups.drop_nulls().n_unique() + groups.null_count()
        most += min(count, options.per_question or count)
    limit = options.budget.rows if options.budget else None
    return most if limit is None else min(most, limit)


def _place(value: float | None, *, down: bool) -> float:
    """Give the number by which a value is ordered, infinite where there is none."""
    if value is None or math.isnan(value):
        return math.inf
    return -value if down else value
