"""Numbers as people write them, read exactly.

Read: signs, thousands separators, decimals, currency before and units after, fractions, mixed
numbers, ``1.2e3`` and ``1.2 x 10^3``, "3.5 million", LaTeX dress, and arithmetic over ``+ - * /``
and brackets. What stands after the last ``=`` is the value.

Decisions:

* A percent sign is a unit and is dropped like any other: 50 % equals 50 and not 0.5. Taking both
  would make 50 equal 0.5 through 50 %.
* Comparison is exact, with two exceptions in which no decimal could be exact: a fraction without a
  finite decimal form (7/3) equals the decimal of two or more places that rounds it correctly, and
  two numbers of which one has twelve or more significant digits are equal within 1e-10 of their
  size, which is the noise of computer arithmetic (4.199999999999999 is 4.2).
* A comma is never guessed to be a decimal sign: ``1,234`` has thousands, ``12,34`` is no number.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

MAX_LENGTH = 256
MAX_DEPTH = 24
MAX_BITS = 4096


class Number(NamedTuple):
    """A value and how finely it was written.

    Attributes:
        value: exact.
        decimals: digits after the decimal point where it was written as one decimal, else 0.
        digits: significant digits where it was written as one decimal, else 0.
    """

    value: Fraction
    decimals: int = 0
    digits: int = 0


_PLAIN = re.compile(r"[-+]?\d{1,18}")
_LITERAL = re.compile(
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?!\d)|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)|\d+)?"
    r"(?P<point>\.\d+)?"
    r"(?:[eE](?P<exponent>[-+]?\d{1,3})(?!\w)"
    r"|\s*[x\u00d7*]\s*10\s*(?:\^|\*\*)\s*\{?\(?(?P<power>[-+]?\d{1,3})\)?\}?)?"
)
_MIXED = re.compile(r"\s+(\d+)\s*/\s*(\d+)(?!\d)")
_MAGNITUDE = re.compile(r"\s*(hundred|thousand|million|billion|trillion)\b", re.IGNORECASE)
_MAGNITUDES = {
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_OPERATOR = re.compile(r"\s*([-+*/]|[xX](?=\s*[\d(]))\s*")
_SPACE = re.compile(r"\s*")
_UNIT = re.compile(
    r"[\s%°\"'*_)\]}>.,;:!?]*"
    r"(?:$|[-/(\[<]?\s*(?![xyz]\b)[^\W\d_][^\d+*=<>]*(?:(?:\^\{?[23]\}?|[²³])[^\d+*=<>]*)?$)"
)
_LEAD = re.compile(
    r"[\s\"'*_:>~≈]*(?:(?:is|are|about|approximately|approx\.?|roughly|around|exactly|only|just|"
    r"equals?|to|a total of|at least|us|usd|rs\.?|now|still|indeed|actually)\b[\s*_:]*)*",
    re.IGNORECASE,
)
_FOLD = str.maketrans(
    {
        "\u2212": "-", "\u2013": "-", "\u2014": "-", "\u2010": "-", "\u2011": "-",
        "\u00d7": "*", "\u00b7": "*", "\u22c5": "*", "\u2219": "*",
        "\u00f7": "/", "\u2044": "/", "\u2215": "/",
        "$": " ", "€": " ", "£": " ", "¥": " ", "₹": " ",
        "\u00a0": " ", "\u2009": " ", "\u202f": " ",
        "½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "⅕": " 1/5",
        "⅖": " 2/5", "⅗": " 3/5", "⅘": " 4/5", "⅙": " 1/6", "⅚": " 5/6", "⅛": " 1/8",
        "⅜": " 3/8", "⅝": " 5/8", "⅞": " 7/8",
    }
)  # fmt: skip
_THIN_THOUSANDS = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")
_LATEX = (
    (re.compile(r"\\[dtc]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}"), r" \1/\2"),
    (re.compile(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"((\1)/(\2))"),
    (re.compile(r"\\[dtc]?frac\s*(\d)\s*(\d)"), r" \1/\2"),
    (re.compile(r"\{,\}|\\[,!]"), ","),
    (re.compile(r"(?<!\d),|,(?!\d)"), " "),
    (re.compile(r"\\(?:times|cdot)\b"), "*"),
    (re.compile(r"\\div\b"), "/"),
    (re.compile(r"\\(?:approx|equiv)\b"), "="),
    (re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox|boxed)\s*\{([^{}]*)\}"), r" \1"),
    (re.compile(r"\\(?:left|right|displaystyle|quad|qquad)\b|\\[()\[\];: ]"), " "),
    (re.compile(r"\\([%$&#])"), r"\1"),
)


def clean(text: str) -> str:
    """Rewrite LaTeX, typographic signs and currency so that the reader sees ASCII arithmetic."""
    if "\\" in text or "{," in text:
        for pattern, replacement in _LATEX:
            text = pattern.sub(replacement, text)
    if "$" in text or not text.isascii():
        text = _THIN_THOUSANDS.sub("", text).translate(_FOLD)
    return text


@lru_cache(maxsize=1 << 16)
def parse_number(text: str) -> Number | None:
    """Read a text that is a number, with its unit, or arithmetic; None where it is anything else.

    Args:
        text: at most 256 characters are read as a number; longer text is none.
    """
    if _PLAIN.fullmatch(text):
        return Number(Fraction(int(text)))
    if len(text) > MAX_LENGTH:
        return None
    text = _value_side(clean(text))
    start = _LEAD.match(text).end()  # pyright: ignore[reportOptionalMemberAccess] - matches empty
    reading = read_expression(text, start)
    if reading is None or not _UNIT.match(text, reading[1]):
        return None
    return reading[0]


def number_text(value: Fraction) -> str:
    """Write a value in its one canonical form: ``18``, ``-0.5``, or ``7/3`` where no decimal is."""
    if value.denominator == 1:
        return str(value.numerator)
    places = _places(value)
    if places is None:
        return f"{value.numerator}/{value.denominator}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def numbers_equal(a: Number, b: Number) -> bool:
    """Compare exactly, but for the two exceptions the module's docstring states."""
    if a.value == b.value:
        return True
    gap = abs(a.value - b.value)
    if max(a.digits, b.digits) >= 12 and gap * 10**10 <= max(abs(a.value), abs(b.value)):
        return True
    return _rounds(a, b, gap) or _rounds(b, a, gap)


