"""Every statistic against a plain loop, and the laws that hold for any values."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from curate.measures.statistics import (
    FEWEST,
    FEWEST_SIBLINGS,
    Estimate,
    agreements,
    aucs,
    best_shares,
    correlations,
    differences,
    highest,
    means,
    means_inside,
    ranks,
    ranks_inside,
    ratios,
    shares_of,
    spearman,
)

GROUPS = 6
COARSE = st.integers(-3, 3).map(float)
VALUE = st.one_of(COARSE, st.just(float("nan")))
NAN = float("nan")


@st.composite
def rows(draw: Any, columns: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Draw values with ties and gaps, and the group of each row."""
    size = draw(st.integers(0, 30))
    values = draw(arrays.arrays(np.float64, (size, columns), elements=VALUE))
    return values, draw(arrays.arrays(np.int64, size, elements=st.integers(0, GROUPS - 1)))


def each(group: np.ndarray, *columns: np.ndarray) -> list[list[np.ndarray]]:
    """Give the rows of every group."""
    return [[column[group == number] for column in columns] for number in range(GROUPS)]


def same(got: Any, wanted: Any) -> None:
    np.testing.assert_allclose(got, wanted, atol=1e-12)


@given(rows(1))
def test_ranks_are_scipys_of_every_group(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    values, group = drawn[0][:, 0], drawn[1]
    got = ranks_inside(values, group)
    assert (np.isnan(got) == np.isnan(values)).all()
    for mine, there in each(group, got, values):
        present = ~np.isnan(there)
        same(mine[present] + 1, stats.rankdata(there[present]))


def test_ranks_count_from_0_and_share_ties() -> None:
    assert ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [2.5, 0, 2.5, 1]
    assert spearman(np.array([1.0, 2.0, 4.0]), np.array([5.0, 6.0, 60.0])) == pytest.approx(1)
    assert spearman(np.array([1.0, 1.0, 1.0]), np.array([5.0, 6.0, 60.0])) is None


def spearman_by_loop(a: np.ndarray, b: np.ndarray) -> float:
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[both], b[both]
    if len(a) < FEWEST_SIBLINGS or len(set(a)) < 2 or len(set(b)) < 2:
        return NAN
    return float(stats.spearmanr(a, b).statistic)


@given(rows(3))
def test_agreements_are_scipys_over_the_rows_that_have_both(drawn: Any) -> None:
    values, group = drawn
    pairs = list(agreements(values, group, GROUPS))
    assert [(one, other) for one, other, _ in pairs] == [(0, 1), (0, 2), (1, 2)]
    for one, other, got in pairs:
        columns = each(group, values[:, one], values[:, other])
        same(got, [spearman_by_loop(a, b) for a, b in columns])
        same(got, correlations(values[:, one], values[:, other], group, GROUPS))


def auc_by_loop(values: np.ndarray, right: np.ndarray) -> float:
    present = ~np.isnan(values)
    rights, wrongs = values[present & right], values[present & ~right]
    wins = [(r > w) + (r == w) / 2 for r in rights for w in wrongs]
    return float(np.mean(wins)) if wins else NAN


@given(rows(2))
def test_an_auc_is_the_share_of_pairs_won(drawn: Any) -> None:
    values, group = drawn[0][:, 0], drawn[1]
    right = drawn[0][:, 1] > 0
    got = aucs(values, right, group, GROUPS)
    same(got, [auc_by_loop(there, good) for there, good in each(group, values, right)])
    same(aucs(-values, right, group, GROUPS), 1 - got)
    same(aucs(np.exp(values), right, group, GROUPS), got)


def best_by_loop(values: np.ndarray, marked: np.ndarray) -> float:
    present = ~np.isnan(values)
    if not present.any():
        return NAN
    return float(marked[present & (values == values[present].max())].mean())


@given(rows(2))
def test_shares_and_means_are_those_of_a_loop(drawn: Any) -> None:
    values, marked, group = drawn[0][:, 0], drawn[0][:, 1] > 0, drawn[1]
    present = ~np.isnan(values)
    got = best_shares(values, marked, group, GROUPS)
    same(got, [best_by_loop(there, good) for there, good in each(group, values, marked)])
    got = shares_of(present & marked, present, group, GROUPS)
    same(got, [m[p].mean() if p.any() else NAN for p, m in each(group, present, marked)])
    got = means_inside(values, group, GROUPS)
    same(got, [v[p].mean() if p.any() else NAN for v, p in each(group, values, present)])


@given(rows(1), arrays.arrays(np.int64, GROUPS, elements=st.integers(0, 4)))
def test_the_highest_are_as_many_as_wanted_and_none_left_is_higher(
    drawn: Any, sizes: np.ndarray
) -> None:
    values, group = drawn[0][:, 0], drawn[1]
    marked = highest(values, sizes, group, 5)
    for number, (there, taken) in enumerate(each(group, values, marked)):
        assert taken.sum() == min(sizes[number], len(there))
        order = np.nan_to_num(there, nan=-np.inf)
        assert not taken.any() or taken.all() or order[taken].min() >= order[~taken].max()


def test_ties_are_broken_apart_by_their_salt() -> None:
    group, sizes = np.repeat(np.arange(500), 4), np.ones(500, dtype=np.int64)
    one, other = (highest(np.zeros(2000), sizes, group, salt) for salt in (1, 2))
    assert 0.15 < (one & other).sum() / 500 < 0.35
    assert (one == highest(np.zeros(2000), sizes, group, 1)).all()


@given(rows(3), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(drawn: Any, dice: Any) -> None:
    values, group = drawn
    order = list(range(len(group)))
    dice.shuffle(order)
    for (_, _, one), (_, _, other) in zip(
        agreements(values, group, GROUPS), agreements(values[order], group[order], GROUPS),
        strict=True,
    ):  # fmt: skip
        same(one, other)


@given(rows(2))
def test_a_monotone_transform_changes_no_order(drawn: Any) -> None:
    values, group = drawn
    for (_, _, one), (_, _, other) in zip(
        agreements(values, group, GROUPS), agreements(np.exp(values) * 3, group, GROUPS),
        strict=True,
    ):  # fmt: skip
        same(one, other)


def interval_by_loop(parts: np.ndarray, wholes: np.ndarray) -> tuple[float, float]:
    """Draw questions with replacement, again and again."""
    used = np.flatnonzero((parts != 0) | (wholes != 0))
    draw = np.random.default_rng(20250928)
    drawn = []
    for _ in range(2000):
        these = used[draw.integers(0, len(used), len(used))]
        drawn.append(parts[these].sum() / wholes[these].sum())
    return sorted(drawn)[50], sorted(drawn)[-51]


def test_an_interval_is_the_bootstraps_over_questions() -> None:
    draw = np.random.default_rng(3)
    parts, wholes = draw.normal(2, 1, 40), draw.integers(1, 5, 40).astype(float)
    [got] = ratios(parts[:, None], wholes[:, None])
    assert got.value == pytest.approx(parts.sum() / wholes.sum())
    assert (got.low, got.high) == pytest.approx(interval_by_loop(parts, wholes))
    assert got.questions == 40
    values = np.where(draw.random(40) < 0.3, np.nan, parts)
    [got] = means(values[:, None])
    there = ~np.isnan(values)
    wanted = interval_by_loop(np.where(there, values, 0), there.astype(float))
    assert (got.low, got.high) == pytest.approx(wanted)
    assert got.questions == there.sum()


def test_columns_are_estimated_alike_alone_and_together() -> None:
    values = np.random.default_rng(4).normal(size=(50, 3))
    together = means(values)
    for column, estimate in enumerate(together):
        [alone] = means(values[:, [column]])
        assert (alone.value, alone.low, alone.high) == pytest.approx(
            (estimate.value, estimate.low, estimate.high)
        )


@pytest.mark.parametrize("questions", [3_000, 4_096, 30_000])
def test_many_questions_give_the_interval_that_theory_gives(questions: int) -> None:
    values = np.random.default_rng(5).exponential(size=questions)
    [got] = means(values[:, None])
    assert got.low is not None
    assert got.high is not None
    error = 1.96 * values.std() / np.sqrt(questions)
    assert got.value == pytest.approx(values.mean())
    assert (got.high - got.low) / 2 == pytest.approx(error, rel=0.08)


def test_too_few_questions_tell_nothing() -> None:
    values = np.arange(FEWEST - 1.0)[:, None]
    assert means(values) == [Estimate(None, None, None, FEWEST - 1)]
    assert means(values, fewest=1)[0].value == pytest.approx(3.0)
    assert means(np.full((9, 1), np.nan), fewest=1) == [Estimate(None, None, None, 0)]
    assert means(np.zeros((0, 1)), fewest=1) == [Estimate(None, None, None, 0)]
    assert means(np.arange(float(FEWEST))[:, None])[0].value == pytest.approx(3.5)


def test_a_difference_is_paired() -> None:
    draw = np.random.default_rng(6)
    hard = draw.normal(0, 10, 60)[:, None]  # a question's difficulty moves both
    one, other = hard + 0.5 + draw.normal(0, 0.1, (60, 1)), hard + draw.normal(0, 0.1, (60, 1))
    ones = np.ones((60, 1))
    [got] = differences(one, ones, other, ones)
    assert got.value == pytest.approx(float((one - other).mean()))
    assert got.beside(0) is True
    assert got.low == pytest.approx(0.5, abs=0.1)
    missing = np.where(np.arange(60)[:, None] < 30, 1.0, 0.0)
    [half] = differences(one * missing, missing, other, ones)
    assert half.questions == 30
    assert half.value == pytest.approx(float((one - other)[:30].mean()))
    [none] = differences(one * missing, missing, other * (1 - missing), 1 - missing)
    assert none == Estimate(None, None, None, 0)
    assert none.beside(0) is None
