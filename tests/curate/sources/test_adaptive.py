"""How many samples are drawn next: never more than could be needed, whatever is accepted."""

import random
from collections import Counter
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.sources.adaptive import Adaptive, before_any, counted

QUESTIONS = [f"{number:016x}" for number in range(12)]


def adaptive(least: int, most: int, step: int = 1, **until: Any) -> Adaptive:
    said = {"min": least, "max": most, "step": step, "until": {"correct": 2} | until}
    return Adaptive.model_validate(said)


def draw(samples: Adaptive, accepts: dict[str, list[bool]]) -> tuple[pl.DataFrame, int]:
    """Draw until nothing is due; give the counts and the number of rounds."""
    counts, rounds = before_any(pl.DataFrame({"question_id": list(accepts)})), 0
    while not (due := samples.due(counts)).is_empty():
        rows = [
            {"question_id": question, "count": sum(accepts[question][drawn : drawn + more])}
            for question, drawn, more in due.iter_rows()
        ]
        counts = counted(counts, due, pl.DataFrame(rows))
        rounds += 1
    return counts, rounds


@st.composite
def trials(draws: st.DrawFn) -> tuple[int, int, int, dict[str, list[bool]]]:
    most = draws(st.integers(1, 12))
    least, enough = draws(st.integers(1, most)), draws(st.integers(1, 4))
    truth = st.lists(st.booleans(), min_size=most, max_size=most)
    return least, most, enough, {question: draws(truth) for question in QUESTIONS}


@given(trials())
def test_a_question_is_drawn_of_until_it_has_enough_and_no_further(
    trial: tuple[int, int, int, dict[str, list[bool]]],
) -> None:
    least, most, enough, accepts = trial
    counts, rounds = draw(adaptive(least, most, correct=enough), accepts)
    assert rounds <= most - least + 1
    for question, drawn, accepted in counts.iter_rows():
        assert least <= drawn <= most
        assert accepted == sum(accepts[question][:drawn])
        assert accepted >= enough or drawn == most
        assert accepted <= max(enough, sum(accepts[question][:least]))
        before = sum(accepts[question][: drawn - 1])
        assert drawn == least or before < enough, "the last one was not needed"


@given(trials(), st.integers(1, 30))
def test_as_many_as_wanted_of_all_and_never_one_more(
    trial: tuple[int, int, int, dict[str, list[bool]]], wanted: int
) -> None:
    least, most, enough, accepts = trial
    samples = adaptive(least, most, correct=enough, in_all=wanted)
    counts, _ = draw(samples, accepts)
    free, _ = draw(adaptive(least, most, correct=enough), accepts)
    total = counts["accepted"].sum()
    assert total <= wanted
    if total < wanted:
        left = counts.filter(
            (pl.col("drawn") < most) & ((pl.col("accepted") < enough) | (pl.col("drawn") == 0))
        )
        assert left.is_empty(), "there was more to draw"
        assert counts["drawn"].sum() >= free["drawn"].sum() or total == free["accepted"].sum()


@given(trials(), st.randoms(use_true_random=False))
def test_the_order_of_the_questions_is_irrelevant(
    trial: tuple[int, int, int, dict[str, list[bool]]], chance: random.Random
) -> None:
    least, most, enough, accepts = trial
    samples = adaptive(least, most, correct=enough, in_all=9)
    shuffled = dict(chance.sample(list(accepts.items()), len(accepts)))
    first, again = draw(samples, accepts)[0], draw(samples, shuffled)[0]
    assert first.sort("question_id").equals(again.sort("question_id"))


def test_a_larger_step_makes_fewer_rounds() -> None:
    accepts = {question: [False] * 31 + [True] for question in QUESTIONS}
    assert draw(adaptive(4, 32, correct=1), accepts)[1] == 29
    counts, rounds = draw(adaptive(4, 32, step=7, correct=1), accepts)
    assert rounds == 5
    assert set(counts["drawn"]) == {32}


def test_draws_of_a_round_go_on_where_the_last_one_ended() -> None:
    samples, drawn = adaptive(3, 9), Counter[str]()
    counts = before_any(pl.DataFrame({"question_id": QUESTIONS[:2]}))
    for accepted in (1, 0, 1):
        due = samples.due(counts)
        assert due["drawn"].to_list() == [drawn[question] for question in due["question_id"]]
        drawn.update(dict(due.select("question_id", "due").iter_rows()))
        gave = pl.DataFrame({"question_id": QUESTIONS[:2], "count": [accepted] * 2})
        counts = counted(counts, due, gave)
    assert samples.due(counts).is_empty()
    assert set(drawn.values()) == {5}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"min": 5, "max": 4, "until": {"correct": 1}}, r"min \(5\) is above max \(4\)"),
        ({"max": 4, "until": {}}, "name one of the two: correct: 2, or kept: 2 with by"),
        ({"max": 4, "until": {"correct": 1, "kept": 1}}, "name one of the two"),
        ({"max": 4, "until": {"kept": 1}}, "kept and by go together"),
        ({"max": 4, "until": {"correct": 1, "by": ["length"]}}, "kept and by go together"),
    ],
)
def test_what_can_not_be_is_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Adaptive.model_validate(said)
