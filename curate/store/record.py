"""The record: what cost money or cannot be repeated, kept row by row for ever.

A *book* is a folder of append-only segments about one instrument (a teacher under one sampling, a
measure under one student). A line holds one entry::

    <crc32, 8 hex> <key, 32 hex> <revision, decimal> <value, JSON>

Lines, not a binary container: one damaged byte costs one entry, a half-written tail costs nothing,
and a person can read what was paid for. The price is that text is not compressed.

A writer appends to a segment of its own (``open-*.log``, held by a file lock) and commits in groups
of at most 64 entries or 100 ms. A sealed segment is named by its digest, never changes, and books
merge by copying sealed segments. Where a key occurs more than once (a cut sample that was later
continued) the highest revision counts, whatever order the segments are read in.
"""

import fcntl
import hashlib
import os
import threading
import uuid
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, NamedTuple, Self

import orjson

from curate.store.whole import sha256

GROUP_ENTRIES: Final = 64
GROUP_SECONDS: Final = 0.1
SEAL_ENTRIES: Final = 10_000
_KEY_AT: Final = 9
_VALUE_AFTER: Final = _KEY_AT + 33


class _Place(NamedTuple):
    segment: int
    offset: int
    length: int
    revision: int
    crc: int


class Damage(NamedTuple):
    """A line that does not match its checksum.

    Attributes:
        segment: file the line is in.
        line: 1-based number of the line.
        key: the line's key where it could still be read, else None.
    """

    segment: Path
    line: int
    key: str | None


def encode(key: str, revision: int, value: Mapping[str, Any]) -> bytes:
    """Write one line of a segment, its newline included."""
    body = b"%b %d %b" % (key.encode(), revision, orjson.dumps(value))
    return b"%08x %b\n" % (zlib.crc32(body), body)


@dataclass
class _Index:
    segments: list[Path] = field(default_factory=list[Path])
    places: dict[str, _Place] = field(default_factory=dict[str, _Place])
    damaged: list[Damage] = field(default_factory=list[Damage])
    files: dict[int, IO[bytes]] = field(default_factory=dict[int, IO[bytes]])

    def read_all(self, folder: Path) -> None:
        """Add every segment of a folder, those that other processes are sealing meanwhile too."""
        segments: set[Path] = set()
        while fresh := sorted(set(filter(Path.is_file, folder.glob("*.log"))) - segments):
            for path in fresh:
                with suppress(FileNotFoundError):  # it has its final name by now
                    self.read(path)
            segments.update(fresh)

    def read(self, path: Path) -> None:
        """Add one segment: check every line, note where each key's newest revision lies."""
        number, offset = len(self.segments), 0
        file = path.open("rb")
        self.segments.append(path)
        for line_number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):
                self._note(path, number, line_number, offset, line)
            offset += len(line)
        if path.name.startswith("open-"):
            self.files[number] = file  # its writer may rename it at any time
        else:
            file.close()

    def file(self, number: int) -> IO[bytes]:
        """Give a segment opened for reading."""
        file = self.files.get(number)
        if file is None:
            file = self.files[number] = self.segments[number].open("rb")
        return file

    def _note(self, path: Path, number: int, line_number: int, offset: int, line: bytes) -> None:
        body = line[_KEY_AT:-1]
        crc = zlib.crc32(body)
        key = body[:32].decode(errors="replace")
        if line[:_KEY_AT] != b"%08x " % crc:
            self.damaged.append(Damage(path, line_number, key if key.isalnum() else None))
            return
        revision = int(body[33 : body.index(b" ", 33)])
        place = self.places.get(key)
        if place is None or (revision, crc) > (place.revision, place.crc):
            self.places[key] = _Place(number, offset, len(line), revision, crc)


