"""Quotas hold exactly, or say by how much not; and what else `select` makes beside a selection."""

import math
import random
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.select.options import SelectOptions
from curate.select.quota import Quota, apportioned
from curate.select.select import quota_parts, select

Rows = Sequence[tuple[str, str | None, int]]


def table(rows: Rows) -> pl.DataFrame:
    """Make live rows of a question, a kind and a length each."""
    return pl.DataFrame(
        [
            {"sample_id": f"{number:08x}", "question_id": question, "kind": kind,
             "tokens": length, "live": True, "score": length / 7}
            for number, (question, kind, length) in enumerate(rows)
        ],
        schema={
            "sample_id": pl.String(), "question_id": pl.String(), "kind": pl.String(),
            "tokens": pl.Int32(), "live": pl.Boolean(), "score": pl.Float64(),
        },
    )  # fmt: skip


def options(**said: Any) -> SelectOptions:
    return SelectOptions.model_validate(said)


def counted(rows: pl.DataFrame, chosen: pl.DataFrame) -> dict[str | None, int]:
    return dict(rows.filter(chosen["selected"])["kind"].value_counts().iter_rows())


some_rows = st.lists(
    st.tuples(
        st.sampled_from("pqrstuv"), st.sampled_from(["a", "b", "c", None]), st.integers(1, 9)
    ),
    min_size=1,
    max_size=60,
)
ratios = st.dictionaries(st.sampled_from("abcd"), st.floats(0.05, 20), min_size=1)


@given(ratios, st.integers(0, 500))
def test_all_rows_are_apportioned_and_none_is_off_by_a_row(
    ratio: dict[str, float], rows: int
) -> None:
    sizes = apportioned(ratio, rows)
    assert sum(sizes.values()) == rows
    for value, part in ratio.items():
        assert abs(sizes[value] - rows * part / sum(ratio.values())) < 1


def test_equal_remainders_go_by_the_alphabet() -> None:
    assert apportioned({"b": 1, "a": 1, "c": 1}, 4) == {"a": 2, "b": 1, "c": 1}
    assert apportioned(
        {"a": 0.47, "b": 0.16, "c": 0.158, "d": 0.12, "e": 0.061, "f": 0.031}, 100
    ) == {"a": 47, "b": 16, "c": 16, "d": 12, "e": 6, "f": 3}


@given(some_rows, ratios, st.integers(1, 40), st.sampled_from([None, 1, 2]))
def test_a_quota_is_held_or_says_what_it_lacks(
    rows: Rows, ratio: dict[str, float], budget: int, most: int | None
) -> None:
    said = {"quota": {"by": "kind", "ratio": ratio}, "budget": {"rows": budget}}
    if most is not None:
        said["per_question"] = most
    pool, wanted = table(rows), options(**said)
    chosen = select(pool, wanted)
    free = counted(pool, select(pool, wanted.model_copy(update={"quota": None, "budget": None})))
    sizes, got = apportioned(ratio, budget), counted(pool, chosen)
    assert got.keys() <= ratio.keys()
    for part in quota_parts(pool, chosen, wanted):
        assert part.wanted == sizes[part.value]
        assert part.taken == got.get(part.value, 0) == min(part.wanted, free.get(part.value, 0))
        assert ("short" in str(part)) == (part.taken < part.wanted)


@given(some_rows, ratios)
def test_without_a_budget_as_many_are_taken_as_the_ratio_allows(
    rows: Rows, ratio: dict[str, float]
) -> None:
    pool, wanted = table(rows), options(quota={"by": "kind", "ratio": ratio})
    chosen = select(pool, wanted)
    got = counted(pool, chosen)
    total, free = sum(got.values()), counted(pool, pl.DataFrame({"selected": [True] * len(rows)}))
    sizes = apportioned(ratio, total)
    assert {value: size for value, size in sizes.items() if size} == got
    assert all(
        not part.wanted - part.taken for part in quota_parts(pool, select(pool, wanted), wanted)
    )
    for more in range(total + 1, total + 5):
        assert any(n > free.get(value, 0) for value, n in apportioned(ratio, more).items())


@given(some_rows, st.randoms(use_true_random=False))
def test_a_quota_does_not_depend_on_the_order_of_rows(rows: Rows, chance: random.Random) -> None:
    pool = table(rows)
    shuffled = pool.sample(fraction=1, shuffle=True, seed=chance.randint(0, 99))
    said = options(quota={"by": "kind", "ratio": "uniform"}, budget={"rows": 9})
    first, again = select(pool, said), select(shuffled, said)
    assert set(first.filter("selected")["sample_id"]) == set(again.filter("selected")["sample_id"])


def test_a_small_part_leaves_room_for_remainders() -> None:
    rows: Rows = [(f"q{n}", "a", 1) for n in range(1000)] + [("z", "b", 1)]
    pool, said = table(rows), options(quota={"by": "kind", "ratio": {"a": 99, "b": 1}})
    assert counted(pool, select(pool, said)) == {"a": 149, "b": 1}


