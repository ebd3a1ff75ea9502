"""Arguments: a text as it leads up to the answer it states, cut into sentences.

What a text computes is compared with its answer generously: a number within one of a whole answer
counts as that answer ("13.3, so 13"), and so does an equation that nobody worked out ("21 - 4").
Whoever asks wants to be sure that *no* step comes to the answer.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import chain
from typing import Final

from filters.answers import GoldType, equal
from filters.answers.numbers import parse_number
from filters.answers.words import SMALL, TENS
from filters.equations import equations

NEAR: Final = Fraction(1, 100)
"""Relative difference up to which a number is an answer that is not whole."""

_SENTENCE = re.compile(r"(?<=[.!?])[\s\"')*_]+|\n+")
_ANSWER = re.compile(r"\banswers?\b", re.IGNORECASE)
_CONCLUDED = re.compile(
    r"\b(?:so|therefore|thus|hence)\b[^.]{0,40}\banswer\s+(?:is|must)\b", re.IGNORECASE
)
_NUMERAL = re.compile(r"(?<![\w.])(?:\d{1,3}(?:,\d{3}){1,8}(?!\d)|\d{1,30})(?:\.\d{1,30})?")
_WORD = re.compile(r"[a-z]+")
_WORDS: Final = {word: Fraction(value) for value, word in enumerate(SMALL)} | {
    word: Fraction(10 * place) for place, word in enumerate(TENS, 2)
}

Reader = Callable[[str], bool]


@dataclass(frozen=True)
class Argument:
    """A text that states an answer.

    Attributes:
        text: up to the answer.
        closing: where and behind which the answer is stated; what a thought was written for.
        question: what was asked.
        answer: as stated, empty where none is.
        gold_type: how answers are read.
        options: their texts, for ``choice``.
    """

    text: str
    closing: str
    question: str
    answer: str
    gold_type: GoldType
    options: tuple[str, ...] = ()

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """Sentences and lines of all of it; one that states the answer is whole."""
        return _cut(self.text + self.closing)

    @cached_property
    def steps(self) -> tuple[str, ...]:
        """Those up to the answer."""
        return _cut(self.text)

    @cached_property
    def holds_answer(self) -> Reader | None:
        """What tells whether the answer's value stands in a text; None where that can't be told."""
        number = parse_number(self.answer) if self.gold_type in {"number", "latex"} else None
        if number is None or not number.value:
            return None
        percent = "%" in self.answer or "percent" in self.question.lower()
        return _number_reader(number.value, (1, 100) if percent else (1,))

    def is_answer(self, value: str) -> bool | None:
        """Tell whether a value is the answer; None where it is of another kind."""
        return equal(value, self.answer, self.gold_type, self.options)

    def comes_to_answer(self) -> bool:
        """Tell whether its value stands where no answer is spoken of, or an equation gives it.

        Where it can't be told, it is taken to.
        """
        holds_answer = self.holds_answer
        if holds_answer is None:
            return True
        steps = (
            sentence if _CONCLUDED.search(sentence) else _ANSWER.split(sentence, maxsplit=1)[0]
            for sentence in self.steps
        )
        return any(map(holds_answer, steps)) or any(
            holds_answer(equation.result)
            for sentence in self.sentences
            for equation in equations(sentence)
        )


def _cut(text: str) -> tuple[str, ...]:
    return tuple(piece for piece in _SENTENCE.split(text) if piece and not piece.isspace())


def values(text: str) -> Iterator[Fraction]:
    """Read the numbers that stand in a text, without their signs."""
    numerals = (numeral.replace(",", "") for numeral in _NUMERAL.findall(text))
    words = (_WORDS[word] for word in _WORD.findall(text.lower()) if word in _WORDS)
    return chain(map(Fraction, numerals), words)


def _number_reader(answer: Fraction, scales: tuple[int, ...]) -> Reader:
    size = abs(answer)
    margin = Fraction(999, 1000) if size.denominator == 1 else size * NEAR
    return lambda text: any(
        abs(scale * value - size) <= margin for value in values(text) for scale in scales
    )