def _rounds(written: Number, exact: Number, gap: Fraction) -> bool:
    """Tell whether a decimal of two or more places rounds a fraction no decimal can equal."""
    if written.decimals < 2 or exact.decimals:
        return False
    return gap * 2 * 10**written.decimals <= 1 and _places(exact.value) is None


def _places(value: Fraction) -> int | None:
    """Count the decimals that write a value exactly, None where no finite number does."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def _value_side(text: str) -> str:
    """Keep what stands after the last equals sign, or before it where nothing readable follows."""
    if "=" not in text and "≈" not in text:
        return text
    left, _, right = text.replace("≈", "=").rpartition("=")
    return right if any(c.isdigit() for c in right) else left.rpartition("=")[2]


def read_expression(text: str, start: int) -> tuple[Number, int] | None:
    """Read the longest arithmetic expression that begins at a place of a cleaned text.

    Returns:
        The number and where the expression ends, None where none begins there, where it divides
        by zero, or where it is too deep or too large to be an answer.
    """
    try:
        reading = _sum(text, start, 0)
    except ZeroDivisionError:
        return None
    if reading is None:
        return None
    value, end = reading
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        return None
    numeral = text[start:end].strip().lstrip("+-").replace(",", "")
    whole, _, decimals = numeral.partition(".")
    if decimals.isdigit() and (whole.isdigit() or not whole):
        digits = len((whole + decimals).lstrip("0"))
        return Number(value, len(decimals), digits), end
    return Number(value), end


def _sum(text: str, at: int, depth: int) -> tuple[Fraction, int] | None:
    """Read terms joined by ``+`` and ``-``."""
    left: tuple[Fraction, int] | None = _product(text, at, depth)
    while left is not None:
        sign = _OPERATOR.match(text, left[1])
        if sign is None or sign[1] not in "+-":
            return left
        right = _product(text, sign.end(), depth)
        if right is None:
            return left
        left = (left[0] + (right[0] if sign[1] == "+" else -right[0]), right[1])
    return None


def _product(text: str, at: int, depth: int) -> tuple[Fraction, int] | None:
    """Read factors joined by ``*``, ``x`` between numbers, and ``/``."""
    left: tuple[Fraction, int] | None = _factor(text, at, depth)
    while left is not None:
        sign = _OPERATOR.match(text, left[1])
        if sign is None or sign[1] in "+-":
            return left
        right = _factor(text, sign.end(), depth)
        if right is None:
            return left
        left = (left[0] / right[0] if sign[1] == "/" else left[0] * right[0], right[1])
    return None


def _factor(text: str, at: int, depth: int) -> tuple[Fraction, int] | None:
    """Read a signed literal or a bracketed sum."""
    at = _skip(text, at)
    first = text[at : at + 1]
    if depth > MAX_DEPTH or not first:
        return None
    if first in "+-":
        inner = _factor(text, at + 1, depth + 1)
        return inner and ((-inner[0] if first == "-" else inner[0]), inner[1])
    if first == "(":
        inner = _sum(text, at + 1, depth + 1)
        if inner is None:
            return None
        close = _skip(text, inner[1])
        return (inner[0], close + 1) if text[close : close + 1] == ")" else None
    return _literal(text, at)


def _literal(text: str, at: int) -> tuple[Fraction, int] | None:
    """Read an unsigned number: grouped, decimal, scientific, mixed or with a magnitude word."""
    match = _LITERAL.match(text, at)
    if match is None or not (match["digits"] or match["point"]):
        return None
    end = match.end()
    if text[end : end + 1].isdigit() or (text[end : end + 1] in ".," and _digit(text, end + 1)):
        return None
    digits = (match["digits"] or "0").replace(",", "")
    value = Fraction(int(digits)) if not match["point"] else Fraction(digits + match["point"])
    exponent = match["exponent"] or match["power"]
    if exponent:
        value *= Fraction(10) ** int(exponent)
    mixed = _MIXED.match(text, end) if not match["point"] and not exponent else None
    if mixed and int(mixed[2]):
        return value + Fraction(int(mixed[1]), int(mixed[2])), mixed.end()
    word = _MAGNITUDE.match(text, end)
    if word:
        return value * _MAGNITUDES[word[1].lower()], word.end()
    return value, end


def _skip(text: str, at: int) -> int:
    """Step over white space."""
    return _SPACE.match(text, at).end()  # pyright: ignore[reportOptionalMemberAccess] - ditto


def _digit(text: str, at: int) -> bool:
    """Tell whether a digit stands at a place."""
    return text[at : at + 1].isdigit()
