"""What a release holds: configs left out of it, formats in it, teachers that are in neither."""

import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pytest

from curate.engine.run import RunResult
from curate.errors import InputError
from curate.release.diff import diff
from curate.release.export.export import ExportOptions, export
from curate.release.files import hashes
from curate.release.read import Release
from curate.release.repositories.push import push
from tests.curate.imported_sums import do, texts, write

TERMS = "sources.pool.terms=cc0-1.0"
FORMATS = ("messages", "prompt-completion", "alpaca", "text", "tasks", "dpo", "rl")
TRAINERS = {"prompt-completion": "trl", "alpaca": "llama-factory"}
"""Who reads a format, where it is not called like it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("publish")
    write(folder)
    return folder


@pytest.fixture(autouse=True)
def _store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_STORE", str(folder / "store"))


@pytest.fixture(scope="module")
def plain(folder: Path) -> RunResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        return do(folder, TERMS)


def load(folder: Path, config: str, cache: Path) -> dict[str, list[dict[str, Any]]]:
    loaded = datasets.load_dataset(str(folder), config, cache_dir=str(cache))
    return {split: rows.to_list() for split, rows in loaded.items()}


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).parts[0] for path in folder.glob("*/*.parquet")}


def test_what_is_left_out_stays_in_the_run(folder: Path, plain: RunResult, tmp_path: Path) -> None:
    lean = do(folder, TERMS, "publish.include=[]")
    assert files(lean.folder / "dataset" / "data") == {"default"}
    assert files(lean.folder / "unpublished") == {
        "random", "all_correct", "without_correctness", "rejected",
    }  # fmt: skip
    assert list(Release.open(lean.folder / "dataset").manifest["configs"]) == ["default"]
    for config in ("default", "random", "rejected"):
        assert load(lean.folder, config, tmp_path) == load(plain.folder, config, tmp_path)
    with pytest.raises(ValueError, match="random"):
        load(lean.folder / "dataset", "random", tmp_path)
    card = (lean.folder / "dataset" / "README.md").read_text()
    assert "rejected_by" not in card
    assert "Rows that were stopped" not in card
    assert "control arms" not in card
    assert lean.summary.manifest["recipe_digest"] == plain.summary.manifest["recipe_digest"]


def test_a_run_is_exported_and_compared_by_what_it_left_out(
    folder: Path, plain: RunResult, tmp_path: Path
) -> None:
    lean = do(folder, TERMS, "publish.include=[]")
    assert diff(plain.folder, lean.folder).moves == ()
    assert diff(plain.folder, lean.folder / "dataset").moves == ()  # it says nothing of the others
    for form, config in (("dpo", "default"), ("messages", "random")):
        here = export(lean.folder, form, ExportOptions(config=config, out=tmp_path / f"a-{form}"))
        there = export(plain.folder, form, ExportOptions(config=config, out=tmp_path / f"b-{form}"))
        first, second = ((e.folder / "train.jsonl").read_bytes() for e in (here, there))
        assert first == second
    with pytest.raises(InputError, match="published without them; give the run folder"):
        export(lean.folder / "dataset", "dpo", ExportOptions(out=tmp_path / "c"))


def test_the_audit_is_published_only_when_named(folder: Path, tmp_path: Path) -> None:
    told = do(folder, TERMS, "publish.include=[audit]")
    rows = load(told.folder / "dataset", "audit", tmp_path)
    audit = told.audit.sort("sample_id")
    everything = pl.DataFrame([row for split in rows.values() for row in split])
    assert sorted(everything["sample_id"]) == audit["sample_id"].to_list()
    assert set(audit.columns) - {"split"} <= set(everything.columns)
    assert set(rows) == set(load(told.folder / "dataset", "default", tmp_path))


def test_formats_are_configs_that_hold_what_export_writes(folder: Path, tmp_path: Path) -> None:
    result = do(folder, TERMS, f"publish.formats=[{', '.join(FORMATS)}]")
    listed = result.summary.manifest["configs"]
    for form in FORMATS:
        layout = "plain" if form == "alpaca" else "chat"
        options = ExportOptions(out=tmp_path / form, layout=layout)
        made = export(result.folder, TRAINERS.get(form, form), options)
        held = load(result.folder / "dataset", form, tmp_path / "cache")
        assert {split: len(rows) for split, rows in held.items()} == dict(made.records)
        assert {split: len(rows) for split, rows in held.items()} == listed[form]["splits"]
        for split, rows in held.items():
            lines = (made.folder / f"{split}.jsonl").read_text().splitlines()
            assert sorted(map(ordered, rows)) == sorted(ordered(json.loads(line)) for line in lines)
    assert "`messages`, `prompt-completion`" in (result.folder / "dataset/README.md").read_text()
    push(result.folder, f"file://{tmp_path / 'repo'}")


def ordered(record: dict[str, Any]) -> str:
    return json.dumps(record, sort_keys=True)


def test_thoughts_go_where_the_recipe_says(folder: Path, tmp_path: Path) -> None:
    result = do(folder, TERMS, "publish.formats=[messages]", "publish.think=field")
    row = load(result.folder / "dataset", "messages", tmp_path)["train"][0]
    user, assistant = row["messages"]
    assert user["reasoning_content"] is None
    assert assistant["reasoning_content"]
    assert assistant["content"].startswith("The answer is")
    inline = do(folder, TERMS, "publish.formats=[messages]", "publish.think=inline")
    row = load(inline.folder / "dataset", "messages", tmp_path)["train"][0]
    assert row["messages"][1]["content"].startswith("<think>\n")


def test_the_hash_of_a_format_knows_nothing_of_shards(folder: Path) -> None:
    formats = "publish.formats=[dpo, rl, messages]"
    whole = do(folder, TERMS, formats)
    cut = do(folder, TERMS, formats, "runtime.questions_per_shard=3")
    assert cut.summary.configs == whole.summary.configs


def test_pass_rates_want_a_filter_that_knows_right_from_wrong(folder: Path) -> None:
    with pytest.raises(InputError, match=r"publish.formats: rl .* `- use: correctness`"):
        do(folder, TERMS, "publish.formats=[rl]", "filters=[{use: completeness}]", "arms=[]")


def teachers(folder: Path) -> None:
    """Write a second pool: rows of two teachers, named in a column."""
    rows = [
        {"question": f"What is {a} plus 7?", "text": texts(a, 7)[1], "by": who}
        for a in range(20, 40)
        for who in ("ada", "eve")
    ]
    (folder / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


MORE = (
    "sources=[{use: import, name: pool, path: pool.jsonl, terms: cc0,"
    " columns: {question: question, completion: text}},"
    " {use: import, name: more, path: more.jsonl, terms: null, teacher: {column: by},"
    " columns: {question: question, completion: text}}]"
)


def test_an_excluded_teacher_is_nowhere(folder: Path, tmp_path: Path) -> None:
    teachers(folder)
    both = do(folder, MORE)
    with pytest.raises(InputError, match=r"text of more \(\d+ rows\).*--exclude-teacher"):
        push(both.folder, f"file://{tmp_path / 'repo'}")
    one = do(folder, MORE, "exclude_teachers=[eve]")
    assert set(one.audit["teacher"].unique()) == set(both.audit["teacher"].unique()) - {"eve"}
    assert "20 more of excluded teachers" in (one.folder / "dataset/README.md").read_text()
    none = do(folder, MORE, "exclude_teachers=[more]")
    assert set(none.audit["source"]) == {"pool"}
    assert "more" not in none.summary.manifest["terms"]
    push(none.folder, f"file://{tmp_path / 'repo'}")
    alone = do(folder, "sources.pool.terms=cc0")
    assert none.summary.dataset_hash == alone.summary.dataset_hash


def test_text_without_terms_is_found_in_pairs_too(folder: Path, tmp_path: Path) -> None:
    teachers(folder)
    wrong = [
        {"question": f"What is {a} plus 7?", "text": f"{a} - 7 = {a - 7}. The answer is {a - 7}"}
        for a in range(20, 40)
    ]
    (folder / "wrong.jsonl").write_text("".join(json.dumps(row) + "\n" for row in wrong))
    more = MORE.replace("more.jsonl", "wrong.jsonl").replace(", teacher: {column: by}", "")
    pairs = do(folder, more, "publish={include: [], formats: [dpo]}")
    told = pairs.summary.manifest["configs"]
    assert set(told["default"]["sources"]) == {"pool"}
    assert set(told["dpo"]["sources"]) == {"pool", "more"}
    with pytest.raises(InputError, match=r"text of more \(\d+ rows\)"):
        push(pairs.folder, f"file://{tmp_path / 'repo'}")
    alone = do(folder, more, "publish.include=[]")
    assert push(alone.folder, f"file://{tmp_path / 'repo'}").fresh


def test_a_teacher_named_once_for_a_source_is_excluded_with_it(folder: Path) -> None:
    teachers(folder)
    named = MORE.replace("{column: by}", "gemini").replace("more.jsonl", "not-there.jsonl")
    without = do(folder, named, "exclude_teachers=[gemini]")
    assert set(without.audit["source"]) == {"pool"}
    assert set(without.summary.manifest["terms"]) == {"pool"}
    with pytest.raises(InputError, match="no source is left"):
        do(folder, MORE, "exclude_teachers=[pool, more]")


def test_no_place_on_this_machine_is_published(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[RunResult] = []
    for place in ("here", "there"):
        shutil.copytree(folder, tmp_path / place, ignore=shutil.ignore_patterns("runs", "store"))
        monkeypatch.setenv("PLACE", str(tmp_path / place))
        do(folder, TERMS, f"questions.path={tmp_path / place}/questions.jsonl")
        paths = ("questions.path=${PLACE}/questions.jsonl", "sources.pool.path=${PLACE}/pool.jsonl")
        made.append(do(folder, TERMS, *paths, "publish.repo=file:///private/place"))
    first, second = (result.folder / "dataset" for result in made)
    assert hashes(first) == hashes(second)
    for path in first.rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes()
            assert b"/private/place" not in path.read_bytes()
    assert "${PLACE}/pool.jsonl" in made[0].summary.manifest["lock"]["data"]


def test_a_string_has_no_field_for_thoughts(folder: Path) -> None:
    refusal = r"publish: .* alpaca records have no place .*use `think: none` or `inline`"
    with pytest.raises(InputError, match=refusal):
        do(folder, "publish={formats: [alpaca], think: field}")


def test_records_and_the_audit_are_no_choice_of_samples(folder: Path) -> None:
    result = do(folder, TERMS, "publish={include: [audit], formats: [messages]}")
    for config in ("messages", "audit"):
        with pytest.raises(InputError, match=f"config '{config}' is no choice of samples"):
            export(result.folder, "trl", ExportOptions(config=config))


def test_an_excluded_teacher_must_be_there(folder: Path) -> None:
    teachers(folder)
    with pytest.raises(InputError, match="no source or teacher is called 'pol'; did you mean 'poo"):
        do(folder, "exclude_teachers=[pol]")
    with pytest.raises(InputError, match="no row has the teacher 'evi'; did you mean 'eve'"):
        do(folder, MORE, "exclude_teachers=[evi]")
    with pytest.raises(InputError, match="no source is left"):
        do(folder, "exclude_teachers=[pool]")
