"""Ranking: questions do not meddle, a plain loop agrees, ties, limits, and what is refused."""

import math
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.errors import InputError
from curate.select.arms import Arm
from curate.select.options import Budget, SelectOptions
from curate.select.orders import RankFusion, columns_of
from curate.select.ranking import may_be_taken
from curate.select.select import choice_share, idle_keys, needed_columns, select
from curate.store.keys import rank
from tests.curate.select.strategies import ALL_ARMS, OPTIONS, SCHEMA, tables


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    """Build the narrow table; what a row does not say is live and unmeasured."""
    usual = {"live": True, "live_correct": True, "nonempty": True, "live_without_diversity": True}
    full = [
        {**usual, "sample_id": f"s{i}", "question_id": "q", **row} for i, row in enumerate(rows)
    ]
    return pl.DataFrame(full, schema=SCHEMA)


def ids(chosen: pl.DataFrame, column: str = "selected") -> set[str]:
    return set(chosen.filter(pl.col(column))["sample_id"])


@given(tables(), tables(prefix="x"), OPTIONS)
def test_unrelated_questions_shift_nobody(
    rows: pl.DataFrame, others: pl.DataFrame, options: SelectOptions
) -> None:
    def orders(frame: pl.DataFrame) -> dict[str, list[str]]:
        ranked = select(frame, options).drop_nulls("selection_rank").sort("selection_rank")
        parts = ranked.partition_by("question_id", as_dict=True).items()
        return {str(key): part["sample_id"].to_list() for (key,), part in parts}

    alone, together = orders(rows), orders(pl.concat([others, rows]))
    assert alone == {key: together[key] for key in alone}


@given(tables(), OPTIONS, st.integers(1, 12))
def test_a_question_gives_no_more_than_it_may(
    rows: pl.DataFrame, options: SelectOptions, budget: int
) -> None:
    chosen = select(rows, options.model_copy(update={"budget": Budget(rows=budget)}))
    if options.one_per:
        groups = rows.filter(chosen["selected"]).drop_nulls("cluster")
        assert not groups.select("question_id", "cluster").is_duplicated().any()
    if options.per_question:
        counts = chosen.group_by("question_id").agg(pl.col("selected").sum())
        assert (counts["selected"] <= options.per_question).all()


@given(tables(), st.integers(0, 3))
def test_lowest_takes_what_ordering_by_its_column_takes(rows: pl.DataFrame, seed: int) -> None:
    rows = rows.with_columns(nll_rationale=pl.int_range(pl.len()) * 1.0)
    options = SelectOptions(budget=Budget(rows=5), order_by=("nll_rationale",), seed=seed)
    chosen = select(rows, options, [Arm.parse("lowest:nll_rationale")])
    assert ids(chosen, "arm_lowest_nll_rationale") == ids(chosen)


@given(tables(), OPTIONS)
def test_ranking_agrees_with_a_plain_loop(rows: pl.DataFrame, options: SelectOptions) -> None:
    keys = tuple(
        key
        for key in options.order_by
        if isinstance(key, str) or key.rank_fusion
        if "rd_masked" not in columns_of(key)
    )
    options = options.model_copy(update={"order_by": keys})
    chosen = select(rows, options).drop_nulls("selection_rank").sort("selection_rank")
    assert chosen["sample_id"].to_list() == [
        row["sample_id"] for row in plain_ranking(rows, options)
    ]


