"""What READMEs tell a newcomer to write, done in a copy of the project."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.docs.fences import Block, blocks, words

NAMES: Final = ("curate", "filters", "recipes", "tests", "pyproject.toml", "README.md", "Makefile")


def copied(root: Path) -> Path:
    """Make a copy of the project."""
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


def ran(root: Path, *arguments: str, also: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a module of the copy in a process of its own, to its end.

    Args:
        root: of the copy.
        arguments: the module and what it is told.
        also: a folder of packages that are installed beside it.
    """
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=root,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(path) for path in (root, also) if path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CURATE_STORE": str(root / "store"),
            "COLUMNS": "120",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def do(root: Path, *arguments: str, also: Path | None = None) -> str:
    """Run a module of the copy likewise, and want it to end well."""
    done = ran(root, *arguments, also=also)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def renew(root: Path) -> None:
    """Do what ``make docs`` does, and see that the catalogues are then complete."""
    (root / "recipes/recipe.schema.json").write_text(do(root, "curate", "schema"))
    do(root, "curate.report.manual")
    do(root, "pytest", "-q", "-p", "no:cacheprovider", "tests/curate/report/test_manual.py")


def apply(diff: str, text: str) -> str:
    """Put each added line where its neighbour stands: before the next line, or after the last."""
    lines = diff.splitlines()
    for number, line in enumerate(lines):
        if not line.startswith("+"):
            continue
        near = next(other[1:] for other in lines[number + 1 :] if not other.startswith("+"))
        assert text.count(f"\n{near}\n") == 1, near
        text = text.replace(f"\n{near}\n", f"\n{line[1:]}\n{near}\n")
    return text


class Lesson(NamedTuple):
    """A README that shows the files of one new thing: their text, or the lines to add to them.

    Attributes:
        doc: the README.
        files: what it shows, in its order.
    """

    doc: str
    files: tuple[str, ...]

    @property
    def texts(self) -> list[Block]:
        """What the README shows of each file."""
        languages = {"python", "diff", "json"}
        return [b for b in blocks() if b.doc == self.doc and b.language in languages]

    @property
    def added(self) -> set[str]:
        """What is written or changed."""
        return set(self.files)

    def follow(self, root: Path) -> None:
        """Do in a copy of the project what the README says, and hold it to the house's style.

        Raises:
            AssertionError: a file is too long, not named, of another style, or another changes.
        """
        before, prose = state(root), Path(self.doc).read_text()
        for name, block in zip(self.files, self.texts, strict=True):
            assert f"`{name}`" in prose
            assert len(block.text.splitlines()) <= 50, "one screen"
            path = root / name
            whole = block.language != "diff"
            path.write_text(block.text if whole else apply(block.text, path.read_text()))
        assert changed(before, state(root)) == self.added
        python = [name for name in self.files if name.endswith(".py")]
        do(root, "ruff", "format", "--check", *python)
        do(root, "ruff", "check", *python)
        code = {str(Path(name).parent) for name in python if not name.startswith("tests")}
        do(root, "words", *code, also=Path(".ci").resolve())


def passing(root: Path, word: str, *suites: str) -> list[str]:
    """Run the tests of some files whose names have a word, and give the names of those that pass.

    Raises:
        AssertionError: one does not.
    """
    output = do(root, "pytest", "-v", "-p", "no:cacheprovider", *suites, "-k", word)
    return re.findall(r"::(\S+) PASSED", output)


def commands_of(doc: str, verb: str) -> list[list[str]]:
    """Give the words of a document's commands of one kind."""
    lines = [line for block in blocks("sh") if block.doc == doc for line in block.text.splitlines()]
    return [words(line) for line in lines if line.startswith(f"curate {verb} ")]


def manifest(root: Path, run: str) -> dict[str, Any]:
    """Read the manifest of the copy's latest run."""
    folder = root / "runs" / run
    latest = (folder / "latest").read_text().strip()
    return json.loads((folder / latest / "dataset" / "manifest.json").read_bytes())
