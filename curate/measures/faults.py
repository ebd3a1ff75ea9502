"""Faults: a right rationale made wrong in one place, to see whether a score notices.

A score that helps to choose rationales has to prefer the right one to itself with a fault. Each
fault is one edit of the text, chosen by seeded hash, and leaves alone what the rationale states as
its own final value: masked or not, the answer is stated as often as before, so a score that only
looks whether it is there sees no difference. Not every edit makes a rationale wrong (two steps that
do not rest on each other may be swapped), so no score is right in all pairs.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import combinations
from typing import Final, NamedTuple, TypeVar

from curate.measures.steps import split_steps
from curate.store.keys import rank
from filters.equations import MARK, Equation, equations
from filters.lexemes import NUMBER_WORDS

OTHER: Final = "other_question"
"""The fault that is no edit: the steps of another question's rationale."""

RATIONALE: Final[tuple[str, ...]] = ("rationale", "reasoning", "rationale_words")
"""Columns that hold a rationale, or follow from it alone."""

_LEAD: Final = re.compile(
    r"\s*(?:[-*\u2022#>]+\s+)*\**(?:(?:step\s+)?\d{1,2}[.):]+(?=[\s*])|step\s+\d{1,2}\b\s*[-:.]*)?"
    r"\**\s*",
    re.IGNORECASE,
)
"""A bullet or number before a step; it keeps its place when the step loses its own."""
_CLOSED: Final = re.compile(r"[.?!:;]\W*$")
_ENUMERATOR: Final = re.compile(r"(?im)^[\s#*>-]*(?:step\s+)?\d{1,2}(?=[.):])")
_COUNTS: Final = [word for word in NUMBER_WORDS if word not in {"half", "twice", "one"}]
_NUMBER: Final = re.compile(
    r"(?<![\w.,])(?P<digits>(?:\d{1,3}(?:,\d{3})+|\d{1,15})(?:\.\d{1,15})?)"
    r"(?!st\b|nd\b|rd\b|th\b|\d|[.,]\d)"
    rf"|\b(?P<word>{'|'.join(_COUNTS)})\b",
    re.IGNORECASE,
)
_VARIANTS: Final = 3
"""Other values tried of a number before the next number is taken."""
_INVERSE: Final = {
    "+": "-", "-": "+", "\u2212": "+", "\u2013": "+",
    "*": "/", "/": "*", "x": "/", "\u00d7": "\u00f7", "\u00f7": "\u00d7",
    "\u00b7": "\u00f7", "\u22c5": "\u00f7",
    "\\times": "\\div", "\\cdot": "\\div", "\\div": "\\times",
    "plus": "minus", "minus": "plus",
    "times": "divided by", "multiplied by": "divided by", "divided by": "multiplied by",
    "sum of": "difference of", "difference of": "sum of",
    "product of": "quotient of", "quotient of": "product of",
}  # fmt: skip
_WORDS: Final = "|".join(word.replace(" ", r"\s+") for word in _INVERSE if word[0].isalpha())
_OPERATOR: Final = re.compile(
    rf"\\(?:times|cdot|div)\b|\b(?:{_WORDS})\b|(?<=[\d\s])x(?=[\d\s])"
    "|[-+*/\u2212\u2013\u00d7\u00f7\u00b7\u22c5]",
    re.IGNORECASE,
)

Choice = TypeVar("Choice")
Edit = Callable[[str, Callable[[int], int]], Iterator[str]]
"""Gives a text with the fault at one place after another, the likeliest choice first."""


class Fault(NamedTuple):
    """A way to be wrong.

    Attributes:
        meaning: what is wrong then.
        edits: how a text gets there; None for the steps of another question.
    """

    meaning: str
    edits: Edit | None


def plant(
    name: str, rationale: str, seed: str, mentions: Callable[[str], int] = lambda _: 0
) -> str | None:
    """Plant a fault.

    Args:
        name: of an edit of `FAULTS`.
        rationale: a right one.
        seed: of the choice of its place.
        mentions: how often a text states the rationale's own final value; a fault changes nothing
            in that.

    Returns:
        Another text, the same for the same arguments; None where the fault can't be planted, as a
        swap can't among fewer than two steps.
    """
    edits = FAULTS[name].edits
    assert edits is not None
    before = mentions(rationale)
    texts = edits(rationale, partial(rank, "fault", name, seed))
    return next((text for text in texts if text != rationale and mentions(text) == before), None)


