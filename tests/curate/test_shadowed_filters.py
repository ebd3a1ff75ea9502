"""A folder called ``filters`` where somebody works stands in nobody's way."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

import filters
from tests.curate import sums

OURS: Final = filters.__file__
SCRIPT: Final = """
from curate import pool_recipe, run

ROWS = [
    {"question": f"What is {a} plus 3?", "answer": a + 3, "text": f"{a} + 3 = {b}, so {b}."}
    for a in range(8) for b in (a + 3, a + 4)
]

if __name__ == "__main__":
    workers = ("runtime.workers=2", "runtime.questions_per_shard=4")
    print(len(run(pool_recipe(ROWS, gold="answer", overrides=workers)).audit), "samples")
"""
"""Hands rows over from memory, and has them judged by processes of their own."""


def a_folder(place: Path) -> None:
    (place / "filters").mkdir()
    (place / "filters" / "mine.py").write_text("WORD = 'theirs'\n")


def a_package(place: Path) -> None:
    a_folder(place)
    (place / "filters" / "__init__.py").touch()
    (place / "filters" / "contract.py").touch()


def a_module(place: Path) -> None:
    (place / "filters.py").touch()


def python(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, to its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=place,
        env=sums.environment(place) | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("shadow", [a_folder, a_package, a_module])
def test_ours_is_found_first(tmp_path: Path, shadow: Callable[[Path], None]) -> None:
    shadow(tmp_path)
    lines = "import curate, importlib.util as u; print(u.find_spec('filters').origin)"
    done = python(tmp_path, "-c", lines)
    assert done.stdout.strip() == OURS, done.stderr


@pytest.mark.parametrize(
    ("shadow", "arguments"), [(a_folder, ["script.py"]), (a_package, ["-m", "script"])]
)
def test_what_the_folder_holds_is_found_after_ours(
    tmp_path: Path, shadow: Callable[[Path], None], arguments: list[str]
) -> None:
    shadow(tmp_path)
    lines = "import curate, filters.contract as c, filters.mine as m; print(c.Filter, m.WORD)"
    (tmp_path / "script.py").write_text(lines)
    done = python(tmp_path, *arguments)
    assert done.stdout == "<class 'filters.contract.Filter'> theirs\n", done.stderr


def test_a_script_runs_beside_it_with_worker_processes(tmp_path: Path) -> None:
    a_package(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)
    done = python(tmp_path, "script.py")
    assert done.stdout == "16 samples\n", done.stderr


def test_the_command_line_runs_beside_it(tmp_path: Path) -> None:
    a_module(tmp_path)
    done = python(tmp_path, "-m", "curate", "filters", "length")
    assert "too_long" in done.stdout, done.stderr


@pytest.mark.parametrize("shadow", [a_folder, a_package, a_module])
def test_one_that_came_first_is_named(tmp_path: Path, shadow: Callable[[Path], None]) -> None:
    shadow(tmp_path)
    done = python(tmp_path, "-c", "import filters, curate")
    assert done.returncode == 1
    (place,) = tmp_path.glob("filters*")
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: '{place}")
    assert last.endswith("import curate before it, or give it another name")