def plain_ranking(rows: pl.DataFrame, options: SelectOptions) -> list[dict[str, Any]]:
    """Rank as the documentation says it, with no thought for speed."""

    def order(row: dict[str, Any], siblings: list[dict[str, Any]]) -> tuple[Any, ...]:
        parts: list[Any] = []
        for key in options.order_by:
            if isinstance(key, str):
                value = signed(row, key)
            else:
                assert key.rank_fusion
                total = plain_fusion(row, siblings, key.rank_fusion)
                value = -total if total else math.inf
            parts.append(value)
        return (*parts, rank(options.seed, "selected", row["sample_id"]))

    rounds: list[tuple[Any, ...]] = []
    live = [row for row in rows.to_dicts() if row["live"]]
    for question in {row["question_id"] for row in live}:
        whole = [row for row in live if row["question_id"] == question]
        siblings = sorted(whole, key=lambda row, whole=whole: order(row, whole))
        seen: dict[int, int] = {}
        nth: list[int] = []
        for row in siblings:
            cluster = row["cluster"] if options.one_per else None
            nth.append(0 if cluster is None else seen.get(cluster, 0))
            if cluster is not None:
                seen[cluster] = nth[-1] + 1
        places = sorted(range(len(siblings)), key=lambda i: (nth[i], i))
        for turn, place in enumerate(places):
            ruled_out = nth[place] > 0 or turn >= (options.per_question or math.inf)
            rounds.append((ruled_out, turn, rank(options.seed, question), siblings[place]))
    return [row for *_, row in sorted(rounds, key=lambda entry: entry[:3])]


def signed(row: dict[str, Any], key: str) -> float:
    """Give the number that the smaller of comes first, infinite where there is none."""
    value = row[key.removeprefix("-")]
    if value is None or math.isnan(value):
        return math.inf
    return -value if key.startswith("-") else value


def plain_fusion(
    row: dict[str, Any], siblings: list[dict[str, Any]], fusion: RankFusion
) -> Fraction:
    """Fuse ranks as Cormack, Clarke and Buettcher (2009) define it, ties sharing their mean."""
    total = Fraction(0)
    for key in fusion.keys:
        own, others = signed(row, key), [signed(sibling, key) for sibling in siblings]
        if not math.isinf(own):
            place = 1 + sum(x < own for x in others) + Fraction(others.count(own) - 1, 2)
            total += 1 / (Fraction(fusion.k) + place)
    return total


def test_every_question_comes_before_any_second_sample() -> None:
    rows = table(*({"question_id": q, "sample_id": f"{q}{i}"} for q in "abc" for i in range(3)))
    chosen = select(rows, SelectOptions(budget=Budget(rows=4)))
    assert chosen.filter("selected")["question_id"].n_unique() == 3


def test_one_per_takes_the_best_of_each_cluster_and_never_a_second() -> None:
    rows = table(
        {"nll_rationale": 1.0, "cluster": 0},
        {"nll_rationale": 2.0, "cluster": 0},
        {"nll_rationale": 3.0, "cluster": 1},
        {"nll_rationale": 4.0, "cluster": None},
        {"nll_rationale": 5.0, "cluster": None},
    )
    chosen = select(rows, SelectOptions(one_per="cluster", order_by=("nll_rationale",)))
    assert chosen["selection_rank"].to_list() == [1, 5, 2, 3, 4]
    assert chosen["selected"].to_list() == [True, False, True, True, True]


def test_siblings_closer_than_the_spread_go_to_the_next_key() -> None:
    # log RD 0.00 leads; 0.08 lies within its spread of 0.1; 0.16 lies within 0.1 of the second,
    # but not of the leader, so it leads a group of its own, where the shorter one wins.
    rows = table(
        {"rd_masked": math.exp(0.00), "rd_spread": 0.1, "tokens": 30},
        {"rd_masked": math.exp(0.08), "rd_spread": 0.0, "tokens": 20},
        {"rd_masked": math.exp(0.16), "rd_spread": 0.1, "tokens": 10},
        {"rd_masked": math.exp(0.25), "rd_spread": 0.0, "tokens": 5},
        {"rd_masked": None, "rd_spread": None, "tokens": 1},
    )
    options = SelectOptions(order_by=("rd_masked", "tokens"))
    assert select(rows, options)["selection_rank"].to_list() == [2, 1, 4, 3, 5]
    exact = select(rows.drop("rd_spread"), options)
    assert exact["selection_rank"].to_list() == [1, 2, 3, 4, 5]


