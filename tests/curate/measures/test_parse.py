"""Parse: completions cut into reasoning, rationale and answer."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.measures.parse import Parse, Parsed, parse
from curate.measures.thoughts import MARKS, SIGNS
from filters.answers import GOLD_TYPES, GoldType
from filters.answers.reading import AnswerOptions, TextOptions
from filters.columns import GLOSSARY


def number(raw: str, reasoning: str | None = None, **options: Any) -> Parsed:
    return parse(raw, reasoning, "number", (), TextOptions.model_validate(options))


@pytest.mark.parametrize(
    ("raw", "rationale", "answer", "form"),
    [
        ("3 + 4 = 7.\nTherefore, the answer is 7.", "3 + 4 = 7.", "7", "answer_is"),
        ("3 + 4 = 7, so the answer is 7.", "3 + 4 = 7", "7", "answer_is"),
        ("3 + 4 = 7\n#### 7", "3 + 4 = 7", "7", "hashes"),
        ("3 + 4 = 7\nA: 7", "3 + 4 = 7", "7", "a_line"),
        ("3 + 4 = 7.\nSo it is \\boxed{7}.", "3 + 4 = 7.", "7", "boxed"),
        ("3 + 4 = 7 apples", "3 + 4 = 7 apples", "7", "last_number"),
        ("First, 3.\nThen 4 more make 7.", "First, 3.\nThen 4 more make 7.", "7", "last_number"),
        ("7", "", "7", "last_number"),
        ("The answer is 7. Because 3 + 4 = 7.", "", "7", "answer_is"),
        ("I do not know.", "I do not know.", None, None),
    ],
)
def test_the_answer_clause_is_cut(raw: str, rationale: str, answer: str | None, form: str | None):
    parsed = number(raw)
    assert parsed[:4] == (None, rationale, answer, form)
    assert parsed.rationale_words == len(rationale.split())


@pytest.mark.parametrize(
    "raw",
    [
        "<think>3 + 4 = 7.\nThe answer is 7.</think>It is \\boxed{7}.",
        "3 + 4 = 7.\nThe answer is 7.</think>\n\nThe answer is 7.",
        "\n<think>\n3 + 4 = 7.\nSo the answer is 7.\n</think>\n#### 7",
    ],
)
def test_a_block_of_thinking_is_the_rationale_whole(raw: str):
    parsed = number(raw)
    assert parsed.rationale in {"3 + 4 = 7.\nThe answer is 7.", "3 + 4 = 7.\nSo the answer is 7."}
    assert parsed.answer == "7"
    assert parsed.reasoning == parsed.rationale


def test_thinking_that_was_never_closed_holds_no_answer():
    parsed = number("<think>3 + 4 = 7. The answer is 7, but wait")
    assert parsed.answer is None
    assert parsed.reasoning == "3 + 4 = 7. The answer is 7, but wait"
    assert parsed.rationale == parsed.reasoning
    assert parsed.solution is None


THOUGHT = "Nine pairs: 9 * 2 = 18. Or is the answer 20? No, the answer is 18."


@pytest.mark.parametrize(
    "raw",
    [
        "<|begin_of_thought|>\n\n{}\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n#### 18",
        "<thinking>\n{}\n</thinking>\n\nThe answer is 18.",
        "<thought>{}</thought> The answer is 18.",
        "<reasoning>{}</reasoning> The answer is 18.",
        "[THINK]{}[/THINK]The answer is 18.",
        "{}[/THINK]The answer is 18.",
        "\u25c1think\u25b7{}\u25c1/think\u25b7\\boxed{{18}}",
        "<seed:think>{}</seed:think>#### 18",
        "<|channel|>analysis<|message|>{}<|end|><|channel|>final<|message|>It is 18.<|return|>",
        "<think>{}</think>The answer is 18.<|im_end|>\n<|im_start|>user\nAnd <think>?</think>",
    ],
)
def test_every_notation_of_a_thought_leaves_it_whole_and_without_marks(raw: str):
    parsed = number(raw.format(THOUGHT))
    assert parsed[:3] == (THOUGHT, THOUGHT, "18")
    assert parsed.solution is not None
    assert parsed.solution in raw.format(THOUGHT)
    assert "18" in parsed.solution
    assert not any(mark in parsed.solution.lower() for mark in ("think", "<|", "</", "[/"))


def test_each_mark_has_a_sign_by_which_texts_without_marks_are_told():
    for mark in (mark for pair in MARKS for mark in pair):
        assert any(sign in mark for sign in SIGNS)
        assert mark[0] in "<[\u25c1"


@pytest.mark.parametrize("marks", ["<think>\n\n</think>\n\n", "<think></think>", "</think>\n"])
def test_an_empty_thought_does_not_swallow_the_rationale(marks: str):
    parsed = number(f"{marks}9 * 2 = 18. The answer is 18.")
    assert parsed[:3] == (None, "9 * 2 = 18.", "18")
    assert parsed.solution is None


def test_a_thought_of_an_equation_alone_is_a_rationale():
    assert number("<think>8+8=16</think>The answer is 16.").rationale == "8+8=16"


@pytest.mark.parametrize("words", [5_000, 20_000])
def test_a_long_thought_with_interim_answers_stays_as_it_was_written(words: int):
    steps = (
        f"Step {n}. Maybe the answer is {n}. Let me check again: \\boxed{{{n}}}? Wait, no."
        for n in range(words // 14)
    )
    thought = "\n".join(steps)
    parsed = number(f"<think>\n{thought}\n</think>\n\nIt comes to \\boxed{{72}}.")
    assert parsed[:4] == (thought, thought, "72", "boxed")
    assert parsed.rationale_words == len(thought.split()) > 0.9 * words


def test_a_servers_reasoning_field_may_have_marks_of_its_own():
    parsed = number("<answer>7</answer>", "<think>3 + 4 = 7.</think>")
    assert parsed[:3] == ("3 + 4 = 7.", "3 + 4 = 7.", "7")


def test_a_servers_reasoning_field():
    parsed = number("The answer is 7.", "3 + 4 = 7.")
    assert parsed == ("3 + 4 = 7.", "3 + 4 = 7.", "7", "answer_is", 5, "The answer is 7.")
    assert number("", "3 + 4 is").answer is None
    assert number("3 + 4 = 7. The answer is 7.", "  ").rationale == "3 + 4 = 7."


def test_run_on_text_is_cut_at_the_first_stop_string():
    raw = "3 + 4 = 7. The answer is 7.\n\nQ: And 2 + 2?\nA: 2 + 2 = 4. The answer is 4."
    assert number(raw).answer == "4"
    assert number(raw, stop=("END", "\n\nQ:")).answer == "7"
    assert number("\n\nQ: next", stop=("\n\nQ:",)) == Parsed()


def test_a_named_string_is_the_only_form_looked_for():
    assert number("So 7 apples.", answer={"after": ["\nA:"]}).answer is None
    assert number("So 7.\nA: 8", answer={"after": ["\nA:"]})[1:4] == ("So 7.", "8", "after")


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    blank: dict[str, Any] = {
        "raw_output": None,
        "reasoning_field": None,
        "finish_reason": "stop",
        "source": "teacher",
        "gold_type": "number",
        "choices": None,
        "question": "How many?",
    }
    return pl.DataFrame(
        [blank | row for row in rows], schema={name: GLOSSARY[name].dtype for name in Parse.reads}
    )


def test_rows_are_read_by_their_source_and_type():
    table = frame(
        [
            {"raw_output": "2 + 2 = 4. Total: 5", "source": "loose"},
            {"raw_output": "2 + 2 = 4. Total: 5", "source": "strict"},
            {
                "raw_output": "It is long, so the answer is the Nile.",
                "gold_type": "choice",
                "question": "Which? (A) Rhine, (B) Nile",
            },
            {"raw_output": "It is long. The answer is B", "gold_type": "choice", "choices": ["a"]},
            {"raw_output": None},
            {"raw_output": "partial 3", "finish_reason": "error"},
            {"raw_output": "3 apples", "finish_reason": None},
        ]
    )
    measure = Parse({"strict": TextOptions(answer=AnswerOptions(after=("####",)))})
    got = measure.derive(table)
    assert got.schema == measure.writes.types
    assert got["answer"].to_list() == ["5", None, "the Nile", None, None, None, "3"]
    assert got["rationale"].to_list()[3:6] == ["It is long. The answer is B", None, None]
    assert got["rationale_words"].to_list()[4:6] == [None, None]
    assert measure.derive(table.head(0)).schema == got.schema


def test_the_instrument_is_the_options_and_unknown_options_are_refused():
    strict = TextOptions(stop=("Q:",))
    assert Parse({"a": strict}).instrument() != Parse({"b": strict}).instrument()
    assert Parse({"a": strict}).instrument() == Parse({"a": strict}).instrument()
    with pytest.raises(ValidationError, match="stops"):
        TextOptions.model_validate({"stops": ["Q:"]})


@given(
    st.text(max_size=200),
    st.none() | st.text(max_size=100),
    st.sampled_from(GOLD_TYPES),
    st.lists(st.text(min_size=1, max_size=5), max_size=2),
)
def test_any_text_parses_and_the_rationale_is_a_piece_of_it(
    raw: str, reasoning: str | None, gold_type: GoldType, after: list[str]
):
    options = TextOptions(answer=AnswerOptions(after=tuple(after)))
    parsed = parse(raw, reasoning, gold_type, ("one", "two"), options)
    if parsed.rationale is None:
        assert parsed == Parsed()
    else:
        assert parsed.rationale in (parsed.reasoning or raw)
        assert parsed.rationale == parsed.rationale.strip()
    assert (parsed.answer is None) == (parsed.answer_form is None)
