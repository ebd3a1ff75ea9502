"""What the system does not give costs one sentence: room, files, folders. The next run goes on."""

import json
import resource
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.curate import imported_sums, sums
from tests.servers.openai_server import read_book, serving


def limited(
    folder: Path, limit: int, most: int, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run the recipe of a folder in a process that is given less."""
    return subprocess.run(
        sums.command("run", "recipe.yaml", "--json", *arguments),
        cwd=folder,
        env=sums.environment(folder),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(limit, (most, most)),
    )


def assert_said(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Fail unless it ended with one sentence that has some words."""
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert [word for word in words if word not in done.stderr] == []


def finished(folder: Path) -> Mapping[str, int]:
    """Run the recipe to its end, with all that it wants."""
    done = sums.curate(folder, "run", "recipe.yaml", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_where_no_more_can_be_recorded_what_was_is_kept(tmp_path: Path) -> None:
    """A file that may not grow is what a full disk is, wherever the tests run."""
    sums.write_questions(tmp_path, 60)
    with serving(delay=0.02) as url:
        sums.write_recipe(tmp_path, url, [sums.source(samples=4)])
        done = limited(tmp_path, resource.RLIMIT_FSIZE, 20_000)
        assert_said(done, 1, ".log': file too large; raise the limit", "is kept")
        kept = len(sums.recorded(tmp_path))
        assert 0 < kept < 240
        assert not list((tmp_path / sums.STORE / "work").glob("*"))
        told = finished(tmp_path)
    assert (told["reused"], told["sampled"]) == (kept, 240 - kept)


def test_where_no_release_can_be_written_there_is_no_half_of_one(tmp_path: Path) -> None:
    imported_sums.write(tmp_path)
    done = limited(tmp_path, resource.RLIMIT_FSIZE, 8_000)
    assert_said(done, 1, "file too large", "raise the limit of a file's size (ulimit -f)")
    assert not list((tmp_path / "runs").glob("*/[0-9l]*"))
    assert not list((tmp_path / sums.STORE / "work").glob("*"))


def test_few_open_files_are_said_to_be_too_few(tmp_path: Path) -> None:
    sums.write_questions(tmp_path, 60)
    with serving(delay=0.2) as url:
        sums.write_recipe(tmp_path, url, [sums.source(samples=4)], in_flight=256)
        done = limited(tmp_path, resource.RLIMIT_NOFILE, 40)
    assert_said(done, 1, "too many open files; raise the limit of open files (ulimit -n)")


@pytest.mark.parametrize("place", ["runs", "runs/sums", "elsewhere"])
def test_a_file_where_the_run_is_to_go_is_found_before_anything_is_paid_for(
    tmp_path: Path, place: str
) -> None:
    sums.write_questions(tmp_path, 4)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("a file")
    out = ["--out", "elsewhere/mine"] if place == "elsewhere" else []
    with serving(tmp_path / "book") as url:
        sums.write_recipe(tmp_path, url, [sums.source()])
        done = sums.curate(tmp_path, "run", "recipe.yaml", "--quiet", *out)
    assert_said(done, 2, f"{place}' is no folder to write to")
    assert not (tmp_path / "book").exists() or read_book(tmp_path / "book") == []
