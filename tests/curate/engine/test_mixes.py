"""Whole runs that mix by quota, order questions, and bring a curriculum and weights."""

from pathlib import Path

import polars as pl
import pytest

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import InputError
from curate.recipe.files import read_recipe
from curate.release.funnel import lines
from curate.report.why import explain


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    return tmp_path


def do(folder: Path, *overrides: str) -> RunResult:
    file = read_recipe("first-look", ["select.budget=null", *overrides])
    return run(file, RunOptions(runs=folder / "runs"), Progress(quiet=True))


def released(result: RunResult) -> pl.DataFrame:
    return pl.read_parquet(result.folder / "dataset" / "data" / "default" / "**" / "*.parquet")


def test_a_mix_by_teacher_says_what_it_lacks(folder: Path) -> None:
    quota = "select.quota={by: teacher, count: {careful: 3, brief: 500}}"
    result = do(folder, quota, "select.per_question=null", "select.one_per=null")
    rows = released(result)
    assert dict(rows["teacher"].value_counts().iter_rows())["careful"] == 3
    brief = rows.filter(teacher="brief").height
    assert 0 < brief < 500
    note = f"quota by teacher: careful 3 of 3, brief {brief} of 500 ({500 - brief} short)"
    assert f"note: {note}" in lines(result.funnel)


def test_lengths_can_be_mixed_and_staged_and_weighed(folder: Path) -> None:
    result = do(
        folder,
        "select.quota={by: rationale_words, ratio: uniform, cuts: [20]}",
        "select.stages={by: [rationale_words], count: 2}",
        "select.weight=1 / rationale_words",
    )
    rows = released(result)
    words = rows["rationale"].str.split(" ").list.len()
    assert abs(rows.height - 2 * (words < 20).sum()) <= 1
    assert set(rows["stage"]) == {1, 2}
    assert rows["weight"].to_list() == pytest.approx(
        (
            1
            / result.audit.join(
                rows.select("sample_id"), "sample_id", "right", maintain_order="right"
            )["rationale_words"]
        ).to_list()
    )
    card = (result.folder / "dataset" / "README.md").read_text()
    assert "its place in a curriculum" in card
    assert "stage" not in released(do(folder)).columns


def test_why_a_quota_left_a_row_out_is_said(folder: Path) -> None:
    result = do(folder, "select.quota={by: teacher, count: {careful: 1}}")
    left = result.audit.filter(pl.col("live"), ~pl.col("selected")).sort("selection_rank")
    told = " ".join(repr(explain(result.folder, left["sample_id"][0])).split())
    assert "its part of the quota by teacher is full, or its value has none" in told


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("select.quota={by: techer, ratio: uniform}", "'techer', which nobody writes; did you"),
        ("select.weight=exp(rd_masked)", "measure 'score' writes with the student's model"),
        ("select.stages={by: [teacher]}", "'teacher' .* holds text"),
        ("select.questions_by=[choices]", "'choices' .* holds a list"),
        ("select.quota={by: rationale_words, ratio: uniform}", "wanted cuts, as in cuts: "),
        ("select.quota={by: choices, ratio: uniform}", "'choices' .* wanted a column of text"),
        ("select.quota={by: teacher, ratio: uniform, cuts: [3]}", "wanted a column of text"),
        ("select.weight=min(rationale_words)", "gives one number for all rows"),
        ("select.weight=teacher + 1", "is no number"),
    ],
)
def test_what_nobody_writes_or_nobody_can_order_by_is_refused(
    folder: Path, said: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        do(folder, said)
