"""Guesses about a file nobody described: which column is which, and how answers are compared."""

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from curate.errors import InputError
from curate.sources.questions.options import Choices, QuestionColumns
from curate.sources.tables import TableOptions, Unreadable, read
from filters.answers import GoldType, canonical

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "question": ("question", "question_stem", "instruction", "prompt", "problem", "query", "input"),
    "completion": ("completion", "rationale", "output", "response", "solution", "generation",
                   "raw_output", "text"),
    "gold": ("answer", "answerKey", "answer_idx", "correct", "gold", "final_answer", "label",
             "target", "expected_answer"),
    "choices": ("choices", "options"),
}  # fmt: skip
"""What columns are usually called."""
MARKED: Final = r"####\s*(.+)"
"""How GSM8K and its kin mark the answer at the end of a solution."""
_ROWS: Final = 200
_TYPES: Final[tuple[GoldType, ...]] = ("boolean", "date", "number", "latex")
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
    if not rows:
        raise InputError(f"{options.path!r} holds no rows; give a file with one row a line")
    wrong = next((row for row in rows if isinstance(row, Unreadable)), None)
    if wrong is not None and not any(isinstance(row, dict) for row in rows):
        raise InputError(f"no row of {options.path!r} can be read; {wrong.where}: {wrong.problem}")
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


class GoldGuess(NamedTuple):
    """How known answers are probably compared.

    Attributes:
        kind: their type.
        extract: pattern that finds them in their column, None where they are all of it.
        index_from: the column holds places of options, counted from this number.
    """

    kind: GoldType
    extract: str | None = None
    index_from: int | None = None

    def as_yaml(self) -> dict[str, Any]:
        """Write it as a recipe does."""
        keys = {"type": self.kind, "extract": self.extract, "index_from": self.index_from}
        return {key: value for key, value in keys.items() if value is not None}


def questions_of(
    rows: Sequence[Mapping[str, Any]],
    question: str | None = None,
    gold: str | None = None,
    kind: GoldType | None = None,
) -> tuple[dict[str, str], GoldGuess]:
    """Find the columns of questions, known answers and options, and how answers are compared.

    Args:
        rows: the first of the table.
        question: its column, where it is known.
        gold: likewise.
        kind: of the known answers, likewise.

    Raises:
        InputError: there is no such column, or none of a usual name.
    """
    columns = columns_of(rows)
    names = {
        "question": column_of(columns, "question", question),
        "gold": column_of(columns, "gold", gold),
    }
    choices = next((name for name in NAMES["choices"] if name in columns), None)
    if choices:
        names["choices"] = choices
    reader = QuestionColumns(choices=choices)
    answers = [(row, row.get(names["gold"])) for row in rows]
    golds = [row for row, value in answers if value is not None and str(value).strip()]
    guess = gold_of(
        [str(row[names["gold"]]).strip() for row in golds], [reader.options(row) for row in golds]
    )
    index_from = guess.index_from if kind in {None, "choice"} else None
    return names, GoldGuess(kind or guess.kind, guess.extract, index_from)


def column_of(columns: Sequence[str], what: str, column: str | None) -> str:
    """Take the column that was named, or find it by its usual names.

    Raises:
        InputError: there is no such column, or none of a usual name.
    """
    if column is None:
        return usual(columns, what)
    if column not in columns:
        raise InputError(f"no column {column!r}; there are {', '.join(columns)}", f"--{what}")
    return column


def gold_of(values: Sequence[str], choices: Sequence[Choices | None]) -> GoldGuess:
    """Guess how known answers are compared, and the pattern that finds them in their column.

    Args:
        values: of the column.
        choices: options of each row, None where it has none.
    """
    if values and all(choices):
        listings = [listing for listing in choices if listing]
        if all(map(_names_option, values, listings)):
            return GoldGuess("choice")
        places = [int(value) if value.isdecimal() else -1 for value in values]
        counts = [len(listing.texts) for listing in listings]
        for first in (0, 1):
            if all(first <= at < first + n for at, n in zip(places, counts, strict=True)):
                return GoldGuess("choice", index_from=first)
    pattern = MARKED if values and all(re.search(MARKED, value) for value in values) else None
    matches = [re.search(pattern, value) if pattern else None for value in values]
    golds = [match[1] if match else value for match, value in zip(matches, values, strict=True)]
    for kind in _TYPES:
        if kind == "latex" and not any(map(_TEX.search, golds)):
            continue
        if golds and all(canonical(gold, kind) is not None for gold in golds):
            return GoldGuess(kind, pattern)
    return GoldGuess("string", pattern)


def _names_option(value: str, listing: Choices) -> bool:
    """Tell whether a known answer is an option's letter, label or text."""
    if value in listing.labels:
        return True
    return canonical(value, "choice", listing.texts) is not None