def test_ties_are_counted_among_siblings_equal_so_far() -> None:
    # The second and third tie with each other; walked on from the first, the third would not.
    rows = table(
        {"tokens": 10, "rd_masked": math.exp(0.0), "rd_spread": 0.2, "nll_rationale": 9.0},
        {"tokens": 20, "rd_masked": math.exp(0.15), "rd_spread": 0.2, "nll_rationale": 2.0},
        {"tokens": 20, "rd_masked": math.exp(0.3), "rd_spread": 0.2, "nll_rationale": 1.0},
    )
    options = SelectOptions(order_by=("tokens", "rd_masked", "nll_rationale"))
    assert select(rows, options)["selection_rank"].to_list() == [1, 3, 2]


def test_each_random_arm_is_a_draw_of_its_own() -> None:
    rows = table(
        *({"sample_id": f"{q}-{i}", "question_id": q} for q in "abcdefgh" for i in range(8))
    )
    arms = [Arm.parse("random"), Arm.parse("random_correct")]
    chosen = select(rows, SelectOptions(per_question=4), arms)
    draws = [ids(chosen, column) for column in ("selected", *(arm.column for arm in arms))]
    assert all(draws[i] != draws[j] for i, j in ((0, 1), (0, 2), (1, 2)))


def test_a_student_that_cannot_follow_leaves_the_order_to_the_next_key() -> None:
    rows = table({"rd_masked": 0.1, "tokens": 9}, {"rd_masked": 0.9, "tokens": 1})
    rows = rows.with_columns(student_follows=pl.lit(value=False))
    options = SelectOptions(order_by=("rd_masked", "tokens"))
    assert select(rows, options)["selection_rank"].to_list() == [2, 1]
    assert list(idle_keys(rows, options.order_by)) == ["rd_masked"]
    assert "cannot follow" in idle_keys(rows, options.order_by)["rd_masked"]
    assert idle_keys(rows.drop("student_follows"), options.order_by) == {}
    unmeasured = rows.with_columns(tokens=pl.lit(None, pl.Int32)).drop("student_follows")
    assert idle_keys(unmeasured, options.order_by) == {"tokens": "no live sample has a value"}


def test_a_share_rounds_down_without_float_dust_and_binds_the_ablations() -> None:
    rows = table(*({"question_id": f"q{i}", "live": i < 100} for i in range(150)))
    options = SelectOptions(budget=Budget(share=0.29))
    chosen = select(rows, options, [Arm.parse("without:diversity")])
    assert chosen["selected"].sum() == 29
    assert chosen["arm_without_diversity"].sum() == 29
    assert not ids(chosen, "arm_without_diversity") <= set(rows.filter("live")["sample_id"])


def test_without_a_filter_its_columns_are_unknown() -> None:
    rows = table({"cluster": 0}, {"cluster": 0}, {"cluster": 1})
    options = SelectOptions(one_per="cluster", order_by=("cluster",))
    arm = Arm.parse("without:diversity")
    chosen = select(rows, options, [arm], {"diversity": ["cluster"], "length": ["other"]})
    assert (chosen["selected"].sum(), chosen[arm.column].sum()) == (2, 3)


def test_a_sample_of_unknown_length_is_not_the_shortest() -> None:
    rows = table({"tokens": None}, {"tokens": 9}, {"tokens": 3})
    options = SelectOptions(order_by=("tokens",), per_question=1)
    chosen = select(rows, options, [Arm.parse("shortest")])
    assert chosen["selection_rank"].to_list() == [3, 2, 1]
    assert ids(chosen, "arm_shortest") == {"s2"}


def test_random_correct_has_the_length_of_the_selection() -> None:
    rows = table(
        *(
            {"sample_id": f"{q}-{i}", "question_id": f"q{q}", "tokens": 40 + 25 * i, "live": i < 4}
            for q in range(300)
            for i in range(8)
        )
    )
    options = SelectOptions(per_question=2, order_by=("-tokens",))
    arms = [Arm.parse("random_correct"), Arm.parse("random")]
    chosen = select(rows, options, arms).join(rows, on="sample_id")
    tokens = {
        name: chosen.filter(pl.col(name))["tokens"].sum()
        for name in ("selected", "arm_random_correct", "arm_random")
    }
    assert abs(tokens["arm_random_correct"] / tokens["selected"] - 1) <= 0.02
    assert abs(tokens["arm_random"] / tokens["selected"] - 1) > 0.1
    # Matched by a tilt, not by copying: most of it is not the selection.
    assert len(ids(chosen, "arm_random_correct") & ids(chosen)) < 300


