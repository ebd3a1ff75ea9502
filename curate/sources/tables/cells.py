"""One value out of one row: dotted paths into nested rows, and values as text."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final, TypeGuard

from curate.errors import InputError

WHOLE_ROW: Final = "."
"""The path of the row itself, for files that are bare lists of texts."""

_ABSENT: Final = object()


def fold(text: str) -> str:
    """Normalise a question for comparison: Unicode NFC, whitespace runs to one space, stripped.

    Two texts with equal folds are the same question, in ids and in joins. Case, punctuation and
    digits are left alone: they can change what is asked.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def cell(row: object, path: str, absent: object = None) -> object:
    """Follow a path into a row.

    Args:
        row: what a line of a file holds: an object, a list, a text or a number.
        path: a column's name; a dotted path (``messages.-1.content``) whose steps are names or
            places in a list; or ``.`` for the row itself. A column whose own name holds dots wins.
        absent: what to give back where the path leads nowhere.
    """
    if _is_object(row) and path in row:
        return row[path]
    if path == WHOLE_ROW:
        return row
    here = row
    for step in path.split("."):
        if _is_object(here):
            here = here.get(step, absent)
        elif _is_list(here) and re.fullmatch(r"-?\d+", step):
            here = here[int(step)] if -len(here) <= int(step) < len(here) else absent
        else:
            return absent
        if here is absent:
            return absent
    return here


def text(value: object, path: str) -> str | None:
    """Give a scalar as text; None for null and NaN.

    Raises:
        InputError: the value is a list or an object, so `path` stops too early.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and math.isnan(value):
        return None
    if _is_list(value) or _is_object(value):
        kind = "a list" if _is_list(value) else "an object"
        step = next(iter(value), "name") if _is_object(value) else "0"
        inside = step if path == WHOLE_ROW else f"{path}.{step}"
        raise InputError(
            f"column {path!r} holds {kind} ({_short(value)}), wanted text; "
            f"name what is inside it, such as {inside!r}"
        )
    return str(value)


def joined(row: object, spec: str | Sequence[str]) -> str | None:
    """Read one text from a column, or several columns joined by a space.

    Returns:
        None where every column named is null or absent.
    """
    if isinstance(spec, str):
        return text(cell(row, spec), spec)
    parts = [part for path in spec if (part := text(cell(row, path), path)) is not None]
    return " ".join(parts) if parts else None


def require(paths: Iterable[str], rows: Sequence[object], file: str, where: str) -> None:
    """Refuse columns that no row has.

    Args:
        paths: columns and dotted paths the recipe names.
        rows: rows of one file.
        file: name of the file, for the message.
        where: path of the key in the recipe.

    Raises:
        InputError: quotes the first path that is in no row, the columns there are and the nearest.
    """
    if not rows:
        return
    for path in paths:
        if any(cell(row, path, _ABSENT) is not _ABSENT for row in rows):
            continue
        columns = _paths(rows[0])
        if not columns:
            raise InputError(
                f"{file} holds bare values ({_short(rows[0])}), not objects, so there is no "
                f"column {path!r}; its path is '.'",
                where,
            )
        near = get_close_matches(path, columns, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"no column {path!r} in {file}, which has {', '.join(columns)}{hint}", where
        )


def _paths(row: object) -> list[str]:
    """List the paths to the values of an object, one level of nesting deep."""
    if not _is_object(row):
        return []
    paths: list[str] = []
    for name, value in row.items():
        nested = value if _is_object(value) else {}
        paths += [f"{name}.{inner}" for inner in nested] or [name]
    return paths


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _short(value: object, limit: int = 60) -> str:
    shown = repr(value)
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."
