"""Sweeps: an arm is the selection under another order and budget; a table says what it holds."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.select.options import Budget, SelectOptions
from curate.select.orders import Key, turned
from curate.select.select import select
from curate.select.sweep import Outcome, Sweep, outcomes
from tests.curate.select.strategies import KEYS, OPTIONS, SCHEMA, tables

BUDGETS = st.sampled_from([Budget(rows=2), Budget(rows=5), Budget(share=0.5), Budget(tokens=60)])


def sweep(**section: Any) -> Sweep:
    return Sweep.model_validate(section)


@given(tables(), OPTIONS, KEYS, st.none() | BUDGETS, st.sampled_from(["lowest", "highest"]))
def test_an_arm_is_what_the_selection_would_be(
    rows: pl.DataFrame, within: SelectOptions, key: Key, budget: Budget | None, direction: Any
) -> None:
    if isinstance(key, str):
        key = key.removeprefix("-")
    within = within.model_copy(update={"budget": Budget(rows=4)})
    made = Sweep(order_by=(key,), budget=(budget,) if budget else (), direction=(direction,))
    (point,) = made.points
    chosen = select(rows, within, [point.arm])
    own = {"order_by": (key if direction == "lowest" else turned(key),)}
    own |= {"budget": budget} if budget else {}
    assert chosen[point.arm.column].equals(
        select(rows, within.model_copy(update=own))["selected"].alias(point.arm.column)
    )


@given(tables(), OPTIONS, KEYS.filter(lambda key: not str(key).startswith("-")))
def test_smaller_budgets_are_contained_in_larger(
    rows: pl.DataFrame, within: SelectOptions, key: Key
) -> None:
    points = sweep(order_by=[key], budget=[{"rows": 2}, {"rows": 6}]).points
    less, more = (select(rows, within, [p.arm])[p.arm.column] for p in points)
    assert not (less & ~more).any()


def test_every_combination_has_a_name_that_columns_can_have() -> None:
    fusion = {"rank_fusion": {"keys": ["rd_masked", "-rsr"]}}
    long = {"rank_fusion": {"keys": [f"{name}_{n}" for n in range(9) for name in ("nll", "rsr")]}}
    made = sweep(
        order_by=["rsr", fusion, long, {"draw": {"weights": "1.5^-rank(rsr)"}}],
        budget=[{"rows": 500}, {"share": 0.1}, {"tokens": 20000}],
        direction=["lowest", "highest"],
    )
    names = [point.arm.name for point in made.points]
    assert len(names) == len(set(names)) == 24
    assert all(name.isidentifier() and len(name) < 120 for name in names)
    assert names[:4] == [
        "sweep_rsr_lowest_500", "sweep_rsr_lowest_share_0_1", "sweep_rsr_lowest_20000_tokens",
        "sweep_rsr_highest_500",
    ]  # fmt: skip
    assert names[6] == "sweep_rank_fusion_rd_masked_minus_rsr_lowest_500"
    assert names[-1] == "sweep_draw_1_5_rsr_highest_20000_tokens"
    assert [p.arm.name for p in sweep(order_by=["rsr"]).points] == ["sweep_rsr_lowest"]


def test_the_table_says_what_an_arm_holds() -> None:
    rows = [
        ("a0", "a", True, 1.0, 0.25, True),
        ("a1", "a", True, 2.0, 1.0, False),
        ("a2", "a", False, 0.0, 0.1, True),
        ("b0", "b", True, 4.0, None, None),
        ("b1", "b", True, None, 4.0, True),
    ]
    names = ["sample_id", "question_id", "live", "nll_rationale", "rd_masked", "answer_right"]
    types = {name: SCHEMA.get(name, pl.Boolean) for name in names}
    table = pl.DataFrame(rows, schema=types, orient="row").with_columns(tokens=pl.lit(3))
    points = sweep(order_by=["nll_rationale", "rd_masked"], direction=["lowest", "highest"]).points
    options = SelectOptions(per_question=1, order_by=("nll_rationale",))
    chosen = select(table, options, [point.arm for point in points])
    low, high, easy, hard = outcomes(points, table, chosen)
    assert low == Outcome(right=1.0, mean=2.5, overlap=1.0)  # a0 and b0, of which nobody judged
    assert high == Outcome(right=0.0, mean=3.0, overlap=0.5)  # a1 and b0
    assert easy.mean == pytest.approx(1.0), "the geometric mean of a ratio"  # a0 and b1
    assert (easy.right, easy.overlap) == (1.0, 0.5)
    assert hard.mean == pytest.approx(2.0)  # a1 and b1
    none = outcomes(points, table.clear(), chosen.clear())
    assert none == (Outcome(None, None, None),) * 4


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"order_by": ["-rsr"]}, r"got '-rsr' in order_by; name 'rsr' there"),
        ({"order_by": ["rsr", "rsr"]}, "two of its arms are called 'sweep_rsr_lowest'"),
        ({"order_by": []}, "at least 1 item"),
        ({"order_by": ["rsr"], "direction": []}, "at least 1 item"),
        ({"order_by": ["rsr"], "direction": ["up"]}, "'lowest' or 'highest'"),
        ({"order_by": ["rsr"], "budget": [{"rows": 3, "share": 0.5}]}, "exactly one of"),
        ({"order_by": ["rsr"], "budgets": []}, "not permitted"),
        ({"order_by": [f"c{n}" for n in range(101)]}, "these are 101 arms, and a sweep has at"),
        ({}, "required"),
    ],
)
def test_a_sweep_that_is_none_is_refused(section: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        sweep(**section)
