r"""Admissions: what a text says against the answer it states, or of one that it was shown.

============  ===================================================================================
`_citation`   "to match the given answer": it was written towards an answer that was there before
`_intrusion`  "= 12. But the answer is 14": an answer stands against what was computed, and came
              from nowhere, for it stands nowhere before
`_doubt`      "there must be a mistake", and no step comes to the answer
`_denial`     "none of the options is correct", and one of them is chosen all the same
`_rival`      "the answer is 79", no step more, and another answer is stated
============  ===================================================================================

A cue alone is no admission: "I made a mistake, let me recompute" is how a right answer is often
come to. So each rule also wants that the answer's value stands nowhere it could have come from.
Where that can't be told (formulas, dates, strings), a citation alone counts.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from filters.answers import GOLD_TYPES, GoldType
from filters.answers.options import read_option
from filters.argument import Argument, values
from filters.cues import (
    AGAIN,
    CITED,
    DENIED,
    DOUBTED,
    INTRUDING,
    MISSED,
    NO_OPTION,
    OWN,
    STATED,
    SUPPOSED,
    VALUE,
    WHY,
)

LAST: Final = 12
"""Sentences from the end in which a doubt still stands."""
FEW: Final = 15
"""Words behind "the answer is B" that are no argument for another option."""
AROUND: Final = 24
"""Characters around "the provided answer" in which it is said to be the text's own."""
MENTIONS: Final = 8
"""Statements of an answer that are looked at, from the last."""

_UNITS: Final = (7, 12, 24, 60, 100, 1000)
"""By which a number becomes the same in days, inches, hours, minutes, percent, metres."""


class Admission(NamedTuple):
    """Something that a text admits.

    Attributes:
        reason: of the filter.
        sentence: in which it does.
    """

    reason: str
    sentence: str


def admissions(argument: Argument) -> Iterator[Admission]:
    """Find what a text admits."""
    whole = argument.text + argument.closing
    for rule in _RULES:
        if argument.gold_type in rule.types and any(cue.search(whole) for cue in rule.cues):
            sentence = rule.find(argument)
            if sentence is not None:
                yield Admission(rule.reason, sentence)


def _citation(argument: Argument) -> str | None:
    """Find an appeal to an answer that was there before; not to one the text wrote itself."""
    if '"answer"' in argument.text or CITED.search(argument.question):
        return None
    return next(filter(_cites, argument.sentences), None)


def _cites(sentence: str) -> bool:
    cue = CITED.search(sentence)
    return bool(cue) and not OWN.search(sentence, max(0, cue.start() - AROUND), cue.end() + AROUND)


def _intrusion(argument: Argument) -> str | None:
    """Find the first mention of the answer, where it stands against what was computed."""
    holds_answer = argument.holds_answer
    if holds_answer is None or holds_answer(argument.question):
        return None
    for sentence in argument.sentences:
        for cue in (INTRUDING.search(sentence), MISSED.search(sentence)):
            value = VALUE.match(sentence, cue.end()) if cue else None
            if cue is None or value is None or holds_answer(sentence[: cue.start()]):
                continue
            if value["number"] and argument.is_answer(value["number"]):
                return None if WHY.match(sentence, value.end()) else sentence
        if holds_answer(sentence):
            return None
    return None


def _doubt(argument: Argument) -> str | None:
    """Find the last doubt of a text that computes, but not its answer."""
    doubts = [sentence for sentence in argument.sentences[-LAST:] if DOUBTED.search(sentence)]
    if not doubts or next(values(argument.text), None) is None:
        return None
    return None if argument.comes_to_answer() else doubts[-1]


def _denial(argument: Argument) -> str | None:
    """Find where no option is said to be right; nothing is tried again, and one is chosen."""
    letter = read_option(argument.answer, argument.options)
    lettered = zip("ABCDEFGHIJ", argument.options, strict=False)
    if letter is None or any(letter == a and NO_OPTION.search(text) for a, text in lettered):
        return None
    for number, sentence in enumerate(argument.sentences):
        if DENIED.search(sentence):
            again = any(map(AGAIN.search, argument.sentences[number:]))
            return None if again else sentence
    return None


def _rival(argument: Argument) -> str | None:
    """Find where another answer is stated, and no step leads from it to this one."""
    for statement in islice(_statements(argument), MENTIONS):
        if _goes_on(argument, statement) or CITED.search(argument.question):
            return None
        if argument.is_answer(statement.value) is False:
            derived = argument.gold_type == "number" and argument.comes_to_answer()
            return None if derived else statement.sentence
    return None


class _Statement(NamedTuple):
    """An answer that a text states on its way.

    Attributes:
        value: stated.
        sentence: in which it is.
        behind: all that follows it, in pieces.
    """

    value: str
    sentence: str
    behind: tuple[str, ...]


def _statements(argument: Argument) -> Iterator[_Statement]:
    """Give the answers stated before the last one, from the last to the first."""
    kind = "letter" if argument.gold_type == "choice" else "number"
    steps = argument.steps
    for place in range(len(steps) - 1, -1, -1):
        for cue in reversed(list(STATED.finditer(steps[place]))):
            value = VALUE.match(steps[place], cue.end())
            if value and value[kind] and not SUPPOSED.search(steps[place][: cue.end()]):
                rest = steps[place][value.end() :]
                behind = (rest, *steps[place + 1 :], argument.closing)
                yield _Statement(value[kind], steps[place], behind)


def _goes_on(argument: Argument, statement: _Statement) -> bool:
    """Tell whether a text takes a step behind a statement: new numbers, units, or many words."""
    rest = " ".join(statement.behind)
    if argument.gold_type == "choice":
        return len(rest.split()) > FEW
    rival, answer = set(values(statement.value)), set(values(argument.answer))
    converted = any(a in (b * unit, b / unit) for a in rival for b in answer for unit in _UNITS)
    return converted or not set(values(rest)) <= rival | answer


class _Rule(NamedTuple):
    """A kind of admission.

    Attributes:
        reason: of the filter.
        cues: one of them is in every text that has it.
        find: gives the sentence that admits it.
        types: of golds for which it can be told.
    """

    reason: str
    cues: tuple[re.Pattern[str], ...]
    find: Callable[[Argument], str | None]
    types: tuple[GoldType, ...]


_RULES: Final = (
    _Rule("cites_answer", (CITED,), _citation, GOLD_TYPES),
    _Rule("cites_answer", (INTRUDING, MISSED), _intrusion, ("number", "latex")),
    _Rule("contradicts_itself", (DOUBTED,), _doubt, ("number",)),
    _Rule("contradicts_itself", (DENIED,), _denial, ("choice",)),
    _Rule("contradicts_itself", (STATED,), _rival, ("number", "choice")),
)
