"""Publishing into a folder: versions that load, never change, and never are half there."""

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import datasets
import pytest
from typer.testing import CliRunner

from curate import cli
from curate.errors import CurateError, InputError
from curate.release.diff import diff
from curate.release.repositories import folder as repositories
from curate.release.repositories.folder import FolderRepository, hashes, order
from curate.release.repositories.push import CHANGES, open_repository, push
from tests.curate.imported_sums import do, write
from tests.curate.sums import curate

TERMS = "sources.pool.terms=cc0-1.0"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of three versions, the second with fewer rows; and one without terms."""
    folder = tmp_path_factory.mktemp("runs")
    write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        return {
            "first": do(folder, TERMS).folder,
            "second": do(folder, TERMS, "release=0.2.0", "filters.length.max=8").folder,
            "changed": do(folder, TERMS, "filters.length.max=8").folder,
            "tenth": do(folder, TERMS, "release=0.10.0").folder,
            "unknown": do(folder, "release=0.3.0").folder,
            "empty": do(folder, TERMS, "filters.length.max=1").folder,
        }


@pytest.fixture
def repo(tmp_path: Path) -> str:
    return f"file://{tmp_path / 'repo'}"


def loaded(folder: Path, cache: Path, config: str = "default") -> Any:
    return datasets.load_dataset(str(folder), config, cache_dir=str(cache))


def test_versions_load_side_by_side_and_latest_names_the_newest(
    runs: dict[str, Path], repo: str, tmp_path: Path
) -> None:
    root = tmp_path / "repo"
    assert push(runs["first"], repo).version == "v0.1.0"
    assert (root / "latest").read_text() == "v0.1.0\n"
    done = push(runs["second"], repo)
    assert done.fresh
    assert (root / "latest").read_text() == "v0.2.0\n"
    assert done.changes == diff(root / "versions/v0.1.0", root / "versions/v0.2.0")
    for version, run in (("v0.1.0", "first"), ("v0.2.0", "second")):
        here = loaded(root / "versions" / version, tmp_path / "cache")
        there = loaded(runs[run] / "dataset", tmp_path / "cache")
        assert {s: rows.to_list() for s, rows in here.items()} == {
            s: rows.to_list() for s, rows in there.items()
        }
    fewer = json.loads((root / "versions/v0.2.0/manifest.json").read_text())
    assert done.changes is not None
    assert sum(fewer["configs"]["default"]["splits"].values()) == 120 - done.changes.removed


def test_the_card_tells_what_changed_and_loses_nothing(
    runs: dict[str, Path], repo: str, tmp_path: Path
) -> None:
    push(runs["first"], repo)
    push(runs["second"], repo)
    first, second = (tmp_path / "repo/versions" / v / "README.md" for v in ("v0.1.0", "v0.2.0"))
    assert first.read_text() == (runs["first"] / "dataset/README.md").read_text()
    text = second.read_text()
    assert text.startswith((runs["second"] / "dataset/README.md").read_text())
    assert CHANGES in text
    assert "| selected | length: too_long |" in text
    assert "| `recipe.filters.length.max` | 40 | 8 |" in text


def test_pushing_twice_publishes_once(runs: dict[str, Path], repo: str, tmp_path: Path) -> None:
    push(runs["first"], repo)
    push(runs["second"], repo)
    before = hashes(tmp_path / "repo")
    assert not push(runs["first"], repo).fresh
    assert not push(runs["second"], repo).fresh
    assert hashes(tmp_path / "repo") == before


def test_a_version_is_never_changed(runs: dict[str, Path], repo: str, tmp_path: Path) -> None:
    push(runs["first"], repo)
    before = hashes(tmp_path / "repo")
    with pytest.raises(
        InputError,
        match=r"v0.1.0 is published already.*\d+ removed.*filters.length.max.*release: 0.2.0",
    ):
        push(runs["changed"], repo)
    push(runs["tenth"], repo)
    with pytest.raises(InputError, match=r"v0.2.0 is older than v0.10.0.*release: 0.11.0"):
        push(runs["second"], repo)
    after = hashes(tmp_path / "repo")
    assert {path: after[path] for path in before if path != "latest"} == {
        path: digest for path, digest in before.items() if path != "latest"
    }
    assert FolderRepository(tmp_path / "repo").versions() == ["v0.1.0", "v0.10.0"]


def test_what_may_not_be_published_is_refused(
    runs: dict[str, Path], repo: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"terms on which the text of pool \(\d+ rows\).*`terms`"):
        push(runs["unknown"], repo)
    with pytest.raises(InputError, match="selects no row"):
        push(runs["empty"], repo)
    with pytest.raises(InputError, match="'nowhere' is no repository"):
        push(runs["first"], "nowhere")
    assert not (tmp_path / "repo").exists()


def test_what_reads_back_wrong_is_not_published(
    runs: dict[str, Path], repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaging(source: Path, target: Path) -> None:
        shutil.copytree(source, target, dirs_exist_ok=True)
        (target / "manifest.json").write_text("{}")

    class Damaging:
        copytree = staticmethod(damaging)
        rmtree = staticmethod(shutil.rmtree)

    push(runs["first"], repo)
    before = hashes(tmp_path / "repo")
    monkeypatch.setattr(repositories, "shutil", Damaging)
    with pytest.raises(CurateError, match=r"manifest.json of .* is not what was written"):
        push(runs["second"], repo)
    assert hashes(tmp_path / "repo") == before
    monkeypatch.undo()
    assert push(runs["second"], repo).fresh


def test_a_push_that_was_killed_leaves_nothing_for_long(
    runs: dict[str, Path], repo: str, tmp_path: Path
) -> None:
    left = tmp_path / "repo/versions/.v0.1.0-dead"
    left.mkdir(parents=True)
    assert FolderRepository(tmp_path / "repo").versions() == []
    push(runs["first"], repo)
    assert not left.exists()


def test_a_push_that_was_killed_before_latest_is_finished_by_the_next(
    runs: dict[str, Path], repo: str, tmp_path: Path
) -> None:
    push(runs["first"], repo)
    push(runs["second"], repo)
    latest = tmp_path / "repo/latest"
    for state in ("v0.1.0\n", None):
        latest.unlink()
        if state:
            latest.write_text(state)
        assert not push(runs["second"], repo).fresh
        assert latest.read_text() == "v0.2.0\n"


def test_other_folders_beside_versions_are_none(
    runs: dict[str, Path], repo: str, tmp_path: Path
) -> None:
    push(runs["first"], repo)
    for name in ("v0.1.0-trl", "v0.1.0.bak", "vision"):
        (tmp_path / "repo/versions" / name).mkdir()
    assert push(runs["second"], repo).fresh
    assert FolderRepository(tmp_path / "repo").versions() == ["v0.1.0", "v0.2.0"]


def test_of_two_that_push_one_version_at_once_one_is_told(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    repository = FolderRepository(tmp_path / "repo")
    told: list[str] = []

    def publish() -> None:
        try:
            repository.publish(runs["first"] / "dataset", "v0.1.0")
        except InputError as error:
            told.append(str(error))

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 3
    assert hashes(repository.fetch("v0.1.0")) == hashes(runs["first"] / "dataset")


def test_versions_are_ordered_as_numbers() -> None:
    assert sorted(["v0.10.0", "v0.9.1", "v1.0.0", "v0.9.0"], key=order) == [
        "v0.9.0", "v0.9.1", "v0.10.0", "v1.0.0",
    ]  # fmt: skip


def test_relative_folders_and_spaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_repository("file://some/where").name == "file://some/where"
    assert open_repository("file:///a%20b").name == "file:///a b"
    assert open_repository("file://a#1/[b]").name == "file://a#1/[b]"
    with pytest.raises(InputError, match="or a folder as file://DIR"):
        open_repository("file://")


def refused(folder: Path, *overrides: str) -> str:
    """Run a recipe by the command line; give what it says against it, having run nothing."""
    before = sorted(folder.rglob("sums/*"))
    done = curate(folder, "run", "recipe.yaml", *overrides, "--push")
    assert done.returncode == 2, done.stdout + done.stderr
    assert sorted(folder.rglob("sums/*")) == before
    return done.stderr


def test_a_run_is_pushed_where_its_recipe_says(tmp_path: Path) -> None:
    write(tmp_path)
    there = f"publish={{repo: 'file://{tmp_path / 'repo'}'}}"
    assert "--push wants a repository" in refused(tmp_path, TERMS)
    assert "text of pool may be used are not declared" in refused(tmp_path, there)
    assert "--exclude-teacher NAME" in refused(tmp_path, there)
    assert "no source is left" in refused(tmp_path, there, "--exclude-teacher", "pool")
    done = curate(tmp_path, "run", "recipe.yaml", TERMS, there, "--push")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"v0.1.0: {tmp_path / 'repo/versions/v0.1.0'}"
    again = curate(tmp_path, "run", "recipe.yaml", TERMS, there, "--push", "--json")
    assert json.loads(again.stdout)["published"]["fresh"] is False
    changed = refused(tmp_path, TERMS, there, "filters.length.max=8")
    assert "v0.1.0 is in file://" in changed
    assert "set `release: 0.2.0`" in changed
    older = refused(tmp_path, TERMS, there, "release=0.0.9")
    assert "v0.0.9 is older than v0.1.0" in older
    done = curate(tmp_path, "push", "runs/sums")
    assert done.returncode == 0, done.stderr
    assert "published already, with the same content" in done.stdout


def test_a_push_wants_to_know_where(runs: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"sums 0.1.0 comes with no repository"):
        push(runs["first"])


def test_a_run_that_could_not_be_pushed_is_not_begun(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "afile").write_text("")
    said = refused(tmp_path, TERMS, f"publish.repo=file://{tmp_path}/afile/repo")
    assert "afile' is no folder to write to" in said
    there = f"publish.repo=file://{tmp_path}/repo"
    done = curate(tmp_path, "run", "recipe.yaml", TERMS, there, "--push", "--limit", "50")
    assert done.returncode == 0, done.stderr
    for other, named in (([TERMS, there], "limit"), ([TERMS, there, "publish.think=inline"], "ov")):
        assert f"this run would change it ({named}" in refused(tmp_path, *other)


def test_a_run_is_told_though_its_push_fails(tmp_path: Path) -> None:
    write(tmp_path)
    there = f"publish.repo=file://{tmp_path}/repo"
    nothing = "filters.length.max=1"
    for flags in ([], ["--json"]):
        done = curate(tmp_path, "run", "recipe.yaml", TERMS, there, nothing, "--push", *flags)
        assert done.returncode == 2
        assert "selects no row, so there is nothing to publish" in done.stderr
        folder = (tmp_path / "runs/sums/latest").read_text().strip()
        assert folder in done.stdout, "and it says where the run is"


def test_where_and_how_make_no_other_version(tmp_path: Path, runs: dict[str, Path]) -> None:
    write(tmp_path)
    repo = f"file://{tmp_path / 'repo'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(tmp_path / "store"))
        push(do(tmp_path, TERMS).folder, repo)
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(f"# mine\n{recipe.read_text()}runtime: {{workers: 1}}\n")
        for told in ("publish.private=false", "publish.repo=me/there", "runtime.workers=2"):
            assert not push(do(tmp_path, TERMS, told).folder, repo).fresh
        with pytest.raises(InputError, match=r"other files: data/messages/train-00000.*manifest"):
            push(do(tmp_path, TERMS, "publish.formats=[messages]").folder, repo)


def test_the_command(runs: dict[str, Path], repo: str) -> None:
    def said(run: str) -> str:
        done = CliRunner().invoke(cli.app, ["push", str(runs[run]), "--repo", repo])
        assert done.exit_code == 0, done.output
        return done.output

    assert said("first").startswith("v0.1.0: ")
    assert "published already, with the same content" in said("first")
    assert said("second").startswith("0 rows added, ")
