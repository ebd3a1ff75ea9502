"""Reasoning paths: what tells one way to the answer from another, whatever words it is told in.

A path is read from, in this order:

* the canonical equations of the rationale (`filters.equations`) together with the days it derives
  (those the question does not name), for arithmetic and date questions;
* the options it discusses, for choice tasks: ruling out A and C is another path than arguing for B.

Embeddings are blind here: on siblings of one question, one number changed moves MiniLM by 0.003 and
every operator flipped by 0.004, and it tells different intermediate results with an AUC of 0.61.
``tests/bench/validity.py`` measures this one.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from filters.equations import equations
from filters.lexemes import DATE
from filters.shingles import jaccard, words

_LETTERS: Final = "ABCDEFGHIJ"
_OPTION: Final = re.compile(
    r"(?i:\b(?:option|choice|answer)s?)\s+\(?([A-J])\b|\(([A-J])\)|(?m:^\s*([A-J])[.:)]\s)"
)
"""An option by its letter: "option B", "(B)", or a line that begins with "B."."""
_MONTHS: Final = {
    month: number
    for number, month in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}


class Path(NamedTuple):
    """The path of one rationale.

    Attributes:
        kind: ``equations`` (days included) or ``options``.
        steps: canonical forms, unordered: teachers tell the same steps in any order.
    """

    kind: str
    steps: frozenset[str]

    def __str__(self) -> str:
        return "; ".join(sorted(self.steps))


def path(rationale: str, question: str | None, choices: Sequence[str] | None) -> Path | None:
    """Read the path of a rationale.

    Args:
        rationale: the reasoning before the answer.
        question: text of the question, whose days are given, not derived.
        choices: texts of the options in order, None where the question has none.

    Returns:
        The path, or None where nothing parses: then another measure must tell siblings apart.
    """
    premises = days(question) if question else frozenset[str]()
    steps = frozenset(map(str, equations(rationale))) | (days(rationale) - premises)
    if steps:
        return Path("equations", steps)
    if choices:
        letters = options(rationale, choices)
        if letters:
            return Path("options", letters)
    return None


def path_distance(left: Path, right: Path) -> float:
    """Grade how far two paths differ: 0.0 equal steps, 1.0 none shared (1 - Jaccard)."""
    return 1.0 - jaccard(left.steps, right.steps) if left.kind == right.kind else 1.0


@lru_cache(maxsize=256)  # siblings share their question
def days(text: str) -> frozenset[str]:
    """Read the days a text names, as ``2021-04-30``; ``04-30`` where no year is said."""
    dates: set[str] = set()
    for match in DATE.finditer(text):
        parts = match.groupdict()
        if parts["month"]:
            month: str | int = _MONTHS[parts["month"][:3].lower()]
            day, year = parts["day"], parts["year"]
        else:
            month = parts["m"] or parts["iso_m"]
            day, year = parts["d"] or parts["iso_d"], parts["y"] or parts["iso_y"]
        tail = f"{int(month):02}-{int(day):02}"
        dates.add(f"{year}-{tail}" if year else tail)
    return frozenset(dates)


def options(text: str, choices: Sequence[str]) -> frozenset[str]:
    """Find the options a text discusses, by letter or by their own words."""
    letters = {letter for groups in _OPTION.findall(text) for letter in groups if letter}
    passage = f" {' '.join(words(text))} "
    for letter, choice in zip(_LETTERS, choices, strict=False):
        phrase = " ".join(words(choice))
        if phrase and f" {phrase} " in passage:
            letters.add(letter)
    return frozenset(letters & set(_LETTERS[: len(choices)]))
