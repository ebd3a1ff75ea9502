"""A table from memory is read as a file of its rows would be, whatever holds it."""

import json
import os
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.errors import InputError
from curate.sources.questions import QuestionsOptions, load_questions
from curate.sources.tables import TableOptions, Unreadable, find, keep, read
from curate.store.store import Store

ROWS: list[dict[str, Any]] = [
    {"question": "Ann has 3 pens.\nHow many?", "answer": 7, "tries": ["7", None], "of": {"a": 1}},
    {"question": "Zoë says “2, or 3?”", "answer": 8, "tries": [], "of": {"a": None}},
    {"question": None, "answer": 9, "tries": None, "of": {"a": 3}},
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


def rows(table: Any, base: Path = Path()) -> list[object]:
    return [row for chunk in read(TableOptions(path=table), base, []) for row in chunk.rows]


@pytest.mark.parametrize(
    "held",
    [
        tuple, pl.DataFrame, pl.LazyFrame, pa.Table.from_pylist, datasets.Dataset.from_list,
        pd.DataFrame,
    ],
    ids=lambda held: f"{held.__module__}.{held.__qualname__}",
)  # fmt: skip
def test_whatever_holds_rows_is_the_same_table(held: Callable[[Any], Any]) -> None:
    assert rows(held(ROWS)) == ROWS
    assert keep(held(ROWS)) == keep(ROWS)


def test_a_part_of_a_dataset_is_that_part() -> None:
    whole = datasets.Dataset.from_list(ROWS)
    assert rows(whole.select([2, 0])) == [ROWS[2], ROWS[0]]
    assert rows(pl.DataFrame(ROWS)[1:]) == ROWS[1:]
    assert rows(pd.DataFrame(ROWS).iloc[1:]) == ROWS[1:]


@given(table=st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=4))
def test_it_is_read_as_a_file_of_its_lines(
    table: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("lines") / "rows.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in table))
    expected = rows(str(file))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(file.parent / "store"))
        got = rows(table)
    assert len(got) == len(expected) == len(table)
    for one, other in zip(got, expected, strict=True):
        if isinstance(other, Unreadable):
            assert isinstance(one, Unreadable)
            assert one.problem == other.problem
        else:
            assert one == other


def test_values_that_json_lacks_are_as_a_parquet_file_gives_them() -> None:
    (row,) = rows(
        [
            {
                "day": date(2026, 1, 2), "time": datetime(2026, 1, 2, 3, 4),  # noqa: DTZ001
                "price": Decimal("1.50"), "number": np.int64(7), "list": np.arange(2),
                "missing": float("nan"), "image": b"\x89PNG", 3: "a number names it",
            }
        ]
    )  # fmt: skip
    assert row == {
        "day": "2026-01-02", "time": "2026-01-02 03:04:00", "price": "1.50", "number": 7,
        "list": [0, 1], "missing": None, "image": None, "3": "a number names it",
    }  # fmt: skip
    frame = pd.DataFrame({"n": pd.array([1, None], "Int64"), "day": [pd.Timestamp(0), pd.NaT]})
    assert rows(frame) == [{"n": 1, "day": "1970-01-01 00:00:00"}, {"n": None, "day": None}]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (3, "wanted a path or, in Python, a table: a list of dicts, a polars or pandas frame"),
        (None, "wanted a path or, in Python, a table"),
        (["a.jsonl", "b.jsonl"], "a list that holds a str is no table; wanted dicts"),
        ([{"a": {1, 2}}], "row 1 of the table can't be written as JSON (it holds a set)"),
        (datasets.DatasetDict(a=1, b=2), "holds several tables (a, b); give one of them"),
    ],
)
def test_what_is_no_table_is_refused(store: Path, table: Any, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TableOptions(path=table)
    assert said in str(refused.value)
    assert not [path for path in store.rglob("*") if path.is_file()]


def test_it_has_no_parts_of_a_data_set() -> None:
    with pytest.raises(ValidationError, match="has no config, split or revision"):
        TableOptions(path=ROWS, split="train")  # pyright: ignore[reportArgumentType]


def test_a_path_of_python_is_a_path() -> None:
    assert TableOptions(path=Path("a") / "b.jsonl").path == "a/b.jsonl"  # pyright: ignore[reportArgumentType]


def test_a_table_is_found_by_what_it_holds_alone(store: Path) -> None:
    name = keep(ROWS)
    digest = name.removeprefix("memory://")
    assert find(name, Path()) == [store / "tables" / f"{digest}.jsonl.zst"]
    (store / "other.jsonl.zst").touch()
    for wrong in (f"memory://{digest[::-1]}", "memory://../other", "memory://", f"{name}\n"):
        with pytest.raises(InputError, match="this store does not hold it; hand the rows over"):
            find(wrong, Path())


def test_a_column_that_is_not_there_is_named() -> None:
    options = QuestionsOptions.model_validate(
        {"path": ROWS, "gold": {"type": "number"}, "columns": {"gold": "gold"}}
    )
    with pytest.raises(InputError, match="no column 'gold' in the table from memory, which has"):
        load_questions(options, Path())


def test_a_table_that_nobody_uses_goes(store: Path) -> None:
    old, new = (find(keep([{"n": n}]), Path())[0] for n in (1, 2))
    os.utime(old, (0, 0))
    assert Store().gc(days=1) > 0
    assert not old.exists()
    assert new.exists()
    (usage,) = Store().usage()
    assert (usage.part, usage.entries) == ("tables", 1)