def numbers_changed(text: str, order: Callable[[int], int]) -> Iterator[str]:
    """Put another digit, or another number word, in one number's place; its form stays."""
    enumerators = [match.span() for match in _ENUMERATOR.finditer(text)]
    for match in _shuffled(_NUMBER.finditer(text), order):
        if not any(start <= match.start() < end for start, end in enumerators):
            others = _other_words if match["word"] else _other_digits
            for number in _shuffled(others(match[0]), order)[:_VARIANTS]:
                yield text[: match.start()] + number + text[match.end() :]


def operators_flipped(text: str, order: Callable[[int], int]) -> Iterator[str]:
    """Turn one operator of an equation round: plus and minus, times and divided by."""
    steps = [(start, end, _readings(text[start:end])) for start, end in split_steps(text)]
    for match in _shuffled(_OPERATOR.finditer(text), order) if steps else ():
        start, end, before = next(step for step in steps if step[1] > match.start())
        inverse = _INVERSE[" ".join(match[0].lower().split())]
        flipped = text[: match.start()] + inverse + text[match.end() :]
        after = _readings(flipped[start : end + len(flipped) - len(text)])
        # A hyphen or a list's mark is no operator: only what was read as one is missed afterwards.
        if any(old - new for old, new in zip(before, after, strict=True)):
            yield flipped


def step_removed(text: str, order: Callable[[int], int]) -> Iterator[str]:
    """Leave one step out, whose number or bullet the next one takes."""
    pieces = _pieces(text)
    for place in _shuffled(range(len(pieces)), order) if len(pieces) > 1 else ():
        bodies = [piece.body for piece in pieces]
        del bodies[place]
        yield _joined(
            piece._replace(body=body) for piece, body in zip(pieces, bodies, strict=False)
        ).rstrip()


def steps_swapped(text: str, order: Callable[[int], int]) -> Iterator[str]:
    """Let two steps change places."""
    pieces = _pieces(text)
    for one, other in combinations(_shuffled(range(len(pieces)), order), 2):
        swapped = list(pieces)
        swapped[one] = pieces[one]._replace(body=pieces[other].body)
        swapped[other] = pieces[other]._replace(body=pieces[one].body)
        yield _joined(swapped)


def step_repeated(text: str, order: Callable[[int], int]) -> Iterator[str]:
    """Say one step twice in a row."""
    pieces = _pieces(text)
    for place in _shuffled(range(len(pieces)), order):
        gap = pieces[place].gap or (pieces[place - 1].gap if place else "") or " "
        first = pieces[place]._replace(gap=gap)
        yield _joined([*pieces[:place], first, *pieces[place:]])


FAULTS: Final[Mapping[str, Fault]] = {
    "number": Fault("a number changed", numbers_changed),
    "operator": Fault("an operator turned round", operators_flipped),
    "removed": Fault("a step left out", step_removed),
    "swapped": Fault("two steps swapped", steps_swapped),
    "repeated": Fault("a step said twice", step_repeated),
    OTHER: Fault("another question's steps", None),
}
"""The faults by name, in the order in which they are told."""


class _Piece(NamedTuple):
    """A step: its number or bullet, what it says, and the space behind it."""

    lead: str
    body: str
    gap: str


def _pieces(text: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    for start, end in split_steps(text):
        step = text[start:end]
        lead = _LEAD.match(step)
        cut = lead.end() if lead else 0
        body = step[cut:].rstrip()
        pieces.append(_Piece(step[:cut], body, step[cut + len(body) :]))
    return pieces


def _joined(pieces: Iterable[_Piece]) -> str:
    """Put steps together; one that comes to stand before another on a line ends with a stop."""
    *before, last = pieces
    stops = ("" if "\n" in p.gap or _CLOSED.search(p.body) else "." for p in before)
    parts = [p.lead + p.body + stop + p.gap for p, stop in zip(before, stops, strict=True)]
    return "".join([*parts, *last])


def _readings(text: str) -> tuple[frozenset[Equation], frozenset[Equation]]:
    """Read what a calculator is told, and what a reader is."""
    return equations(text), equations(MARK.sub("", text))


def _other_words(word: str) -> list[str]:
    others = (other for other in _COUNTS if other != word.lower())
    return [other.capitalize() if word[0].isupper() else other for other in others]


def _other_digits(number: str) -> list[str]:
    """List the numbers that differ in one digit; none begins with a zero that it did not have."""
    return [
        number[:place] + digit + number[place + 1 :]
        for place, old in enumerate(number)
        for digit in "0123456789"
        if old.isdigit() and digit != old and (place or digit != "0")
    ]


def _shuffled(items: Iterable[Choice], order: Callable[[int], int]) -> list[Choice]:
    """Put items into an order by hash."""
    places = list(enumerate(items))
    return [item for _, item in sorted(places, key=lambda pair: order(pair[0]))]
