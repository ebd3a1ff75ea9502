"""Orders that are no single column's: rank fusion and weighted draws, trust and ties in both."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.select.options import Budget, SelectOptions
from curate.select.orders import Combined, Draw, RankFusion, order_of, turned
from curate.select.select import idle_keys, needed_columns, select
from tests.curate.select.strategies import FUSIONS, KEYS, OPTIONS, SCHEMA, tables

FUSED = {"rank_fusion": {"keys": ["rd_masked", "-tokens"], "k": 1}}
DRAWN = {"draw": {"weights": "2^-rank(nll_rationale)"}}


def options(*keys: Any, **more: Any) -> SelectOptions:
    return SelectOptions.model_validate({"order_by": keys, **more})


def question(*rows: dict[str, Any]) -> pl.DataFrame:
    """Build one question of live samples."""
    full = [{"sample_id": f"s{n}", "question_id": "q", "live": True, **row}
            for n, row in enumerate(rows)]  # fmt: skip
    return pl.DataFrame(full, schema=SCHEMA)


def ranks(rows: pl.DataFrame, *keys: Any) -> list[int]:
    return select(rows, options(*keys))["selection_rank"].to_list()


@given(tables(), FUSIONS, st.permutations(range(3)))
def test_the_order_of_fused_keys_is_nothing(
    rows: pl.DataFrame, fusion: RankFusion, order: Sequence[int]
) -> None:
    keys = tuple(fusion.keys[place] for place in order if place < len(fusion.keys))
    other = fusion.model_copy(update={"keys": keys})
    one, two = (
        select(rows, SelectOptions(order_by=(Combined(rank_fusion=each),)))
        for each in (fusion, other)
    )
    assert one.equals(two)


def test_a_fusion_of_one_column_is_the_order_of_that_column() -> None:
    rows = question(*({"tokens": n * 7 % 5} for n in range(5)))
    assert ranks(rows, {"rank_fusion": {"keys": ["-tokens"]}}) == ranks(rows, "-tokens")


def test_a_fusion_weighs_what_each_column_knows() -> None:
    rows = question(
        {"tokens": 1, "nll_rationale": 3.0},  # 1/2 + 1/4
        {"tokens": 2, "nll_rationale": None},  # 1/3
        {"tokens": 3, "nll_rationale": 1.0},  # 1/4 + 1/2, a tie with the first
        {"tokens": None, "nll_rationale": 2.0},  # 1/3, a tie with the second
        {"tokens": None, "nll_rationale": math.nan},  # nothing
    )
    fused = {"rank_fusion": {"keys": ["tokens", "nll_rationale"], "k": 1}}
    places = ranks(rows, fused)
    assert {places[0], places[2]} == {1, 2}
    assert {places[1], places[3]} == {3, 4}
    assert places[4] == 5
    assert ranks(rows, fused, "nll_rationale")[:4] == [2, 4, 1, 3], "the next key decides in ties"


@pytest.mark.parametrize("kind", ["rank_fusion", "draw"])
def test_a_score_that_is_not_trusted_adds_nothing(kind: str) -> None:
    rows = question(*({"rd_masked": 0.1 * n, "tokens": 9 - n} for n in range(1, 6)))
    rows = rows.with_columns(student_follows=pl.lit(value=False))
    if kind == "rank_fusion":
        key: Any = {"rank_fusion": {"keys": ["rd_masked", "tokens"]}}
        assert ranks(rows, key) == ranks(rows, "tokens") != ranks(rows.drop("student_follows"), key)
    else:
        key = {"draw": {"weights": "9^-rank(rd_masked)"}}
        assert ranks(rows, key) == ranks(rows) != ranks(rows.drop("student_follows"), key)
    notes = idle_keys(rows, options(key).order_by)
    assert list(notes) == [f"rd_masked in {order_of(options(key).order_by[0]).text}"]
    assert "cannot follow" in next(iter(notes.values()))


def test_siblings_within_the_spread_share_a_rank_in_a_fusion() -> None:
    rows = question(
        {"rd_masked": 0.50, "rd_spread": 0.3, "tokens": 9},
        {"rd_masked": 0.51, "rd_spread": 0.3, "tokens": 1},
        {"rd_masked": 0.90, "rd_spread": 0.1, "tokens": 2},
    )
    key = {"rank_fusion": {"keys": ["rd_masked", "tokens"], "k": 0}}
    # 1/1.5 + 1/3, 1/1.5 + 1/1, 1/3 + 1/2: the first two tie by RD, the tokens tell them apart
    assert ranks(rows, key) == [2, 1, 3]
    apart = rows.with_columns(rd_spread=pl.lit(0.0))
    # 1/1 + 1/3, 1/2 + 1/1, 1/3 + 1/2
    assert ranks(apart, {"rank_fusion": {"keys": ["rd_masked", "tokens"], "k": 0}}) == [2, 1, 3]
    assert ranks(rows, {"rank_fusion": {"keys": ["rd_masked"]}}, "tokens") == [2, 1, 3]
    assert ranks(apart, {"rank_fusion": {"keys": ["rd_masked"]}}, "tokens") == [1, 2, 3]


def inclusion(weights: Sequence[float], size: int) -> list[float]:
    """Give each item's chance to be among the first `size` of a sequential draw, exactly."""
    chances = [0.0] * len(weights)
    for order in itertools.permutations(range(len(weights)), size):
        chance, left = 1.0, math.fsum(weights)
        for item in order:
            chance *= weights[item] / left
            left -= weights[item]
        for item in order:
            chances[item] += chance
    return chances


