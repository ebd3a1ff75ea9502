"""What a gold is stored as, and when an answer equals it."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal, get_args

from filters.answers.latex import latex_equal, latex_form
from filters.answers.numbers import clean, number_text, numbers_equal, parse_number
from filters.answers.options import options_equal, read_option
from filters.answers.plain import DATE, as_date, fold, parse_boolean, parse_date, strings_equal

GoldType = Literal["number", "latex", "choice", "boolean", "date", "string"]
GOLD_TYPES: Final[tuple[GoldType, ...]] = get_args(GoldType)

_NUMBER = re.compile(  # its first letter before what must not precede it: found twice as fast
    r"[-.\d](?:(?<![\w.,:][-\d])(?:(?<=\d)|(?<=-)\d)[\d,]*(?:\.\d+)?(?:\s*/\s*\d[\d,]*)?"
    r"|(?<![\w.][-.])(?:(?<=\.)|(?<=-)\.)\d+)"
)
_TAIL = 600
_OPERAND = re.compile(r"[\d)%]\s*$")


def canonical(text: str, gold_type: GoldType, choices: Sequence[str] | None = None) -> str | None:
    """Give the one form of a gold or answer, for comparing; what is stored stays as written.

    Args:
        text: as a data set or a teacher wrote it.
        gold_type: decides what may be read.
        choices: texts of the options in order, for ``choice``.

    Returns:
        ``number``: ``18``, ``-0.5`` or ``7/3``; ``choice``: the letter, or the text's key where
        options are unknown; ``boolean``: ``true`` or ``false``; ``date``: ``2021-04-21``;
        ``string``: folded; ``latex``: levelled, not evaluated. None where the text can't be read.
    """
    if gold_type == "number":
        return _number_key(text.strip())
    if gold_type == "choice":
        return read_option(text, tuple(choices or ()))
    if gold_type == "boolean":
        truth = parse_boolean(text)
        return None if truth is None else str(truth).lower()
    if gold_type == "date":
        day = parse_date(text)
        return None if day is None else day.isoformat()
    return (latex_form(text) if gold_type == "latex" else fold(text)) or None


@lru_cache(maxsize=1 << 16)
def _number_key(text: str) -> str | None:
    """Give the canonical form of a number; teachers write few different ones, often."""
    number = parse_number(text)
    return None if number is None else number_text(number.value)


def equal(
    answer: str, gold: str, gold_type: GoldType, choices: Sequence[str] | None = None
) -> bool | None:
    """Tell whether an answer is the gold.

    Args:
        answer: as extracted; how finely a decimal was written matters.
        gold: as written.
        gold_type: decides what "the same" means.
        choices: texts of the options in order, for ``choice``.

    Returns:
        None where it can't be told: one side unreadable, a letter against a text without options,
        or LaTeX that differs in writing and is of no type that can be compared without algebra (it
        may still be the same value; `verify` measures that).
    """
    if gold_type == "number":
        value, gold_value = parse_number(answer.strip()), parse_number(gold.strip())
        return None if value is None or gold_value is None else numbers_equal(value, gold_value)
    if gold_type == "latex":
        return latex_equal(answer, gold)
    a, b = canonical(answer, gold_type, choices), canonical(gold, gold_type, choices)
    if a is None or b is None:
        return None
    if gold_type == "choice":
        return options_equal(a, b, tuple(choices or ()))
    return strings_equal(a, b) if gold_type == "string" else a == b


def last_value(text: str, gold_type: GoldType, choices: Sequence[str] | None = None) -> str | None:
    """Read the last value of a rationale, which a stated answer should follow from.

    Only numbers and dates can be told from the words around them, so other types give None, and
    ``choice`` gives the option whose number or date it is, or the bare value where it is none.

    Args:
        text: the rationale, final answer clause cut; its last 600 characters are read.
        gold_type: of the question.
        choices: texts of the options.
    """
    tail = text[-_TAIL:]
    if gold_type == "number":
        return _last_number(tail)
    if gold_type == "date":
        return _last_date(tail)
    if gold_type != "choice" or not choices:
        return None
    kind = _kind(tuple(choices))
    value = _last_number(tail) if kind == "number" else _last_date(tail) if kind else None
    if kind is None or value is None:
        return None
    for index, choice in enumerate(choices):
        if canonical(choice, kind) == value:
            return chr(65 + index)
    return value


def _kind(choices: tuple[str, ...]) -> Literal["number", "date"] | None:
    """Tell whether all options are numbers or all are dates."""
    kinds: tuple[Literal["number", "date"], ...] = ("date", "number")
    return next((k for k in kinds if all(canonical(c, k) is not None for c in choices)), None)


def _last_number(tail: str) -> str | None:
    """Read the result of the last equation in the last sentence with a number, else its last.

    A sentence often goes on after its result ("= 50 miles in 7 hours").
    """
    end = len(tail.rstrip())
    while end > 0:
        start = max(
            tail.rfind("\n", 0, end), tail.rfind(". ", 0, end),
            tail.rfind("! ", 0, end), tail.rfind("? ", 0, end),
        )  # fmt: skip
        sentence = clean(tail[start + 1 : end])
        result = sentence.rfind("=") + 1
        numbers = _NUMBER.finditer(sentence, result)
        number = next(numbers, None)
        if number and not result:
            *_, number = (number, *numbers)
        if number:
            return _read(sentence, number)
        end = start
    return None


def _read(text: str, match: re.Match[str]) -> str | None:
    """Read a number; a minus sign between two operands belongs to neither."""
    start, end = match.span()
    if text[start] == "-" and _OPERAND.search(text, max(0, start - 4), start):
        start += 1
    return _number_key(text[start:end])


def _last_date(tail: str) -> str | None:
    """Read the last date."""
    for match in reversed(list(DATE.finditer(tail))):
        day = as_date(match)
        if day:
            return day.isoformat()
    return None
