"""Conditions on samples: a value, several, a range, or a verdict; null meets none."""

from typing import Any

import polars as pl
import pytest
from pydantic import TypeAdapter, ValidationError

from curate.sources.where import verdict_is
from filters.conditions import Condition, Range, value_is

VERDICTS = pl.DataFrame(
    {
        "verdict": [
            {"keep": True, "reason": None},
            {"keep": False, "reason": "wrong_answer"},
            {"keep": False, "reason": "no_answer"},
            {"keep": None, "reason": "time_out"},
        ]
    },
    schema={"verdict": pl.Struct({"keep": pl.Boolean(), "reason": pl.String()})},
)


def read(said: Any) -> Condition:
    return TypeAdapter[Condition](Condition).validate_python(said)


@pytest.mark.parametrize(
    ("said", "rows"),
    [
        ("kept", [0]),
        ("dropped", [1, 2]),
        ("abstained", [3]),
        ("wrong_answer", [1]),
        (["kept", "no_answer"], [0, 2]),
        (["dropped", "time_out"], [1, 2, 3]),
    ],
)
def test_a_verdict_is_an_outcome_or_a_reason(said: Any, rows: list[int]) -> None:
    held = VERDICTS.select(verdict_is(pl.col("verdict"), read(said))).to_series()
    assert held.arg_true().to_list() == rows


@pytest.mark.parametrize(
    ("values", "said", "rows"),
    [
        (["a", "b", None], "a", [0]),
        (["a", "b", None], ["a", "b"], [0, 1]),
        ([1, 5, 9, None], {"min": 5}, [1, 2]),
        ([1, 5, 9, None], {"max": 5}, [0, 1]),
        ([1.0, 5.5, 9.0], {"min": 5.5, "max": 5.5}, [1]),
        ([1, 5, 9, None], 5, [1]),
        ([True, False, None], False, [1]),
        ([True, False, None], True, [0]),
    ],
)
def test_a_column_has_a_value_or_lies_in_a_range(
    values: list[Any], said: Any, rows: list[int]
) -> None:
    frame = pl.DataFrame({"column": values})
    held = frame.select(value_is(pl.col("column"), read(said))).to_series()
    assert held.arg_true().to_list() == rows
    assert held.null_count() == 0


def test_what_is_said_keeps_its_type() -> None:
    assert read([True]) == (True,)
    assert read([1, 2.5, "x", False]) == (1, 2.5, "x", False)
    assert read({"max": 3}) == Range(max=3)


@pytest.mark.parametrize("said", [[], {}, {"min": 3, "max": 2}, {"most": 2}, None])
def test_what_no_sample_could_meet_is_refused(said: Any) -> None:
    with pytest.raises(ValidationError):
        read(said)
