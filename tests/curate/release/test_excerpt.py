"""What a card shows of the rows does not depend on how the table was cut, and loses nobody."""

from typing import Any

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from curate.release.excerpt import SHOWN, Excerpt
from filters.columns import GLOSSARY

REASONS = [("completeness", "cut_off"), ("completeness", "empty"), ("correctness", "wrong_answer"),
           ("length", "too_long")]  # fmt: skip


def table(draws: list[int], values: list[float | None]) -> pl.DataFrame:
    """Rows that are kept where the draw is 0, else stopped for a reason."""
    rows: list[dict[str, Any]] = []
    rank = 0
    for number, (draw, value) in enumerate(zip(draws, values, strict=True)):
        by, reason = REASONS[draw - 1] if draw else (None, None)
        rank += draw == 0
        rows.append(
            {"sample_id": f"s{number:03d}", "question": "How many?", "rationale": f"So {number}.",
             "answer": "3", "gold": "3", "teacher": None, "selected": draw == 0, "live": draw == 0,
             "selection_rank": rank if draw == 0 else None, "rejected_by": by,
             "rejected_reason": reason, "rd_masked": value, "rationale_tokens": number}
        )  # fmt: skip
    kinds = {"teacher": pl.String(), "selection_rank": pl.Int64(), "rejected_by": pl.String(),
             "rejected_reason": pl.String(), "rd_masked": pl.Float64()}  # fmt: skip
    return pl.DataFrame(rows, schema_overrides=kinds)


def excerpt(frame: pl.DataFrame, size: int) -> Excerpt:
    made = Excerpt(GLOSSARY)
    for start in range(0, frame.height, size):
        made.add(frame.slice(start, size))
    return made


drawn = st.lists(
    st.tuples(st.integers(0, 4), st.none() | st.floats(0, 5, allow_nan=False)),
    min_size=1, max_size=60,
)  # fmt: skip


@given(rows=drawn, size=st.integers(1, 60))
def test_any_cutting_shows_the_same(rows: list[tuple[int, float | None]], size: int) -> None:
    frame = table([draw for draw, _ in rows], [value for _, value in rows])
    whole, parts = excerpt(frame, 60), excerpt(frame, size)
    assert whole.kept == parts.kept
    assert whole.stopped == parts.stopped
    assert whole.histograms() == parts.histograms()


@given(rows=drawn)
def test_what_is_shown_is_the_best_and_the_most_frequent(
    rows: list[tuple[int, float | None]],
) -> None:
    frame = table([draw for draw, _ in rows], [value for _, value in rows])
    made = excerpt(frame, 7)
    ranks = [row["selection_rank"] for row in made.kept]
    assert ranks == list(range(1, min(SHOWN, frame.filter("selected").height) + 1))
    counts = frame.drop_nulls("rejected_by")["rejected_reason"].value_counts()["count"].to_list()
    reasons = [row["rejected_reason"] for row in made.stopped]
    assert len(set(reasons)) == len(reasons) == min(SHOWN, len(counts))
    of = dict(frame.drop_nulls("rejected_by")["rejected_reason"].value_counts().iter_rows())
    assert [of[reason] for reason in reasons] == sorted(counts, reverse=True)[: len(reasons)]
    for row in made.stopped:
        same = frame.filter(pl.col("rejected_reason") == row["rejected_reason"])
        assert row["sample_id"] == same["sample_id"].min()


@given(values=st.lists(st.floats(-5, 50, allow_nan=False), min_size=1, max_size=60))
def test_every_value_is_in_one_bin(values: list[float]) -> None:
    made = excerpt(table([0] * len(values), [*values]), 9)
    drawn = made.histograms()
    if len(set(values)) == 1:
        assert "rd_masked" not in drawn
        return
    bins = drawn["rd_masked"]
    assert sum(bin_.rows for bin_ in bins) == len(values)
    for bin_ in bins[1:-1]:
        inside = [v for v in values if bin_.low <= v < (bin_.high or np.inf)]
        assert bin_.rows == len(inside)
    assert max(len(bin_.bar) for bin_ in bins) == 30
