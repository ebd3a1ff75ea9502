"""Strings, booleans and dates: the types that need no arithmetic."""

import re
import unicodedata
from datetime import date

from filters.answers.dress import strip_math, undress

QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb\u201e"
_WRAP = QUOTES + "*_ \t\n\r"
_SPACES = re.compile(r"\s+")
_SPELLED = re.compile(r"\w(?:[\s,+\-.]{1,3}\w)+")
_SPELLED_GAP = re.compile(r"[\s,+\-.]+")

_TRUE = frozenset({"yes", "true", "y", "t", "1"})
_FALSE = frozenset({"no", "false", "n", "f", "0"})
_LABEL = r"(?:\(?[A-Ba-b][).:]\s*)?"
BOOLEAN_WORD = re.compile(rf"[\s\"'*_(\[:$]*{_LABEL}(yes|no|true|false)\b", re.IGNORECASE)

_CENTURY = 50
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<{0}>jan(?:uary)?|feb(?:ruary|uary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
DATE = re.compile(
    r"(?<![\d/])(?:(?P<a>\d{1,2})[/\-.](?P<b>\d{1,2})[/\-.](?P<y1>\d{4}|\d{2}(?![\d.]))"
    r"|(?P<y2>\d{4})\s?[-/.\u5e74]\s?(?P<m2>\d{1,2})\s?[-/.\u6708]\s?(?P<d2>\d{1,2})\u65e5?"
    rf"|{_MONTH.format('m3')}\s+(?:the\s+)?(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y3>\d{{4}})"
    rf"|(?P<d4>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH.format('m4')},?\s+(?P<y4>\d{{4}}))"
    r"(?![\d/])",
    re.IGNORECASE,
)

_ARTICLE = re.compile(r"(?:the|an?) (?=\w\w)")
_ASIDE = re.compile(r"(.*\S)\s*\([^()]*\)", re.DOTALL)


def tidy(text: str) -> str:
    """Strip white space, quotes, emphasis and final punctuation from both ends."""
    before = None
    while before != text:
        before = text
        text = text.strip(_WRAP).rstrip(".,;:!?")
    return text


def fold(text: str) -> str:
    """Reduce a string to what two equal answers share.

    Unicode compatibility form, case, white space, quotes and final punctuation are levelled; a
    word that is spelled out ("d a n y", "d-a-n-y") is joined.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = _SPACES.sub(" ", tidy(strip_math(undress(text)))).casefold()
    return _SPELLED_GAP.sub("", text) if _SPELLED.fullmatch(text) else text


def strings_equal(a: str, b: str) -> bool:
    """Compare two strings as `fold` gives them.

    An article before them and an aside in brackets that only one has are none.
    """
    if a == b:
        return True
    a, b = (_ARTICLE.sub("", text, count=1) if _ARTICLE.match(text) else text for text in (a, b))
    if a == b:
        return True
    shorter, longer = sorted((a, b), key=len)
    aside = _ASIDE.fullmatch(longer)
    return bool(aside) and aside[1] == shorter


def parse_boolean(text: str) -> bool | None:
    """Read a text that begins with yes, no, true or false, or is y, n, t, f, 1 or 0 alone."""
    text = undress(text)
    word = BOOLEAN_WORD.match(text)
    alone = (word[1] if word else tidy(text)).lower()
    if alone in _TRUE:
        return True
    return False if alone in _FALSE else None


def as_date(match: re.Match[str]) -> date | None:
    """Turn a match of `DATE` into a day of the calendar, None where there is no such day.

    ``a/b/year`` is month first, as in the task families that ask for MM/DD/YYYY; only where the
    first number can't be a month is it the day. A year of two digits lies in 1950 to 2049.
    """
    part = match.groupdict()
    if part["y1"]:
        month, day, year = int(part["a"]), int(part["b"]), int(part["y1"])
        if month > 12:
            month, day = day, month
        if year < 100:
            year += 2000 if year < _CENTURY else 1900
    elif part["y2"]:
        month, day, year = int(part["m2"]), int(part["d2"]), int(part["y2"])
    else:
        name = part["m3"] or part["m4"]
        month = _MONTHS.index(name[:3].lower()) + 1
        day, year = int(part["d3"] or part["d4"]), int(part["y3"] or part["y4"])
    try:
        return date(year, month, day)
    except ValueError:
        return None


def parse_date(text: str) -> date | None:
    """Read a text that holds one date, or the same date several times."""
    days = {as_date(match) for match in DATE.finditer(text)}
    return days.pop() if len(days) == 1 else None