DRAWS = 4000


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(("base", "down"), [(2, False), (3, False), (1.5, True)])
def test_a_draw_takes_each_as_often_as_its_weight_says(size: int, base: float, down: bool) -> None:
    """One table of many questions, each drawn by hashes of its own; two of the samples tie."""
    values = [1.0, 2.0, 2.0, 5.0]
    place = [1, 2.5, 2.5, 4] if not down else [4, 2.5, 2.5, 1]
    rows = pl.DataFrame({
        "sample_id": [f"{q}-{n}" for q in range(DRAWS) for n in range(4)],
        "question_id": [f"q{q}" for q in range(DRAWS) for _ in range(4)],
        "live": True,
        "tokens": 1,
        "rsr": values * DRAWS,
    })  # fmt: skip
    key = {"draw": {"weights": f"{base}^-rank({'-' if down else ''}rsr)"}}
    chosen = select(rows, options(key, per_question=size, seed=5))["selected"]
    taken = chosen.cast(pl.Int64).to_numpy().reshape(DRAWS, 4).mean(axis=0)
    for share, chance in zip(taken, inclusion([base**-r for r in place], size), strict=True):
        assert abs(share - chance) <= 4.5 * math.sqrt(chance * (1 - chance) / DRAWS) + 1e-9


def test_a_draw_is_another_with_another_seed_and_leaves_what_has_no_value() -> None:
    rows = question(*({"nll_rationale": float(n) if n < 8 else None} for n in range(12)))
    orders = {tuple(select(rows, options(DRAWN, seed=seed))["selection_rank"]) for seed in range(9)}
    assert len(orders) > 5
    assert all(max(order[:8]) == 8 for order in orders)
    plain = select(rows, options(seed=1))["selection_rank"]
    assert tuple(plain) not in orders


@given(tables(), OPTIONS, st.integers(1, 8), st.integers(0, 4))
def test_a_smaller_budget_is_contained_in_a_larger(
    rows: pl.DataFrame, within: SelectOptions, rows_taken: int, more: int
) -> None:
    less, most = (
        select(rows, within.model_copy(update={"budget": Budget(rows=number)}))
        for number in (rows_taken, rows_taken + more)
    )
    assert not (less["selected"] & ~most["selected"]).any()


@given(KEYS)
def test_a_key_is_written_down_and_read_back(key: Any) -> None:
    written = SelectOptions(order_by=(key,))
    assert SelectOptions.model_validate(written.model_dump(mode="json")) == written
    assert turned(turned(key)) == key
    assert order_of(key).slug.isidentifier()
    assert order_of(turned(key)).text != order_of(key).text
    assert set(needed_columns(written, [])) >= {name.removeprefix("-") for name in
                                                order_of(key).keys}  # fmt: skip


def test_what_is_written_down_names_one_kind() -> None:
    dumped = options(FUSED, DRAWN, "tokens").model_dump(mode="json")["order_by"]
    assert dumped == [FUSED, DRAWN, "tokens"]
    assert [order_of(key).text for key in options(FUSED, DRAWN, "-tokens").order_by] == [
        "rank_fusion(rd_masked, -tokens; k=1)", "draw(2^-rank(nll_rationale))", "-tokens",
    ]  # fmt: skip


def test_flags_order_too() -> None:
    rows = question({}, {}, {}).with_columns(states_gold=pl.Series([True, None, False]))
    assert ranks(rows, "states_gold") == [2, 3, 1]
    assert ranks(rows, "-states_gold") == [1, 3, 2]


@pytest.mark.parametrize(
    "weights",
    [
        "2^rank(rsr)", "2^-rsr", "1^-rank(rsr)", "0.5^-rank(rsr)", "2 ^ -rank(rsr)", "e^-rank(rsr)",
        "2^-rank(--rsr)", "2^-rank()", "2^-rank(rsr) ", "1e3^-rank(rsr)", "-2^-rank(rsr)",
        f"{'9' * 400}^-rank(rsr)", "2**-rank(rsr)", "2^-rank(rsr)+1", "",
    ],
)  # fmt: skip
def test_other_weights_are_refused(weights: str) -> None:
    with pytest.raises(ValidationError, match=r"wanted BASE\^-rank\(COLUMN\) with a number above"):
        Draw(weights=weights)


@pytest.mark.parametrize(
    "key",
    [
        {}, {**FUSED, **DRAWN}, {"rank_fusion": None}, {"rank_fusion": {"keys": []}},
        {"rank_fusion": {"keys": ["a"], "k": -1}}, {"rank_fusion": {"keys": ["a"], "k": math.nan}},
        {"ranks": {"keys": ["a"]}}, {"draw": {}}, 3, ["tokens"], None,
    ],
)  # fmt: skip
def test_what_is_no_order_is_refused(key: Any) -> None:
    with pytest.raises(ValidationError):
        options(key)
