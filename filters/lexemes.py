"""Lexemes: cut the prose of a rationale into numbers, operators and the words between them.

Only what the equation parser needs is told apart: operators in symbols and in words ("divided by"),
what states a result ("equals", "which gives"), verbs that come before both operands ("subtract 8
from 40"), brackets, and stops that no expression crosses. Dates are stops, so that 04/20/2021 is
never a division.
"""

import re
from fractions import Fraction
from typing import Final, Literal, NamedTuple

Kind = Literal["number", "op", "equals", "verb", "open", "close", "comma", "word", "stop"]

_ZERO: Final = Fraction(0)


class Token(NamedTuple):
    """A lexeme.

    Attributes:
        kind: what the parser may do with it.
        text: lower-case text; for an operator ``+ - * / ^``, for a verb the operator it asks for
            (``from``: subtract the first operand from the second).
        value: of a number.
        share: a number that multiplies what "of" connects it with: ``20%``, ``half``.
        tight: an operator without a space on either side, as in "a 3-4 day trip".
    """

    kind: Kind
    text: str
    value: Fraction = _ZERO
    share: bool = False
    tight: bool = False


NUMBER_WORDS: Final = {
    "half": Fraction(1, 2),
    "twice": Fraction(2),
    "one": Fraction(1),
    "two": Fraction(2),
    "three": Fraction(3),
    "four": Fraction(4),
    "five": Fraction(5),
    "six": Fraction(6),
    "seven": Fraction(7),
    "eight": Fraction(8),
    "nine": Fraction(9),
    "ten": Fraction(10),
    "eleven": Fraction(11),
    "twelve": Fraction(12),
}
_SHARES: Final = frozenset({"half", "twice"})

_MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
DATE: Final = re.compile(
    rf"\b(?P<month>{_MONTH})\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<year>\d{{4}})\b)?"
    r"|\b(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})\b"
    r"|\b(?P<iso_y>\d{4})-(?P<iso_m>\d{2})-(?P<iso_d>\d{2})\b",
    re.IGNORECASE,
)
"""A day as teachers write it: month name first, American slashes, or ISO."""

_PLAIN: Final = (
    (DATE, " ; "),
    (re.compile(r"\\(?:times|cdot)\b"), "*"),
    (re.compile(r"\\div\b"), "/"),
    (re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"((\1)/(\2))"),
    (re.compile(r"\\(?:text|mathrm|boxed)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\[()\[\],;! ]|\*\*|`|\\?\$"), " "),  # maths brackets, bold, currency
    (re.compile(r"(?m)^\s*(?:[-*•]|\d{1,2}[.)])\s+"), ""),  # bullets, numbered steps
    (re.compile(r"\([^()\d]*\)"), " "),  # remarks: "40 cakes (made) - 8 cakes (sold)"
)
_LEXEME: Final = re.compile(
    r"""
      (?P<number>(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d{1,15})?
        |\d{1,15}(?:\.\d{1,15})?|(?<![^\W_])\.\d{1,15})%?)
    | (?P<times>\btimes(?=\s+\(?\d)|\bmultiplied\s+by\b|[*\u00d7\u00b7\u22c5]|
        (?<![A-Za-z])x(?=\s*\(?\d))
    | (?P<over>\bdivided\s+by\b|\u00f7|/(?!\s*[^\W\d_]))
    | (?P<plus>\bplus\b|\badded\s+to\b|\+)
    | (?P<minus>\bminus\b|[-\u2212\u2013\u2014])
    | (?P<power>\^)
    | (?P<equals>[=\u2248]|\b(?:(?:which|that)\s+)?(?:(?:is|are)\s+equal\s+to|equals?(?:\s+to)?
        |results?\s+in|resulting\s+in|gives?|giving|yields?|yielding|comes?\s+to|leaves?|leaving
        |makes?|is|are)\b|\b(?:to|we|you)\s+(?:get|obtain|find)\b)
    | (?P<add>\b(?:add(?:ing)?|(?:sum|addition)\s+of)\b)
    | (?P<subtract>\b(?:subtract(?:ing)?|subtraction\s+of)\b)
    | (?P<differ>\bdifference\s+(?:between|of)\b)
    | (?P<multiply>\b(?:multiply(?:ing)?|(?:product|multiplication)\s+of)\b)
    | (?P<divide>\b(?:divid(?:e|ing)|(?:quotient|division)\s+of)\b)
    | (?P<open>[(\[{]) | (?P<close>[)\]}]) | (?P<comma>,)
    | (?P<word>(?:/\s*)?[^\W\d_](?:[^\W\d_]|['\u2019])*(?:\s*/\s*[^\W\d_]+)*)
    | (?P<stop>[.;:?!\n])
    """,
    re.VERBOSE | re.IGNORECASE,
)
LONGEST_NUMBER: Final = 64
"""Characters of a number; what is longer is a list or noise, and no expression crosses it."""
_OPERATORS: Final = {"times": "*", "over": "/", "plus": "+", "minus": "-", "power": "^"}
_VERBS: Final = {"add": "+", "subtract": "from", "differ": "-", "multiply": "*", "divide": "/"}
_KINDS: Final[dict[str, Kind]] = {
    "equals": "equals",
    "open": "open",
    "close": "close",
    "comma": "comma",
    "stop": "stop",
}


def lex(text: str) -> list[Token]:
    """Cut a text into tokens; what is none of them (quotes, symbols) is skipped."""
    for pattern, plain in _PLAIN:
        text = pattern.sub(plain, text)
    return [_token(match) for match in _LEXEME.finditer(text)]


def _token(match: re.Match[str]) -> Token:
    """Type one lexeme."""
    group, text = match.lastgroup or "word", match.group().lower()
    if group == "number":
        if len(text) > LONGEST_NUMBER:
            return Token("stop", text)
        share = text.endswith("%")
        value = Fraction(text.replace(",", "").rstrip("%"))
        return Token("number", text, value / 100 if share else value, share)
    if group == "word" and text in NUMBER_WORDS:
        return Token("number", text, NUMBER_WORDS[text], text in _SHARES)
    if group in _OPERATORS:
        around = match.string[max(match.start() - 1, 0) : match.end() + 1]
        return Token("op", _OPERATORS[group], tight=" " not in around)
    if group in _VERBS:
        return Token("verb", _VERBS[group])
    return Token(_KINDS.get(group, "word"), text)
