"""Homes that nobody knows, and folders that nobody can write to: one sentence each."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from curate.errors import InputError
from curate.store.home import path_of
from tests.curate import imported_sums, sums

NOBODY = "~somebody-who-has-no-home"


def test_a_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert path_of("~/here") == tmp_path / "here"
    assert path_of("data/~x") == Path("data/~x")
    with pytest.raises(InputError, match=f"'{NOBODY}/x' begins in a home that this system does"):
        path_of(f"{NOBODY}/x")


@pytest.mark.parametrize(
    ("change", "variables"),
    [
        ("name=sums", {"CURATE_STORE": f"{NOBODY}/store"}),
        (f"questions.path={NOBODY}/q.jsonl", {}),
        (f"sources.pool.path={NOBODY}/pool.jsonl", {}),
        (f"publish.repo=file://{NOBODY}/out", {}),
        (f"measures.embed.model={NOBODY}/encoder", {}),
    ],
)
def test_a_home_that_nobody_knows_is_one_sentence(
    tmp_path: Path, change: str, variables: dict[str, str]
) -> None:
    imported_sums.write(tmp_path)
    overrides = [change, imported_sums.TERMS, "filters.diversity.by=[embedding]"]
    push = ["--push"] if "publish" in change else []
    done = subprocess.run(
        sums.command("run", "recipe.yaml", *overrides, *push), cwd=tmp_path,
        env=sums.environment(tmp_path) | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: '{NOBODY}/")
    assert done.stderr.count("\n") == 1
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("~")]


def read_only(folder: Path, command: str) -> list[str]:
    """Give a command that runs where a folder can't be written, by root neither."""
    folder.chmod(0o555)
    if not os.access(folder, os.W_OK):
        return ["sh", "-c", command]
    place = shlex.quote(str(folder))
    mount = f"mount --bind {place} {place} && mount -o remount,ro,bind {place}"
    return ["unshare", "-m", "sh", "-c", f"{mount} && {command}"]


def test_a_lock_file_that_can_not_lie_beside_its_recipe_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    imported_sums.write(folder)
    command = shlex.join(sums.command("run", "config/recipe.yaml", "--limit", "3"))
    done = subprocess.run(
        read_only(folder, command), cwd=tmp_path, env=sums.environment(tmp_path),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    lock = Path("runs", "sums", "sums.lock.json")
    said = f"the folder of recipe.yaml can't be written, so its lock file is {lock}"
    assert done.stderr.splitlines()[0] == said
    assert (tmp_path / lock).is_file()
    assert not list(folder.glob("*.lock.json"))


@pytest.mark.parametrize("name", ["x" * 256, "data/" + "\u00e9" * 200 + "/x.jsonl"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"has \d+ bytes, and at most 255 are possible"):
        path_of(name)
    assert path_of("x" * 255) == Path("x" * 255)
