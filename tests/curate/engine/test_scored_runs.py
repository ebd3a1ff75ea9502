"""Whole runs that score: values of single tokens on demand, and students behind a server."""

import json
from pathlib import Path

import datasets
import pytest

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import InputError
from curate.recipe.files import read_recipe
from curate.store.store import Store
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

PER_TOKEN = set(GLOSSARY.of("score").where(lambda column: column.per_token))


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
    result = do(folder, ASKED, "select.order_by=[rsr]")
    rows = datasets.load_dataset(str(result.folder / "dataset"), split="train")
    assert set(rows.column_names) >= PER_TOKEN
    assert len(rows[0]["rationale_logprobs"]) == len(rows[0]["rationale_token_ends"])


def test_a_score_over_tokens_needs_no_word_and_releases_no_token(folder: Path) -> None:
    items = 2 * len(SUMS)
    by_rsr = do(folder, "select.order_by=[rsr]")
    assert (by_rsr.tally.measured, by_rsr.tally.reused) == (items, 0)
    assert by_rsr.audit["rsr"].null_count() == 0
    assert not PER_TOKEN & set(by_rsr.audit.columns)
    others = ["casl", "hes", "-answer_gain_reflective", "nll_rationale_no_heads"]
    again = do(folder, f"select.order_by={others}".replace("'", ""), "arms=[lowest:rank_mean]")
    assert (again.tally.measured, again.tally.reused) == (0, items)
    assert {"hes", "rank_mean", "head_share"} <= set(again.audit.columns)
    rows = datasets.load_dataset(str(again.folder / "dataset"), split="train")
    assert {"hes", "rank_mean"} <= set(rows.column_names)
    assert not PER_TOKEN & set(rows.column_names)


def test_a_run_that_recorded_no_ranks_has_them_read(folder: Path) -> None:
    items = 2 * len(SUMS)
    asked = do(folder, ASKED)
    for part, book in Store().books():
        for key in list(book.keys()) if "score" in part else ():
            value = book.get(key) or {}
            assert "ranks" in value
            book.append(key, {name: value[name] for name in value if name != "ranks"})
        book.close()
    again = do(folder, "select.order_by=[rsr]")
    assert (again.tally.measured, again.tally.reused) == (items, 0)
    assert again.audit["rsr"].null_count() == 0
    assert again.audit["nll_rationale"].to_list() == asked.audit["nll_rationale"].to_list()


def test_scores_that_read_steps_anew_are_recorded(folder: Path) -> None:
    options = [
        "measures.local.columns=[nll_local]",
        "measures.curve.columns=[reveal_step, answer_curve]",
        "measures.importance.columns=[prunable_share]",
    ]
    first = do(folder, *options)
    assert first.tally.measured == 2 * len(SUMS) + 3 * len(SUMS)
    again = do(folder, *options)
    assert again.tally.measured == 0
    for row in first.audit.iter_rows(named=True):
        assert row["nll_local"] == pytest.approx(row["nll_rationale"], abs=1e-4), "of one step"
        assert len(row["answer_curve"]) == 2
        assert row["reveal_step"] in {0, 1}


def test_a_served_student_gives_what_a_loaded_one_gives(folder: Path) -> None:
    items = 2 * len(SUMS)
    asked = ["select.order_by=[rsr]"]
    loaded = do(folder, *asked)
    with serving_student(folder / "student", "student", context=2048) as url:
        served = do(folder, *SERVED, *asked, f"runtime.student.url={url}")
    assert (served.tally.measured, served.tally.reused) == (items, 0), "recorded apart"
    again = do(folder, *SERVED, *asked, f"runtime.student.url={url}")
    assert (again.tally.measured, again.tally.reused) == (0, items), "the server is gone"
    audits = (done.audit.sort("sample_id").iter_rows(named=True) for done in (loaded, served))
    for one, other in zip(*audits, strict=True):
        for name in ("nll_masked", "nll_with_rationale", "nll_without_rationale", "nll_rationale"):
            assert one[name] == pytest.approx(other[name], abs=1e-4)
        assert one["rsr"] == pytest.approx(other["rsr"], abs=1e-4)


WRONG = {
    "a server nobody asks": (["runtime.student.url=http://h/v1"], "nobody asks it"),
    "nobody to ask": (SERVED, "'served' wants a server"),
    "entropies": (
        [*SERVED, "select.order_by=[hes]", "runtime.student.url=http://h/v1"],
        "no server of measures.score tells entropies: drop `dtype: served`",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_student_must_be_where_it_is_said_to_be(folder: Path, case: str) -> None:
    overrides, said = WRONG[case]
    with pytest.raises(InputError, match=said):
        do(folder, *overrides)
