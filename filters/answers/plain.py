"""Strings, booleans, dates and LaTeX: the types that need no arithmetic."""

import re
import unicodedata
from datetime import date

_QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb\u201e"
_WRAP = _QUOTES + "*_ \t\n\r"
_SPACES = re.compile(r"\s+")
_SPELLED = re.compile(r"\w(?:[\s,+\-.]{1,3}\w)+")
_SPELLED_GAP = re.compile(r"[\s,+\-.]+")

_TRUE = frozenset({"yes", "true", "y", "t", "1"})
_FALSE = frozenset({"no", "false", "n", "f", "0"})
BOOLEAN_WORD = re.compile(r"[\s\"'*_(\[:]*(yes|no|true|false)\b", re.IGNORECASE)

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<{0}>jan(?:uary)?|feb(?:ruary|uary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
DATE = re.compile(
    r"(?<![\d/])(?:(?P<a>\d{1,2})[/\-.](?P<b>\d{1,2})[/\-.](?P<y1>\d{4})"
    r"|(?P<y2>\d{4})[-/](?P<m2>\d{1,2})[-/](?P<d2>\d{1,2})"
    rf"|{_MONTH.format('m3')}\s+(?:the\s+)?(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y3>\d{{4}})"
    rf"|(?P<d4>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH.format('m4')},?\s+(?P<y4>\d{{4}}))"
    r"(?![\d/])",
    re.IGNORECASE,
)

_LATEX_NOISE = re.compile(
    r"\\(?:left|right|displaystyle|limits|bigl?|bigr?|Bigl?|Bigr?)(?![A-Za-z])|\\[,;:! ]|~|\s+"
)
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}")
_LATEX_DELIMITERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))


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
    text = _SPACES.sub(" ", tidy(text)).casefold()
    return _SPELLED_GAP.sub("", text) if _SPELLED.fullmatch(text) else text


def parse_boolean(text: str) -> bool | None:
    """Read a text that begins with yes, no, true or false, or is y, n, t, f, 1 or 0 alone."""
    word = BOOLEAN_WORD.match(text)
    alone = (word[1] if word else tidy(text)).lower()
    if alone in _TRUE:
        return True
    return False if alone in _FALSE else None


def as_date(match: re.Match[str]) -> date | None:
    """Turn a match of `DATE` into a day of the calendar, None where there is no such day.

    ``a/b/year`` is month first, as in the task families that ask for MM/DD/YYYY; only where the
    first number can't be a month is it the day.
    """
    part = match.groupdict()
    if part["y1"]:
        month, day, year = int(part["a"]), int(part["b"]), int(part["y1"])
        if month > 12:
            month, day = day, month
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


def latex_form(text: str) -> str:
    r"""Level what never changes meaning: delimiters, spaces, ``\left``, ``\dfrac``, final stops."""
    text = strip_math(text.strip().rstrip(".").strip())
    text = _LATEX_NOISE.sub("", _LATEX_TEXT.sub(r"\1", text))
    return text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")


def strip_math(text: str) -> str:
    """Take the math delimiters off a text that is one formula."""
    for opening, closing in _LATEX_DELIMITERS:
        inner = text[len(opening) : len(text) - len(closing)]
        if (
            len(text) > len(opening) + len(closing)
            and text.startswith(opening)
            and text.endswith(closing)
            and opening not in inner
        ):
            return inner.strip()
    return text
