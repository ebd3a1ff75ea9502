"""Files that are whole or not there: many writers, a full disk, an interrupt."""

import resource
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from curate.store.whole import write_whole

LIMIT = 1 << 16


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Have every file end at `LIMIT`: what comes after it can't be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_folders_are_made_and_what_was_there_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "some" / "where" / "file.json"
    for content in (b"first", b""):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


def test_others_may_read_what_they_could_of_any_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_whole(tmp_path / "whole", b"")
    plain, whole = (stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("plain", "whole"))
    assert plain == whole


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"before")
    with pytest.raises(OSError, match="File too large"):
        write_whole(path, bytes(2 * LIMIT))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"file": b"before"}


def test_an_interrupt_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "file", b"before")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", b"after")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"file": b"before"}


def test_writers_of_one_file_do_not_get_in_each_other_s_way(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = {bytes([65 + number]) * 10_000 for number in range(16)}
    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(write_whole, path, content) for content in [*contents] * 10]
        while not all(future.done() for future in writing):
            assert not path.exists() or path.read_bytes() in contents
    for future in writing:
        future.result()
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
