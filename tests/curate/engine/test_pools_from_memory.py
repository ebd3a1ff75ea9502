"""A run of rows from memory: nothing is worked out twice, and its release says what it lacks."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import datasets
import polars as pl
import pytest

from curate import Recipe, Result, RunOptions, pool_recipe, run
from curate.engine.forecast.preview import preview
from curate.engine.progress.progress import Progress
from curate.errors import InputError
from curate.recipe.files import parse_recipe
from curate.recipe.repeat import open_recipe
from tests.curate.imported_sums import texts

POOL: Final = [
    {"question": f"What is {a} plus {b}?", "answer": a + b, "text": text}
    for a in range(20, 26)
    for b in (3, 7)
    for text in texts(a, b)
]
QUESTIONS: Final = [{"question": row["question"], "answer": row["answer"]} for row in POOL[::5]]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recipe(questions: Any = QUESTIONS, pool: Any = POOL) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "sums",
            "questions": {"path": questions, "gold": {"type": "number"}},
            "sources": [
                {
                    "use": "import", "name": "pool", "path": pool, "terms": "cc0-1.0",
                    "columns": {"question": "question", "completion": "text"},
                }
            ],
            "filters": [{"use": "completeness"}, {"use": "correctness"}],
        }
    )  # fmt: skip


def do(what: Any, **options: Any) -> Result:
    return run(what, RunOptions(**options), Progress(quiet=True))


def judged(result: Result) -> int:
    return result.tally["measured"] + result.tally["judged"]


def test_the_same_rows_twice_are_worked_out_once() -> None:
    first = do(recipe())
    again = do(recipe(datasets.Dataset.from_list(QUESTIONS), pl.DataFrame(POOL)))
    assert first.funnel.picks[0].rows == 36
    assert judged(first) > 0
    assert judged(again) == 0
    assert again.run.manifest == first.run.manifest
    other = do(recipe(QUESTIONS, POOL[1:]))
    assert other.run.manifest["recipe_digest"] != first.run.manifest["recipe_digest"]


def test_a_file_of_the_rows_gives_the_same(place: Path) -> None:
    for name, rows in (("q.jsonl", QUESTIONS), ("p.jsonl", POOL)):
        (place / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    first, again = do(recipe()), do(recipe("q.jsonl", "p.jsonl"))
    assert again.dataset_hash == first.dataset_hash
    assert judged(again) == 0


def test_a_pool_alone_is_a_recipe(place: Path) -> None:
    (place / "mine.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in POOL))
    first = do(pool_recipe(POOL, gold="answer", name="Mine"))
    again = do(pool_recipe(place / "mine.jsonl", gold="answer"))
    assert first.dataset_hash == again.dataset_hash
    assert judged(again) == 0
    assert (place / "runs" / "mine" / "latest").is_file()


def test_its_release_says_where_the_rows_came_from() -> None:
    result = do(recipe())
    manifest, card = result.run.manifest, (result.folder / "dataset" / "README.md").read_text()
    said = "What questions.path and sources.pool.path names came from memory, so the recipe alone"
    assert said in manifest["reproducible"]
    assert said in card
    names = manifest["lock"]["data"]
    assert len(names) == 2
    assert all(name == f"memory://{digest}" for name, digest in names.items())


def test_it_is_repeated_where_the_rows_are_and_nowhere_else(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = do(recipe())
    release = shutil.copytree(made.folder / "dataset", place / "release")
    file = open_recipe(str(release), present=True)
    assert preview(file).questions == 12
    assert do(file).dataset_hash == made.dataset_hash
    assert do(file, locked=True).dataset_hash == made.dataset_hash

    monkeypatch.setenv("CURATE_STORE", str(place / "elsewhere"))
    with pytest.raises(InputError) as refused:
        open_recipe(str(release), present=True)
    assert str(refused.value).startswith("the recipe of sums 0.1.0: questions.path: its rows came")
    assert "so the recipe alone can't repeat it; name a file of the same rows" in str(refused.value)
    assert not (place / "elsewhere").exists()

    for name, rows in (("q.jsonl", QUESTIONS), ("p.jsonl", POOL)):
        (place / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    changes = ["questions.path=q.jsonl", "sources.pool.path=p.jsonl"]
    again = do(open_recipe(str(release), changes, present=True))
    assert again.dataset_hash == made.dataset_hash


@pytest.mark.parametrize("rows", ["[]", "[{question: a, answer: 1}]"])
@pytest.mark.parametrize("key", ["questions", "sources"])
def test_a_recipe_of_text_holds_no_rows(place: Path, key: str, rows: str) -> None:
    paths = {"questions": "q.jsonl", "sources": "p.jsonl", key: rows}
    text = (
        f"{{name: a, questions: {{path: {paths['questions']}, gold: {{type: number}}}}, sources: "
        f"[{{use: import, name: p, path: {paths['sources']}, columns: {{question: question}}}}]}}"
    )
    with pytest.raises(InputError, match="path: got rows; write them into a file, and name that"):
        parse_recipe(text)
    assert not (place / "store").exists()