def test_random_correct_comes_as_near_as_it_can() -> None:
    rows = table(
        {"sample_id": "a", "tokens": 10},
        {"sample_id": "b", "tokens": 40, "live": False},
        {"sample_id": "c", "tokens": 90, "live": False},
    )
    for seed in range(8):
        chosen = select(rows, SelectOptions(seed=seed), [Arm.parse("random_correct")])
        assert ids(chosen, "arm_random_correct") == {"a"}


def test_choice_share_counts_questions_where_the_order_mattered() -> None:
    rows = table(
        {"question_id": "a"}, {"question_id": "a"}, {"question_id": "b"},
        {"question_id": "c"}, {"question_id": "c", "live": False},
    )  # fmt: skip
    chosen = select(rows, SelectOptions(per_question=1))
    assert choice_share(rows, chosen) == pytest.approx(1 / 3)
    assert choice_share(rows, select(rows, SelectOptions())) == 0
    assert choice_share(rows.clear(), select(rows.clear(), SelectOptions())) == 0


def test_an_empty_table_gives_typed_columns() -> None:
    chosen = select(table().clear(), SelectOptions(order_by=("rd_masked",)), ALL_ARMS)
    assert chosen.height == 0
    assert chosen.schema["selected"] == chosen.schema["arm_random"] == pl.Boolean
    assert chosen.schema["selection_rank"] == pl.Int64


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("best", "no arm is called 'best'"),
        ("lowest", "'lowest' needs a name after a colon"),
        ("without:", "'without' needs a name"),
        ("random:3", "'random' stands alone"),
    ],
)
def test_an_unknown_arm_is_refused_with_the_way_out(text: str, words: str) -> None:
    with pytest.raises(InputError, match="lowest:COLUMN") as caught:
        Arm.parse(text)
    assert words in str(caught.value)


def test_arms_name_their_columns() -> None:
    assert Arm.parse("lowest:nll_rationale").column == "arm_lowest_nll_rationale"
    assert Arm.parse("without:diversity").pool == "live_without_diversity"
    options = SelectOptions(order_by=("-rd_masked",), one_per="cluster")
    assert needed_columns(options, [Arm.parse("random_correct")]) == (
        "sample_id", "question_id", "live", "tokens", "rd_masked", "live_correct", "cluster",
        "rd_spread", "student_follows",
    )  # fmt: skip


def test_a_missing_column_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"select.order_by 'beauty' needs column 'beauty'"):
        select(table({}), SelectOptions(order_by=("beauty",)))
    with pytest.raises(InputError, match=r"'without:length' needs column 'live_without_length'"):
        select(table({}), SelectOptions(), [Arm.parse("without:length")])


@pytest.mark.parametrize("budget", [{}, {"rows": 5, "share": 0.5}, {"rows": None}, {"share": 1.5}])
def test_a_budget_says_one_thing(budget: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SelectOptions.model_validate({"budget": budget})


@given(chosen=st.data())
def test_why_and_frontier_go_by_the_law_of_the_selection(chosen: st.DataObject) -> None:
    """Rows the law allows, read off the finished ranking, are those the selection could take."""
    rows = chosen.draw(tables())
    options = SelectOptions(
        one_per=chosen.draw(st.sampled_from([None, "cluster"])),
        per_question=chosen.draw(st.sampled_from([None, 1, 2])),
    )
    ranking = select(rows, options)
    ranked = ranking.join(rows.select("sample_id", "cluster"), on="sample_id")
    ranked = ranked.drop_nulls("selection_rank").sort("selection_rank")
    law = may_be_taken("question_id", options.one_per, options.per_question)
    assert ranked.with_columns(allowed=law)["allowed"].to_list() == ranked["selected"].to_list()
