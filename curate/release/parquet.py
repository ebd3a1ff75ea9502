"""Parquet written piece by piece, under a schema that was declared.

Memory is bounded by one row group a file, whatever the number of rows; a file is opened when its
first row comes, so that no file of a dataset is ever empty (`datasets` refuses those); and row
groups are cut by row count alone, so that the same rows give the same bytes however they arrived.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP: Final = 10_000
FILE_ROWS: Final = 500_000

_ARROW: Final[Mapping[pl.DataType, pa.DataType]] = {
    pl.String(): pa.string(),
    pl.Boolean(): pa.bool_(),
    pl.Int32(): pa.int32(),
    pl.Int64(): pa.int64(),
    pl.Float32(): pa.float32(),
    pl.Float64(): pa.float64(),
}


def arrow_type(dtype: pl.DataType) -> pa.DataType:
    """Translate a declared type.

    Raises:
        TypeError: no released column may have this type.
    """
    if isinstance(dtype, pl.Struct):
        return pa.struct([pa.field(f.name, arrow_type(_whole(f.dtype))) for f in dtype.fields])
    if isinstance(dtype, pl.List):
        return pa.list_(arrow_type(_whole(dtype.inner)))
    if dtype not in _ARROW:
        names = ", ".join(str(kind) for kind in _ARROW)
        raise TypeError(f"cannot release a column of type {dtype}; wanted {names}, List or Struct")
    return _ARROW[dtype]


def _whole(dtype: object) -> pl.DataType:
    """Make the type ``pl.String`` into ``pl.String()``; polars allows both inside others."""
    return dtype() if isinstance(dtype, type) else dtype  # pyright: ignore[reportReturnType]


class PartWriter:
    """Writes ``<stem>-00000-of-0000N.parquet``.

    Args:
        stem: folder and beginning of the files' names.
        columns: names and declared types; other columns are left out.
        always: write a file also where no row comes, for a reader who counts on one.
    """

    def __init__(
        self, stem: Path, columns: Mapping[str, pl.DataType], *, always: bool = False
    ) -> None:
        self.rows = 0
        self._stem = stem
        self._always = always
        self._columns = dict(columns)
        self._schema = pa.schema([pa.field(n, arrow_type(t)) for n, t in columns.items()])
        self._waiting: list[pl.DataFrame] = []
        self._waiting_rows = 0
        self._files: list[Path] = []
        self._writer: pq.ParquetWriter | None = None

    def add(self, frame: pl.DataFrame) -> None:
        """Take rows; null columns of any type are cast to what was declared."""
        if not frame.height:
            return
        self._waiting.append(frame.select(pl.col(n).cast(t) for n, t in self._columns.items()))
        self._waiting_rows += frame.height
        if self._waiting_rows >= ROW_GROUP:
            rows = pl.concat(self._waiting)
            whole = rows.height // ROW_GROUP * ROW_GROUP
            for group in rows.head(whole).iter_slices(ROW_GROUP):
                self._write(group)
            self._waiting = [rows.tail(rows.height - whole)]
            self._waiting_rows = rows.height - whole

    def close(self) -> list[Path]:
        """Write what is left and name the files: none where no row came, unless there is always."""
        if self._waiting_rows:
            self._write(pl.concat(self._waiting))
        if self._always and not self._files:
            self._write(pl.DataFrame(schema=self._columns))
        if self._writer is not None:
            self._writer.close()
        paths: list[Path] = []
        for number, path in enumerate(self._files):
            name = f"{self._stem.name}-{number:05d}-of-{len(self._files):05d}.parquet"
            paths.append(path.rename(path.with_name(name)))
        return paths

    def _write(self, group: pl.DataFrame) -> None:
        if self._writer is not None and self.rows % FILE_ROWS == 0:
            self._writer.close()
            self._writer = None
        if self._writer is None:
            self._stem.parent.mkdir(parents=True, exist_ok=True)
            self._files.append(self._stem.with_name(f"{self._stem.name}-{len(self._files):05d}"))
            self._writer = pq.ParquetWriter(self._files[-1], self._schema, compression="zstd")
        self._writer.write_table(group.to_arrow().cast(self._schema), row_group_size=ROW_GROUP)
        self.rows += group.height


class Fingerprint:
    """The `dataset_hash` of rows that come in any order and in any pieces.

    Every row is written as netstrings (``length:text,``, ``-`` for null; floats by their bits) and
    hashed; the hash of the whole covers the declared columns and the rows' hashes in the order of
    their ids, and of the hashes where rows share one. About 100 bytes a row are held.

    Args:
        columns: names and types of what is hashed.
        by: the column of the ids.
    """

    def __init__(self, columns: Mapping[str, pl.DataType], by: str = "sample_id") -> None:
        self._columns = dict(columns)
        self._by = by
        self._ids: list[pl.Series] = []
        self._digests: list[bytes] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Hash rows."""
        typed = frame.select(pl.col(n).cast(t) for n, t in self._columns.items())
        rows = typed.select(pl.concat_str(_netstring(s) for s in typed)).to_series()
        self._ids.append(typed[self._by].rechunk())
        self._digests.append(
            b"".join(hashlib.blake2b(row.encode(), digest_size=16).digest() for row in rows)
        )

    def hexdigest(self) -> str:
        """Give 32 hex digits."""
        whole = hashlib.blake2b(digest_size=16)
        whole.update(repr([(name, str(kind)) for name, kind in self._columns.items()]).encode())
        if any(self._digests):
            rows = np.frombuffer(b"".join(self._digests), dtype=">u8").reshape(-1, 2)
            high, low = rows.astype(np.uint64).T
            keys = {"id": pl.concat(self._ids), "high": high, "low": low}
            order = pl.DataFrame(keys).select(pl.arg_sort_by(*keys)).to_series().to_numpy()
            whole.update(rows[order].tobytes())
        return whole.hexdigest()


