"""Samples that a server did not give are drawn again where that is asked for, and only those."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.store.record import Book
from tests.curate import sums
from tests.servers.openai_server import Fault, read_book, serving

COUNT = 6
FAULTS = [
    Fault(400, match="Ann has 21", body={"error": {"message": "too long"}}),
    Fault(403, match="Ann has 22", body={"error": {"message": "flagged for violence"}}),
]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder whose run drew samples of six questions, of which two were refused."""
    sums.write_questions(tmp_path, COUNT)
    with serving(faults=FAULTS) as url:
        sums.write_recipe(tmp_path, url, [sums.source()])
        assert _run(tmp_path) == (2 * COUNT, 0, 4)
    with serving(tmp_path / "book") as url:
        sums.write_recipe(tmp_path, url, [sums.source()])
        yield tmp_path


def _run(folder: Path, *arguments: str) -> tuple[int, int, int]:
    """Run; give how many samples were drawn, were reused, and failed."""
    done = sums.curate(folder, "run", "recipe.yaml", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    errors = sum(1 for value in sums.recorded(folder).values() if value["finish_reason"] == "error")
    return result["sampled"], result["reused"], errors


def test_what_failed_for_good_is_not_asked_again_by_itself(folder: Path) -> None:
    assert _run(folder) == (0, 2 * COUNT, 4)
    assert read_book(folder / "book") == []


def test_all_that_failed_is_drawn_again_on_demand(folder: Path) -> None:
    assert _run(folder, "--retry", "failed") == (4, 2 * COUNT - 4, 0)
    assert len(read_book(folder / "book")) == 4
    assert _run(folder, "--retry", "failed") == (0, 2 * COUNT, 0)


def test_what_failed_for_one_reason_is_drawn_again(folder: Path) -> None:
    assert _run(folder, "--retry", "Violence") == (2, 2 * COUNT - 2, 2)
    assert all("Ann has 22" in entry["prompt"] for entry in read_book(folder / "book"))


def test_an_entry_that_is_no_sample_is_drawn_again_and_said(folder: Path) -> None:
    (book,) = (folder / sums.STORE / "record" / "samples").iterdir()
    with Book(book) as record:
        key, *_ = record.keys()
        record.append(key, {"text": ["not", "a", "text"], "finish_reason": "stop"})
    done = sums.curate(folder, "run", "recipe.yaml")
    assert done.returncode == 0, done.stderr
    assert "sampled 1," in done.stdout
    assert "teacher: 1 damaged record lines" in done.stderr


def test_nothing_is_drawn_again_in_a_replay(folder: Path) -> None:
    done = sums.curate(folder, "run", "recipe.yaml", "--replay", "--retry", "failed")
    assert done.returncode == 2
    assert "--retry draws samples anew, and --replay draws none" in done.stderr
