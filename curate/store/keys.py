"""Keys: the identity of everything the project computes.

A key is a hash of content and of what turned it into something else. No key holds a shard, a place
in the chain, a path, a time or anything of the recipe's `runtime`.
"""

import hashlib
from typing import Any

import numpy as np
import orjson
import polars as pl


def key(*parts: Any) -> str:
    """Hash JSON-able parts into 32 hex digits (BLAKE2b, 128 bit).

    Args:
        parts: strings, numbers, booleans, None, and lists or dicts of them; dict order is ignored.
    """
    data = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def short_id(*parts: Any) -> str:
    """Hash parts into the 16 hex digits used for question and sample ids."""
    return key(*parts)[:16]


def rank(*parts: Any) -> int:
    """Hash parts into a number below 2**64: a random order that needs no random generator."""
    return int(key(*parts)[:16], 16)


def draw(question: str) -> int:
    """Place a question, by its id, among those of which a few are drawn.

    Whoever takes a few takes those of the lowest numbers: a probe, and a measure content with a
    few, so that what a probe paid for is of use to the run.
    """
    return rank("probe", question)


def digest(frame: pl.DataFrame) -> str:
    """Hash a table's values in a canonical encoding, whatever its chunks, offsets or padding.

    Args:
        frame: columns of string, binary, boolean, number, list and struct types.

    Returns:
        32 hex digits over the number of rows, the column names, types and values, in this order.

    Raises:
        TypeError: a column has a type without a canonical encoding.
    """
    hasher = hashlib.blake2b(digest_size=16)
    hasher.update(str(frame.height).encode())
    for series in frame:
        _feed(hasher, series)
    return hasher.hexdigest()


def _feed(hasher: "hashlib.blake2b", series: pl.Series) -> None:
    """Feed one column: name, type, validity, then values with nulls blanked."""
    kind = series.dtype
    hasher.update(f"\x00{series.name}\x00{kind}\x00".encode())
    hasher.update(np.packbits(series.is_not_null().to_numpy()).tobytes())
    if kind == pl.String or kind == pl.Binary:  # noqa: PLR1714 - dtype classes compare by ==
        values = series.cast(pl.Binary).fill_null(b"")
        hasher.update(values.bin.size().to_numpy().astype("<u4").tobytes())
        hasher.update(b"".join(values))
    elif kind == pl.Boolean:
        hasher.update(np.packbits(series.fill_null(value=False).to_numpy()).tobytes())
    elif kind.is_numeric():
        hasher.update(np.ascontiguousarray(series.fill_null(0).to_numpy()).tobytes())
    elif isinstance(kind, pl.List):
        hasher.update(series.list.len().fill_null(0).to_numpy().astype("<u4").tobytes())
        _feed(hasher, series.explode())
    elif isinstance(kind, pl.Struct):
        for name in series.struct.fields:
            _feed(hasher, series.struct.field(name))
    elif kind != pl.Null:
        raise TypeError(f"no canonical encoding for column {series.name!r} of type {kind}")
