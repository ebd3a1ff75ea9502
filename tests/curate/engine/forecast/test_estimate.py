"""Intervals of a probe against the truth: recorded pools, of which 32 questions are looked at."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.engine.forecast.estimate import WIDEST, predict
from tests.bench.probes import Probe, covered, judged_pools, probes, varying


@pytest.mark.data
def test_four_of_five_intervals_hold_the_truth(data: Path, tmp_path: Path) -> None:
    everything: list[Probe] = []
    for pool, table in judged_pools(data, tmp_path).items():
        here = [
            one for name in varying(table) for one in probes(table[name], 17) if one.reach <= WIDEST
        ]
        assert 0.72 <= covered(here) <= 0.90, pool
        everything += here
    assert 0.72 <= covered(everything) <= 0.90


@given(st.lists(st.integers(0, 8), min_size=1, max_size=40), st.integers(0, 500))
def test_an_interval_is_ordered_and_no_less_than_what_was_seen(seen: list[int], more: int) -> None:
    interval = predict(seen, len(seen) + more)
    assert sum(seen) <= interval.low <= interval.middle <= interval.high
    assert interval == predict(seen, len(seen) + more), "the same at every time"
    if not more:
        assert interval.low == interval.high == sum(seen)


def test_what_was_never_seen_to_happen_may() -> None:
    interval = predict([4.0] * 32, 1_000)
    assert interval.low < 4_000 <= interval.high
    assert interval.is_narrow


def test_what_most_questions_lack_is_not_told() -> None:
    assert not predict([0.0] * 31 + [4.0], 1_000).is_narrow
    nothing = predict([0.0] * 32, 1_000, most=4)
    assert not nothing.is_narrow
    assert nothing.low >= 0
    assert nothing.high > 0, "none was seen, which does not say that there is none"


def test_more_questions_tell_more() -> None:
    draws = np.random.default_rng(3)
    values = draws.integers(0, 5, 2_000).astype(float)
    few, many = predict(values[:32].tolist(), 2_000), predict(values[:512].tolist(), 2_000)
    assert many.high - many.low < (few.high - few.low) / 2
    assert many.low <= values.sum() <= many.high


def test_more_questions_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2 questions"):
        predict([1.0, 2.0, 3.0], 2)
