"""Reading tables of any format, in chunks whose size does not grow with the file.

Every format becomes the same thing: rows as plain Python values, in file order. A row that cannot
be read is not skipped and does not stop the run: it stands in its place as `Unreadable`, so that
whoever reads can count it and say where it is. What is given up for one code path is the speed of
a columnar reader; decoding a row costs a few microseconds, judging it costs more.
"""

import glob
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final, NamedTuple, Self, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from curate.errors import InputError
from curate.sources.tables import hub
from curate.sources.tables.formats import BLOCK, READERS, Unreadable
from curate.sources.tables.memory import TITLE, is_from_memory, kept, named
from curate.store.home import path_of

if TYPE_CHECKING:
    import datasets

__all__ = ["FORMATS", "Chunk", "TableOptions", "Unreadable", "find", "read"]

CHUNK_ROWS: Final = 10_000
FORMATS: Final = (".parquet", *READERS)
"""Suffixes of files that can be read."""
_COMPRESSED: Final = (".gz", ".zst")


class TableOptions(BaseModel):
    """Where rows come from."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    path: Annotated[str, BeforeValidator(named)]
    """A file, folder or glob, relative to the recipe's folder: parquet, jsonl, json (a list, or one
    object a line), csv, tsv, all but parquet also as .gz or .zst; or ``hf://datasets/org/name``. Of
    a folder, the data files directly in it are read, in natural order of their names (2 before 10).
    In Python also the table itself: a list of dicts, a polars or pandas frame, a pyarrow table or a
    ``datasets.Dataset``.
    """
    config: str | None = None
    """Configuration of the dataset. With `config` or `split` a folder is opened by
    ``datasets.load_dataset``, as a dataset of the Hub is; one that ``save_to_disk`` wrote is read
    as it is.
    """
    split: str | None = None
    """Split of the dataset; needed where it has several."""
    revision: str | None = None
    """Commit, branch or tag on the Hub; the first run locks the commit that it is then."""

    @property
    def on_hub(self) -> bool:
        """Whether they are a data set of the Hub."""
        return self.path.startswith("hf://")

    @model_validator(mode="after")
    def _memory_has_no_parts(self) -> Self:
        if is_from_memory(self.path) and (self.config or self.split or self.revision):
            raise ValueError(f"{TITLE} has no config, split or revision; leave them out")
        return self


class Chunk(NamedTuple):
    """Consecutive rows of one file.

    Attributes:
        file: the file's path as it is shown to the user; relative where it lies below the recipe.
        rows: at most `CHUNK_ROWS` values or `Unreadable`.
    """

    file: str
    rows: list[object]


def read(options: TableOptions, base: Path, columns: Iterable[str]) -> Iterator[Chunk]:
    """Read rows file by file, in bounded memory.

    Args:
        options: what to read.
        base: folder that relative paths start from.
        columns: dotted paths that will be asked for; formats that can, read nothing else.

    Yields:
        Non-empty chunks in file order.

    Raises:
        InputError: nothing is there, or a file as a whole is not what its name says.
    """
    wanted = list(columns)
    if is_from_memory(options.path):
        yield from _chunks(TITLE, _file_rows(kept(options.path), TITLE, wanted))
        return
    folder = base / path_of(options.path)
    saved = is_saved(folder)
    if options.on_hub or options.config or options.split or saved:
        yield from _chunks(options.path, _dataset_rows(options, folder, wanted))
        return
    for file in find(options.path, base):
        label = file.relative_to(base).as_posix() if file.is_relative_to(base) else str(file)
        yield from _chunks(label, _file_rows(file, label, wanted))


def commit_of(options: TableOptions) -> str | None:
    """Give the commit at which a data set of the Hub is read, which is opened for that.

    Returns:
        None where it can't be told.

    Raises:
        InputError: it can't be opened.
    """
    loaded = hub.load(options.path, options.config, options.split, options.revision)
    return hub.commit_of(loaded)


def is_here(path: str) -> bool:
    """Tell whether a path leads to something on this machine, which `find` finds."""
    return "://" not in path or is_from_memory(path)


def find(path: str, base: Path) -> list[Path]:
    """List the data files a path stands for, in natural order.

    Raises:
        InputError: there is none; the message names what is there instead.
    """
    if is_from_memory(path):
        return [kept(path)]
    place = base / path_of(path)
    if place.is_file():
        return [place]
    if place.is_dir():
        files = [file for file in place.iterdir() if file.is_file() and _format(file) in FORMATS]
        nothing = f"{place} holds no data file ({', '.join(FORMATS)}); name a file or a glob"
    elif any(sign in path for sign in "*?["):
        matches = map(Path, glob.glob(str(place), recursive=True))  # noqa: PTH207 - `**` and absolute
        files = [file for file in matches if file.is_file()]
        nothing = f"no file matches {path!r} in {base}"
    else:
        files = []
        siblings = [file.name for file in place.parent.iterdir()] if place.parent.is_dir() else []
        near = get_close_matches(place.name, siblings, n=1)
        nothing = f"no such file or folder: {place}"
        nothing += f"; did you mean {near[0]!r}?" if near else ""
    if not files:
        raise InputError(nothing, "path")
    return sorted(files, key=lambda file: _natural(str(file)))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key by which 2 comes before 10."""
    return [(int(part or 0), rest) for part, rest in re.findall(r"(\d*)(\D*)", name)]


