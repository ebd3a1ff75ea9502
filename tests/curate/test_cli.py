"""The command line as a user meets it: light to start, every verb answers."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from curate import cli
from curate.errors import InputError
from curate.errors.strict import parse_yaml
from filters import FILTERS
from filters.contract import Filter
from tests.curate.imported_sums import do, write

HEAVY = ("torch", "polars", "pyarrow", "transformers", "vllm", "datasets", "sklearn", "pydantic")


@pytest.mark.parametrize("code", ["import curate", "from curate.cli import app"])
def test_starting_loads_nothing_heavy(code: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not set(HEAVY) & set(told.stdout.split())


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_shipped_recipe_runs_by_name_and_why_explains(workplace: Path) -> None:
    told = json.loads(invoke("run", "first-look", "--json"))
    assert told["sampled"] == told["measured"] == 0
    assert told["rows"] > 12
    folder = workplace / told["folder"]
    audit = pl.read_parquet(folder / "audit" / "samples-*.parquet")
    stopped = audit.filter(pl.col("verdict_correctness").struct.field("reason") == "wrong_answer")
    said = invoke("why", "runs/first-look", stopped["sample_id"][0])
    assert "wrong_answer" in said
    assert "diversity" in said
    with pytest.raises(InputError, match="no sample is 'zzz'"):
        invoke("why", "runs/first-look", "zzz")
    with pytest.raises(InputError, match="no finished run at 'runs/other'; there are runs/first"):
        invoke("why", "runs/other", "zzz")


def told_of(folder: Path, **where: Any) -> str:
    """Ask why of the first sample for which some columns hold some values."""
    audit = pl.read_parquet(folder / "audit" / "samples-*.parquet").sort("sample_id")
    return invoke("why", str(folder), audit.filter(**where)["sample_id"][0])


def test_why_says_what_would_have_let_a_sample_pass(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    write(workplace)
    folder = do(workplace, "filters.length.max=8", "filters.diversity.near_duplicate=0.4").folder
    long = told_of(folder, rationale_words=12)
    assert "too_long" in long
    assert "would pass with filters.length.max=12" in long
    assert re.search(r"correctness +skipped +length had stopped it", long)
    loose = do(workplace, "filters.length.max=12")
    assert re.search(r"length +kept", told_of(loose.folder, rationale_words=12))
    assert "its verdict names no parameter that would let it pass" in told_of(folder, raw_output="")
    assert "selected, rank" in told_of(folder, selected=True)
    behind = told_of(loose.folder, live=True, selected=False)
    assert re.search(r"[0-9a-f]{16} \(rank \d+\) was taken of its cluster \d; select.one", behind)
    few = told_of(do(workplace, "select={per_question: 1}").folder, live=True, selected=False)
    assert re.search(r"per_question 1 was reached by [0-9a-f]{16}; select.per_question=2", few)
    budget = do(workplace, "select={budget: {rows: 5}}").folder
    assert 'beyond the budget {"rows": 5' in told_of(budget, live=True, selected=False)


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"curate-rationales \d+\.\d+\S*\n", invoke("--version"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/.local"), "'/.local': permission denied; name"),
        (OSError(28, "No space left on device"), "no space left on device; make room"),
        (OSError(24, "Too many open files"), "too many open files; raise the limit of open files"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(
    error: OSError, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert capsys.readouterr().err.startswith(f"error: {said}")


def test_a_store_that_can_not_be_made_is_one_sentence(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, "-m", "curate", "run", "recipe.yaml"],
        cwd=tmp_path,
        env={**os.environ, "CURATE_STORE": str(tmp_path / "file" / "store")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error:"))
    assert "CURATE_STORE" in line
    assert "Traceback" not in done.stderr


def test_a_run_to_which_no_row_came_is_shown_too(workplace: Path) -> None:
    write(workplace)
    (workplace / "pool.jsonl").write_text("")
    run = do(workplace)
    assert run.audit.is_empty()
    assert "verdict_correctness" in run.audit.columns
    folder = str(run.folder)
    assert "no sample is like that" in invoke("show", folder)
    assert Path(invoke("report", folder).strip()).is_file()
    assert "Both select the same 0 rows" in invoke("diff", folder, folder)
    with pytest.raises(InputError, match="no sample is 'zzz'"):
        invoke("why", folder, "zzz")
    with pytest.raises(InputError, match="has no rows to train on"):
        invoke("export", folder, "--format", "trl")


def test_why_says_that_a_filter_could_not_tell(workplace: Path) -> None:
    write(workplace)
    chosen = "filters=[{use: length, unit: words, max: 40}]"
    folder = do(workplace, chosen, "arms=[]", "select={}").folder
    said = told_of(folder, raw_output="")
    assert "abstained" in said
    assert "not_measured" in said


@pytest.mark.parametrize("kind", FILTERS, ids=lambda kind: kind.model_fields["use"].default)
def test_filters_describes_each_with_a_worked_row(kind: type[Filter]) -> None:
    said = invoke("filters", str(kind.model_fields["use"].default))
    assert "for example" in said
    _, _, judged = kind.work_example()
    for reason in judged["reason"].drop_nulls():
        assert reason in said
    for name in kind.model_fields:
        assert name in said or name in {"use", "name"}


def test_a_pool_needs_no_recipe(workplace: Path) -> None:
    rows = [
        {
            "instruction": f"What is {a} plus 1?",
            "output": f"{a} + 1 = {a + 1}. The answer is {b}",
            "y": a + 1,
        }
        for a in range(30)
        for b in (a + 1, a)
    ]
    (workplace / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = json.loads(invoke("run", "pool.jsonl", "--gold", "y", "--json"))
    assert told["rows"] == 30
    with pytest.raises(InputError, match=r"no column is called answer or .* gold with --gold"):
        invoke("run", "pool.jsonl")
    with pytest.raises(InputError, match="--gold: no column 'answer'; there are instruction"):
        invoke("plan", "pool.jsonl", "--gold", "answer")
    (workplace / "odd.jsonl").write_text('{"a": 1, "y": 2}\n')
    with pytest.raises(InputError, match="Name the one that holds the question with --question"):
        invoke("run", "odd.jsonl", "--gold", "y")


@pytest.mark.parametrize("name", ["pool.jsonl", "pool.json", "pool.csv", "pool.json.gz"])
def test_run_check_and_plan_take_a_pool_alike(workplace: Path, name: str) -> None:
    rows = [
        {
            "question": f"Is {n} even?",
            "answer": answer,
            "output": f"{n} + 1 = {n + 1}. The answer is yes",
        }
        for n, answer in enumerate(["yes", "no"] * 3)
    ]
    lists = dict.fromkeys(("pool.json", "pool.json.gz"), json.dumps(rows))
    texts = {**lists, "pool.csv": pl.DataFrame(rows).write_csv()}
    text = texts.get(name, "".join(json.dumps(row) + "\n" for row in rows)).encode()
    (workplace / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    guess = "questions in 'question', known answers in 'answer' (type boolean), rationales in 'outp"
    assert guess in invoke("check", name)
    assert not (workplace / "runs").exists()
    planned = invoke("plan", name, "--completion", "output")
    assert guess in planned
    assert "6 questions in use" in planned
    assert json.loads(invoke("run", name, "--gold-type", "boolean", "--json"))["rows"] == 3
    with pytest.raises(InputError, match="gold_type: got 'bool'; did you mean 'boolean'"):
        invoke("check", name, "--gold-type", "bool")


def test_a_recipe_that_is_json_is_no_pool(workplace: Path) -> None:
    write(workplace)
    recipe = parse_yaml((workplace / "recipe.yaml").read_text())
    (workplace / "recipe.json").write_text(json.dumps(recipe))
    assert invoke("check", "recipe.json").startswith("recipe.json: fine, ")
    with pytest.raises(InputError, match=r"'recipe.yaml' is a recipe, and --gold, --question"):
        invoke("check", "recipe.yaml", "--gold", "y")
    with pytest.raises(InputError, match=r"no file 'nowhere.jsonl'; give a pool of rationales, or"):
        invoke("check", "nowhere.jsonl")


def test_plan_check_schema_filters(workplace: Path) -> None:
    assert "measure score (for filter 'rationale_difficulty')" in invoke("plan", "quickstart")
    assert "fine" in invoke("check", "morsd")
    assert not list(workplace.iterdir())
    schema = json.loads(invoke("schema"))
    assert schema["properties"]["filters"]
    assert "wrong_answer" in invoke("filters", "correctness")
    listed = invoke("filters")
    assert "rationale_difficulty" in listed
    with pytest.raises(InputError, match="did you mean 'diversity'"):
        invoke("filters", "diverstiy")


def test_the_shipped_schema_is_current() -> None:
    assert Path("recipes/recipe.schema.json").read_text() == invoke("schema")


def test_store_verbs(workplace: Path) -> None:
    invoke("run", "first-look", "--quiet")
    assert "derived/filter-correctness" in invoke("store", "du")
    assert "every entry matches" in invoke("store", "verify")
    assert "freed 0.0 MB" in invoke("store", "gc")
    (workplace / "other" / "record").mkdir(parents=True)
    assert "copied 0" in invoke("store", "import", str(workplace / "other"))


def test_pin_writes_a_lock_that_locked_accepts(workplace: Path) -> None:
    invoke("pin", "first-look")
    invoke("run", "first-look", "--locked", "--quiet")
