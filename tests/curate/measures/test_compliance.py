"""Compliance: what a person counts, what the published files hold, and how parents are read."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from curate.measures.compliance import Compliance
from curate.measures.masking import states_value
from filters.marks import retold, sub_questions, symbols

GOLDEN: Final = Path(__file__).parent / "golden" / f"compliance-v{Compliance.version}.jsonl"
CASES: Final = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
TEXTS: Final = dict.fromkeys(
    ("rationale", "question", "gold", "gold_type", "answer", "parent_rationale"), pl.String()
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_values_are_those_agreed_on(case: dict[str, Any]) -> None:
    schema = {**TEXTS, "choices": pl.List(pl.String())}
    frame = pl.DataFrame([{name: case[name] for name in schema}], schema=schema)
    values = Compliance().derive(frame).row(0, named=True)
    for name, value in case["values"].items():
        assert values[name] == pytest.approx(value), name


def test_every_column_is_agreed_on_somewhere() -> None:
    assert {name for case in CASES for name in case["values"]} == set(Compliance.writes)


def test_only_what_is_asked_for_is_read() -> None:
    measure = Compliance(("computations", "retold"))
    assert set(measure.reads) == {"rationale", "question"}
    assert set(measure.writes) == {"computations", "retold"}


def published() -> Iterator[tuple[str, str, str]]:
    """Give the format that each published rationale was asked for in, its question, its text."""
    folder = os.environ.get("CURATE_TEST_DATA")
    if folder is None:
        pytest.skip("CURATE_TEST_DATA names no data")
    for file in sorted((Path(folder) / "svamp_teachers").glob("chatgpt_level*.json")):
        form = file.stem.partition("_level")[2].partition("_")[2] or "plain"
        for row in json.loads(file.read_text()):
            yield form, row["instruction"], re.split("The answer is", row["output"])[0]


def test_published_formats_leave_their_marks() -> None:
    marks = pl.DataFrame(
        [
            (form, sub_questions(text) >= 2, symbols(text) >= 3, retold(question, text) >= 0.45)
            for form, question, text in published()
        ],
        schema=["form", "BSM", "SYM", "RaR"],
        orient="row",
    )
    shares = marks.group_by("form").mean()
    rate = {row.pop("form"): row for row in shares.iter_rows(named=True)}
    assert rate["BSM"]["BSM"] >= 0.985
    assert rate["plain"]["BSM"] <= 0.001
    assert rate["SYM"]["SYM"] >= 0.985
    assert rate["plain"]["SYM"] <= 0.03
    assert rate["RaR"]["RaR"] >= 0.86
    assert rate["plain"]["RaR"] <= 0.2


def test_a_stated_answer_has_a_place() -> None:
    """What `states_value` finds, `answer_at` finds too, but for the numbers of steps."""
    case = next(case for case in CASES if case["id"] == "the answer is told at once")
    assert states_value(case["rationale"], "19", "number", ())
    assert case["values"]["answer_at"] < 0.2
