"""Guesses about a file nobody described: which column is which, and how answers are compared."""

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

from curate.errors import InputError
from curate.sources.tables import TableOptions, read
from filters.answers import GoldType, canonical

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "question": ("question", "instruction", "prompt", "problem", "query", "input"),
    "completion": ("completion", "rationale", "output", "response", "solution", "generation",
                   "raw_output", "text"),
    "gold": ("answer", "gold", "final_answer", "label", "target", "expected_answer"),
    "choices": ("choices", "options"),
}  # fmt: skip
"""What columns are usually called."""
MARKED: Final = r"####\s*(.+)"
"""How GSM8K and its kin mark the answer at the end of a solution."""
_ROWS: Final = 200
_TYPES: Final[tuple[GoldType, ...]] = ("boolean", "date", "choice", "number", "latex")
"""Tried in this order, a date before the quotient it can be read as; text that is none of these is
compared as a string."""
_TEX: Final = re.compile(r"[\\^$]")


def first_rows(options: TableOptions, base: Path) -> list[dict[str, Any]]:
    """Read the first rows of a table.

    Raises:
        InputError: it can't be read.
    """
    chunks = islice(read(options, base.resolve(), ()), 1)
    rows = [row for chunk in chunks for row in islice(chunk.rows, _ROWS)]
    return [cast("dict[str, Any]", row) for row in rows if isinstance(row, dict)]


def columns_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name all columns, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def usual(columns: Sequence[str], what: str) -> str:
    """Find a column by its usual names.

    Raises:
        InputError: there is none.
    """
    for name in NAMES[what]:
        if name in columns:
            return name
    raise InputError(
        f"no column is called {' or '.join(NAMES[what][:3])}; there are {', '.join(columns)}. "
        f"Name the one that holds the {what} with --{what}"
    )


def gold_of(
    values: Sequence[str], choices: Sequence[Sequence[str] | None]
) -> tuple[GoldType, str | None]:
    """Guess how known answers are compared, and the pattern that finds them in their column.

    Args:
        values: of the column.
        choices: options of each row, None where it has none.
    """
    pattern = MARKED if values and all(re.search(MARKED, value) for value in values) else None
    matches = [re.search(pattern, value) if pattern else None for value in values]
    golds = [match[1] if match else value for match, value in zip(matches, values, strict=True)]
    for kind in _TYPES:
        if kind == "choice" and not any(choices):
            continue
        if kind == "latex" and not any(map(_TEX.search, golds)):
            continue
        read_as = [canonical(gold, kind, of) for gold, of in zip(golds, choices, strict=True)]
        if golds and all(one is not None for one in read_as):
            return kind, pattern
    return "string", pattern
