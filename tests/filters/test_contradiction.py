"""Contradiction: what is never one, whatever the numbers, and what real teachers wrote."""

import json
from collections import Counter
from pathlib import Path
from typing import Final

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.measures.parse import Parse
from filters.columns import GLOSSARY
from filters.contradiction import Contradiction

DOUBTS: Final = (
    "There must be a mistake in the question.",
    "That's not right.",
    "I made an error.",
    "This does not make sense.",
    "I give up.",
)
READ_BY_HAND: Final = {"cites_answer": 26, "contradicts_itself": 2}
"""Of 2,797 rationales of GPT-4o; each was read, and each does."""
WHOLE: Final = st.integers(2, 400)


def verdicts(*completions: str, reasoning: str | None = None) -> pl.DataFrame:
    """Judge completions of a question for a number as they are parsed."""
    return judged(
        [
            {"raw_output": text, "reasoning_field": reasoning, "question": "How many are there?"}
            for text in completions
        ]
    )


def judged(rows: list[dict[str, str | None]]) -> pl.DataFrame:
    named = [
        {"sample_id": f"s{number}", "question_id": "q", "gold_type": "number", "source": "t", **row}
        for number, row in enumerate(rows)
    ]
    needed = ("choices", "reasoning_field", "finish_reason")
    frame = pl.DataFrame(named).with_columns(
        pl.lit(None, GLOSSARY[name].dtype).alias(name) for name in needed if name not in named[0]
    )
    parsed = pl.concat([frame, Parse().derive(frame)], how="horizontal")
    contradiction = Contradiction.model_validate({})
    return contradiction.judge(parsed.select("sample_id", *contradiction.reads()))


@given(WHOLE, WHOLE, st.sampled_from(DOUBTS), st.integers(5, 90))
def test_a_doubt_is_none_once_a_step_comes_to_the_answer(a: int, b: int, doubt: str, off: int):
    answer = a + b + off
    steps = f"We add {a} + {b} = {a + b}. {doubt}"
    stays, leads = verdicts(
        f"{steps} The answer is {answer}.",
        f"{steps} Once more: {a + b} + {off} = {answer}. The answer is {answer}.",
    ).to_dicts()
    parts = {a, b, a + b} & {answer - 1, answer, answer + 1}
    assert stays["reason"] == (None if parts else "contradicts_itself")
    assert leads["keep"]


@given(WHOLE, WHOLE, st.sampled_from(DOUBTS))
def test_a_text_that_computes_its_answer_never_contradicts_itself(a: int, b: int, doubt: str):
    text = f"{doubt} So {a} * {b} = {a * b}. {doubt} The answer is {a * b}."
    thought = f"<think>\n{text} Wait. {doubt}\n</think>\n{a} * {b} is what is asked.\n\n{a * b}"
    assert verdicts(text, thought)["keep"].all()


@pytest.mark.data
def test_what_a_model_writes_that_saw_no_answer_is_kept(data: Path):
    rows = [
        {"raw_output": line["output"], "question": line["question"]}
        for file in sorted((data / "zeroeval" / "gsm8k").glob("*mini*.jsonl"))
        for line in map(json.loads, file.read_text().splitlines())
    ]
    assert len(rows) == 2638
    assert judged(rows)["keep"].all()


@pytest.mark.data
def test_teachers_who_were_shown_the_answer_admit_it(data: Path):
    files = sorted((data / "svamp_teachers").glob("chatgpt_level[3-6].json"))
    rows = [
        {"raw_output": row["output"], "question": row["instruction"]}
        for file in files
        for row in json.loads(file.read_text())
    ]
    assert len(rows) == 2797
    assert Counter(judged(rows)["reason"].drop_nulls()) == READ_BY_HAND
