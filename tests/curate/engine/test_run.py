"""Whole runs on imported rationales: what is reused, what is judged again, what comes out."""

import json
from pathlib import Path

import datasets
import polars as pl
import pytest
import yaml

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, run
from curate.errors import InputError
from curate.report.html.page import write_report
from tests.curate.imported_sums import do, read, texts, write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    write(tmp_path)
    return tmp_path


def test_a_run_leaves_a_dataset_that_loads(folder: Path) -> None:
    result = do(folder)
    loaded = datasets.load_dataset(str(result.folder))
    rows = pl.concat([split.to_polars() for split in loaded.values()])
    assert set(loaded) == {"train", "validation"}
    assert rows.height == 120  # two paths a question
    assert rows.filter(pl.col("answer") != pl.col("gold")).is_empty()
    assert rows.group_by("question_id").len()["len"].to_list() == [2] * 60
    entries = {entry.name: entry for entry in result.funnel.filters}
    assert entries["completeness"].dropped == {"empty": 60}
    assert entries["correctness"].dropped == {"wrong_answer": 60}
    assert result.audit.height == 300
    assert {"verdict_correctness", "cluster", "arm_random"} <= set(result.audit.columns)
    for arm in ("random", "all_correct", "without_correctness"):
        loaded = datasets.load_dataset(str(result.folder), arm)
        assert sum(split.num_rows for split in loaded.values()) > 0


def test_where_no_tokenizer_ran_lengths_are_words(folder: Path) -> None:
    result = do(folder)
    selected = result.audit.filter("selected")
    picks = {pick.name: pick for pick in result.funnel.picks}
    assert picks["selected"].words == selected["rationale_words"].sum() > 0
    assert {pick.tokens for pick in picks.values()} == {0}
    card = (result.folder / "dataset" / "README.md").read_text()
    assert f"| {picks['selected'].length} |" in card
    page = write_report(result.folder, None).read_text()
    assert "words</" in page
    assert "tokens</" not in page


def test_running_again_judges_nothing_and_changes_nothing(folder: Path) -> None:
    first, second = do(folder), do(folder)
    assert first.tally.judged > 0
    assert second.tally.judged == 0
    assert second.summary.dataset_hash == first.summary.dataset_hash
    assert second.folder != first.folder
    assert (folder / "runs" / "sums" / "latest").read_text().strip() == second.folder.name


def test_a_threshold_judges_its_filter_and_those_after_it(folder: Path) -> None:
    do(folder, "arms=[]")
    moved = do(folder, "arms=[]", "filters.length.max=8")
    judged = json.loads((moved.folder / "run.json").read_text())["judged"]
    assert judged["completeness"] == 0
    assert judged["length"] > 0
    assert judged["correctness"] > 0
    back = do(folder, "arms=[]")
    assert back.tally.judged == 0


def test_a_renamed_filter_is_not_judged_again(folder: Path) -> None:
    do(folder, "arms=[]")
    renamed = do(folder, "arms=[]", "filters.length.name=short")
    assert renamed.tally.judged == 0
    assert "verdict_short" in renamed.audit.columns


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_how_the_table_is_cut_does_not_matter(folder: Path, size: int) -> None:
    whole = do(folder)
    pieces = do(folder, f"runtime.questions_per_shard={size}")
    assert pieces.summary.dataset_hash == whole.summary.dataset_hash
    assert pieces.funnel == whole.funnel


@pytest.mark.parametrize("where", ["local", "ray"])
def test_workers_give_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    one = do(folder)
    monkeypatch.setenv("CURATE_STORE", str(folder / "other"))
    shards = "runtime.questions_per_shard=9"
    many = do(folder, shards, "runtime.workers=2", f"runtime.executor={where}")
    assert many.summary.dataset_hash == one.summary.dataset_hash