def test_a_value_that_no_row_has_is_said() -> None:
    pool = table([("p", "a", 1), ("q", "a", 1)])
    said = options(quota={"by": "kind", "ratio": {"a": 1, "typo": 1}})
    parts = quota_parts(pool, select(pool, said), said)
    assert str(parts[-1]) == "typo 0 of 0, and no live row has it"


def test_the_best_of_each_value_are_taken() -> None:
    pool = table([(f"q{n}", "ab"[n % 2], n) for n in range(20)])
    said = options(
        quota={"by": "kind", "count": {"a": 3, "b": 1}}, questions_by=["-score"],
    )  # fmt: skip
    taken = pool.filter(select(pool, said)["selected"])
    assert sorted(taken["tokens"]) == [14, 16, 18, 19]


def test_bands_of_numbers() -> None:
    pool = table([(f"q{n}", None, n) for n in (1, 199, 200, 599, 600, 2000)])
    quota = Quota(by="tokens", count={"200..600": 5, "600..": 1}, cuts=(200, 600))
    assert quota.bands == ["..200", "200..600", "600.."]
    labels = pool.select(quota.groups(pl.col("tokens"))).to_series().to_list()
    assert labels == ["..200", "..200", "200..600", "200..600", "600..", "600.."]
    said = options(quota=quota)
    parts = quota_parts(pool, select(pool, said), said)
    assert [str(part) for part in parts] == ["200..600 2 of 5 (3 short)", "600.. 1 of 1"]
    assert (
        pl.DataFrame({"x": [None, math.nan]})
        .select(quota.groups(pl.col("x")))["literal"]
        .null_count()
        == 2
    )


def test_tokens_are_divided_too() -> None:
    pool = table([(f"q{n}", "ab"[n % 2], 10) for n in range(40)])
    said = options(quota={"by": "kind", "ratio": {"a": 3, "b": 1}}, budget={"tokens": 80})
    assert counted(pool, select(pool, said)) == {"a": 6, "b": 2}


def test_questions_come_in_the_order_asked_for() -> None:
    pool = table([(f"q{n}", "a", n) for n in range(9)] + [("q0", "a", 50)])
    said = options(questions_by=["-tokens"], order_by=["-tokens"], budget={"rows": 3})
    chosen = select(pool, said)
    assert sorted(pool.filter(chosen["selected"])["tokens"]) == [7, 8, 50]
    drawn = options(
        questions_by=[{"draw": {"weights": "2^-rank(-tokens)"}}], budget={"rows": 3}, seed=5
    )
    first, more = (
        select(pool, drawn.model_copy(update={"budget": options(budget={"rows": n}).budget}))
        for n in (3, 6)
    )
    assert set(first.filter("selected")["sample_id"]) <= set(more.filter("selected")["sample_id"])


def test_a_curriculum_has_stages_of_equal_size_of_the_selection_alone() -> None:
    pool = table([(f"q{n}", "a", n) for n in range(10)] + [("q3", "a", 99)])
    chosen = select(pool, options(per_question=1, order_by=["tokens"],
                                  stages={"by": ["tokens"], "count": 4}))  # fmt: skip
    joined = pool.hstack(chosen.select("selected", "stage"))
    assert joined.filter(~pl.col("selected"))["stage"].to_list() == [None]
    staged = joined.filter("selected").sort("tokens")["stage"].to_list()
    assert staged == [1, 1, 1, 2, 2, 3, 3, 3, 4, 4]


def test_a_weight_is_an_expression_of_columns() -> None:
    pool = table([("p", "a", 0), ("q", "a", 7)])
    chosen = select(pool, options(weight="exp(-score) + 1 / tokens"))
    assert chosen["weight"].to_list() == [None, pytest.approx(math.exp(-1) + 1 / 7)]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"quota": {"by": "kind"}}, "name one of the two: ratio"),
        ({"quota": {"by": "kind", "ratio": {"a": 0}}}, "wanted a number above 0 for each value"),
        ({"quota": {"by": "kind", "ratio": {}}}, "wanted a number above 0 for each value"),
        ({"quota": {"by": "kind", "count": {"a": 1}, "ratio": "uniform"}}, "name one of the two"),
        (
            {"quota": {"by": "n", "count": {"x": 1}, "cuts": [3]}},
            "no band is called 'x'",
        ),
        ({"quota": {"by": "n", "ratio": "uniform", "cuts": [3, 2]}}, "wanted them rising"),
        (
            {"quota": {"by": "kind", "count": {"a": 3}}, "budget": {"rows": 2}},
            "quota.count says how many rows there are to be, and so does the budget",
        ),
        ({"weight": "exp(-"}, "is no expression of columns"),
        ({"weight": "1 + 2"}, "reads no column, so all rows would weigh the same"),
        ({"stages": {"by": []}}, "at least 1 item"),
    ],
)
def test_what_makes_no_sense_is_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        options(**said)


def test_digests_of_older_recipes_know_nothing_of_it() -> None:
    assert set(SelectOptions().model_dump()) == {
        "budget", "per_question", "one_per", "order_by", "seed"
    }  # fmt: skip
