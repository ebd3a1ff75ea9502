"""Posing reads a question and its answer out of what a teacher wrote."""

import pytest

from curate.sources.pose import Agreed, Pose, Reading
from tests.curate.sources.laws import Example

EXAMPLE = Example(
    {"name": "posed", "model": "tiny", "samples": 2},
    beside={"use": "gold", "name": "solutions"},
)


@pytest.mark.parametrize(
    ("text", "question", "gold"),
    [
        ("So.\nQuestion: What is 2 + 2?\nAnswer: 4", "What is 2 + 2?", "4"),
        ("Question: old\nAnswer: 1\nQuestion: new\nAnswer: 2\nDone.", "new", "2"),
        ("Question: two\nlines?\nAnswer: 2", "two\nlines?", "2"),
        ("Question: What?", "What?", None),
        ("Question: What?\nAnswer:   ", "What?", None),
        ("Question:  \nAnswer: 3", None, "3"),
        ("**Question:** A box has 3.\n**Answer:** 7", "A box has 3.", "7"),
        ("**Question**: A box has 3.\n**Answer**: 7", "A box has 3.", "7"),
        ("### Question:\nA box has 3.\n\n### Answer: 7", "A box has 3.", "7"),
        ("**Question: A box has 3.**\n- Answer: **7**", "A box has 3.", "7"),
        ("Question: A list:\n- 3 red\n- 4 blue\nAnswer: 7", "A list:\n- 3 red\n- 4 blue", "7"),
        ("Question: What is 2 * 3?\nAnswer: 6", "What is 2 * 3?", "6"),
        ("Answer: 4", None, None),
        ("", None, None),
    ],
)
def test_a_question_and_its_answer_are_read(
    text: str, question: str | None, gold: str | None
) -> None:
    stated = Pose(name="posed", model="m")
    assert stated.read(text) == Reading(question, gold)
    agreed = Pose(name="posed", model="m", gold=Agreed(share=0.6))
    assert agreed.read(text) == Reading(question, None), "what it states is not taken"
