"""The band of Rationale Difficulty: what a person may write, and the laws with quantiles."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from filters.rationale_difficulty import RationaleDifficulty
from tests.filters.test_golden import frame_of

SCORES = st.lists(st.none() | st.floats(0.01, 9), min_size=1, max_size=12)


def judged(filter_: RationaleDifficulty, scores: list[float | None]) -> list[dict[str, Any]]:
    rows = [{"rd_masked": score, "student_follows": True} for score in scores]
    return filter_.judge(frame_of(filter_, rows)).to_dicts()


def test_without_a_limit_the_rationale_must_help() -> None:
    assert RationaleDifficulty.model_validate({}).max == 1.0
    assert RationaleDifficulty(max_quantile=0.3).max is None


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max": 0.5, "min": 0.6}, "min 0.6 is above max 0.5"),
        ({"max_quantile": 0.2, "min_quantile": 0.6}, "min_quantile 0.6 is above max_quantile 0.2"),
        ({"max": 0.0}, "greater than 0"),
        ({"max_quantile": 30}, "less than or equal to 1"),
    ],
)
def test_a_band_nothing_can_pass_is_refused(limits: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RationaleDifficulty.model_validate(limits)


@given(scores=SCORES, share=st.floats(0, 1))
def test_a_low_quantile_keeps_the_easiest_and_nothing_above_what_it_drops(
    scores: list[float | None], share: float
) -> None:
    verdicts = judged(RationaleDifficulty(max_quantile=share), scores)
    kept = [v["score"] for v in verdicts if v["keep"]]
    dropped = [v["score"] for v in verdicts if v["keep"] is False]
    known = [score for score in scores if score is not None]
    assert len(kept) + len(dropped) == len(known)
    if known:
        assert min(known) in kept
        assert all(low < high for low in kept for high in dropped)


@given(scores=SCORES)
def test_quantiles_of_zero_and_one_keep_the_extremes_alone(scores: list[float | None]) -> None:
    known = [score for score in scores if score is not None]
    for filter_, extreme in (
        (RationaleDifficulty(max_quantile=0), min),
        (RationaleDifficulty(min_quantile=1), max),
    ):
        kept = {v["score"] for v in judged(filter_, scores) if v["keep"]}
        assert kept == ({extreme(known)} if known else set())
