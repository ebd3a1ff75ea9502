"""Read the answer inside a clause that states one, or in a closing line, by the gold's type."""

import re

from filters.answers.compare import GoldType
from filters.answers.numbers import clean, parse_number
from filters.answers.options import last_option, read_option
from filters.answers.plain import BOOLEAN_WORD, DATE, as_date, parse_boolean, strip_math, tidy

_MAX_CLAUSE = 300
_OPEN = re.compile(r"(?:[\s*_:>~]|<answer>)*")
_END = re.compile(r"\n|</|<answer|[.!?](?=[\s\"'\u201d\u2019)*_]*(?:\s|$))")
_NEGATED = re.compile(r"[\s\"'*_]*(?:not|never|no longer|n't|incorrect|wrong)\b", re.IGNORECASE)
_EXPRESSION = re.compile(r"(?<![\w.,])[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:\s*/\s*\d+)?%?")
_ALGEBRA = re.compile(r"[+*<>^]|(?<=\s)[-/](?=\s)|(?<=[\d)])[-/](?=[A-Za-z(]\b)")
_LIST = re.compile(r"\s*(?:and|or|,|;|&)\s*\(*[-+]?\d")
_ASIDE = re.compile(
    r"\s*(?:[,;(\[]|\b(?:because|since|as|so|for|which|where|when|after|if|but|and|is)\b)",
    re.IGNORECASE,
)
_QUOTED = re.compile(
    r"[\"\u201c`]([^\"\u201c\u201d`\n]{1,120})[\"\u201d`]|(?<!\w)['\u2018]([^'\u2018\u2019\n]{1,120})['\u2019](?!\w)"
)
_QUOTED_END = re.compile(
    r"(?:[\"\u201c`]([^\"\u201c\u201d`\n]{1,120})[\"\u201d`]|(?<!\w)['\u2018]([^'\u2018\u2019\n]{1,120})['\u2019])[\s.!*_)]*$"
)
_TAIL = re.compile(
    r"(?:[:=→]|\b(?:is|are|be|gets?|have|obtains?|spells?|spelling|gives?(?:\s+us)?)\b)"
    r"[\s*_:=]*([^\s:=→][^:=→\n]{0,60})$",
    re.IGNORECASE,
)
_MATH = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_CONNECTOR = re.compile(
    r"[\s*_>-]*(?:(?:so|thus|therefore|hence|then|finally|in conclusion|overall)\b,?\s*)*",
    re.IGNORECASE,
)


def clause_at(text: str, at: int) -> tuple[int, int]:
    """Delimit the clause that begins at a place: to the end of its sentence or line.

    Returns:
        Start and end; leading white space, line breaks and emphasis are stepped over.
    """
    start = _OPEN.match(text, at).end()  # pyright: ignore[reportOptionalMemberAccess] - may be ""
    match = _END.search(text, start, start + _MAX_CLAUSE)
    return start, match.start() if match else min(len(text), start + _MAX_CLAUSE)


def read_clause(clause: str, gold_type: GoldType, options: tuple[str, ...]) -> str | None:
    """Read what a clause such as "18 dollars" or "(B) to the left" gives as the answer.

    Returns:
        The answer as written, None where the clause gives none of this type or more than one.
    """
    if _NEGATED.match(clause) or not clause.strip():
        return None
    if gold_type == "number":
        return _number(clause)
    if gold_type == "choice":
        return tidy(clause) if read_option(clause, options) else None
    if gold_type == "boolean":
        word = BOOLEAN_WORD.match(clause)
        return word[1] if word and parse_boolean(clause) is not None else None
    if gold_type == "date":
        days = {as_date(match): match[0] for match in DATE.finditer(clause)}
        return days.popitem()[1] if len(days) == 1 and None not in days else None
    if gold_type == "latex":
        formulas = list(_MATH.finditer(clause))
        return strip_math(formulas[-1][0] if formulas else clause.strip().strip("*").strip())
    quotation = _QUOTED.match(clause.lstrip(" *_"))
    return tidy((quotation[1] or quotation[2]) if quotation else clause) or None


def read_closing(line: str, gold_type: GoldType, options: tuple[str, ...]) -> str | None:
    """Read the answer a closing line implies without saying "the answer is".

    Number: the last number. Choice: the only option named. Date: the last date. Boolean: a line
    that begins with yes, no, true or false. String: a quotation at the very end, or at most four
    words after the last colon, equals sign, "is", "get" or "gives". LaTeX: the last formula.
    """
    if gold_type == "number":
        numbers = [m[0] for m in _EXPRESSION.finditer(clean(line)) if parse_number(m[0])]
        return numbers[-1] if numbers else None
    if gold_type == "choice":
        letter = last_option(line, options)
        return f"({letter})" if letter else None
    if gold_type == "date":
        dates = [match[0] for match in DATE.finditer(line) if as_date(match)]
        return dates[-1] if dates else None
    if gold_type == "boolean":
        word = BOOLEAN_WORD.match(line, _CONNECTOR.match(line).end())  # pyright: ignore[reportOptionalMemberAccess] - may be ""
        return word[1] if word else None
    if gold_type == "latex":
        formulas = list(_MATH.finditer(line))
        return strip_math(formulas[-1][0]) if formulas else None
    quotation = _QUOTED_END.search(line[-200:])
    if quotation:
        return tidy(quotation[1] or quotation[2]) or None
    tail = _TAIL.search(tidy(line[-200:]))
    words = tidy(tail[1]) if tail else tidy(line)
    return words if 0 < len(words.split()) <= (4 if tail else 1) else None


def _number(clause: str) -> str | None:
    """Read the number a clause gives: the one it begins with, else its last; never algebra."""
    if parse_number(clause.strip()):
        return clause.strip()
    cleaned = clean(clause)
    if "=" in cleaned:
        right = cleaned.rpartition("=")[2]
        return _leading(right) if any(c.isdigit() for c in right) else None
    leading = _leading(cleaned)
    if leading or _ALGEBRA.search(cleaned):
        return leading
    expressions = [m[0] for m in _EXPRESSION.finditer(cleaned)]
    return expressions[-1] if expressions and parse_number(expressions[-1]) else None


def _leading(text: str) -> str | None:
    """Read the number a text begins with, where an aside and no second number follows it."""
    match = _EXPRESSION.search(text)
    if match is None or any(c.isalnum() or c in "([{" for c in text[: match.start()]):
        return None
    if _LIST.match(text, match.end()):
        return None
    aside = _ASIDE.search(text, match.end())
    head = text[: aside.start()] if aside else text
    return head.strip() if parse_number(head.strip()) else None
