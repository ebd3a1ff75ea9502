"""The text formats rows are read from: JSON lines, JSON lists, comma- and tab-separated values.

Each reader takes an open file and yields rows in order; a row it cannot read is `Unreadable`, in
its place. A file that as a whole is not what its name says is refused.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, NamedTuple, cast

import orjson

from curate.errors import InputError, count_of

_SEPARATOR: Final = re.compile(rb"sep=([^\r\n])\r?\n")
BLOCK: Final = 1 << 20
"""Bytes or characters read at a time."""
_BOM: Final = b"\xef\xbb\xbf"


class Unreadable(NamedTuple):
    """A row that could not be read.

    Attributes:
        where: file and line (``pool.jsonl:17``).
        problem: what the parser said.
        text: the row as it stands in the file.
    """

    where: str
    problem: str
    text: str


def _decode(data: bytes) -> object:
    """Parse one JSON value; NaN, which Python writes though JSON has none, becomes null.

    The second parser also forgives a byte-order mark.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return orjson.loads(orjson.dumps(json.loads(data)))


def _json_lines(stream: BinaryIO, label: str) -> Iterator[object]:
    """Read one row a line; a file that is one list after all is read as that."""
    start = cast("io.BufferedReader", stream).peek(BLOCK)[:BLOCK].removeprefix(_BOM).lstrip()
    if start.startswith(b"[") and _is_list(start):
        yield from _json_list(stream, label)
        return
    for number, line in enumerate(stream, 1):
        data = line.strip()
        if not data:
            continue
        try:
            yield _decode(data)
        except (ValueError, TypeError, RecursionError) as error:
            whole = data.decode("utf-8", errors="replace")
            yield Unreadable(f"{label}:{number}", str(error), whole)


def _is_list(start: bytes) -> bool:
    """Tell a file that is one list of objects from one with a list a line."""
    line = start.split(b"\n", 1)[0].strip()
    try:
        value = _decode(line)
    except (ValueError, TypeError, RecursionError):
        return True
    items = cast("list[object]", value)
    return bool(items) and isinstance(items[0], dict)


def _json(stream: BinaryIO, label: str) -> Iterator[object]:
    """Read a list, or one object a line, which many files named ``.json`` hold."""
    start = cast("io.BufferedReader", stream).peek(BLOCK)[:BLOCK].removeprefix(_BOM).lstrip()
    if start.startswith(b"["):
        yield from _json_list(stream, label)
        return
    first = start.split(b"\n", 1)[0].strip()
    if first == b"{":
        raise InputError(
            f"{label} holds one JSON object over several lines; wanted a list of rows, or one "
            "row a line",
            "path",
        )
    yield from _json_lines(stream, label)


def _json_list(stream: BinaryIO, label: str) -> Iterator[object]:
    """Read a list item by item, holding no more of the text than the item at hand needs."""
    with io.TextIOWrapper(stream, encoding="utf-8-sig") as source:
        yield from _items(source, label)


def _items(source: io.TextIOWrapper, label: str) -> Iterator[object]:
    gap = re.compile(r"[\s,]*")
    buffer = source.read(BLOCK)
    at = buffer.index("[") + 1
    number = 0
    while True:
        between = gap.match(buffer, at)
        at = between.end() if between else at
        if buffer.startswith("]", at):
            return
        item, end, problem = _item(buffer, at)
        if end == len(buffer):  # it may go on in the next block
            more = source.read(max(BLOCK, len(buffer) - at))
            if not more:
                near = buffer[at : at + 60]
                message = f"{label} is not a JSON list: {problem} after item {number}, at {near!r}"
                raise InputError(message, "path")
            buffer, at = buffer[at:] + more, 0
            continue
        number, at = number + 1, end
        try:
            yield orjson.loads(orjson.dumps(item))  # as strict as a line would be read
        except (ValueError, TypeError) as error:
            yield Unreadable(f"{label}: item {number}", str(error), ascii(item))


def _item(buffer: str, at: int) -> tuple[object, int, str]:
    """Parse the value that begins here: it, where it ends, and what is wrong if the text ends."""
    try:
        return *json.JSONDecoder().raw_decode(buffer, at), "the closing bracket is missing"
    except json.JSONDecodeError as error:
        return None, len(buffer), error.msg


def _csv(stream: BinaryIO, label: str, delimiter: str = ",") -> Iterator[object]:
    """Read every value as text, as written: no guessing of types, so 007 stays 007."""
    csv.field_size_limit(1 << 30)
    head = cast("io.BufferedReader", stream).peek(BLOCK)[:BLOCK].removeprefix(_BOM)
    mark = _SEPARATOR.match(head)
    first = head.split(b"\n", 1)[0]
    if mark:  # as Excel writes it
        delimiter = mark[1].decode("latin-1")
    elif delimiter.encode() not in first and b";" in first:
        delimiter = ";"
    with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as source:
        if mark:
            source.readline()
        yield from _records(source, label, delimiter)


def _records(source: io.TextIOWrapper, label: str, delimiter: str) -> Iterator[object]:
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    try:
        header = next(reader, list[str]())
    except csv.Error as error:
        raise InputError(f"{label}: the line of column names: {error}", "path") from error
    while len(header) > 1 and not header[-1].strip():
        header.pop()
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{label} has two columns named {twice[0]!r}; rename one", "path")
    while header:
        try:
            values = next(reader, None)
        except csv.Error as error:
            yield Unreadable(f"{label}:{reader.line_num}", str(error), "")
            continue
        if values is None:
            return
        while len(values) > len(header) and not values[-1]:
            values.pop()
        if len(values) == len(header):
            yield dict(zip(header, values, strict=True))
        elif values:
            names = count_of(len(header), "column name")
            problem = f"{count_of(len(values), 'value')} under {names}"
            yield Unreadable(f"{label}:{reader.line_num}", problem, delimiter.join(values))


def _tsv(stream: BinaryIO, label: str) -> Iterator[object]:
    yield from _csv(stream, label, delimiter="\t")


READERS: Final[dict[str, Callable[[BinaryIO, str], Iterator[object]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _tsv,
}
"""The reader of each suffix."""
