"""A newcomer adds a filter with what filters/README.md says: three files, and nothing else."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.docs.fences import blocks, commands, words

NAMES: Final = ("curate", "filters", "recipes", "tests", "pyproject.toml", "README.md", "Makefile")
ADDED: Final = {
    "filters/README.md": (
        "filters/arithmetic.py",
        "filters/__init__.py",
        "tests/golden/arithmetic-v1.jsonl",
    ),
    "curate/measures/README.md": (
        "curate/measures/grounding.py",
        "curate/measures/__init__.py",
        "tests/curate/measures/test_grounding.py",
    ),
}
"""The files of which a document shows what to write, in its order."""
RENEWED: Final = {"filters/README.md", "recipes/recipe.schema.json"}
"""What ``make docs`` writes."""

SHOWN: Final = {
    doc: [b for b in blocks() if b.doc == doc and b.language in {"python", "diff", "json"}]
    for doc in ADDED
}
"""What a document shows of its files."""
FILTER: Final = SHOWN["filters/README.md"][0].text
FILES: Final = frozenset(
    block.text for shown in SHOWN.values() for block in shown if block.language == "python"
)
"""Python that is a file of the project's, and no script."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Give a copy of the project."""
    root = tmp_path / "project"
    root.mkdir()
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


def follow(root: Path, doc: str) -> None:
    """Write what a document shows into the files it names, and hold them to the house's style."""
    said = Path(doc).read_text()
    for name, block in zip(ADDED[doc], SHOWN[doc], strict=True):
        assert f"`{name}`" in said
        path = root / name
        whole = block.language != "diff"
        path.write_text(block.text if whole else apply(block.text, path.read_text()))
    python = [name for name in ADDED[doc] if name.endswith(".py")]
    do(root, "ruff", "format", "--check", *python)
    do(root, "ruff", "check", *python)


def passing(root: Path, word: str, suites: Sequence[str]) -> list[str]:
    """Run the tests of some files whose names have a word, and give the names of those that pass.

    Raises:
        AssertionError: one does not.
    """
    told = do(root, "pytest", "-v", "-p", "no:cacheprovider", *suites, "-k", word)
    return re.findall(r"::(\S+) PASSED", told)


def test_the_front_page_shows_the_same_filter() -> None:
    assert [b.doc for b in blocks("python") if b.text == FILTER] == [
        "README.md",
        "filters/README.md",
    ]


def test_every_file_shown_fits_on_a_screen() -> None:
    assert len(FILES) == 3
    assert max(len(text.splitlines()) for text in FILES) <= 50


def test_a_newcomer_adds_a_filter_in_three_files(copy: Path) -> None:
    doc = "filters/README.md"
    before, added = state(copy), set(ADDED[doc])
    follow(copy, doc)
    assert changed(before, state(copy)) == added

    suites = ["tests/filters/test_contract.py", "tests/filters/test_golden.py"]
    passed = passing(copy, "arithmetic or golden", suites)
    assert len(passed) > 50
    assert "test_every_filter_keeps_every_law[arithmetic-0]" in passed

    for command in (c for c in commands() if "arithmetic" in c):
        said = do(copy, *words(command))
        assert "too_few_equations" in said, command
    chain = "filters=[{use: correctness}, {use: arithmetic}]"
    assert "fine" in do(copy, "curate", "check", "first-look", chain, "select={}")
    assert changed(before, state(copy)) == added

    (copy / "recipes/recipe.schema.json").write_text(do(copy, "curate", "schema"))
    do(copy, "curate.report.manual")
    assert changed(before, state(copy)) == added | RENEWED
    do(copy, "pytest", "-q", "-p", "no:cacheprovider", "tests/curate/report/test_manual.py")
