"""One store shared by several processes at once."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl

from curate.store.record import Book
from tests.curate import sums
from tests.servers.openai_server import read_book, serving

WRITERS, ENTRIES = 3, 100
WRITER = """
import sys
from pathlib import Path
from curate.store.keys import key
from curate.store.record import Book
folder, me, entries = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for number in range(entries):
    with Book(folder) as book:
        book.append(key(me, number), {"n": number})
        assert [book.get(key(me, n)) for n in range(number + 1)] == [
            {"n": n} for n in range(number + 1)
        ]
        assert all(book.get(there) is not None for there in book.keys())
"""


def test_books_opened_and_sealed_at_once_lose_nothing(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(number), str(ENTRIES)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(WRITERS)
    ]
    assert [writer.communicate()[1] for writer in writers] == [""] * WRITERS
    assert len(Book(tmp_path)) == WRITERS * ENTRIES
    assert not list(tmp_path.glob("open-*"))


def test_two_recipes_sample_one_teacher_at_once(tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    with serving(tmp_path / "book", delay=0.02) as url:
        for folder, count in ((few, 20), (many, 60)):
            folder.mkdir()
            sums.write_questions(folder, count)
            sums.write_recipe(folder, url, [sums.source()])
        runs = [
            subprocess.Popen(
                sums.command("run", "recipe.yaml", "--json"),
                cwd=folder,
                env=sums.environment(tmp_path),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for folder in (few, many)
        ]
        ended = [run.communicate() for run in runs]
        assert [said for _, said in ended] == ["", ""]
        asked = len(read_book(tmp_path / "book"))
    assert asked >= len(sums.recorded(tmp_path)) == 120
    for folder, (told, _) in zip((few, many), ended, strict=True):
        rows = pl.read_parquet(folder / json.loads(told)["folder"] / "audit" / "samples-*.parquet")
        assert set(rows.group_by("question_id").len()["len"]) == {2}
        again = subprocess.run(
            sums.command("run", "recipe.yaml", "--json", "--replay"),
            cwd=folder,
            env=sums.environment(tmp_path),
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(again.stdout)["sampled"] == 0
