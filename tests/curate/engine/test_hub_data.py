"""Questions and pools of the Hub are read at a commit, which lock, manifest and card name."""

import json
from pathlib import Path

import datasets
import orjson
import polars as pl
import pytest
from huggingface_hub import constants

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, pin, run
from curate.errors import InputError
from curate.recipe.files import RecipeFile, read_recipe
from curate.release.diff import diff
from curate.sources.tables import hub as hub_tables
from tests.curate import imported_sums
from tests.servers.hub import File, Hub, Repo

QUESTIONS, POOL = "hf://datasets/org/questions", "hf://datasets/org/pool"
NAMES = {QUESTIONS: "questions", POOL: "pool"}


@pytest.fixture
def folder(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe whose questions and pool lie on the Hub."""
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(hub_tables, "_OPEN", {})
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", tmp_path / "downloads")
    imported_sums.write(tmp_path)
    for name in ("questions", "pool"):
        hub.repos[f"org/{name}"] = Repo(private=False)
        commit(hub, name, (tmp_path / f"{name}.jsonl").read_text())
        (tmp_path / f"{name}.jsonl").unlink()
    return tmp_path


def commit(hub: Hub, name: str, text: str) -> str:
    """Put a text into a repository, beside what shows that the commit is another."""
    repo = hub.repos[f"org/{name}"]
    tree = {f"{name}.jsonl": file(text), f"{len(repo.trees)}.txt": file("")}
    return repo.commit(tree, "main")


def file(text: str) -> File:
    return File(len(text.encode()), text.encode())


def recipe(folder: Path, *overrides: str) -> RecipeFile:
    """Read the recipe like another process: nothing of the Hub is open."""
    hub_tables._OPEN.clear()
    changes = f"questions.path={QUESTIONS}", f"sources.pool.path={POOL}", *overrides
    return read_recipe(str(folder / "recipe.yaml"), changes)


def do(folder: Path, *overrides: str, locked: bool = False) -> RunResult:
    options = RunOptions(runs=folder / "runs", locked=locked)
    return run(recipe(folder, *overrides), options, Progress(quiet=True))


def locked(folder: Path) -> dict[str, str]:
    return json.loads((folder / "recipe.lock.json").read_bytes())["data"]


def test_what_is_on_the_hub_is_read_at_the_commit_of_the_first_run(
    folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = do(folder)
    commits = {path: hub.repos[f"org/{name}"].branches["main"] for path, name in NAMES.items()}
    assert locked(folder) == commits
    manifest = json.loads((first.folder / "dataset" / "manifest.json").read_bytes())
    assert manifest["lock"]["data"] == commits
    card = (first.folder / "dataset" / "README.md").read_text()
    for path, oid in commits.items():
        assert f"* read from `{path}` at commit `{oid}`" in card

    newer = commit(hub, "pool", '{"question": "What is 20 plus 3?", "text": "The answer is 23"}\n')
    second = do(folder, locked=True)
    assert second.summary.dataset_hash == first.summary.dataset_hash
    assert locked(folder) == commits

    pin(recipe(folder))
    assert locked(folder) == commits | {POOL: newer}
    third = do(folder)
    assert pl.read_parquet(third.folder / "audit" / "samples-*.parquet").height == 1
    changes = {change.name: change.after for change in diff(first.folder, third.folder).parameters}
    assert changes == {f"data.{POOL}": newer}

    # What was read last is at hand where the Hub can't be reached, and is not what is locked.
    (folder / "recipe.lock.json").write_bytes(orjson.dumps({"data": commits}))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=f"wanted at commit {commits[POOL]}.* at {newer}"):
        do(folder)


def test_a_tag_is_locked_at_what_it_was(folder: Path, hub: Hub) -> None:
    repo = hub.repos["org/pool"]
    old = repo.tags["v1"] = repo.branches["main"]
    tagged = f"sources.pool.path={POOL}/pool.jsonl", "sources.pool.revision=v1"
    first = do(folder, *tagged)
    assert locked(folder)[f"{POOL}/pool.jsonl@v1"] == old
    repo.tags["v1"] = commit(hub, "pool", "{}\n")
    assert do(folder, *tagged).summary.dataset_hash == first.summary.dataset_hash


def test_locked_refuses_what_no_commit_is_known_of_and_asks_nobody(folder: Path, hub: Hub) -> None:
    do(folder)
    lock = json.loads((folder / "recipe.lock.json").read_bytes())
    del lock["data"][POOL]
    (folder / "recipe.lock.json").write_bytes(orjson.dumps(lock))
    asked = len(hub.asked)
    with pytest.raises(
        InputError, match=f"data '{POOL}' is not in the lock file; run `curate pin`"
    ):
        do(folder, locked=True)
    assert not [path for _, path in list(hub.asked)[asked:] if "pool" in path]
