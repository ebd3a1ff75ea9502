"""Reasoning paths: what the parser reads, and what that is worth on real rationales."""

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.equations import equations
from filters.paths import days, options, path, path_distance
from tests.bench import validity

READ: Final[tuple[tuple[str, list[str]], ...]] = (
    ("40 cakes (made) - 8 cakes (sold) = 32 cakes.", ["40-8=32"]),
    ("subtracting 8, the number of cakes sold, from 40, the number baked", ["40-8=32"]),
    ("290 divided by 2, resulting in 145", ["290/2=145"]),
    ("The sum of 610,769 and 590796 is 1,201,565.", ["590796+610769=1201565"]),
    ("12 houses x 4 pieces of junk mail/house = 48 pieces", ["4*12=48"]),
    ("$12/day * 7 days/week = $84/week", ["7*12=84"]),
    ("16 - (3 + 4) = 9", ["16-3-4=9"]),
    ("(2 + 3) * 4 = 20", ["4*(2+3)=20"]),
    ("20% of 50 is 10 and half of the 10 makes 5", ["0.2*50=10", "0.5*10=5"]),
    ("3/4 of 20 = 15", ["3*20/4=15"]),
    ("Add 2, 3 and 4 to get 9", ["2+3+4=9"]),
    ("3+4=7*2=14", ["2*7=14", "3+4=7"]),
    ("30 - 11 = ?", ["30-11=19"]),
    ("30 - 11 = 20", ["30-11=20"]),
    ("10 / 3 = 3.33", ["10/3=3.33333"]),
    (r"\(\frac{10}{4} \times 2 = 5\)", ["2*10/4=5"]),
    ("2^10 = 1024", ["2^10=1024"]),
    ("She has <<16-3=13>>13 eggs and 5 + 5 = 10 nests", ["16-3=13"]),
    ("It lasted 1/2 hour, on a 3-4 day trip, 5 times a week.", []),
    ("On 04/20/2021 or April 30, 2021 - 10 days", []),
    ("5 / 0 = 0 and 9^9999999 = 1", []),
    ("Plants need light.", []),
)


@pytest.mark.parametrize(("text", "expected"), READ)
def test_equations_are_read_from_prose(text: str, expected: list[str]) -> None:
    assert sorted(map(str, equations(text))) == sorted(expected)


@settings(deadline=None)
@given(st.text() | st.text(alphabet="0123456789+-*/^=()%., xof", max_size=60))
def test_no_text_is_too_odd(text: str) -> None:
    found = path(text, text, ["a", text])
    assert found is None or found.steps


@settings(deadline=None)
@given(st.integers(1, 999), st.integers(1, 999), st.sampled_from("+*"))
def test_operands_that_commute_are_one_path(left: int, right: int, op: str) -> None:
    assert equations(f"{left} {op} {right}") == equations(f"so {right} apples {op} {left} pears")


@settings(deadline=None)
@given(st.integers(2, 999), st.integers(2, 999))
def test_another_operator_or_operand_is_another_path(left: int, right: int) -> None:
    texts = [f"{left} {op} {right}" for op in "+-*/"] + [f"{left} + {right + 1}"]
    assert len({equations(text) for text in texts}) == len(texts)


def test_days_given_in_the_question_are_no_step() -> None:
    assert days("May 3, 2021, 05/03/2021, 2021-05-03, June 7th") == {"2021-05-03", "06-07"}
    assert path("Today is May 3, 2021.", "It is 5/3/2021.", None) is None


def test_options_are_found_by_letter_and_by_their_words() -> None:
    choices = ["a polar bear", "a coyote", "a tsunami"]
    assert options("Option C is at sea; a polar bear lives on ice.", choices) == {"A", "C"}
    assert options("(B) or (D)", choices) == {"B"}


def test_paths_of_another_kind_share_nothing() -> None:
    left, right = path("3 + 4 = 7", None, None), path("Option A", None, ["x"])
    assert left
    assert right
    assert path_distance(left, right) == 1.0
    assert path_distance(left, left) == 0.0


@pytest.mark.data
def test_path_tells_different_intermediate_results(data: Path) -> None:
    pairs = validity.sibling_pairs(data)
    assert len(pairs) == 1782
    graded, low, _ = validity.auc(pairs, validity.path_distances(pairs))
    assert graded >= 0.85
    assert low > validity.auc(pairs, validity.text_distances(pairs))[2]


@pytest.mark.data
def test_an_operator_flip_changes_the_group(data: Path) -> None:
    count, share = validity.flips_seen(data, 1)
    assert count > 1900
    assert share >= 0.95


@pytest.mark.data
@pytest.mark.parametrize(("level", "form"), validity.combinations_of_rewrites())
def test_rewrites_of_a_solution_stay_together(data: Path, level: str, form: str) -> None:
    count, both, same = validity.rewrites(data, level, form)
    assert both / count >= 0.95
    assert same / both >= 0.90


@pytest.mark.parametrize(
    "text",
    [
        "Sad " + "(" * 5_000 + " and 2 * 3 = 6",
        "9^9^9^9^9^9^9^9^9 and so on, 2 * 3 = 6",
        "9^64^64 and so on, 2 * 3 = 6",
        "1 + " * 3_000 + "1 = 3001, and 2 * 3 = 6",
        "9 * " * 3_000 + "9 and 2 * 3 = 6",
        "1" + ",234" * 1_500 + " and 2 * 3 = 6",
        "1 / " * 3_000 + "7 and 2 * 3 = 6",
        "(" * 3_000 + "1" + ")" * 3_000 + " and 2 * 3 = 6",
    ],
)
def test_what_nobody_computes_costs_nothing_and_hides_nothing(text: str) -> None:
    assert "2*3=6" in map(str, equations(text))