class Book:
    """Read and append the entries of one instrument.

    Args:
        folder: where the segments lie; made on the first append.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index = _Index()
        self._writer: _Writer | None = None
        if folder.is_dir():
            seal_abandoned(folder)
            self._index.read_all(folder)

    def __len__(self) -> int:
        return len(self.keys())

    def __contains__(self, key: str) -> bool:
        return key in self._index.places or (
            self._writer is not None and key in self._writer.uncommitted
        )

    @property
    def damaged(self) -> list[Damage]:
        """Lines that failed their checksum; their entries count as never made."""
        return self._index.damaged

    def keys(self) -> set[str]:
        """List every key."""
        waiting = self._writer.uncommitted.keys() if self._writer else set[str]()
        return self._index.places.keys() | waiting

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Look one entry up; None where there is none."""
        if self._writer is not None:
            waiting = self._writer.uncommitted.get(key)
            if waiting is not None:
                return orjson.loads(waiting.line[waiting.line.index(b" ", _VALUE_AFTER) + 1 :])
        place = self._index.places.get(key)
        if place is None:
            return None
        file = self._index.file(place.segment)
        file.seek(place.offset)
        line = file.read(place.length)
        return orjson.loads(line[line.index(b" ", _VALUE_AFTER) + 1 :])

    def append(self, key: str, value: Mapping[str, Any]) -> None:
        """Record an entry; it is durable within 100 ms, or after `flush`."""
        if self._writer is None:
            self._writer = _Writer(self.folder, self._index)
        self._writer.append(key, value)

    def flush(self) -> None:
        """Make everything appended so far durable."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Flush, seal this writer's segment, close files."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for file in self._index.files.values():
            file.close()
        self._index.files.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


class _Waiting(NamedTuple):
    line: bytes
    revision: int


class _Writer:
    """Appends to one segment of its own, committing in groups from a thread of its own.

    The thread keeps fsync (milliseconds on a disk) out of the caller's event loop.
    """

    def __init__(self, folder: Path, index: _Index) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._index = index
        self._open()
        self._wake = threading.Condition()
        self._commit = threading.Lock()
        self._closing = False
        self._failure: OSError | None = None
        self.uncommitted: dict[str, _Waiting] = {}
        self._thread = threading.Thread(target=self._work, name="record", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        path, self._file = _open_segment(self._folder)
        self._number = len(self._index.segments)
        self._index.segments.append(path)
        self._offset = 0
        self._count = 0

    def append(self, key: str, value: Mapping[str, Any]) -> None:
        with self._wake:
            if self._failure is not None:
                raise self._failure
            entry = self.uncommitted.get(key) or self._index.places.get(key)
            revision = entry.revision + 1 if entry else 0
            self.uncommitted[key] = _Waiting(encode(key, revision, value), revision)
            if len(self.uncommitted) in {1, GROUP_ENTRIES}:
                self._wake.notify()

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self.uncommitted or self._closing)
                if not self.uncommitted:
                    return
                self._wake.wait_for(
                    lambda: len(self.uncommitted) >= GROUP_ENTRIES or self._closing, GROUP_SECONDS
                )
            try:
                self.flush()
            except OSError as error:
                self._failure = error  # told to the next append: a full disk must stop the run
                return

    def flush(self) -> None:
        """Write and sync what waits; only then does it count as recorded."""
        with self._commit:
            with self._wake:
                group = list(self.uncommitted.items())
            if not group:
                return
            try:
                self._file.write(b"".join(waiting.line for _, waiting in group))
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                error.filename = str(self._index.segments[self._number])
                raise
            with self._wake:
                for key, waiting in group:
                    self._place(key, waiting)
            self._count += len(group)
            if self._count >= SEAL_ENTRIES:
                self._seal()
                self._open()

    def _place(self, key: str, waiting: _Waiting) -> None:
        crc = int(waiting.line[:8], 16)
        length = len(waiting.line)
        self._index.places[key] = _Place(self._number, self._offset, length, waiting.revision, crc)
        self._offset += length
        if self.uncommitted.get(key) is waiting:
            del self.uncommitted[key]

    def _seal(self) -> None:
        sealed = _seal(self._index.segments[self._number], self._file)
        if sealed is not None:
            self._index.segments[self._number] = sealed

    def close(self) -> None:
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        self.flush()
        self._seal()


def _open_segment(folder: Path) -> tuple[Path, IO[bytes]]:
    while True:
        path = folder / f"open-{uuid.uuid4().hex}.log"
        file = path.open("a+b")
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists():
            return path, file
        file.close()  # another process took it for abandoned before it was locked


def _seal(path: Path, file: IO[bytes]) -> Path | None:
    """Give a segment its final name, the digest of its bytes; None where it held no whole line.

    The lock is held until the name is final, so that nobody else seals it too.
    """
    with file:
        file.seek(0)
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        if not whole:
            path.unlink()
            return None
        file.truncate(len(whole))
        file.flush()
        os.fsync(file.fileno())
        return path.rename(path.with_name(f"{hashlib.sha256(whole).hexdigest()[:32]}.log"))


def seal_abandoned(folder: Path) -> None:
    """Seal segments whose writer died: those whose lock nobody holds any more."""
    for path in folder.glob("open-*.log"):
        try:
            file = path.open("r+b")
        except (FileNotFoundError, IsADirectoryError):
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        if path.exists():
            _seal(path, file)
        else:
            file.close()


def sealed_intact(path: Path) -> bool:
    """Tell whether a sealed segment still has the bytes its name promises."""
    return sha256(path)[:32] == path.stem
