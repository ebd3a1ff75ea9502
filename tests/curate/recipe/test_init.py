"""A first recipe passes check, compares answers as they are, and runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from curate import cli
from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, run
from curate.errors import InputError
from curate.recipe.files import read_recipe
from curate.recipe.init import InitOptions, init, recipe_in
from curate.recipe.plan import make_plan
from curate.sources.questions import load_questions
from filters.answers import canonical
from tests.curate.imported_sums import write
from tests.servers.hub import Hub

ANSWERS: dict[str, tuple[list[Any], dict[str, Any], str, str | None]] = {
    "numbers": (["7", "1,250.5", "-3"], {}, "number", None),
    "solutions": (["So 3 + 4 = 7.\n#### 7", "Thus\n#### 12"], {}, "number", r"####\s*(.+)"),
    "yes or no": (["yes", "No"], {}, "boolean", None),
    "letters": (["B", "A"], {"choices": ["red", "blue"]}, "choice", None),
    "letters as on the Hub": (
        ["B", "A"],
        {"choices": {"label": ["A", "B"], "text": ["red", "blue"]}},
        "choice",
        None,
    ),
    "letters by letter": (["B", "A"], {"options": {"A": "red", "B": "blue"}}, "choice", None),
    "places": ([1, 0], {"choices": ["red", "blue"]}, "choice", None),
    "dates": (["04/20/2021", "12/31/1999"], {}, "date", None),
    "words": (["a blue whale", "seven of them"], {}, "string", None),
    "formulas": (["\\frac{1}{2}", "x^2 + 1"], {}, "latex", None),
    "mixed": (["7", "a blue whale"], {}, "string", None),
}


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in the folder of the questions, and have nobody asked but a Hub of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


def questions(folder: Path, answers: list[Any], **more: Any) -> None:
    rows = [{"problem": f"Which is it, {n}?", "answer": a, **more} for n, a in enumerate(answers)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "q.jsonl").write_text(text)


@pytest.mark.parametrize("case", ANSWERS)
def test_answers_are_compared_as_what_they_are(tmp_path: Path, case: str) -> None:
    answers, more, kind, extract = ANSWERS[case]
    questions(tmp_path, answers, **more)
    told = init(tmp_path / "r.yaml", InitOptions(questions="q.jsonl", teacher="owner/teacher"))
    assert told.endswith(f"answers compared as {kind}")
    gold = read_recipe(str(tmp_path / "r.yaml")).recipe.questions.gold
    assert (gold.type, gold.extract) == (kind, extract)


@pytest.mark.parametrize(
    ("row", "gold", "index_from"),
    [
        ({"question": "Which?", "choices": ["red", "blue"], "answer": 1}, "answer", 0),  # MMLU
        ({"question": "Which?", "choices": {"text": ["red", "blue"], "label": ["A", "B"]},
          "answerKey": "B"}, "answerKey", None),  # ARC, CommonsenseQA
        ({"question": "Which?", "choices": {"text": ["red", "blue"], "label": ["1", "2"]},
          "answerKey": "2"}, "answerKey", None),
        ({"question": "Which?", "options": {"A": "red", "B": "blue"}, "answer": "blue",
          "answer_idx": "B"}, "answer", None),  # MedQA
        ({"question": "Which?", "options": ["A)red", "B)blue"], "correct": "B"}, "correct", None),
        ({"question_stem": "Which?", "choices": {"text": ["red", "blue"], "label": ["A", "B"]},
          "answerKey": "B"}, "answerKey", None),  # OpenBookQA
    ],
)  # fmt: skip
def test_the_forms_of_multiple_choice_are_known(
    tmp_path: Path, row: dict[str, Any], gold: str, index_from: int | None
) -> None:
    other = row | {name: f"{row[name]} of these" for name in row if name.startswith("question")}
    lines = "".join(json.dumps(each) + "\n" for each in (row, other))
    (tmp_path / "q.jsonl").write_text(lines)
    init(tmp_path / "r.yaml", InitOptions(questions="q.jsonl", teacher="owner/teacher"))
    block = read_recipe(str(tmp_path / "r.yaml")).recipe.questions
    assert (block.gold.type, block.columns.gold) == ("choice", gold)
    assert block.gold.index_from == index_from
    table = load_questions(block, tmp_path)
    assert table.frame["choices"].to_list() == [["red", "blue"]] * 2
    assert {canonical(g, "choice", ["red", "blue"]) for g in table.frame["gold"]} == {"B"}


@pytest.mark.parametrize("student", [None, "owner/student"])
@pytest.mark.parametrize("url", [None, "http://localhost:8000/v1"])
@pytest.mark.parametrize("pool", [None, "pool.jsonl"])
def test_every_recipe_passes_check(
    tmp_path: Path, student: str | None, url: str | None, pool: str | None
) -> None:
    write(tmp_path)
    given = InitOptions(
        questions="questions.jsonl", teacher="owner/a:b", url=url, pool=pool, student=student
    )
    init(tmp_path / "new" / ".." / "mine.yaml", given)
    recipe = read_recipe(str(tmp_path / "mine.yaml")).recipe
    make_plan(recipe)
    assert recipe.name == "mine"
    assert [source.name for source in recipe.sources] == (["pool"] if pool else []) + ["teacher"]
    assert bool(recipe.measures.score) == bool(student)
    assert (recipe.backend("teacher").backend == "openai") == bool(url)
    text = (tmp_path / "mine.yaml").read_text()
    assert "{{" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_recipe_of_a_pool_runs_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    write(tmp_path)
    init(tmp_path / "recipe.yaml.new", InitOptions(questions="questions.jsonl", pool="pool.jsonl"))
    file = read_recipe(str(tmp_path / "recipe.yaml.new"))
    result = run(file, RunOptions(out=tmp_path / "run"), Progress(quiet=True))
    assert sum(result.summary.configs[0].splits.values()) == 180


@pytest.mark.parametrize("place", ["there", "there/mine.yaml", "./a/b/../c/mine.yaml"])
def test_paths_are_right_where_the_recipe_stands(tmp_path: Path, place: str) -> None:
    write(tmp_path)
    named = [
        "--questions",
        "questions.jsonl",
        "--pool",
        str(Path("..", tmp_path.name, "pool.jsonl")),
    ]
    done = CliRunner().invoke(cli.app, ["init", place, *named], catch_exceptions=False)
    recipe = recipe_in(Path(place))
    assert done.output.endswith(f"curate run {recipe} --limit 32\n")
    file = read_recipe(str(recipe))
    result = run(file, RunOptions(runs=tmp_path / "runs"), Progress(quiet=True))
    assert result.funnel.samples == 300


def test_columns_of_any_name_can_be_given(tmp_path: Path) -> None:
    rows = [{"ask": "3 + 4?", "known": "7", "steps": "3 + 4 = 7."}]
    (tmp_path / "all.jsonl").write_text(json.dumps(rows[0]))
    named = {"question": "ask", "gold": "known"}
    pool = InitOptions(questions="all.jsonl", pool="all.jsonl", **named)
    with pytest.raises(InputError, match="with --completion"):
        init(tmp_path / "r.yaml", pool)
    init(tmp_path / "r.yaml", pool.model_copy(update={"completion": "steps"}))
    (source,) = read_recipe(str(tmp_path / "r.yaml")).recipe.sources
    assert source.columns.model_dump(exclude_none=True) == {
        "question": "ask",
        "completion": "steps",
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "no questions; name a file"),
        ({"questions": "q.jsonl"}, "nobody is to write rationales"),
        ({"questions": "nowhere.jsonl", "teacher": "t"}, "nowhere"),
        ({"questions": "q.jsonl", "teacher": "t", "gold": "anser"}, "no column 'anser'; there are"),
        ({"questions": "bare.jsonl", "teacher": "t"}, "no column is called question or"),
    ],
)
def test_what_is_missing_is_said_and_nothing_written(
    tmp_path: Path, given: dict[str, str], said: str
) -> None:
    questions(tmp_path, ["7"])
    (tmp_path / "bare.jsonl").write_text('{"x": 1}\n')
    with pytest.raises(InputError, match=said):
        init(tmp_path / "r.yaml", InitOptions(**given))
    assert not (tmp_path / "r.yaml").exists()


def test_the_command_leaves_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    questions(tmp_path, ["7"])
    command = ["init", "--questions", "q.jsonl", "--teacher", "owner/teacher"]
    done = CliRunner().invoke(cli.app, command, catch_exceptions=False)
    assert done.output.splitlines()[-1] == "curate run recipe.yaml --limit 32"
    assert CliRunner().invoke(cli.app, ["check", "recipe.yaml"]).exit_code == 0
    with pytest.raises(InputError, match=r"'recipe.yaml' is there already"):
        CliRunner().invoke(cli.app, command, catch_exceptions=False)


@pytest.mark.parametrize("pool", [None, "q.jsonl"])
def test_the_teacher_s_licence_is_offered(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, pool: str | None
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    hub.models["owner/teacher"] = {"license": "apache-2.0"}
    questions(tmp_path, ["7"], text="So it is 7.")
    options = InitOptions(questions="q.jsonl", teacher="owner/teacher", pool=pool)
    init(tmp_path / "r.yaml", options)
    terms = {each.name: each.terms for each in read_recipe(str(tmp_path / "r.yaml")).recipe.sources}
    assert terms == {"teacher": "apache-2.0"} | ({"pool": None} if pool else {})
    assert [path for _, path in hub.asked] == ["/api/models/owner/teacher"], (
        "and nothing is fetched"
    )
