"""Whole runs that take gradients: which rows, what is said of them, and what a second run asks."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate.engine.forecast.probe import most_items, probe
from curate.engine.measuring import chosen_rows
from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import InputError, ModelError
from curate.measures.base import RowRequest
from curate.measures.gradient import Gradient
from curate.recipe.files import read_recipe
from curate.recipe.plan import make_plan
from curate.report.html.page import write_report
from tests.curate.engine.test_thresholds import write_student

RECIPE = """
name: gradients
questions: {path: questions.jsonl, gold: {type: number}}
sources:
  - use: import
    name: pool
    path: pool.jsonl
    columns: {question: question, completion: text}
    teacher: {column: writer}
measures:
  score: {student: student, calibrate: 0}
  gradient: {blocks: 1, dimensions: 32, splits: 3, samples: 2}
filters: [{use: completeness}, {use: correctness}, {use: length, unit: words, max: 40}]
select: {per_question: 1}
arms: [random, all_correct, all, "without:correctness"]
"""
QUESTIONS = 40
RIGHT = ("short", "long")
FEW = "few"
"""Who answers three questions."""


def texts(a: int, b: int) -> dict[str, list[str]]:
    """Give what three teachers write about a sum, the last text of each wrong."""
    total, wrong = f"The answer is {a + b}", f"The answer is {a - b}"
    return {
        "short": [f"{a} + {b} = {a + b}. {total}", f"Sum: {a + b}. {total}", f"{a} - {b}. {wrong}"],
        "long": [
            f"First we take {a}, then we add {b} to it, which makes {a + b} in all. {total}",
            f"We count from {a} on by {b} steps and arrive at the number {a + b}. {total}",
            f"We take {b} away from {a}. {wrong}",
        ],
        FEW: [f"It is {a + b}. {total}"] if a < 23 else [],
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("gradients")
    questions: list[dict[str, Any]] = []
    pool: list[dict[str, Any]] = []
    for a, b in ((20 + n, 3 + n % 7) for n in range(QUESTIONS)):
        asked = f"What is {a} plus {b}?"
        questions.append({"question": asked, "answer": str(a + b)})
        pool += [
            {"question": asked, "text": text, "writer": writer}
            for writer, written in texts(a, b).items()
            for text in written
        ]
    for name, rows in (("questions", questions), ("pool", pool)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines)
    (folder / "recipe.yaml").write_text(RECIPE)
    write_student(folder / "student", [row["text"] for row in pool])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def first(folder: Path) -> RunResult:
    return do(folder)


def do(folder: Path, *overrides: str, **options: Any) -> RunResult:
    file = read_recipe(str(folder / "recipe.yaml"), overrides)
    return run(file, RunOptions(runs=folder / "runs", **options), Progress(quiet=True))


def facts_of(result: RunResult) -> Mapping[str, Any]:
    manifest = json.loads((result.folder / "dataset" / "manifest.json").read_text())
    return manifest["measures"]["gradient"]["facts"]


def steps(folder: Path, *overrides: str) -> list[str]:
    plan = make_plan(read_recipe(str(folder / "recipe.yaml"), overrides).recipe)
    return [line for line in plan.describe() if line.startswith(("measure", "filter"))]


def test_manifest_card_and_report_tell_of_teachers_sources_and_arms(first: RunResult) -> None:
    facts = facts_of(first)
    for teacher in RIGHT:
        entry = facts["teachers"][teacher]
        assert entry["rows"] == 2 * QUESTIONS
        assert entry["questions"] == QUESTIONS
        for figure in ("grace", "grace_unit", "g_vendi"):
            interval = entry[figure]
            assert 0 < interval["low"] < interval["value"] < interval["high"]
    assert facts["teachers"][FEW] == {"reason": "too_few_questions"}
    assert facts["sources"]["pool"]["rows"] == 2 * len(RIGHT) * QUESTIONS + 3
    arms = facts["arms"]
    assert arms.keys() == {"selected", "random", "all_correct", "all", "without_correctness"}
    for arm in ("selected", "random", "all_correct"):
        assert arms[arm]["rows"] == QUESTIONS
        assert 1 < arms[arm]["g_vendi"]["value"] < 32
    for arm in ("all", "without_correctness"):
        assert arms[arm] == {"reason": "not_all_measured"}
    card = (first.folder / "dataset" / "README.md").read_text()
    page = write_report(first.folder).read_text()
    for text in ("teacher short", "teacher long", "arm random", "too few questions to tell"):
        assert text in card
        assert text in page
    value = f"{facts['teachers']['short']['grace']['value']:.4g}"
    assert value in card
    assert value in page


def test_right_rows_alone_are_measured_and_no_file_keeps_the_vectors(first: RunResult) -> None:
    audit = first.audit
    assert "gradient" not in audit.columns
    right = audit["verdict_correctness"].struct.field("keep")
    assert (audit["gradient_norm"].is_not_null() == right.fill_null(value=False)).all()


def test_a_second_run_takes_none_anew_and_other_dimensions_take_all(
    folder: Path, first: RunResult
) -> None:
    again = do(folder)
    items = 2 * len(RIGHT) * QUESTIONS + 3
    assert (first.tally.measured, again.tally.measured, again.tally.reused) == (items, 0, items)
    assert facts_of(first) == facts_of(again)
    assert do(folder, "measures.gradient.splits=4").tally.measured == 0
    assert do(folder, "measures.gradient.dimensions=16").tally.measured == items


def test_gradients_change_nothing_that_is_released(folder: Path, first: RunResult) -> None:
    result = do(folder, "measures.gradient=null")
    assert result.summary.dataset_hash == first.summary.dataset_hash
    assert result.tally.measured == 0
    assert "Gradients" not in (result.folder / "dataset" / "README.md").read_text()


def test_neither_shards_nor_a_replay_change_a_fact(folder: Path, first: RunResult) -> None:
    again = do(folder, "runtime.questions_per_shard=3", replay=True)
    assert facts_of(again) == facts_of(first)


def test_it_stands_behind_the_filter_that_tells_right_from_wrong(folder: Path) -> None:
    line = "measure gradient (for the facts of the run)"
    assert steps(folder)[steps(folder).index(line) - 1] == "filter correctness"
    few = "filters=[{use: completeness}, {use: length, unit: words, max: 40}]"
    assert steps(folder, few, "arms=[]")[1] == line


def test_without_a_student_or_with_a_served_one_it_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="measure 'gradient' runs the student's model; name one"):
        steps(folder, "measures.score=null")
    served = "runtime.student={url: 'http://localhost:1/v1'}"
    with pytest.raises(InputError, match="a server gives no gradients"):
        do(folder, "measures.score.dtype=served", served)
    with pytest.raises(ModelError, match=r"set `blocks` under measures.gradient"):
        do(folder, "measures.gradient.blocks=9")


def test_few_questions_are_chosen_and_each_teacher_s_rows_are_counted() -> None:
    rows = pl.DataFrame(
        [
            (f"q{question}", f"{question}{teacher}{sample}", teacher)
            for question in range(30)
            for teacher in ("a", "b")
            for sample in range(5)
        ],
        schema=["question_id", "sample_id", "teacher"],
        orient="row",
    )
    frames = [rows[:117], rows[117:]]
    chosen = rows.filter(pl.col("sample_id").is_in(chosen_rows(frames, RowRequest(7, 3)).implode()))
    assert chosen["question_id"].n_unique() == 7
    assert chosen.group_by("question_id", "teacher").len()["len"].to_list() == [3] * 14
    for frames in ([rows[::-1]], [rows.sample(fraction=1, shuffle=True, seed=3)]):
        assert set(chosen_rows(frames, RowRequest(7, 3))) == set(chosen["sample_id"])
    wider = chosen_rows([rows], RowRequest(20, 4))
    assert set(chosen["sample_id"]) <= set(wider), "a wider choice keeps what was paid for"


def test_a_probe_foresees_the_few_that_are_measured_and_the_run_uses_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path))
    limits = ("measures.gradient.questions=20", "arms=[]")
    forecast = probe(read_recipe(str(folder / "recipe.yaml"), limits), 10, Progress(quiet=True))
    assert [stage.title for stage in forecast.stages] == ["measure gradient"]
    assert most_items(already=40, covered=10, request=RowRequest(20, 2)) == 80
    assert most_items(already=12, covered=10, request=RowRequest(3, 4)) == 12
    wider = read_recipe(str(folder / "recipe.yaml"), ("arms=[]",))
    more = probe(wider, 10, Progress(quiet=True)).disk.middle - forecast.disk.middle
    assert more == pytest.approx(20 * 2 * len(RIGHT) * Gradient.item_bytes, rel=0.1)
    result = do(folder, *limits)
    assert result.tally.reused >= 10 * 2 * len(RIGHT)
    measured = result.tally.measured + result.tally.reused
    assert 20 * 2 * len(RIGHT) <= measured <= 20 * 2 * len(RIGHT) + 3