def _format(file: Path) -> str:
    """Give the suffix that says the format, without that of the compression."""
    stem = Path(file.stem) if file.suffix.lower() in _COMPRESSED else file
    return stem.suffix.lower()


def _chunks(file: str, rows: Iterator[object]) -> Iterator[Chunk]:
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield Chunk(file, chunk)


def _file_rows(file: Path, label: str, columns: Sequence[str]) -> Iterator[object]:
    kind = _format(file)
    if kind == ".parquet":
        yield from _parquet(file, label, columns)
        return
    reader = READERS.get(kind)
    if reader is None:
        raise InputError(
            f"{label}: format {kind or 'without a suffix'!r} is not one of "
            f"{', '.join(FORMATS)} (texts also as .gz or .zst)",
            "path",
        )
    with _open(file) as stream:
        try:
            _refuse_wide(stream, label)
            yield from reader(stream, label)
        except (EOFError, gzip.BadGzipFile, zlib.error, pa.ArrowException, OSError) as error:
            raise InputError(
                f"{label} can't be read to its end ({error}): it was cut short, is damaged, or is "
                "not what its name says; fetch it again",
                "path",
            ) from error
        except UnicodeDecodeError as error:
            raise InputError(
                f"{label} is not UTF-8 ({error.reason}: "
                f"{error.object[error.start : error.start + 12]!r}); convert it, say with iconv",
                "path",
            ) from error


def _refuse_wide(stream: BinaryIO, label: str) -> None:
    """Refuse UTF-16, whose every second byte is a zero to others."""
    if cast("io.BufferedReader", stream).peek(2)[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise InputError(
            f"{label} is UTF-16, wanted UTF-8; convert it: iconv -f UTF-16 -t UTF-8", "path"
        )


def _open(file: Path) -> BinaryIO:
    if file.suffix.lower() == ".gz":
        return cast("BinaryIO", gzip.open(file, "rb"))
    if file.suffix.lower() == ".zst":
        stream = pa.input_stream(str(file), compression="zstd")
        return io.BufferedReader(cast("io.RawIOBase", stream), BLOCK)
    return file.open("rb", buffering=BLOCK)


def _parquet(file: Path, label: str, columns: Sequence[str]) -> Iterator[object]:

    try:
        table = pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{label} is not a parquet file: {error}", "path") from error
    needed = _project(columns, table.schema_arrow.names)
    try:
        for batch in table.iter_batches(batch_size=CHUNK_ROWS, columns=needed):
            yield from cast("pl.DataFrame", pl.from_arrow(batch)).to_dicts()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{label} is damaged ({error}); fetch it again", "path") from error


def _project(columns: Sequence[str], names: Sequence[str]) -> list[str] | None:
    """Choose the columns to read; None, for all, where one is not there and must be named."""
    roots = {path if path in names else path.split(".")[0] for path in columns}
    return sorted(roots) if roots and roots <= set(names) else None


def _dataset_rows(options: TableOptions, folder: Path, columns: Sequence[str]) -> Iterator[object]:
    """Read through `datasets`, from the Hub or from a folder."""
    table = _load_dataset(options, folder)
    needed = _project(columns, table.column_names)
    if needed is not None:
        table = table.select_columns(needed)
    for batch in cast("Iterable[object]", table.with_format("arrow").iter(CHUNK_ROWS)):
        yield from cast("pl.DataFrame", pl.from_arrow(cast("pl.DataFrame", batch))).to_dicts()


def _load_dataset(options: TableOptions, folder: Path) -> "datasets.Dataset":
    import datasets

    if is_saved(folder):
        return _one_split(datasets.load_from_disk(str(folder)), options)
    path, config, split, revision = options.path, options.config, options.split, options.revision
    if options.on_hub:
        return _one_split(hub.load(path, config, split, revision), options)
    loaded = hub.opened(path, str(folder), config, split=split, revision=revision)
    return _one_split(loaded, options)


def is_saved(folder: Path) -> bool:
    """Tell whether ``Dataset.save_to_disk`` wrote a folder, or that of a ``DatasetDict``."""
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def _one_split(loaded: object, options: TableOptions) -> "datasets.Dataset":
    """Give a dataset, or the split of several that the recipe names."""
    import datasets

    if isinstance(loaded, datasets.Dataset):
        return loaded
    splits = cast("dict[str, datasets.Dataset]", loaded)
    if options.split in splits:
        return splits[options.split]
    if len(splits) > 1:
        raise InputError(f"{options.path!r} has the splits {', '.join(splits)}; name one", "split")
    return next(iter(splits.values()))