def test_an_added_question_touches_one_shard(folder: Path) -> None:
    small = ("arms=[]", "runtime.questions_per_shard=4")
    do(folder, *small)
    with (folder / "questions.jsonl").open("a") as questions:
        questions.write(json.dumps({"question": "What is 1 plus 1?", "answer": "2"}) + "\n")
    with (folder / "pool.jsonl").open("a") as pool:
        pool.write(json.dumps({"question": "What is 1 plus 1?", "text": texts(1, 1)[0]}) + "\n")
    more = do(folder, *small)
    judged = json.loads((more.folder / "run.json").read_text())["judged"]
    assert 0 < judged["completeness"] < 150
    assert more.audit.height == 301


def test_limit_takes_the_first_questions(folder: Path) -> None:
    result = do(folder, limit=10)
    assert result.funnel.questions is not None
    assert result.funnel.questions.in_use == 10
    assert result.audit.height == 50


def test_the_recipe_can_set_the_limit_and_the_command_line_another(folder: Path) -> None:
    assert do(folder, "questions.limit=10").audit.height == 50
    assert do(folder, "questions.limit=10", limit=4).audit.height == 20
    assert do(folder, "questions.limit=null").audit.height == do(folder).audit.height


def test_samples_of_quarantined_questions_are_never_live(folder: Path) -> None:
    with (folder / "questions.jsonl").open("a") as questions:
        questions.write(json.dumps({"question": "What is 20 plus 3?", "answer": "24"}) + "\n")
    result = do(folder)
    assert result.funnel.questions is not None
    assert result.funnel.questions.quarantined == {"conflicting_gold": 1}
    assert result.funnel.quarantined == 5
    asked = result.audit.filter(pl.col("question") == "What is 20 plus 3?")
    assert asked.height == 5
    assert not asked["live"].any()
    assert asked["verdict_completeness"].is_null().all()


def test_locked_refuses_what_changed(folder: Path) -> None:
    do(folder)
    locked = RunOptions(runs=folder / "runs", locked=True)
    run(read(folder), locked, Progress(quiet=True))
    with (folder / "pool.jsonl").open("a") as pool:
        pool.write(json.dumps({"question": "What is 20 plus 7?", "text": "27"}) + "\n")
    with pytest.raises(InputError, match=r"--locked: data 'pool.jsonl' is .* run `curate pin`"):
        run(read(folder), locked, Progress(quiet=True))
    do(folder)
    run(read(folder), locked, Progress(quiet=True))


@pytest.mark.parametrize("text", ["", "not a lock file"])
def test_a_damaged_lock_file_is_not_begun_anew(folder: Path, text: str) -> None:
    do(folder)
    (folder / "recipe.lock.json").write_text(text)
    with pytest.raises(InputError, match="not a lock file this version reads"):
        do(folder)
    assert (folder / "recipe.lock.json").read_text() == text


def test_a_damaged_derived_file_is_made_again(folder: Path) -> None:
    first = do(folder)
    for path in (folder / "store" / "derived" / "filter-correctness").rglob("*.parquet"):
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 0xFF
        path.write_bytes(data)
    again = do(folder)
    assert again.summary.dataset_hash == first.summary.dataset_hash
    assert json.loads((again.folder / "run.json").read_text())["judged"]["correctness"] > 0


def test_the_manifest_holds_no_time_host_or_path(folder: Path) -> None:
    result = do(folder)
    manifest = (result.folder / "dataset" / "manifest.json").read_text()
    assert str(folder) not in manifest
    twice = do(folder)
    assert (twice.folder / "dataset" / "manifest.json").read_text() == manifest


def test_a_licence_without_an_id_has_a_name_and_a_link(folder: Path) -> None:
    result = do(folder, "licence={name: egg-1.0, link: 'https://eggs.example/licence'}")
    card = (result.folder / "dataset" / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    facts = front["license"], front["license_name"], front["license_link"]
    assert facts == ("other", "egg-1.0", "https://eggs.example/licence")
    assert "Licence of this dataset: egg-1.0 (https://eggs.example/licence)." in card


def test_out_names_the_folder_itself(folder: Path) -> None:
    result = run(read(folder), RunOptions(out=folder / "here"), Progress(quiet=True))
    assert result.folder == folder / "here"
    with pytest.raises(InputError, match="not empty"):
        run(read(folder), RunOptions(out=folder / "here"), Progress(quiet=True))
