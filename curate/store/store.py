"""The store: one folder shared by all recipes, holding the record and what is derived from it.

::

    $CURATE_STORE/            default: the user's data folder
    |-- record/<kind>/<key>/  books (see `curate.store.record`) of samples and measures
    |-- derived/<step>/<key>  verdicts and parsed columns, thrown away at will
    |-- tables/<digest>       questions and pools that came from memory, while they are in use
    |-- models/               models assembled without the Hub
    |-- locks/                who owns which engine
    `-- work/                 scratch of running runs

Derived artefacts are Parquet files with page checksums, whole or not there (`curate.store.whole`),
so nothing half-written is ever read; a damaged one is made again.
"""

import io
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson
import platformdirs
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.errors import RecordError
from curate.store.home import path_of
from curate.store.record import Book, sealed_intact
from curate.store.scratch import scratch
from curate.store.whole import write_whole


def default_root() -> Path:
    """Give the store's folder: ``$CURATE_STORE``, else the user's data folder."""
    store = os.environ.get("CURATE_STORE")
    return path_of(store or platformdirs.user_data_dir("curate"))


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write a checksummed Parquet file that appears whole or not at all."""
    buffer = io.BytesIO()
    pq.write_table(frame.to_arrow(), buffer, compression="zstd", write_page_checksum=True)
    write_whole(path, buffer.getvalue())


def read_parquet(path: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """Read columns of a file written by `write_parquet`, checking every page.

    Raises:
        OSError: a page does not match its checksum.
    """
    # not `read_table`: it goes through pyarrow.dataset, which imports pandas (a second)
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        table = file.read(columns, use_threads=False)
    return cast("pl.DataFrame", pl.from_arrow(table))


@dataclass(frozen=True, slots=True)
class Usage:
    """What a part of the store takes up.

    Attributes:
        part: path below the store's root.
        entries: recorded entries or derived files.
        size: bytes on disk.
    """

    part: str
    entries: int
    size: int


class Store:
    """Open a store, making it where there is none.

    Args:
        root: the folder; by default `default_root`.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()

    def book(self, kind: str, key: str, about: Mapping[str, Any] | None = None) -> Book:
        """Open the book of one instrument; until something is written to it, nothing is made.

        Args:
            kind: ``samples`` or a measure's name.
            key: the instrument's key.
            about: as for `describe`, at once.
        """
        book = Book(self.root / "record" / kind / key)
        if about is not None:
            self.describe(book, about)
        return book

    def describe(self, book: Book, about: Mapping[str, Any]) -> None:
        """Write beside a book what its instrument is, for people to read."""
        path = book.folder / "about.json"
        if not path.exists():
            style = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
            write_whole(path, orjson.dumps(about, option=style))

    def derived_path(self, step: str, key: str) -> Path:
        """Name the file that holds a derived artefact."""
        return self.root / "derived" / step / key[:2] / f"{key}.parquet"

    def derived(self, step: str, key: str, columns: Iterable[str]) -> pl.DataFrame | None:
        """Read a derived artefact; None where there is none, or it is damaged or another table.

        Args:
            step: what made it.
            key: of what it was made.
            columns: those that it must have.
        """
        path = self.derived_path(step, key)
        if not path.exists():
            return None
        try:
            frame = read_parquet(path)
        except (OSError, pa.ArrowInvalid):
            frame = pl.DataFrame()
        if not set(columns) <= set(frame.columns):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            return None
        os.utime(path)  # `gc` goes by last use
        return frame

    def put_derived(self, step: str, key: str, frame: pl.DataFrame) -> None:
        """Keep a derived artefact."""
        write_parquet(frame, self.derived_path(step, key))

    def table_path(self, digest: str) -> Path:
        """Name the file that holds a table from memory."""
        return self.root / "tables" / f"{digest}.jsonl.zst"

    def workspace(self) -> AbstractContextManager[Path]:
        """Give a scratch folder that is gone afterwards; killed, after the next start."""
        return scratch(self.root / "work")

    def books(self) -> Iterator[tuple[str, Book]]:
        """Open every book in turn, with its path below the store's root."""
        for folder in sorted((self.root / "record").glob("*/*")):
            yield str(folder.relative_to(self.root)), Book(folder)

    def usage(self) -> list[Usage]:
        """Measure every book, the derived artefacts of every step, and what else takes up room."""
        usages: list[Usage] = []
        for part, book in self.books():
            usages.append(Usage(part, len(book), _size(book.folder)))
            book.close()
        for folder in sorted((self.root / "derived").glob("*")):
            files = sum(1 for _ in folder.rglob("*.parquet"))
            usages.append(Usage(str(folder.relative_to(self.root)), files, _size(folder)))
        folders = [self.root / name for name in ("tables", "models", "adapters")]
        return usages + [
            Usage(folder.name, sum(1 for _ in folder.iterdir()), _size(folder))
            for folder in folders
            if folder.is_dir()
        ]

    def verify(self) -> list[str]:
        """Check every line and every sealed segment; give one sentence for each damage."""
        problems: list[str] = []
        for part, book in self.books():
            problems += [
                f"{part}/{damage.segment.name} line {damage.line}: does not match its checksum"
                + (f" (key {damage.key})" if damage.key else "")
                for damage in book.damaged
            ]
            problems += [
                f"{part}/{path.name}: changed since it was sealed"
                for path in sorted(book.folder.glob("*.log"))
                if path.is_dir() or not (path.name.startswith("open-") or sealed_intact(path))
            ]
            book.close()
        return problems

    def gc(self, days: float) -> int:
        """Remove what was not used for `days` and can be had again; give the bytes freed.

        That is derived artefacts, tables from memory, adapters of students that were asked, and
        abandoned scratch. The record is never touched: it holds what was paid for.
        """
        limit = time.time() - days * 86_400
        freed = 0
        # Everything below, since a killed run leaves scratch files and folders too; folders last.
        folders = (self.root / name for name in ("derived", "tables", "adapters", "work"))
        below = [path for folder in folders for path in folder.rglob("*")]
        old = [path for path in sorted(below, reverse=True) if path.stat().st_mtime < limit]
        for path in old:
            if path.is_file():
                freed += path.stat().st_size
                path.unlink()
            elif not any(path.iterdir()):
                path.rmdir()
        return freed

    def import_from(self, other: Path) -> int:
        """Copy sealed segments of another store that this one lacks; give how many.

        Raises:
            RecordError: a segment of the other store is damaged; nothing of it was copied.
        """
        copied = 0
        for path in sorted((other / "record").glob("*/*/*.log")):
            target = self.root / path.relative_to(other)
            if path.name.startswith("open-") or target.exists():
                continue
            if not sealed_intact(path):
                raise RecordError(
                    f"{path} changed since it was sealed; run `curate store verify` on that store"
                )
            write_whole(target, path.read_bytes())
            about = path.with_name("about.json")
            if about.exists():
                write_whole(target.with_name("about.json"), about.read_bytes())
            copied += 1
        return copied


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
