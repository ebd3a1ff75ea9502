"""The contract suite: every law, on every arm there is, over random tables.

The second half breaks each law on purpose: a suite that a wrong arm passes proves nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.select.arms import ARMS, Arm, ArmKind
from curate.select.options import Budget, SelectOptions
from curate.select.select import RANK, SELECTED, select
from tests.curate.select import laws
from tests.curate.select.strategies import ALL_ARMS, OPERANDS, OPTIONS, SCHEMA, tables

Law = Callable[[Arm, pl.DataFrame, SelectOptions, laws.Choose], None]
LAWS: Final[tuple[Law, ...]] = (
    laws.rows_are_of_its_pool,
    laws.size_is_as_it_says,
    laws.its_order_decides,
    laws.its_samples_differ,
    laws.ranking_ends_with_what_has_no_value,
    laws.order_of_rows_is_irrelevant,
    laws.a_smaller_budget_is_a_prefix,
)


@pytest.mark.parametrize("kind", ARMS, ids=lambda kind: kind.word)
@given(data=st.data(), rows=tables(), options=OPTIONS, budget=st.none() | st.integers(1, 12))
def test_every_arm_keeps_every_law(
    kind: ArmKind,
    data: st.DataObject,
    rows: pl.DataFrame,
    options: SelectOptions,
    budget: int | None,
) -> None:
    arm = Arm(kind, data.draw(st.sampled_from(OPERANDS[kind.operand])))
    within = options.model_copy(update={"budget": Budget(rows=budget) if budget else None})
    for law in LAWS:
        law(arm, rows, within, select)


@pytest.mark.parametrize("kind", ARMS, ids=lambda kind: kind.word)
def test_every_kind_is_of_one_piece(kind: ArmKind) -> None:
    for operand in OPERANDS[kind.operand]:
        laws.kind_is_of_one_piece(kind, operand)


def test_every_arm_has_a_name_of_its_own() -> None:
    assert len({arm.column for arm in ALL_ARMS}) == len(ALL_ARMS)


# What follows is wrong on purpose.

ROWS: Final = pl.DataFrame(
    [
        {
            "sample_id": f"s{number}",
            "question_id": f"q{number // 6}",
            "live": number % 6 > 1,
            "live_correct": number % 6 > 0,
            "nonempty": True,
            "live_without_diversity": number % 6 > 0,
            "tokens": None if number % 6 == 4 else 50 - number * 7 % 31,
            "cluster": number % 3,
            "nll_rationale": None if number % 6 == 3 else float(number * 5 % 7),
        }
        for number in range(12)
    ],
    schema=SCHEMA,
)
WITHIN: Final = SelectOptions(budget=Budget(rows=4), per_question=3, order_by=("nll_rationale",))
LONGEST: Final = Arm(ArmKind(word="longest", takes="the longest of all", order=("-tokens",)))
EVERY: Final = Arm(ArmKind(word="every", takes="every live sample", size="all"))
ANEW: Final = Arm(
    ArmKind(
        word="anew",
        takes="the chain once more without {operand}",
        pool="live_without_{operand}",
        size="budget",
        operand="FILTER",
    ),
    "diversity",
)


APART: Final = Arm(
    ArmKind(word="apart", takes="of different {operand}", operand="COLUMN", apart="{operand}"),
    "cluster",
)
ONLY: Final = Arm(
    ArmKind(word="only", takes="of those with {operand}", operand="COLUMN=VALUE"), "cluster=1"
)


def of_any_value(rows: pl.DataFrame, options: SelectOptions, arms: Sequence[Arm]) -> pl.DataFrame:
    """Take no notice of the columns that arms name."""
    blind = [replace(arm.kind, operand="COLUMN", apart="") for arm in arms]
    return select(
        rows, options, [Arm(kind, arm.operand) for kind, arm in zip(blind, arms, strict=True)]
    )


def from_everywhere(
    rows: pl.DataFrame, options: SelectOptions, arms: Sequence[Arm]
) -> pl.DataFrame:
    """Take no notice of pools."""
    pools = {"live", *(arm.pool for arm in arms)}
    return select(
        rows.with_columns(pl.lit(value=True).alias(pool) for pool in pools), options, arms
    )


def one_too_few(rows: pl.DataFrame, options: SelectOptions, arms: Sequence[Arm]) -> pl.DataFrame:
    """Lose the first sample of each arm."""
    chosen = select(rows, options, arms)
    return chosen.with_columns(
        pl.col(arm.column) & (pl.col(arm.column).cum_sum() > 1) for arm in arms
    )


def worst_first(rows: pl.DataFrame, options: SelectOptions, arms: Sequence[Arm]) -> pl.DataFrame:
    """Order as if a missing value were the best of all."""
    best = pl.col("tokens").fill_null(999), pl.col("nll_rationale").fill_null(-1)
    return select(rows.with_columns(best), options, arms)


def as_they_come(rows: pl.DataFrame, options: SelectOptions, arms: Sequence[Arm]) -> pl.DataFrame:
    """Order by the place in the table."""
    placed = rows.with_columns(tokens=-pl.int_range(pl.len(), dtype=pl.Int32))
    return select(placed, options, arms)


def by_the_budget(rows: pl.DataFrame, options: SelectOptions, arms: Sequence[Arm]) -> pl.DataFrame:
    """Order otherwise wherever the budget is another."""
    budget = options.budget
    salt = (budget.rows or budget.tokens or 0) if budget else 0
    return select(rows, options.model_copy(update={"seed": salt, "order_by": ()}), arms)


def ranking_some(rows: pl.DataFrame, options: SelectOptions, arms: Sequence[Arm]) -> pl.DataFrame:
    """Rank only what is selected."""
    return select(rows, options, arms).with_columns(pl.when(SELECTED).then(RANK))


BROKEN: Final[tuple[tuple[Law, Arm, laws.Choose], ...]] = (
    (laws.rows_are_of_its_pool, LONGEST, from_everywhere),
    (laws.rows_are_of_its_pool, EVERY, from_everywhere),
    (laws.rows_are_of_its_pool, ONLY, of_any_value),
    (laws.size_is_as_it_says, LONGEST, one_too_few),
    (laws.size_is_as_it_says, EVERY, one_too_few),
    (laws.size_is_as_it_says, ANEW, one_too_few),
    (laws.its_order_decides, LONGEST, worst_first),
    (laws.its_order_decides, LONGEST, as_they_come),
    (laws.its_samples_differ, APART, of_any_value),
    (laws.ranking_ends_with_what_has_no_value, LONGEST, worst_first),
    (laws.ranking_ends_with_what_has_no_value, LONGEST, ranking_some),
    (laws.order_of_rows_is_irrelevant, LONGEST, as_they_come),
    (laws.a_smaller_budget_is_a_prefix, EVERY, by_the_budget),
)


@pytest.mark.parametrize(("law", "arm", "choose"), BROKEN)
def test_the_suite_catches_what_chooses_wrongly(law: Law, arm: Arm, choose: laws.Choose) -> None:
    law(arm, ROWS, WITHIN, select)
    with pytest.raises(AssertionError):
        law(arm, ROWS, WITHIN, choose)


def test_the_suite_catches_an_order_that_nobody_carries_out() -> None:
    drawn = ArmKind(word="drawn", takes="the longest", order=("-tokens",), matches_tokens=True)
    with pytest.raises(AssertionError):
        laws.its_order_decides(Arm(drawn), ROWS, WITHIN, select)


WRONG: Final[dict[str, ArmKind]] = {
    "a word with a colon": ArmKind(word="long:est", takes="the longest of all"),
    "a word that no column can have": ArmKind(word="Longest 1", takes="the longest of all"),
    "nothing for the plan": ArmKind(word="longest", takes=""),
    "a sentence for the plan": ArmKind(word="longest", takes="It takes the longest."),
    "a pool that nobody makes": ArmKind(word="longest", takes="the longest of all", pool="lively"),
    "an order of what is all taken": ArmKind(
        word="longest", takes="the longest of all", size="all", order=("-tokens",)
    ),
    "an order beside a draw": ArmKind(
        word="longest", takes="the longest of all", order=("-tokens",), matches_tokens=True
    ),
    "tokens matched by all": ArmKind(
        word="matched", takes="all of the same length", size="all", matches_tokens=True
    ),
    "a column that orders nothing": ArmKind(
        word="by", takes="whatever has {operand}", operand="COLUMN"
    ),
    "a column that the plan does not name": ArmKind(
        word="by", takes="whatever is first", operand="COLUMN", order=("{operand}",)
    ),
    "an order by nothing": ArmKind(word="by", takes="whatever is first", order=("{operand}",)),
    "a filter that judges all the same": ArmKind(
        word="but", takes="all but {operand}", operand="FILTER", size="budget"
    ),
    "a chain judged again for as many as the selection": ArmKind(
        word="again",
        takes="the chain once more without {operand}",
        pool="live_without_{operand}",
        operand="FILTER",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_suite_catches_a_kind_that_is_wrong(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = WRONG[wrong]
    monkeypatch.setattr(ARMS, "_added", {kind.word: kind})
    with pytest.raises(AssertionError):
        laws.kind_is_of_one_piece(kind, OPERANDS[kind.operand][0])


def test_the_suite_passes_sound_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    for arm in (LONGEST, EVERY, ANEW):
        monkeypatch.setattr(ARMS, "_added", {arm.kind.word: arm.kind})
        laws.kind_is_of_one_piece(arm.kind, arm.operand)
