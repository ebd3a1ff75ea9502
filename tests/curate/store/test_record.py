"""The record keeps every committed entry, loses at most what is damaged, and merges by copying."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from curate.store.keys import key
from curate.store.record import Book, sealed_intact
from curate.store.store import Store

KEYS = [key("entry", number) for number in range(40)]


def fill(folder: Path, numbers: range) -> None:
    with Book(folder) as book:
        for number in numbers:
            book.append(KEYS[number], {"text": f"rationale {number}\nwith a line", "n": number})


def test_entries_survive_reopening(tmp_path: Path) -> None:
    fill(tmp_path, range(30))
    book = Book(tmp_path)
    assert len(book) == 30
    assert book.get(KEYS[7]) == {"text": "rationale 7\nwith a line", "n": 7}
    assert book.get(KEYS[35]) is None
    assert book.damaged == []
    assert all(sealed_intact(path) for path in tmp_path.glob("*.log"))


def test_an_entry_is_readable_before_and_after_its_commit(tmp_path: Path) -> None:
    with Book(tmp_path) as book:
        book.append(KEYS[0], {"n": 1})
        assert book.get(KEYS[0]) == {"n": 1}
        book.flush()
        assert book.get(KEYS[0]) == {"n": 1}
        assert KEYS[0] in Book(tmp_path)


def test_the_newest_revision_counts_in_any_order_of_segments(tmp_path: Path) -> None:
    for text in ("cut", "continued", "continued to its end"):
        with Book(tmp_path / "here") as book:
            book.append(KEYS[0], {"text": text})
    assert len(list((tmp_path / "here").glob("*.log"))) == 3
    assert Book(tmp_path / "here").get(KEYS[0]) == {"text": "continued to its end"}
    with Book(tmp_path / "twice") as book:
        book.append(KEYS[0], {"text": "a"})
        book.append(KEYS[0], {"text": "b"})
        book.flush()
        book.append(KEYS[0], {"text": "c"})
        assert book.get(KEYS[0]) == {"text": "c"}
    assert Book(tmp_path / "twice").get(KEYS[0]) == {"text": "c"}


@given(damage=st.integers(min_value=0), numbers=st.integers(min_value=2, max_value=40))
def test_one_damaged_byte_costs_at_most_one_entry(
    tmp_path_factory: object, damage: int, numbers: int
) -> None:
    folder = Path(str(tmp_path_factory.mktemp("book")))  # type: ignore[attr-defined]
    fill(folder, range(numbers))
    (path,) = folder.glob("*.log")
    data = bytearray(path.read_bytes())
    place = damage % len(data)
    if data[place] == ord("\n"):
        place -= 1
    data[place] ^= 0x01 if data[place] ^ 0x01 != ord("\n") else 0x02
    path.write_bytes(data)
    book = Book(folder)
    assert len(book.damaged) == 1
    intact = [number for number in range(numbers) if book.get(KEYS[number]) is not None]
    assert len(intact) == numbers - 1
    assert all(book.get(KEYS[number])["n"] == number for number in intact)  # type: ignore[index]
    assert not sealed_intact(path)


def test_a_half_written_tail_is_dropped(tmp_path: Path) -> None:
    fill(tmp_path, range(5))
    (path,) = tmp_path.glob("*.log")
    torn = path.read_bytes()[:-9]
    path.unlink()
    (tmp_path / "open-dead.log").write_bytes(torn)
    book = Book(tmp_path)
    assert len(book) == 4
    assert book.damaged == []
    assert [p.name.startswith("open-") for p in tmp_path.glob("*.log")] == [False]


def test_a_folder_in_a_segment_s_place_costs_that_segment_alone(tmp_path: Path) -> None:
    folder = tmp_path / "record" / "kind" / "key"
    fill(folder, range(5))
    (folder / "0123.log").mkdir()
    (folder / "open-0123.log").mkdir()
    assert len(Book(folder)) == 5
    assert Store(tmp_path).verify() == [
        f"record/kind/key/{name}: changed since it was sealed"
        for name in ("0123.log", "open-0123.log")
    ]


def test_books_merge_by_copying_segments(tmp_path: Path) -> None:
    fill(tmp_path / "a", range(10))
    fill(tmp_path / "b", range(5, 20))
    for path in (tmp_path / "b").glob("*.log"):
        shutil.copy(path, tmp_path / "a")
    assert len(Book(tmp_path / "a")) == 20


WRITER = """
import sys
from pathlib import Path
from curate.store.keys import key
from curate.store.record import Book
book = Book(Path(sys.argv[1]))
for number in range(10**9):
    book.append(key("entry", number), {"n": number})
    if number % 10 == 9:
        book.flush()
        print(number, flush=True)
"""


def test_what_was_flushed_survives_a_kill(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(5)]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    promised = int(lines[-1])
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and len(Book(tmp_path)) <= promised:
        time.sleep(0.05)
    book = Book(tmp_path)
    assert [book.get(key("entry", n)) for n in range(promised + 1)] == [
        {"n": n} for n in range(promised + 1)
    ]
