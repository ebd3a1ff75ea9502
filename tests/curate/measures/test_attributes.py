"""Counts in a rationale's words, as a person counts them."""

import json
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from curate.measures.attributes import Attributes, foreign_letters

GOLDEN: Final = Path(__file__).parent / "golden" / f"attributes-v{Attributes.version}.jsonl"
CASES: Final = [json.loads(line) for line in GOLDEN.read_text().splitlines()]


def measured(text: str | None) -> dict[str, Any]:
    frame = pl.DataFrame(
        {"rationale": [text], "raw_output": [text], "question": ["How many?"]},
        schema=dict.fromkeys(("rationale", "raw_output", "question"), pl.String()),
    )
    return Attributes().derive(frame).row(0, named=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_counts_are_those_agreed_on(case: dict[str, Any]) -> None:
    values = measured(case["text"])
    for name in ("reflection_words", "hedge_words", "format_fault_names"):
        assert values[name] == case[name], name
    assert values["format_faults"] == len(case["format_fault_names"])


@pytest.mark.parametrize(
    ("text", "question", "share"),
    [
        ("plain words", "Why?", 0.0),
        ("ab 答案", "Why?", 0.5),
        ("答案是 7", "有多少?", 0.0),
        ("the angle \u03b1 is 2\u03c0, so \u0394 = \U0001d465", "Why?", 0.0),
        ("\u0434\u0430", "Why?", 1.0),
        ("3 + 4 = 7", "Why?", 0.0),
        ("naïve café", "Why?", 0.0),
    ],
)
def test_letters_are_foreign_that_the_question_has_none_of(
    text: str, question: str, share: float
) -> None:
    assert foreign_letters(text, question) == pytest.approx(share)


def test_nothing_is_counted_where_there_is_no_rationale() -> None:
    assert set(measured(None).values()) == {None}
