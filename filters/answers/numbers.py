"""Numbers as people write them, read exactly.

Read: signs ("negative 5" too), thousands separators of every kind, decimals, currency before and
units after, fractions, mixed numbers, ``1.2e3`` and ``1.2 x 10^3``, "3.5 million", "15k", "2
dozen", "18 hours and 30 minutes", number words, LaTeX and Unicode dress, and arithmetic over
``+ - * / ^ !``, roots that are whole, and brackets. What stands after the last ``=`` is the value.
The whole of a text is a number or it is none: ``7x``, ``x > 7``, ``10:30`` and "7 or 8" are none.

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
from math import factorial, isqrt
from typing import NamedTuple

from filters.answers.dress import undress, unwrap_text
from filters.answers.units import parts_in, unit_at
from filters.answers.words import read_words

MAX_LENGTH = 256
MAX_DEPTH = 24
MAX_BITS = 4096
MAX_EXPONENT = 512
MAX_FACTORIAL = 100
NOISY = 12
"""Significant digits from which on the last ones are noise."""


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
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?!\d)|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)"
    r"|\d{1,3}(?: \d{3})+(?![\d/])|\d+)?"
    r"(?P<point>\.\d+)?"
    r"(?:[eE](?P<exponent>[-+]?\d{1,3})(?!\w)"
    r"|\s*[x\u00d7*]\s*10\s*(?:\^|\*\*)\s*\{?\(?(?P<power>[-+]?\d{1,3})\)?\}?)?"
)
_MIXED = re.compile(r"\s+(\d+)\s*/\s*(\d+)(?!\d)")
_MAGNITUDE = re.compile(
    r"\s*(hundred|thousand|million|billion|trillion|dozen|lakh|crore)s?\b"
    r"|(k|K|M|B|bn|mn|tn)(?![A-Za-z])",
    re.IGNORECASE,
)
_GLUED = frozenset({"k", "K", "M", "B", "bn", "mn", "tn"})
_MAGNITUDES = {
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
    "lakh": 10**5,
    "crore": 10**7,
    "k": 10**3,
    "m": 10**6,
    "mn": 10**6,
    "b": 10**9,
    "bn": 10**9,
    "tn": 10**12,
}
_MANTISSA = re.compile(r"(\d*\.\d+)(?:[eE]|\s*\*\s*10)")
_POWER = re.compile(r"\s*(?:\^|\*\*)\s*")
_FACTORIAL = re.compile(r"\s?!(?![=!])")
_OPERATOR = re.compile(r"\s*([-+*/]|[xX](?=\s*[\d(]))\s*")
_SPACE = re.compile(r"\s*")
_UNIT = re.compile(
    r"[\s%°\"'*_)\]}>.,;:?]*"
    r"(?:$|[-/(\[<]?\s*(?!(?:[xyzinqruvwπθ]|pi|squared|cubed|times|plus|minus|and|or(?! so\b))\b)"
    r"[^\W\d_]"
    r"(?:[^\d+*=<>^]|\^\{?-?[1-6]\}?|\*(?=[^\W\d_]))*$)"
)
_LEAD = re.compile(
    r"[\s\"'*_:>~≈]*(?:(?:is|are|about|approximately|approx\.?|roughly|around|exactly|only|just|"
    r"equals?|to|a total of|us|usd|rs\.?|now|still|indeed|actually)\b[\s*_:]*)*",
    re.IGNORECASE,
)
_NOT_ONE = re.compile(r"[<>≤≥≠±∓∈]|!=|\\(?:leq?|geq?|ne|neq|lt|gt|pm|mp|in|to|sim)(?![A-Za-z])")
_COMPOUND = re.compile(
    r"(?P<first>.*?)\s*\b(?P<unit>[a-z]+)\.?,?\s+(?:and\s+|&\s*)?(?P<second>\d+(?:\.\d+)?)\s*"
    r"(?P<part>[a-z]+)\W*$",
    re.IGNORECASE,
)
_SIGN_WORD = re.compile(
    r"(?<![\w.)\]}%])(\s*)(?:minus|negative)\s+(?=[$€£]?\s*[\d.])", re.IGNORECASE
)
_SUPERSCRIPT = re.compile("(?<=[\\d)}\\]])[\u207a\u207b]?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+")
_RAISED = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b", "0123456789+-"
)
_VULGAR = re.compile("(\\d)(?=[\u00bc-\u00be\u2150-\u215e])")
_FOLD = str.maketrans(
    {
        "\u2212": "-", "\u2013": "-", "\u2014": "-", "\u2010": "-", "\u2011": "-",
        "\u00d7": "*", "\u00b7": "*", "\u22c5": "*", "\u2219": "*",
        "\u00f7": "/", "\u2044": "/", "\u2215": "/",
        "€": " ", "£": " ", "¥": " ", "₹": " ",
        "\u00a0": " ", "\u2009": " ", "\u202f": " ",
        "½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3", "⅕": "1/5",
        "⅖": "2/5", "⅗": "3/5", "⅘": "4/5", "⅙": "1/6", "⅚": "5/6", "⅛": "1/8",
        "⅜": "3/8", "⅝": "5/8", "⅞": "7/8", "\u066c": ",",
    }
)  # fmt: skip
_THIN_THOUSANDS = re.compile("[\u00a0\u2009\u202f'\u2019](?<=\\d.)(?=\\d{3}(?!\\d))")
_LATEX = (
    (re.compile(r"\\[dtc]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}"), r" \1/\2"),
    (
        re.compile(r"\\[dtc]?frac\s*(?:\{\s*(\d+)\s*\}\s*(\d)|(\d)\s*\{\s*(\d+)\s*\})"),
        r" \1\3/\2\4",
    ),
    (re.compile(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"((\1)/(\2))"),
    (re.compile(r"\\[dtc]?frac\s*(\d)\s*(\d)"), r" \1/\2"),
    (re.compile(r",\s?\\!\s?|\s*\{\s*,\s*\}\s*|(?<=\d)\\[,!](?=\d{3}(?!\d))"), ","),
    (re.compile(r"\\[,!]"), " "),
    (re.compile(r"(?<!\d),|,(?!\d)"), " "),
    (re.compile(r"\^\s*\{?\s*\\(?:circ|degree)\s*\}?|\\degrees?(?![A-Za-z])"), " "),
    (re.compile(r"\\sqrt\s*\{([^{}]*)\}"), r"√(\1)"),
    (re.compile(r"\\sqrt\s*(\d)"), r"√\1"),
    (re.compile(r"\\(?:times|cdot)(?![A-Za-z])"), "*"),
    (re.compile(r"\\div(?![A-Za-z])"), "/"),
    (re.compile(r"\\(?:approx|equiv|doteq|thickapprox)(?![A-Za-z])"), "="),
    (re.compile(r"\\pmod\s*\{[^{}]*\}|\\[bp]?mod\b.*$"), " "),
    (
        re.compile(r"\\(?:left|right|displaystyle|quad|qquad|big|Big)(?![A-Za-z])|\\[()\[\];: ]"),
        " ",
    ),
    (re.compile(r"\\([%$&#])"), r"\1"),
)
_AND_A_PART = re.compile(r"(?<=\d)\s+and\s+(?:a|one)(?:\s+|-)(half|third|quarter)\b", re.IGNORECASE)
_PART = {"half": " 1/2", "third": " 1/3", "quarter": " 1/4"}
_ON_THE_HOUR = re.compile(
    r"(?<![\d:.])(\d{1,2}):00(?=\s*(?:[ap]\.?m\b|o'clock|\W*$))", re.IGNORECASE
)
_MODULUS = re.compile(r"\(\s*mod\s[^()]*\)", re.IGNORECASE)


def clean(text: str) -> str:
    """Rewrite LaTeX, typographic signs and currency so that the reader sees ASCII arithmetic."""
    if "\\" in text or "{" in text:
        text = unwrap_text(text)
        for pattern, replacement in _LATEX:
            text = pattern.sub(replacement, text)
    if "$" in text:
        text = text.replace("$", " ")
    plain = text.isascii()
    if "'" in text or not plain:
        text = _THIN_THOUSANDS.sub("", text)
    if not plain:
        text = _SUPERSCRIPT.sub(lambda match: f"^{{{match[0].translate(_RAISED)}}}", text)
        text = _VULGAR.sub(r"\1 ", text).translate(_FOLD)
    if "mod" in text:
        text = _MODULUS.sub(" ", text)
    if " and " in text:
        text = _AND_A_PART.sub(lambda match: _PART[match[1].lower()], text)
    if ":00" in text:
        text = _ON_THE_HOUR.sub(r"\1", text)
    return _SIGN_WORD.sub(r"\1-", text) if "inus" in text or "egative" in text else text


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
    text = clean(undress(text))
    if _NOT_ONE.search(text):
        return None
    text = _value_side(text)
    start = _LEAD.match(text).end()  # pyright: ignore[reportOptionalMemberAccess] - matches empty
    reading = read_expression(text, start)
    if reading is None:
        value = read_words(text[start:])
        return None if value is None else Number(value)
    if not _UNIT.match(text, reading[1]):
        return _compound(text[start:])
    return reading[0] if unit_at(text, reading[1]) else None


def _compound(text: str) -> Number | None:
    """Read "18 hours and 30 minutes", in the larger unit."""
    match = _COMPOUND.match(text)
    if match is None:
        return None
    parts = parts_in(match["unit"], match["part"])
    reading = read_expression(match["first"], 0)
    if parts is None or reading is None or match["first"][reading[1] :].strip():
        return None
    part = Fraction(match["second"]) / parts
    return Number(reading[0].value + (part if reading[0].value >= 0 else -part))


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
    if a.decimals < 2 and b.decimals < 2 and a.digits < NOISY and b.digits < NOISY:
        return False
    gap = abs(a.value - b.value)
    if max(a.digits, b.digits) >= NOISY and gap * 10**10 <= max(abs(a.value), abs(b.value)):
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


class _NoNumberError(Exception):
    """An expression has no rational value, or one that is too large."""


def read_expression(text: str, start: int) -> tuple[Number, int] | None:
    """Read the longest arithmetic expression that begins at a place of a cleaned text.

    Returns:
        The number and where the expression ends, None where none begins there, where it divides
        by zero, or where it is too deep or too large to be an answer.
    """
    try:
        reading = _sum(text, start, 0)
    except (ZeroDivisionError, _NoNumberError):
        return None
    if reading is None:
        return None
    value, end = reading
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        return None
    numeral = text[start:end].strip().lstrip("+-").replace(",", "")
    mantissa = _MANTISSA.match(numeral)
    if mantissa:
        return Number(value, 0, len(mantissa[1].replace(".", "").lstrip("0"))), end
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
    """Read a signed literal, root or bracketed sum, with its power or factorial."""
    at = _skip(text, at)
    first = text[at : at + 1]
    if depth > MAX_DEPTH or not first:
        return None
    if first in "+-":
        inner = _factor(text, at + 1, depth + 1)
        return inner and ((-inner[0] if first == "-" else inner[0]), inner[1])
    base = _bracketed(text, at, depth) if first in "(√" else _literal(text, at)
    if base is None:
        return None
    exclamation = _FACTORIAL.match(text, base[1])
    if exclamation:
        return _factorial(base[0]), exclamation.end()
    power = _POWER.match(text, base[1])
    return base if power is None else _raised(text, base[0], power.end(), depth)


def _bracketed(text: str, at: int, depth: int) -> tuple[Fraction, int] | None:
    """Read a bracketed sum, or the root of a bracket or literal."""
    root = text[at] == "√"
    at = _skip(text, at + root)
    if text[at : at + 1] != "(":
        inner = _literal(text, at) if root else None
        return inner and (_root(inner[0]), inner[1])
    inner = _sum(text, at + 1, depth + 1)
    if inner is None:
        return None
    close = _skip(text, inner[1])
    if text[close : close + 1] != ")":
        return None
    return (_root(inner[0]) if root else inner[0]), close + 1


def _raised(text: str, base: Fraction, at: int, depth: int) -> tuple[Fraction, int] | None:
    """Raise to a whole power; towers and anything large are no number that somebody states."""
    close = {"{": "}", "(": ")"}.get(text[at : at + 1], "")
    exponent = _sum(text, at + 1, depth + 1) if close else _factor(text, at, MAX_DEPTH)
    if exponent is None:
        raise _NoNumberError
    value, end = exponent
    if close:
        end = _skip(text, end)
        if text[end : end + 1] != close:
            raise _NoNumberError
        end += 1
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    large = abs(value) > MAX_EXPONENT or bits * abs(value) > MAX_BITS
    if value.denominator != 1 or large or _POWER.match(text, end):
        raise _NoNumberError
    return base ** int(value), end


def _root(value: Fraction) -> Fraction:
    if value < 0:
        raise _NoNumberError
    root = Fraction(isqrt(value.numerator), isqrt(value.denominator))
    if root * root != value:
        raise _NoNumberError
    return root


def _factorial(value: Fraction) -> Fraction:
    if value.denominator != 1 or not 0 <= value <= MAX_FACTORIAL:
        raise _NoNumberError
    return Fraction(factorial(int(value)))


def _literal(text: str, at: int) -> tuple[Fraction, int] | None:
    """Read an unsigned number: grouped, decimal, scientific, mixed or with a magnitude word."""
    match = _LITERAL.match(text, at)
    if match is None or not (match["digits"] or match["point"]):
        return None
    end = match.end()
    if text[end : end + 1].isdigit() or (text[end : end + 1] in ".," and _digit(text, end + 1)):
        return None
    digits = (match["digits"] or "0").replace(",", "").replace(" ", "")
    value = Fraction(int(digits)) if not match["point"] else Fraction(digits + match["point"])
    exponent = match["exponent"] or match["power"]
    if exponent:
        value *= Fraction(10) ** int(exponent)
    mixed = _MIXED.match(text, end) if not match["point"] and not exponent else None
    if mixed and int(mixed[2]):
        return value + Fraction(int(mixed[1]), int(mixed[2])), mixed.end()
    word = _MAGNITUDE.match(text, end)
    if word and (word[1] or word[2] in _GLUED):
        return value * _MAGNITUDES[(word[1] or word[2]).lower()], word.end()
    return value, end


def _skip(text: str, at: int) -> int:
    """Step over white space."""
    return _SPACE.match(text, at).end()  # pyright: ignore[reportOptionalMemberAccess] - ditto


def _digit(text: str, at: int) -> bool:
    """Tell whether a digit stands at a place."""
    return text[at : at + 1].isdigit()
