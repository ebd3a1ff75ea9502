"""Golden files: verdicts a person agreed with, kept for each version of each filter.

One JSON object a line: ``id``, ``config``, ``rows`` (column: value; sample_id and question_id are
made up where they do not matter) and ``verdicts`` (``keep``, ``reason``, and where they matter
``score``, ``evidence`` fields and written columns). A changed verdict without a new version fails
here; so does a reason that no line gives.
"""

import json
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from filters import FILTERS
from filters.contract import Filter
from tests.filters.laws import settled
from tests.filters.strategies import dtype_of

GOLDEN: Final = Path(__file__).parent.parent / "golden"
KINDS: Final = {kind.model_fields["use"].default: kind for kind in FILTERS}


def file_of(kind: type[Filter]) -> Path:
    return GOLDEN / f"{kind.model_fields['use'].default}-v{kind.version}.jsonl"


def cases_of(kind: type[Filter]) -> list[dict[str, Any]]:
    file = file_of(kind)
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


CASES: Final = [
    pytest.param(kind, case, id=f"{use}-{case['id']}")
    for use, kind in KINDS.items()
    for case in cases_of(kind)
]


def frame_of(filter_: Filter, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Type a case's rows as the glossary declares them; what a row leaves out is null."""
    columns = tuple(dict.fromkeys(("sample_id", "question_id", *filter_.reads())))
    unknown = {name for row in rows for name in row} - set(columns)
    assert not unknown, f"the filter does not read {sorted(unknown)}"
    named = [
        {"sample_id": f"s{number}", "question_id": "q", **row} for number, row in enumerate(rows)
    ]
    data = {name: [row.get(name) for row in named] for name in columns}
    return pl.DataFrame(data, schema={name: dtype_of(name) for name in columns})


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_verdicts_are_those_agreed_on(kind: type[Filter], case: dict[str, Any]) -> None:
    filter_ = kind.model_validate(case["config"])
    frame = frame_of(filter_, case["rows"])
    found = settled(filter_, frame).judge(frame).to_dicts()
    assert len(found) == len(case["verdicts"])
    for row, (verdict, expected) in enumerate(zip(found, case["verdicts"], strict=True)):
        for name, value in expected.items():
            got = verdict[name]
            if name == "evidence":
                got = {field: got[field] for field in value}
            elif isinstance(value, float):
                value = pytest.approx(value, abs=1e-6)  # noqa: PLW2901 - compared loosely
            assert got == value, f"row {row}, {name}"


@pytest.mark.parametrize("kind", FILTERS)
def test_every_reason_is_given_in_the_golden_file(kind: type[Filter]) -> None:
    given = {verdict.get("reason") for case in cases_of(kind) for verdict in case["verdicts"]}
    missing = set(kind.reasons) - given
    assert not missing, f"{file_of(kind).name} has no line for {sorted(missing)}"


def test_every_golden_file_belongs_to_a_filter() -> None:
    """A file left behind by a raised version or a renamed filter is deleted, not kept."""
    expected = {file_of(kind).name for kind in FILTERS}
    assert {file.name for file in GOLDEN.glob("*.jsonl")} <= expected
