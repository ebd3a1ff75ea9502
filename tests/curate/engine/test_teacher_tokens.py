"""Whole runs that record the teacher's own tokens, and what is made of them afterwards."""

import re
import statistics
from pathlib import Path
from typing import Any

import pytest
import yaml

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.recipe.files import read_recipe
from filters.columns import TOKEN_COLUMNS
from tests.curate import sums
from tests.curate.engine.test_thresholds import write_student
from tests.servers.openai_server import Fault, logprob, read_book, serving

QUESTIONS = 3
COUNT = 2 * QUESTIONS
UNASKED = {"logprobs": False}
STUDENT = {"score": {"student": "student", "calibrate": 0, "per_token": True}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with questions and a student, and a store of its own."""
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / sums.STORE))
    monkeypatch.chdir(tmp_path)
    sums.write_questions(tmp_path, QUESTIONS)
    write_student(tmp_path / "student", ["Draw 0: we add and get 20 + 3 = 23. The answer is 23."])
    return tmp_path


def furnish(folder: Path, url: str, reached: dict[str, Any] | None = None, **given: Any) -> None:
    """Write a recipe that draws samples and orders them by the teacher's share."""
    path = sums.write_recipe(folder, url, [sums.source(**given)], **(reached or {}))
    recipe = yaml.safe_load(path.read_text())
    recipe["filters"] = [{"use": "completeness"}]
    recipe |= {"measures": STUDENT, "select": {"order_by": ["teacher_share", "teacher_nll"]}}
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))


def do(folder: Path, *, quiet: bool = True, **options: Any) -> RunResult:
    file = read_recipe(str(folder / "recipe.yaml"))
    return run(file, RunOptions(runs=folder / "runs", **options), Progress(quiet=quiet))


def nll_of(rationale: str) -> float:
    """Give what the server said of a text: of its words, each with the space before it."""
    return -statistics.fmean(map(logprob, re.findall(r"\s*\S+", rationale)))


def test_the_teacher_s_tokens_are_recorded_measured_and_published_as_scores(folder: Path) -> None:
    with serving(folder / "book") as url:
        furnish(folder, url)
        first = do(folder)
    rows = first.audit
    assert rows["teacher_share"].null_count() == rows["teacher_nll"].null_count() == 0
    assert not TOKEN_COLUMNS.keys() & set(rows.columns), "they are of no use to most readers"
    for row in rows.iter_rows(named=True):
        assert row["teacher_nll"] == pytest.approx(nll_of(row["rationale"]), abs=1e-4)
    again = do(folder, replay=True)
    assert again.summary.dataset_hash == first.summary.dataset_hash
    assert len(read_book(folder / "book")) == COUNT
    kept = [value["tokens"] for value in sums.recorded(folder).values()]
    assert all(len(tokens["characters"]) == len(tokens["surprisal"]) > 9 for tokens in kept)


def test_samples_drawn_without_tokens_stay_as_they_are(folder: Path) -> None:
    with serving(folder / "book") as url:
        furnish(folder, url, UNASKED)
        old = do(folder)
        furnish(folder, url)
        new = do(folder)
        furnish(folder, url, samples=3)
        more = do(folder)
    assert old.audit["teacher_nll"].null_count() == COUNT
    assert (new.tally.sampled, new.summary.dataset_hash) == (0, old.summary.dataset_hash)
    assert more.tally.sampled == QUESTIONS
    assert more.audit["teacher_nll"].null_count() == COUNT
    assert ["logprobs" in entry["body"] for entry in read_book(folder / "book")] == [
        *[False] * COUNT,
        *[True] * QUESTIONS,
    ]


def test_a_server_that_tells_no_tokens_is_told_of_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = Fault(400, asking="logprobs", body={"error": {"message": "no logprobs"}})
    with serving(faults=[fault]) as url:
        furnish(folder, url)
        nulls = do(folder, quiet=False).audit["teacher_nll"]
        said = capsys.readouterr().err
        furnish(folder, url, UNASKED, samples=3)
        do(folder, quiet=False)
    assert nulls.null_count() == COUNT
    assert said.count("log-probabilities") == 1
    assert f"teacher: {COUNT} samples came without the log-probabilities" in said
    assert "log-probabilities" not in capsys.readouterr().err


def test_a_sample_that_is_continued_has_the_tokens_of_both_parts(folder: Path) -> None:
    can = {"continue_cut": True}
    with serving(folder / "book") as url:
        furnish(folder, url, can, sampling={"max_tokens": 6})
        do(folder)
        furnish(folder, url, can)
        whole = do(folder)
    for row in whole.audit.iter_rows(named=True):
        head, tail, _ = row["raw_output"].partition("and so on.")
        assert tail, "the server goes on in these words"
        words = [*re.findall(r"\s*\S+", head), "and", " so", " on."]
        assert row["rationale"] == "".join(words)
        logs = map(logprob, words)
        assert row["teacher_nll"] == pytest.approx(-statistics.fmean(logs), abs=1e-4)
