"""A newcomer adds a filter with what filters/README.md says: three files, and nothing else."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.docs.fences import blocks, commands, words

_TOLD: Final = {b.language: b.text for b in blocks() if b.doc == "filters/README.md"}
FILTER: Final = _TOLD["python"]
"""The filter that filters/README.md shows."""

NAMES: Final = ("curate", "filters", "recipes", "tests", "pyproject.toml", "README.md", "Makefile")
ADDED: Final = {"filters/arithmetic.py", "filters/__init__.py", "tests/golden/arithmetic-v1.jsonl"}
RENEWED: Final = {"filters/README.md", "recipes/recipe.schema.json"}
"""What ``make docs`` writes."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a copy of the project."""
    root = tmp_path_factory.mktemp("project")
    for name in NAMES:
        if Path(name).is_dir():
            shutil.copytree(name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(name, root / name)
    return root


def state(root: Path) -> dict[str, str]:
    """Digest every file of the project."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] in NAMES
    }


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


def do(root: Path, *arguments: str) -> str:
    """Run a module of the copy in a process of its own, and want it to end well."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=root,
        env={
            **os.environ,
            "PYTHONPATH": str(root),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CURATE_STORE": str(root / "store"),
            "COLUMNS": "120",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def apply(diff: str, text: str) -> str:
    """Put each added line where its neighbour stands: before the next line, or after the last."""
    lines = diff.splitlines()
    for number, line in enumerate(lines):
        if not line.startswith("+"):
            continue
        near = lines[number + 1][1:]
        assert text.count(f"\n{near}\n") == 1, near
        text = text.replace(f"\n{near}\n", f"\n{line[1:]}\n{near}\n")
    return text


def test_the_front_page_shows_the_same_filter() -> None:
    assert [b.doc for b in blocks("python") if b.text == FILTER] == [
        "README.md",
        "filters/README.md",
    ]
    assert len(FILTER.splitlines()) <= 50, "one screen"


def test_a_newcomer_adds_a_filter_in_three_files(copy: Path) -> None:
    before = state(copy)
    said = Path("filters/README.md").read_text()
    files = [name for name in ADDED if f"`{name}`" in said]
    assert set(files) == ADDED
    listing = copy / "filters/__init__.py"
    (copy / "filters/arithmetic.py").write_text(FILTER)
    listing.write_text(apply(_TOLD["diff"], listing.read_text()))
    (copy / "tests/golden/arithmetic-v1.jsonl").write_text(_TOLD["json"])
    assert changed(before, state(copy)) == ADDED

    do(copy, "ruff", "format", "--check", "filters")
    do(copy, "ruff", "check", "filters")
    suite = ["tests/filters/test_contract.py", "tests/filters/test_golden.py"]
    told = do(copy, "pytest", "-q", "-p", "no:cacheprovider", *suite, "-k", "arithmetic or golden")
    passed = re.search(r"(\d+) passed", told)
    assert passed
    assert int(passed[1]) > 50
    assert "arithmetic" in do(copy, "pytest", "-q", "--co", *suite, "-k", "arithmetic")

    for command in (c for c in commands() if "arithmetic" in c):
        said = do(copy, *words(command))
        assert "too_few_equations" in said, command
    chain = "filters=[{use: correctness}, {use: arithmetic}]"
    assert "fine" in do(copy, "curate", "check", "first-look", chain, "select={}")
    assert changed(before, state(copy)) == ADDED

    (copy / "recipes/recipe.schema.json").write_text(do(copy, "curate", "schema"))
    do(copy, "curate.report.manual")
    assert changed(before, state(copy)) == ADDED | RENEWED
    do(copy, "pytest", "-q", "-p", "no:cacheprovider", "tests/curate/report/test_manual.py")
