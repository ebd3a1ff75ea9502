"""Tables from memory: rows that Python holds, given where a recipe takes a path.

Such a table goes into the store, whole, as the JSON lines that a file of it would have, under a
name made of what it holds. From then on it is read like any file, by every process that sees the
store, and the same rows are the same table. A recipe has the name alone: it can be repeated where
the store holds the rows, and nowhere else.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from itertools import chain
from pathlib import Path, PurePath
from typing import Any, BinaryIO, Final, cast

import numpy as np
import orjson
import polars as pl
import pyarrow as pa

from curate.errors import InputError
from curate.store.store import Store

MEMORY: Final = "memory://"
"""How the name of such a table begins; its digest follows."""
TITLE: Final = "the table from memory"
"""What messages call it, where they would name a file."""
_DIGEST: Final = re.compile(r"[0-9a-f]{32}")
_BATCH: Final = 10_000
_STYLE: Final = (
    orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATETIME
)


def named(value: object) -> object:
    """Give what stands in a recipe for a path: of a table, the name it has in the store.

    Raises:
        ValueError: it is no table, or holds what no file of rows could.
    """
    return str(value) if isinstance(value, str | PurePath) else keep(value)


def keep(table: object) -> str:
    """Put a table into the store, where it is not there yet.

    Args:
        table: a list of dicts, a polars or pandas frame, a pyarrow table or a `datasets.Dataset`.

    Returns:
        Its name.

    Raises:
        ValueError: it is none of these, or holds what no file of rows could.
    """
    store, rows = Store(), _rows(table)
    with store.workspace() as work:
        scratch = work / "table"
        with cast("BinaryIO", pa.output_stream(str(scratch), compression="zstd")) as stream:
            digest = _write(rows, stream)
        path = store.table_path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.replace(path)
    return f"{MEMORY}{digest}"


def kept(name: str) -> Path:
    """Find a table in the store.

    Raises:
        InputError: this store does not hold it.
    """
    digest = digest_in(name)
    path = Store().table_path(digest)
    if not _DIGEST.fullmatch(digest) or not path.is_file():
        raise InputError(
            f"{name!r} came from memory, and this store does not hold it; hand the rows over "
            "again, or name a file of them",
            "path",
        )
    os.utime(path)  # `gc` goes by last use
    return path


def is_from_memory(path: str) -> bool:
    """Tell whether what stands for a path is the name of a table from memory."""
    return path.startswith(MEMORY)


def digest_in(name: str) -> str:
    """Take the digest out of a table's name."""
    return name.removeprefix(MEMORY)


def _write(rows: Iterator[object], stream: BinaryIO) -> str:
    """Write rows as JSON lines; give their digest."""
    hasher = hashlib.blake2b(digest_size=16)
    for number, row in enumerate(rows, 1):
        try:
            line = _line(row)
        except (TypeError, RecursionError) as error:
            raise ValueError(
                f"row {number} of the table can't be written as JSON ({error}); wanted texts, "
                "numbers, and lists or mappings of them"
            ) from error
        hasher.update(line)
        stream.write(line)
    return hasher.hexdigest()


def _line(row: object) -> bytes:
    """Write a row; the second way is for what JSON can say and a reader may refuse in its place."""
    try:
        return orjson.dumps(row, default=_plain, option=_STYLE | orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        return f"{json.dumps(row, default=_plain)}\n".encode()


def _plain(value: object) -> object:
    """Give a value that JSON does not know as it would be read from a file that does."""
    if isinstance(value, np.ndarray | np.generic):
        return cast("Any", value).tolist()
    if isinstance(value, date | time | timedelta | Decimal):
        return str(value)
    if isinstance(value, bytes):  # an image beside a question is nothing that a recipe reads
        return None
    raise TypeError(f"it holds a {type(value).__name__}")


def _rows(table: object) -> Iterator[object]:
    """Give the rows of whatever holds some; what holds none is refused at once."""
    if isinstance(table, list | tuple):
        return _rows_of_list(cast("Sequence[object]", table))
    if isinstance(table, pl.LazyFrame):
        return _rows(table.collect())
    if isinstance(table, pl.DataFrame):
        return table.iter_rows(named=True)
    if isinstance(table, pa.Table):
        return _rows_of_arrow(table)
    if _is_a(table, "pandas", "DataFrame"):
        return _rows_of_pandas(table)
    if _is_a(table, "datasets", "Dataset"):
        parts = cast("Any", table).with_format("arrow").iter(_BATCH)
        return chain.from_iterable(map(_rows_of_arrow, parts))
    if _is_a(table, "datasets", "DatasetDict"):
        splits = ", ".join(cast("Mapping[str, object]", table))
        raise ValueError(f"a DatasetDict holds several tables ({splits}); give one of them")
    raise ValueError(
        "wanted a path or, in Python, a table: a list of dicts, a polars or pandas frame, a "
        "pyarrow table or a datasets.Dataset"
    )


def _rows_of_list(items: Sequence[object]) -> Iterator[object]:
    wrong = next((item for item in items if not isinstance(item, Mapping)), None)
    if wrong is not None:
        raise ValueError(f"a list that holds a {type(wrong).__name__} is no table; wanted dicts")
    return (dict(cast("Mapping[object, object]", item)) for item in items)


def _rows_of_arrow(table: pa.Table) -> Iterator[object]:
    for batch in table.to_batches(max_chunksize=_BATCH):
        yield from cast("pl.DataFrame", pl.from_arrow(batch)).iter_rows(named=True)


def _rows_of_pandas(frame: Any) -> Iterator[object]:
    """Give rows of Python's own values; what is missing, however pandas writes it, is null."""
    for begin in range(0, len(frame), _BATCH):
        part = frame.iloc[begin : begin + _BATCH].astype(object)
        yield from part.where(part.notna(), None).to_dict("records")


def _is_a(value: object, library: str, name: str) -> bool:
    """Tell what a value is without importing a library: whoever made it has."""
    kind = getattr(sys.modules.get(library), name, None)
    return kind is not None and isinstance(value, kind)
