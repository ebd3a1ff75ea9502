"""Consistency: what may be configured, and the rate itself."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from filters.consistency import Consistency

VERDICT = pl.Struct({"keep": pl.Boolean})


def test_a_band_that_keeps_nothing_is_refused():
    with pytest.raises(ValidationError, match=r"min 0\.9 is above max 0\.1"):
        Consistency(min=0.9, max=0.1)
    with pytest.raises(ValidationError):
        Consistency(max=1.5)


@given(st.lists(st.none() | st.booleans(), min_size=1, max_size=12), st.floats(0, 1))
def test_the_rate_is_the_share_of_the_judged(keeps: list[bool | None], lowest: float):
    frame = pl.DataFrame(
        {"question_id": ["q"] * len(keeps), "verdict_strict": [{"keep": k} for k in keeps]},
        schema_overrides={"verdict_strict": VERDICT},
    )
    judged = [keep for keep in keeps if keep is not None]
    for verdict in Consistency(of="strict", min=lowest).judge(frame).to_dicts():
        if judged:
            rate = sum(judged) / len(judged)
            assert verdict["score"] == pytest.approx(rate)
            assert verdict["keep"] is (rate >= lowest)
        else:
            assert (verdict["keep"], verdict["reason"]) == (None, "too_few_judged")
        assert verdict["evidence"]["counted"] == len(judged)
