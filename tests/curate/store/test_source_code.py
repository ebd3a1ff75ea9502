"""The digest of one's own code: an edit of whatever a class rests on shows, and no other does."""

import importlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from curate.store.source_code import source_digest
from filters.correctness import Correctness

FILES = {
    "tested_words.py": "BAD = ['first']\n",
    "tested_plugin/__init__.py": "from .calm import Calm\n",
    "tested_plugin/base.py": (
        "import re\nfrom filters.length import Length\nclass Base(Length): ...\n"
    ),
    "tested_plugin/calm.py": (
        "import yaml\nfrom tested_plugin.base import Base\nfrom . import text\n"
        "class Calm(Base):\n    def judge(self, frame):\n        from tested_words import BAD\n"
    ),
    "tested_plugin/text.py": "def plain(text): return text\n",
    "tested_plugin/unrelated.py": "ANYTHING = 1\n",
}
"""A package whose class has a base, a helper, and a module beside the package, imported late."""
LONG_AGO = time.time() - 3600


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that Python imports from, with the package in it, written before this process."""
    for name, text in FILES.items():
        write(tmp_path / name, text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    forget()


def write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    os.utime(file, (LONG_AGO, LONG_AGO))


def forget() -> None:
    """Begin like another process: nothing of the package is imported."""
    for name in [name for name in sys.modules if name.startswith("tested_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def digest() -> str | None:
    forget()
    return source_digest(importlib.import_module("tested_plugin").Calm)


@pytest.mark.parametrize("name", [name for name in FILES if "unrelated" not in name])
def test_an_edit_of_whatever_a_class_rests_on_shows(folder: Path, name: str) -> None:
    before = digest()
    assert before == digest()
    write(folder / name, f"{FILES[name]}# edited\n")
    after = digest()
    assert after not in {before, None, ""}
    write(folder / name, FILES[name])
    assert digest() == before


def test_nothing_else_shows(folder: Path) -> None:
    before = digest()
    write(folder / "tested_plugin" / "unrelated.py", "ANYTHING = 2\n")
    assert digest() == before


def test_nothing_is_imported_for_it(folder: Path) -> None:
    assert digest()
    assert "tested_words" not in sys.modules


def test_what_no_python_of_today_can_import_is_a_text_like_any_other(folder: Path) -> None:
    write(folder / "tested_words.py", "print 'first'\n")
    before = digest()
    assert before
    write(folder / "tested_words.py", "print 'second'\n")
    assert digest() != before


def test_a_package_elsewhere_is_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest()
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    for name in ("tested_plugin", "tested_words.py"):
        shutil.move(folder / name, elsewhere / name)
    monkeypatch.syspath_prepend(elsewhere)
    assert digest() == before


def test_a_library_has_a_version_instead(folder: Path) -> None:
    (folder / "tested_words-1.0.dist-info").mkdir()
    before = digest()
    assert before
    write(folder / "tested_words.py", "BAD = ['second']\n")
    assert digest() == before
    write(folder / "tested_plugin" / "text.py", "def plain(text): return text.strip()\n")
    assert digest() != before, "but what was installed may itself be edited where it lies"


def test_a_class_of_this_project_has_a_version_instead() -> None:
    assert source_digest(Correctness) == ""


def test_what_changed_since_the_process_began_may_not_be_what_runs(folder: Path) -> None:
    assert digest()
    os.utime(folder / "tested_plugin" / "text.py", (time.time() + 1, time.time() + 1))
    assert digest() is None


def made(word: str) -> type:
    class Made(Correctness):
        def closed_over(self) -> str:
            return word

    return Made


def typed_in(_: str) -> type:
    return type("Typed", (Correctness,), {"__module__": "__main__"})


@pytest.mark.parametrize("make", [made, typed_in])
def test_what_stands_in_no_file_is_not_known(make: Callable[[str], type]) -> None:
    assert source_digest(make("word")) is None
