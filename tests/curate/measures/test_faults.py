"""Faults: each is one edit, the same for the same seed, and leaves the answer as often stated."""

import json
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.measures.faults import FAULTS, plant
from curate.measures.masking import mask_value
from curate.measures.steps import split_steps
from filters.equations import equations

EDITS = [name for name, fault in FAULTS.items() if fault.edits]

sentences = st.builds(
    lambda a, op, b, unit: f"{unit}, {a} {op} {b} = {a + b}",
    st.integers(0, 1200), st.sampled_from(["+", "-", "*", "/", "plus", "times", "divided by"]),
    st.integers(1, 60), st.sampled_from(["Ann has apples", "So a day", "In all", "Two left"]),
)  # fmt: skip
rationales = st.lists(
    sentences | st.text("ab3 .,\n-+x$%", max_size=14), min_size=1, max_size=5
).map(". ".join)
seeds = st.text("ab", max_size=4)


def steps_of(text: str) -> list[str]:
    return [text[start:end].strip().rstrip(".") for start, end in split_steps(text)]


def is_subsequence(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(step in rest for step in part)


def one_span(before: str, after: str) -> tuple[str, str]:
    """Give what two texts differ in, all that they begin and end with alike left out."""
    start = next(
        (n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
        min(len(before), len(after)),
    )
    most = min(len(before), len(after)) - start
    end = next((n for n in range(most) if before[-1 - n] != after[-1 - n]), most)
    return before[start : len(before) - end], after[start : len(after) - end]


@given(rationales, seeds, st.sampled_from(EDITS))
def test_a_fault_is_another_text_the_same_for_the_same_seed(
    text: str, seed: str, fault: str
) -> None:
    copy = plant(fault, text, seed)
    assert copy != text
    assert copy == plant(fault, text, seed)


@given(rationales, seeds)
def test_a_number_is_changed_in_one_digit_or_word(text: str, seed: str) -> None:
    copy = plant("number", text, seed)
    if copy is None:
        return
    old, new = one_span(text, copy)
    if old.isdigit():
        assert len(old) == len(new) == 1
        assert new.isdigit()
    else:
        assert old.isalpha()
        assert len(re.findall(r"\w+|\W", text)) == len(re.findall(r"\w+|\W", copy))


@given(rationales, seeds)
def test_one_operator_is_turned_round_and_an_equation_reads_otherwise(text: str, seed: str) -> None:
    copy = plant("operator", text, seed)
    if copy is not None:
        symbols = [Counter(re.findall(r"[-+*/]|\b[a-z ]+\b", each)) for each in (text, copy)]
        assert (symbols[0] - symbols[1]).total() == 1 == (symbols[1] - symbols[0]).total()
        assert equations(text) != equations(copy)


@given(rationales, seeds)
def test_what_is_left_of_removed_steps_is_in_order(text: str, seed: str) -> None:
    copy = plant("removed", text, seed)
    if copy is not None:
        assert len(copy) < len(text)


WORDS = ["First", "Then", "Hence", "So", "Now"]
plain = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5, unique=True).map(
    lambda words: ". ".join(f"{word} we go on {len(word)} times" for word in words)
)


@given(plain, seeds)
def test_steps_are_removed_swapped_and_repeated(text: str, seed: str) -> None:
    before = steps_of(text)
    removed, swapped, repeated = (plant(name, text, seed) for name in EDITS[2:])
    if len(before) == 1:
        assert removed is swapped is None
    else:
        assert removed is not None
        assert swapped is not None
        assert len(steps_of(removed)) == len(before) - 1
        assert is_subsequence(steps_of(removed), before)
        assert sorted(steps_of(swapped)) == sorted(before)
        others = [a for a, b in zip(before, steps_of(swapped), strict=True) if a != b]
        assert len(others) == 2
    assert repeated is not None
    [(twice, count)] = (Counter(steps_of(repeated)) - Counter(before)).items()
    assert count == 1
    assert repeated.count(f"{twice}. {twice}") == 1, "side by side"
    assert is_subsequence(before, steps_of(repeated))


NUMBERED = "1. Take 3 of the boxes.\n2. Each holds 4, so 3 * 4 = 12.\n3. That makes 12"


def test_numbers_of_steps_stay_where_they_are() -> None:
    removed, swapped = plant("removed", NUMBERED, "a"), plant("swapped", NUMBERED, "a")
    assert removed is not None
    assert swapped is not None
    assert re.findall(r"(?m)^\d", removed) == ["1", "2"]
    assert re.findall(r"(?m)^\d", swapped) == ["1", "2", "3"]
    copies = [plant("number", NUMBERED, str(seed)) for seed in range(30)]
    assert all(copy and re.findall(r"(?m)^\d", copy) == ["1", "2", "3"] for copy in copies)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("number", "We know the 1st of them, and half of one."),
        ("operator", "A well-known 3-4 day trip on 04/20/2021."),
        ("operator", "- 3 apples\n- 4 pears"),
        ("removed", "3 + 4 = 7"),
        ("swapped", "3 + 4 = 7"),
        ("repeated", ""),
        ("number", ""),
        ("operator", "+ - *"),
    ],
)
def test_what_has_nothing_to_be_wrong_about_takes_no_fault(fault: str, text: str) -> None:
    assert plant(fault, text, "seed") is None


GOLDEN = {
    "number": "He sprints 3*3=<<3*3=9>>6 times\nSo he runs 9*60=<<9*60=540>>540 meters",
    "operator": "He sprints 3*3=<<3/3=9>>9 times\nSo he runs 9*60=<<9*60=540>>540 meters",
    "removed": "So he runs 9*60=<<9*60=540>>540 meters",
    "swapped": "So he runs 9*60=<<9*60=540>>540 meters\nHe sprints 3*3=<<3*3=9>>9 times",
    "repeated": "He sprints 3*3=<<3*3=9>>9 times\nHe sprints 3*3=<<3*3=9>>9 times\n"
    "So he runs 9*60=<<9*60=540>>540 meters",
}


def mentions(answer: str) -> Callable[[str], int]:
    hide = partial(mask_value, answer=answer, gold_type="number", choices=(), mask="\x00")
    return lambda text: hide(text).count("\x00")


@pytest.mark.data
@pytest.mark.parametrize("fault", EDITS)
def test_a_real_solution_with_each_fault(fault: str, data: Path) -> None:
    lines = (data / "gsm8k" / "test.jsonl").read_text().splitlines()
    text, _, answer = json.loads(lines[3])["answer"].partition("\n#### ")
    assert plant(fault, text, "3", mentions(answer)) == GOLDEN[fault]


@pytest.mark.data
def test_teachers_take_faults_and_state_their_answer_as_often(data: Path) -> None:
    rows = json.loads((data / "svamp_teachers" / "chatgpt_level3.json").read_text())[:100]
    pairs = [row["output"].rpartition("The answer is") for row in rows]
    texts = [(text.strip(), answer.strip(" .")) for text, _, answer in pairs if text]
    for fault in EDITS:
        copies = [plant(fault, text, str(n), mentions(a)) for n, (text, a) in enumerate(texts)]
        planted = [(copy, *pair) for copy, pair in zip(copies, texts, strict=True) if copy]
        assert len(planted) > 0.85 * len(texts)
        for copy, text, answer in planted:
            assert mentions(answer)(copy) == mentions(answer)(text)


def test_no_two_faults_are_one() -> None:
    text = "She has 3 + 4 = 7 pens. Each costs 5 cents. So 7 * 5 = 35 cents"
    copies = [plant(fault, text, "seed") for fault in EDITS]
    assert all(one != other for one, other in combinations(copies, 2))
