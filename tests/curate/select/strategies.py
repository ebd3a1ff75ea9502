"""Random tables and options for `select`, and every arm there is, with what it may name."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
from hypothesis import strategies as st

from curate.select.arms import ARMS, Arm
from curate.select.options import SelectOptions
from curate.select.orders import Combined, Draw, RankFusion

SCHEMA: Final[dict[str, Any]] = {
    "sample_id": pl.String,
    "question_id": pl.String,
    "live": pl.Boolean,
    "live_correct": pl.Boolean,
    "nonempty": pl.Boolean,
    "live_without_diversity": pl.Boolean,
    "tokens": pl.Int32,
    "cluster": pl.Int32,
    "rd_masked": pl.Float64,
    "rd_spread": pl.Float64,
    "nll_rationale": pl.Float64,
}
OPERANDS: Final[Mapping[str, Sequence[str]]] = {
    "": ("",),
    "COLUMN": ("nll_rationale", "rd_masked", "tokens"),
    "COLUMN=VALUE": ("cluster=1", "sample_id=03", "cluster=0,question_id=a"),
    "FILTER": ("diversity",),
}
"""What the tables have of each thing that an arm may name behind its colon."""

ALL_ARMS: Final = tuple(Arm(kind, name) for kind in ARMS for name in OPERANDS[kind.operand])

COLUMNS: Final = ("rd_masked", "-rd_masked", "nll_rationale", "-tokens", "tokens")
FUSIONS: Final = st.builds(
    RankFusion,
    keys=st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=3).map(tuple),
    k=st.sampled_from([0.0, 1.0, 60.0]),
)
DRAWS: Final = st.builds(Draw, weights=st.sampled_from(COLUMNS).map("2^-rank({})".format))
KEYS: Final = st.one_of(
    st.sampled_from(COLUMNS),
    FUSIONS.map(lambda order: Combined(rank_fusion=order)),
    DRAWS.map(lambda order: Combined(draw=order)),
)
"""Keys of an order, of every kind."""
OPTIONS: Final = st.builds(
    SelectOptions,
    per_question=st.none() | st.integers(1, 3),
    one_per=st.sampled_from([None, "cluster"]),
    order_by=st.lists(KEYS, max_size=3, unique=True).map(tuple),
    seed=st.integers(0, 3),
)


@st.composite
def tables(draw: st.DrawFn, prefix: str = "") -> pl.DataFrame:
    """Draw a narrow table: up to six questions, samples at every stage, scores that lack or tie."""
    scores = st.none() | st.floats(0.25, 4) | st.sampled_from([0.5, 0.51, 0.52, math.nan])
    rows: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 24))):
        stage = draw(st.integers(0, 3))
        rows.append({
            "sample_id": f"{prefix}{number:02}",
            "question_id": prefix + draw(st.sampled_from("abcdef")),
            "live": stage == 3,
            "live_correct": stage >= 2,
            "nonempty": stage >= 1,
            "live_without_diversity": stage == 3 or (stage == 2 and draw(st.booleans())),
            "tokens": draw(st.none() | st.integers(0, 90)),
            "cluster": draw(st.none() | st.integers(0, 2)),
            "rd_masked": draw(scores),
            "rd_spread": draw(st.none() | st.sampled_from([0.0, 0.02, 0.3])),
            "nll_rationale": draw(scores),
        })  # fmt: skip
    return pl.DataFrame(rows, schema=SCHEMA)