def _netstring(series: pl.Series) -> pl.Series:
    """Encode one column (text, Boolean, number, or lists and structs of these)."""
    text = pl.col("value")
    frame = pl.DataFrame({"value": series})
    if series.dtype.is_float():
        bits = series.cast(pl.Float64).fill_null(0.0).to_numpy().view(np.int64)
        frame = pl.DataFrame({"value": bits, "missing": series.is_null()})
        text = pl.when(~pl.col("missing")).then(text)
    elif isinstance(series.dtype, pl.List):
        frame = pl.DataFrame({"value": _joined(series)})
    elif isinstance(series.dtype, pl.Struct):
        fields = (_netstring(series.struct.field(f.name)) for f in series.dtype.fields)
        frame = pl.DataFrame({"value": pl.select(pl.concat_str(fields)).to_series()})
        frame = frame.with_columns(pl.when(series.is_not_null()).then(text).alias("value"))
    return frame.select(_wrapped(text.cast(pl.String)).alias(series.name)).to_series()


def _joined(series: pl.Series) -> pl.Series:
    """Join the netstrings of each list's items: "" for an empty list, null for none."""
    sizes = series.list.len()
    filled = (sizes > 0).fill_null(value=False)
    rows = pl.Series("row", np.repeat(np.arange(len(series)), sizes.fill_null(0).to_numpy()))
    items = pl.DataFrame({"row": rows, "text": _netstring(series.filter(filled).explode())})
    joined = items.group_by("row", maintain_order=True).agg(pl.col("text").str.join(""))["text"]
    empty, none = (
        pl.Series([text], dtype=pl.String).new_from_index(0, len(series)) for text in ("", None)
    )
    texts = empty.zip_with(sizes.is_not_null(), none)
    return texts.scatter(filled.arg_true(), joined)


def _wrapped(text: pl.Expr) -> pl.Expr:
    size = text.str.len_bytes().cast(pl.String)
    return pl.concat_str(size, pl.lit(":"), text, pl.lit(",")).fill_null("-")
