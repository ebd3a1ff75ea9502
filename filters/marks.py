"""Formats of a rationale, by the marks they leave: sub-questions, symbols, a question told anew.

Key Factors (arXiv 2502.18001) has solutions in four formats. Of its released SVAMP files two
questions or more are in 99 % of the sub-question ones and in 0 % of GPT-4o's plain ones; three
symbols or more in 99 % of the symbolic ones and in 2 to 4 %; and 45 % of the question's words are
told again before anything is computed in 87 % of the rephrasing ones and in 13 % of the plain ones,
since whoever spells everything out tells the question again too. Nothing is drawn from a prompt.
"""

import re
from typing import Final

from rapidfuzz.distance import LCSseq

_WORD: Final = re.compile(r"[^\W_]+")
_QUESTION: Final = re.compile(
    r"(?:[^.?!\n]|\.(?=\S)|(?<=\bMr)\.|(?<=\bMrs)\.|(?<=\bMs)\.|(?<=\bDr)\.)*"
    r"\?(?=\s|$|[A-Z\"'*)\]\u2019\u201d])"
)
_SYMBOL: Final = re.compile(
    r"(?<![\w.])(?<!\d )(?:\d{0,3}[A-Za-z]|[A-Za-z]+_\w+)\s*=\s*[^=\s]"  # x = 3, 2x = 6
    r"|[\u2203\u2200\u2234\u2235\u2227\u21d2\u2192]"  # there is, for all, therefore, since, and
    r"|\b[Ll]et\s+[A-Za-z]\w{0,3}\b(?=\s*(?:=|be\b|denote|stand|,|\())"
)
_COMPUTING: Final = re.compile(
    r"[=\u00f7\u00d7]|\d\s*(?:[A-Za-z]+\s+){0,3}(?:[+*]|(?<=\s)[-/\u2212]\s)\s*\d"
    r"|\b(?:divid|multipl|subtract|adding\b)|\b(?:we|to|and) add\b",
    re.IGNORECASE,
)
FEWEST_WORDS: Final = 3
"""Words below which a question is none to be answered, as "Right?"."""


def sub_questions(text: str) -> int:
    """Count the questions that a text asks."""
    return sum(len(_WORD.findall(question)) >= FEWEST_WORDS for question in _QUESTION.findall(text))


def symbols(text: str) -> int:
    """Count the places where a quantity is named by a letter, or logical signs are used."""
    return len(_SYMBOL.findall(text))


def retold(question: str, text: str) -> float:
    """Give the share of a question's words that a text says in the same order before it computes.

    Where it computes nothing, all of it counts.
    """
    computing = _COMPUTING.search(text)
    before = text[: computing.start()] if computing else text
    asked_for, told_again = _words(question), _words(before)
    return LCSseq.similarity(asked_for, told_again) / len(asked_for) if asked_for else 0.0


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
