"""Publishing into a folder, by hand and with a run; what holds of every place is in the suite."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from typer.testing import CliRunner

from curate import cli
from curate.errors import CurateError, InputError
from curate.release.files import hashes
from curate.release.repositories.base import order
from curate.release.repositories.folder import FolderRepository
from curate.release.repositories.push import open_repository, push
from tests.curate.imported_sums import TERMS, do, write
from tests.curate.release.repositories.places import FolderPlace
from tests.curate.sums import curate


@pytest.fixture
def repo(tmp_path: Path) -> str:
    return f"file://{tmp_path / 'repo'}"


def loaded(folder: Path, cache: Path, config: str = "default") -> Any:
    return datasets.load_dataset(str(folder), config, cache_dir=str(cache))


def test_versions_load_with_datasets_and_latest_names_the_newest(
    runs: dict[str, Path], repo: str, tmp_path: Path
) -> None:
    root = tmp_path / "repo"
    push(runs["first"], repo)
    assert (root / "latest").read_text() == "v0.1.0\n"
    push(runs["second"], repo)
    assert (root / "latest").read_text() == "v0.2.0\n"
    for version, run in (("v0.1.0", "first"), ("v0.2.0", "second")):
        here = loaded(root / "versions" / version, tmp_path / "cache")
        there = loaded(runs[run] / "dataset", tmp_path / "cache")
        assert {s: rows.to_list() for s, rows in here.items()} == {
            s: rows.to_list() for s, rows in there.items()
        }


def test_what_reads_back_wrong_leaves_the_folder_as_it_was(
    runs: dict[str, Path], repo: str, tmp_path: Path
) -> None:
    push(runs["first"], repo)
    before = hashes(tmp_path / "repo")
    wrong = pytest.raises(CurateError, match=r"README.md of .* is not what was written")
    with FolderPlace(tmp_path / "repo").damaging(), wrong:
        push(runs["second"], repo)
    assert hashes(tmp_path / "repo") == before


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
    with pytest.raises(InputError, match="'nowhere' is no repository"):
        open_repository("nowhere")


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
