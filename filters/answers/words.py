"""Numbers in English words: "three", "twenty-one", "one hundred and five", "two thirds"."""

import re
from fractions import Fraction
from typing import Final

SMALL: Final = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_UNITS: Final = {word: value for value, word in enumerate(SMALL)} | {
    word: 10 * place for place, word in enumerate(TENS, 2)
}
_SCALES: Final = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_SHARES: Final = {
    "half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6,
    "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
}  # fmt: skip
_WORD = re.compile(r"[\s-]*([A-Za-z]+)")
_NEXT_DIGIT = re.compile(r"\d")


def read_words(text: str) -> Fraction | None:
    """Read the number that a text begins with in words, any unit behind it.

    Returns:
        None where the text begins with no such word, or holds a digit or a second number.
    """
    if _NEXT_DIGIT.search(text):
        return None
    words = [word.lower() for word in _WORD.findall(text)]
    sign = -1 if words[:1] in (["minus"], ["negative"]) else 1
    words = words[1:] if sign < 0 else words
    whole, used = _whole(words)
    rest = words[used:]
    share = (
        _SHARES.get(rest[0].rstrip("s") if rest and rest[0] != "halves" else "halves")
        if rest
        else None
    )
    if used and share:
        return _alone(sign * Fraction(whole, share), rest[1:])
    if not used:
        article = words[:1] in (["a"], ["an"]) or words[:1] == ["half"]
        parts = words[1:] if words[:1] in (["a"], ["an"]) else words
        if article and parts[:1] == ["dozen"]:
            return _alone(Fraction(12 * sign), parts[1:])
        share = _SHARES.get(parts[0]) if article and parts else None
        return _alone(Fraction(sign, share), parts[1:]) if share else None
    if rest[:1] == ["dozen"]:
        return _alone(Fraction(12 * sign * whole), rest[1:])
    if rest[:3] == ["and", "a", "half"]:
        return _alone(sign * (whole + Fraction(1, 2)), rest[3:])
    return _alone(Fraction(sign * whole), rest)


def _whole(words: list[str]) -> tuple[int, int]:
    """Read a whole number; give it and how many words it took."""
    total = group = used = 0
    for place, word in enumerate(words):
        if word in _UNITS and (group == 0 or group % 10 == 0 or used == 0):
            if group % 100 and _UNITS[word] > 9:
                break
            group += _UNITS[word]
        elif word == "hundred" and 0 < group < 100:
            group *= 100
        elif word in _SCALES and group:
            total, group = total + group * _SCALES[word], 0
        elif word == "and" and used == place and (group % 100 == 0) and (group or total):
            if place + 1 >= len(words) or words[place + 1] not in _UNITS:
                break
            continue
        else:
            break
        used = place + 1
    return total + group, used


def _alone(value: Fraction, rest: list[str]) -> Fraction | None:
    """Want no second number behind the first."""
    return None if any(word in _UNITS or word in {"or", "not"} for word in rest[:6]) else value
