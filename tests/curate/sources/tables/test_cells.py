"""Paths into rows, values as text, and what is said where they lead nowhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import InputError
from curate.sources.tables.cells import cell, fold, joined, require, text

ROW = {
    "question": "q",
    "a.b": "a name with a dot",
    "a": {"b": "nested", "c": {"d": 1}},
    "messages": [{"content": "first"}, {"content": "last"}],
    "empty": None,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("question", "q"),
        ("a.b", "a name with a dot"),
        ("a.c.d", 1),
        ("messages.0.content", "first"),
        ("messages.-1.content", "last"),
        ("messages.2.content", None),
        ("a.x", None),
        ("question.x", None),
        (".", ROW),
    ],
)
def test_a_path_leads_to_its_value(path: str, value: object) -> None:
    assert cell(ROW, path) == value


def test_values_as_text() -> None:
    assert [text(value, "x") for value in ("a", 7, 1.5, True, None, float("nan"))] == [
        "a",
        "7",
        "1.5",
        "True",
        None,
        None,
    ]
    with pytest.raises(InputError, match=r"column 'a' holds an object .* such as 'a\.b'"):
        text(ROW["a"], "a")
    with pytest.raises(InputError, match=r"column '.' holds a list .* such as '0'"):
        text(["x"], ".")


def test_several_columns_are_joined_without_the_missing() -> None:
    assert joined({"body": "One.", "ask": "Two?"}, ("body", "none", "ask")) == "One. Two?"
    assert joined({"body": None}, ("body", "ask")) is None


def test_a_column_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        require(["question", "messages.x"], [ROW], "f.jsonl", "questions.columns")
    assert str(caught.value).startswith("questions.columns: no column 'messages.x' in f.jsonl")
    assert caught.value.exit_code == 2
    with pytest.raises(InputError, match=r"a\.b, a\.c, messages.*did you mean 'question'"):
        require(["qestion"], [{**ROW, "a.b": 1}], "f", "w")
    with pytest.raises(InputError, match=r"bare values \('one'\).*its path is '\.'"):
        require(["output"], ["one"], "f", "w")
    require(["empty", "."], [ROW], "f", "w")  # a column of nulls is there
    require(["x"], [{"y": 1}, {"x": 1}], "f", "w")  # one row has it


@given(st.text())
def test_folding_is_idempotent_and_blind_to_layout(raw: str) -> None:
    folded = fold(raw)
    assert fold(folded) == folded
    assert fold(f"\n {raw}\t\t") == folded
    assert fold(raw.replace(" ", " \n ")) == folded


def test_folding_keeps_what_can_change_the_question() -> None:
    assert fold("Cafe\u0301 2.5") == fold("Caf\u00e9  2.5")
    assert len({fold(x) for x in ("5 apples", "5 Apples", "5 apples?", "50 apples")}) == 4
