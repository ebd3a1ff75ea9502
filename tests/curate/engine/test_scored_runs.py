"""Whole runs that score: values of single tokens on demand, and students behind a server."""

import json
from pathlib import Path

import datasets
import pytest

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import InputError
from curate.recipe.files import read_recipe
from filters.columns import GLOSSARY
from tests.curate.engine.test_thresholds import write_student
from tests.servers.student_server import serving_student

RECIPE = """
name: tokens
questions: {path: questions.jsonl, gold: {type: number}}
sources:
  - {use: import, name: pool, path: pool.jsonl, columns: {question: question, completion: text}}
measures: {score: {student: student, calibrate: 0}}
filters: [{use: completeness}, {use: rationale_difficulty, variant: paper, max: 1.0e9}]
"""
ASKED = "measures.score.per_token=true"
SERVED = ["measures.score.dtype=served"]
SUMS = [(20, 3), (31, 7), (45, 9)]

PER_TOKEN = set(GLOSSARY.where(lambda column: column.per_token))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    asked = [f"What is {a} plus {b}?" for a, b in SUMS]
    texts = [f"We add: {a} + {b} = {a + b}. The answer is {a + b}" for a, b in SUMS]
    answers = [str(a + b) for a, b in SUMS]
    for name, key, values in (("questions", "answer", answers), ("pool", "text", texts)):
        rows = [{"question": q, key: value} for q, value in zip(asked, values, strict=True)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    write_student(tmp_path / "student", [*asked, *texts])
    return tmp_path


def do(folder: Path, *overrides: str) -> RunResult:
    file = read_recipe(str(folder / "recipe.yaml"), overrides)
    return run(file, RunOptions(runs=folder / "runs"), Progress(quiet=True))


def test_tokens_are_measured_when_asked_for_and_kept(folder: Path) -> None:
    items = 2 * len(SUMS)
    plain = do(folder)
    assert (plain.tally.measured, plain.tally.reused) == (items, 0)
    assert not PER_TOKEN & set(plain.audit.columns)
    asked = do(folder, ASKED)
    assert (asked.tally.measured, asked.tally.reused) == (items, 0)
    again = do(folder, ASKED)
    assert (again.tally.measured, again.tally.reused) == (0, items)
    assert again.summary.dataset_hash == asked.summary.dataset_hash
    without = do(folder)
    assert (without.tally.measured, without.tally.reused) == (0, items)
    assert not PER_TOKEN & set(without.audit.columns)
    assert without.summary.dataset_hash == plain.summary.dataset_hash, "no score has changed"
    for row in asked.audit.iter_rows(named=True):
        ends, logs = row["rationale_token_ends"], row["rationale_logprobs"]
        assert len(ends) == len(logs) == len(row["rationale_entropies"]) > 0
        assert ends[-1] == len(row["rationale"])
        assert -sum(logs) / len(logs) == pytest.approx(row["nll_rationale"], abs=1e-5)
        assert min(row["rationale_entropies"]) >= 0


def test_a_release_with_tokens_loads(folder: Path) -> None:
    result = do(folder, ASKED)
    rows = datasets.load_dataset(str(result.folder / "dataset"), split="train")
    assert set(rows.column_names) >= PER_TOKEN
    assert len(rows[0]["rationale_logprobs"]) == len(rows[0]["rationale_token_ends"])


def test_whoever_reads_tokens_nobody_writes_is_told_how_to_have_them(folder: Path) -> None:
    with pytest.raises(InputError, match=r"add `per_token: true` under measures\.score"):
        do(folder, "select.order_by=[rationale_entropies]")


def test_a_served_student_gives_what_a_loaded_one_gives(folder: Path) -> None:
    items = 2 * len(SUMS)
    loaded = do(folder)
    with serving_student(folder / "student", "student", context=2048) as url:
        served = do(folder, *SERVED, f"runtime.student.url={url}")
    assert (served.tally.measured, served.tally.reused) == (items, 0), "recorded apart"
    again = do(folder, *SERVED, f"runtime.student.url={url}")
    assert (again.tally.measured, again.tally.reused) == (0, items), "the server is gone"
    audits = (done.audit.sort("sample_id").iter_rows(named=True) for done in (loaded, served))
    for one, other in zip(*audits, strict=True):
        for name in ("nll_masked", "nll_with_rationale", "nll_without_rationale", "nll_rationale"):
            assert one[name] == pytest.approx(other[name], abs=1e-4)


WRONG = {
    "a server nobody asks": (["runtime.student.url=http://h/v1"], "nobody asks it"),
    "nobody to ask": (SERVED, "'served' wants a server"),
    "entropies": ([*SERVED, ASKED, "runtime.student.url=http://h/v1"], "no server gives entropies"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_student_must_be_where_it_is_said_to_be(folder: Path, case: str) -> None:
    overrides, said = WRONG[case]
    with pytest.raises(InputError, match=said):
        do(folder, *overrides)
