"""A thought of thousands of words and the solution behind it: both whole, each read as itself."""

from typing import Any

import polars as pl
import pytest

from curate.measures.masking import mask_value, states_value
from curate.measures.parse import Parse
from curate.release.formats.wording import Think, Wording, completion
from filters.columns import GLOSSARY
from filters.completeness import Completeness
from filters.contradiction import Contradiction
from filters.correctness import Correctness
from filters.length import Length
from tests.curate.measures.long_thoughts import LongThought, long_thought

LENGTHS = (5_000, 20_000)


def row_of(text: LongThought, *, field: bool, answer: str = "1350") -> pl.DataFrame:
    """Parse a thought in a block, or in a server's reasoning field."""
    solution = text.solution.replace("1350", answer)
    raw = solution if field else f"<think>\n{text.thought}\n</think>\n\n{solution}"
    columns = {
        "raw_output": raw, "reasoning_field": text.thought if field else None,
        "finish_reason": "stop", "source": "teacher", "gold_type": "number", "choices": None,
        "question": "How many tiles are there?", "gold": "1350", "sample_id": "s",
        "question_id": "q", "error": None, "verify_outcome": None,
    }  # fmt: skip
    frame = pl.DataFrame([columns], schema={name: GLOSSARY[name].dtype for name in columns})
    return pl.concat([frame, Parse().derive(frame)], how="horizontal")


@pytest.mark.parametrize("field", [False, True], ids=["block", "field"])
@pytest.mark.parametrize("words", LENGTHS)
def test_thought_and_solution_are_kept_apart_and_whole(words: int, field: bool) -> None:
    text = long_thought(words)
    (row,) = row_of(text, field=field).to_dicts()
    assert row["reasoning"] == row["rationale"] == text.thought
    assert row["solution"] == text.solution
    assert row["answer"] == "1350 tiles"
    assert row["rationale_words"] == len(text.thought.split()) > words


@pytest.mark.parametrize("words", LENGTHS)
def test_masking_finds_every_statement_of_the_value(words: int) -> None:
    text = long_thought(words)
    masked = mask_value(text.thought, "1350 tiles", "number", (), "___")
    assert masked.count("___") == text.statements > words / 400
    assert not states_value(masked, "1350", "number", ())
    assert masked.count("boxed") == text.thought.count("boxed"), "other answers stay"


@pytest.mark.parametrize("words", LENGTHS)
def test_filters_judge_the_thought_and_hold_the_solution_against_it(words: int) -> None:
    row = row_of(long_thought(words), field=False)
    for kind in (Completeness, Correctness, Contradiction):
        (verdict,) = kind.model_validate({}).judge(row).to_dicts()
        assert verdict["keep"], (kind, verdict)
    length = Length.model_validate({"unit": "words", "max": words})
    assert length.judge(row)["reason"].to_list() == ["too_long"]
    other = row_of(long_thought(words), field=False, answer="1400")
    assert Correctness.model_validate({}).judge(other)["reason"].to_list() == ["wrong_answer"]


def test_a_solution_that_leaves_its_thought_contradicts_it() -> None:
    text = long_thought(5_000)._replace(solution="**The answer is 4000.**")
    (verdict,) = Contradiction.model_validate({}).judge(row_of(text, field=True)).to_dicts()
    assert verdict["reason"] == "contradicts_itself"


@pytest.mark.parametrize("think", ["inline", "field"])
def test_an_export_has_the_thought_and_if_asked_the_solution_behind_it(think: Think) -> None:
    text = long_thought(5_000)
    (row,) = row_of(text, field=False).to_dicts()
    wording = Wording(" The answer is {answer}.", "chat", think)
    assert said(row, wording) == (text.thought, "The answer is 1350.")
    assert said(row, wording._replace(solution=True)) == (text.thought, text.solution)


def said(row: dict[str, Any], wording: Wording) -> tuple[str, str]:
    """Give what a turn has as its thought, and behind it."""
    (turn,) = completion(row, wording)
    if wording.think == "field":
        return turn["reasoning_content"], turn["content"]
    thought, _, behind = turn["content"].removeprefix("<think>\n").partition("\n</think>\n\n")
    return thought, behind
