"""Batches: as many tokens in as many updates, whatever the rows are like."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from curate.engine.effect.schedule import lay_out, regroup

rows = st.lists(st.integers(1, 300), min_size=1, max_size=60)


@given(rows, st.integers(1, 40), st.integers(0, 5), st.integers(1, 200))
def test_all_is_within_half_a_row_of_what_is_wanted(
    sizes: list[int], batches: int, seed: int, mean: int
) -> None:
    total = batches * (max(sizes) + mean)
    laid = lay_out(sizes, batches, total, seed)
    assert len(laid) == batches
    assert all(laid)
    sums = [sum(sizes[row] for row in batch) for batch in laid]
    assert abs(sum(sums) - total) <= max(sizes) / 2
    assert all(abs(one - total / batches) <= max(sizes) for one in sums)


@given(rows, st.integers(1, 10), st.integers(0, 5))
def test_no_row_comes_twice_before_every_other_came_once(
    sizes: list[int], batches: int, seed: int
) -> None:
    laid = lay_out(sizes, batches, batches * 2 * max(sizes), seed)
    stream = [row for batch in laid for row in batch]
    for start in range(0, len(stream) - len(sizes) + 1, len(sizes)):
        assert Counter(stream[start : start + len(sizes)]) == Counter(range(len(sizes)))
    assert (
        max(Counter(stream).values()) - min(Counter(stream).get(r, 0) for r in range(len(sizes)))
        <= 1
    )


@given(rows, st.integers(1, 6), st.integers(1, 5), st.integers(0, 5))
def test_rows_of_like_length_stand_together_and_stay_in_their_update(
    sizes: list[int], updates: int, parts: int, seed: int
) -> None:
    laid = lay_out(sizes, updates * parts, updates * parts * 2 * max(sizes), seed)
    grouped = regroup(laid, parts, sizes)
    assert len(grouped) == len(laid)
    assert all(grouped)
    for start in range(0, len(laid), parts):
        before, after = (
            [row for batch in batches[start : start + parts] for row in batch]
            for batches in (laid, grouped)
        )
        assert sorted(before) == sorted(after)
        assert [sizes[row] for row in after] == sorted(sizes[row] for row in before)


def test_another_seed_is_another_order() -> None:
    assert lay_out([5] * 40, 4, 400, 1) != lay_out([5] * 40, 4, 400, 2)
    assert lay_out([5] * 40, 4, 400, 1) == lay_out([5] * 40, 4, 400, 1)
