"""What trainers read of a row: worded as it was scored; pairs differ in reasoning alone."""

from typing import Any

import pytest

from curate.models.rendering import render
from curate.release.formats.dpo import preferences
from curate.release.formats.rl import graded_prompt
from curate.release.formats.wording import Wording
from tests.curate.byte_tokenizer import byte_tokenizer
from tests.curate.release.formats.making import records

LINE = "\nAnswer: {answer}\n"
ROW = {
    "sample_id": "a1", "question_id": "q1", "question": "How many eggs? ", "choices": None,
    "gold": "3", "gold_type": "number", "rationale": "Two and one make 3. ", "answer": "$3",
}  # fmt: skip
CHOICE = ROW | {"choices": ["two", "three"], "gold": "B", "gold_type": "choice"}
CHAT, PLAIN = Wording(LINE), Wording(LINE, "plain")


def only(row: dict[str, Any], form: str, wording: Wording) -> dict[str, Any]:
    (record,) = records([row], form, wording)
    return record


@pytest.mark.parametrize("row", [ROW, CHOICE])
@pytest.mark.parametrize("wording", [CHAT, PLAIN])
def test_what_is_trained_on_is_what_was_scored(row: dict[str, Any], wording: Wording) -> None:
    record = only(row, "prompt-completion", wording)
    tokenizer = byte_tokenizer()
    gold = "(B)" if row is CHOICE else "3"
    question = "How many eggs?\n(A) two\n(B) three" if row is CHOICE else "How many eggs?"
    shown = render(question, row["rationale"], LINE, gold, tokenizer, wording.layout)
    if wording.layout == "plain":
        assert shown.text == record["prompt"] + record["completion"]
    else:
        turns = [*record["prompt"], *record["completion"]]
        assert tokenizer.apply_chat_template(turns, tokenize=False).startswith(shown.text)
        assert only(row, "messages", wording)["messages"] == turns


def test_where_the_rationale_goes() -> None:
    def said(think: Any, layout: Any = "chat") -> Any:
        return only(ROW, "prompt-completion", Wording(LINE, layout, think))["completion"]

    assert said("none") == [{"role": "assistant", "content": "Two and one make 3.\nAnswer: 3\n"}]
    assert said("field") == [
        {
            "role": "assistant",
            "reasoning_content": "Two and one make 3.",
            "content": "Answer: 3",
        }
    ]
    assert said("inline", "plain") == "<think>\nTwo and one make 3.\n</think>\n\nAnswer: 3"


def test_a_solution_stands_behind_its_thought_where_it_is_asked_for() -> None:
    row = ROW | {"solution": "There are **3**."}

    def said(row: dict[str, Any], think: Any, *, solution: bool) -> Any:
        wording = Wording(LINE, "chat", think, solution)
        return only(row, "messages", wording)["messages"][-1]

    assert said(row, "field", solution=True)["content"] == "There are **3**."
    assert said(row, "inline", solution=True)["content"].endswith("</think>\n\nThere are **3**.")
    for think in ("none", "inline", "field"):
        assert said(row, think, solution=False) == said(ROW, think, solution=False)
        assert said(ROW, think, solution=True) == said(ROW, think, solution=False), "no thought"


@pytest.mark.parametrize("think", ["none", "inline", "field"])
def test_a_sample_without_a_rationale_has_the_target_line_alone(think: Any) -> None:
    for empty in (None, " "):
        row = ROW | {"rationale": empty}
        said = only(row, "prompt-completion", Wording(LINE, "chat", think))["completion"]
        assert said == [{"role": "assistant", "content": "Answer: 3\n"}]
        assert [r["parent_id"] for r in records([row], "tasks", PLAIN)] == ["a1"]


def test_a_wrong_sample_of_a_control_arm_says_what_it_arrives_at() -> None:
    row = ROW | {"rationale": "Two and one make 4.", "wrong_answer": "$4"}
    assert (
        only(row, "prompt-completion", PLAIN)["completion"] == "Two and one make 4.\nAnswer: $4\n"
    )
    assert only(row, "text", PLAIN)["completion"] == " Two and one make 4. --> $4 END"
    unjudged = ROW | {"rationale": "Two and one make 4.", "answer": "4 eggs"}
    assert only(unjudged, "text", PLAIN)["completion"] == " Two and one make 4. --> 4 eggs END"


def test_strings_for_those_who_bring_their_own_template() -> None:
    assert only(CHOICE, "alpaca", CHAT) == {
        "sample_id": "a1",
        "instruction": "How many eggs?\n(A) two\n(B) three",
        "input": "",
        "output": "Two and one make 3.\nAnswer: (B)\n",
    }
    assert only(ROW, "text", CHAT) == {
        "sample_id": "a1",
        "prompt": "How many eggs? ###",
        "completion": " Two and one make 3. --> 3 END",
    }


def test_two_tasks_know_the_row_they_come_from() -> None:
    rationale, label = records([ROW], "tasks", PLAIN)
    assert rationale == {
        "sample_id": "a1-rationale", "parent_id": "a1",
        "prompt": "[rationale] How many eggs?", "completion": "Two and one make 3.",
    }  # fmt: skip
    assert label == {
        "sample_id": "a1-label", "parent_id": "a1",
        "prompt": "[label] How many eggs?", "completion": "3",
    }  # fmt: skip


def rejected(sample: str, reason: str, rationale: str | None, answer: str | None) -> dict[str, Any]:
    told = {"rejected_reason": reason, "rationale": rationale, "answer": answer}
    return ROW | {"sample_id": sample} | told


def test_a_pair_is_told_apart_by_its_reasoning_alone() -> None:
    others = [
        rejected("b1", "wrong_answer", "One.", "$1"),
        rejected("b2", "wrong_answer", "Two and one make 4.", "$4"),  # of the chosen's length
        rejected("b3", "wrong_answer", " ", "$9"),
        rejected("b4", "wrong_answer", "Two and one make 5.", None),
        rejected("b5", "cut_off", "Two and one make 3.", "$3"),
        rejected("b6", "too_difficult", "Obviously, eggs are three.", "$3"),
        rejected("b7", "wrong_answer", "Two and one make 4.", "$4") | {"question_id": "q2"},
    ]
    worse = {"wrong_answer": "wrong", "too_difficult": "hard"}
    pairs = list(preferences([ROW], others, PLAIN, worse))
    assert [pair["rejected_sample_id"] for pair in pairs] == ["b2", "b6"]
    assert pairs[0] == {
        "sample_id": "a1",
        "rejected_sample_id": "b2",
        "prompt": "Question: How many eggs?\nAnswer: ",
        "chosen": "Two and one make 3.\nAnswer: $3\n",
        "rejected": "Two and one make 4.\nAnswer: $4\n",
    }
    for poor in ({"answer": None}, {"rationale": None}, {"sample_id": "b1"}):
        assert not list(preferences([ROW | poor], others, PLAIN, worse))


def test_a_question_is_graded_by_its_samples() -> None:
    found = graded_prompt(CHOICE | {"right": 1, "received": 4}, PLAIN)
    assert found == {
        "question_id": "q1", "prompt": "Question: How many eggs?\n(A) two\n(B) three\nAnswer: ",
        "answer": "(B)", "pass_rate": 0.25, "samples": 4,
    }  # fmt: skip
