"""LaTeX: what never changes meaning is levelled, and what typed comparison can tell is told.

A text is stored as it was written; `latex_form` is for comparison alone and is no LaTeX any more.
What neither writing nor type decides goes to a verifier, in the form of `latex_source`.
"""

import re
from collections import Counter
from typing import Final

from filters.answers.dress import WORDED, strip_math, undress, unwrap_text
from filters.answers.numbers import Number, numbers_equal, parse_number
from filters.answers.units import is_unit

_EATEN = re.compile(
    "\x07(?=lpha|pprox|ngle|st\\b)|\x08(?=inom|eta\\b|oxed|egin|ar\\b|mod|ig|ullet|ecause)"
    "|\x0b(?=ec|arphi|arnothing|dots)|\x0c(?=rac|box|orall|lat)"
    "|\t(?=ext\\{|extb|imes\\b|heta\\b|frac|an\\b|au\\b|riangle)|\r(?=ight|ho\\b|angle)"
)
"""What JSON or Python makes of LaTeX whose backslashes nobody doubled."""
_LETTER: Final = {
    "\x07": r"\a", "\x08": r"\b", "\t": r"\t", "\x0b": r"\v", "\x0c": r"\f", "\r": r"\r",
}  # fmt: skip
_SIGNS: Final = {
    "\u2212": "-", "\u2013": "-", "\u00d7": r"\times ", "\u00b7": r"\cdot ", "\u22c5": r"\cdot ",
    "\u00f7": r"\div ", "\u03c0": r"\pi ", "\u03b8": r"\theta ", "\u03b1": r"\alpha ",
    "\u03b2": r"\beta ", "\u03bb": r"\lambda ", "\u03c6": r"\phi ", "\u221e": r"\infty ",
    "\u2264": r"\leq ", "\u2265": r"\geq ", "\u2260": r"\neq ", "\u00b1": r"\pm ",
    "\u2208": r"\in ", "\u222a": r"\cup ", "\u2229": r"\cap ", "\u2205": r"\emptyset ",
    "\u211d": r"\mathbb{R}", "\u2124": r"\mathbb{Z}", "\u2115": r"\mathbb{N}",
    "\u00b0": r"^\circ ", "\u2220": r"\angle ", "\u2192": r"\to ", "\u2248": r"\approx ",
    "\u00bd": r"\frac{1}{2}", "\u00bc": r"\frac{1}{4}", "\u00be": r"\frac{3}{4}",
    "\u2153": r"\frac{1}{3}", "\u2154": r"\frac{2}{3}", "\u2155": r"\frac{1}{5}",
    "\u2156": r"\frac{2}{5}", "\u2157": r"\frac{3}{5}", "\u2158": r"\frac{4}{5}",
    "\u2159": r"\frac{1}{6}", "\u215a": r"\frac{5}{6}", "\u215b": r"\frac{1}{8}",
    "\u215c": r"\frac{3}{8}", "\u215d": r"\frac{5}{8}", "\u215e": r"\frac{7}{8}",
    "\u00a0": " ", "\u2009": " ", "\u202f": " ",
}  # fmt: skip
_ROOT = re.compile("\u221a\\s*(?:\\(([^()]*)\\)|\\{([^{}]*)\\}|(\\d+(?:\\.\\d+)?|[A-Za-z]))")
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z]{2})")
_FUNCTION = re.compile(r"(?<![\\A-Za-z])(pi|sqrt|infty|theta|sin|cos|tan|log|ln)(?![A-Za-z])")
_ROOT_CALL = re.compile(r"(?<![\\A-Za-z])sqrt\s*\(|[()]")
_UPRIGHT = re.compile(r"\\(?:mathrm|operatorname|rm)\s*\{\s*([deipn])\s*\}")
_CARET = re.compile(r"(?<=[\w)}\]])\*\*(?:\(([^()]*)\)|(-?\w+(?:\.\d+)?))(?!\*)")
_RAISED = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u207b]+")
_LOWERED = re.compile("[\u2080-\u208b]+")
_SCRIPTS: Final = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b"
    "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089\u208a\u208b",
    "0123456789+-0123456789+-",
)
_NOISE = re.compile(
    r"(\\\\)|\\(?:left|right|displaystyle|textstyle|limits|bigl?|bigr?|Bigl?|Bigr?|mathrm|rm|bf|hline)"
    r"(?![A-Za-z])|\\[,;:! ]|\\q?quad(?![A-Za-z])|[~$]|\\\$|\s+"
)
_THOUSANDS = re.compile(r"(?<=\d)(?:,\s?\\!\s?|\{,\}|\\[,!]|,)(?=\d{3}(?!\d))")
_FRACTION = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_SHORT_FRACTION = re.compile(r"\\frac\s*(\d)\s*(\d)")
_SINGLE = re.compile(r"(?<!\\)\{([\w])\}")
_MATRIX = re.compile(r"\\(begin|end)\{[bp]matrix\}")
_SYNONYMS: Final = (
    (re.compile(r"\\le(?![A-Za-z])"), r"\\leq"),
    (re.compile(r"\\ge(?![A-Za-z])"), r"\\geq"),
    (re.compile(r"\\ne(?![A-Za-z])"), r"\\neq"),
    (re.compile(r"<="), r"\\leq"),
    (re.compile(r">="), r"\\geq"),
    (re.compile(r"!="), r"\\neq"),
    (re.compile(r"\\lt(?![A-Za-z])"), "<"),
    (re.compile(r"\\gt(?![A-Za-z])"), ">"),
    (re.compile(r"\\(?:cdot|times|ast)(?![A-Za-z])"), "*"),
    (re.compile(r"\\(?:varnothing|emptyset)(?![A-Za-z])"), r"\\emptyset"),
    (re.compile(r"\^\{?\\(?:circ|degree)\}?|\\degrees?(?![A-Za-z])"), "\u00b0"),
    (re.compile(r"\\?%|percent(?![A-Za-z])"), "%"),
)
_UNIT = re.compile(
    r"(.*[\w}\])])\s*\\(?:" + WORDED + r")\s*\{\s*([^{}]{2,60})\}"
    r"(?:\^\{?-?\d\}?)?\s*\.?",
    re.DOTALL,
)
_TEXT_GROUP = re.compile(rf"\\(?:{WORDED})\s*\{{[^{{}}]*\}}")
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*\^\s*\{?\\(?:circ|degree)s?\}?")
_AND = re.compile(r"(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])")
_BASED = re.compile(r"(\d[\dA-Fa-f]*)_\{?(\d+)\}?")
_HALF_DAY = re.compile(r"\d\s*([ap])\.?\s?m\b", re.IGNORECASE)
_FACTOR = re.compile(r"[\d)}](\s*)([A-Za-z]+)")
_JOINING = re.compile(r"\b(?:and|or|if|for|when|where)\b")
_NAME: Final = r"\\?[A-Za-z](?:_\{?\w+\}?)?'?(?:\([A-Za-z]\))?"
_ASSIGNED = re.compile(
    rf"(?:{_NAME}|\([A-Za-z](?:,[A-Za-z])+\))(?:=|\\in(?![A-Za-z])|\\approx(?![A-Za-z]))(.+)",
    re.DOTALL,
)
_ASSIGNED_BEHIND = re.compile(rf"(.*[^<>=!])={_NAME}", re.DOTALL)
_APPROXIMATED = re.compile(r"(.+?)(?:\\approx|\u2248).*", re.DOTALL)
_QUANTITY = re.compile(r"(?!\d)[^-+^=<>*\d](?:[^-+^=<>*]|_\{?\d+\}?)*")
_SIDES = re.compile(r"(?<![<>!=])=(?!=)")
_WORDS = re.compile(r"[A-Za-z][A-Za-z' -]+")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_PLAIN_WORDS = re.compile(r"[A-Za-z]{3,}")
_ORDER = re.compile(r"(.+?)(\\leq|\\geq|<|>)(.+)")
_VARIABLE = re.compile(_NAME)
_MORE: Final = frozenset({">", r"\geq"})
_FLIPPED: Final = {"<": ">", ">": "<", r"\leq": r"\geq", r"\geq": r"\leq"}
_OPEN, _CLOSE = "([{", ")]}"


def unescape(text: str) -> str:
    r"""Give back the backslashes of ``\frac``, ``\binom``, ``\text`` that an escape ate."""
    # One `in` after another is several times as fast as any pattern or loop.
    if not (
        "\x0c" in text or "\x08" in text or "\t" in text or "\r" in text or "\x07" in text
        or "\x0b" in text
    ):  # fmt: skip
        return text
    return _EATEN.sub(lambda match: _LETTER[match[0]], text)


def _with_roots(text: str) -> str:
    r"""Write ``sqrt(...)`` as ``\sqrt{...}``, whatever brackets are inside."""
    open_roots: list[bool] = []

    def bracket(match: re.Match[str]) -> str:
        if match[0] == ")":
            return "}" if open_roots and open_roots.pop() else ")"
        open_roots.append(match[0] != "(")
        return r"\sqrt{" if open_roots[-1] else "("

    return _ROOT_CALL.sub(bracket, text) if "sqrt" in text else text


def repair(text: str) -> str:
    """Give back eaten backslashes, and write as LaTeX what Unicode or programs write."""
    text = _FUNCTION.sub(r"\\\1", _with_roots(unescape(text)))
    if "**" in text:
        text = _CARET.sub(lambda match: f"^{{{match[1] or match[2]}}}", text)
    if "\\" in text:
        text = _UPRIGHT.sub(r"\1", text)
    if "\\\\" in text and "\\begin" not in text:
        text = _DOUBLED.sub(r"\\", text)
    if text.isascii():
        return text
    text = _ROOT.sub(lambda m: rf"\sqrt{{{m[1] or m[2] or m[3]}}}", text)
    text = _RAISED.sub(lambda m: f"^{{{m[0].translate(_SCRIPTS)}}}", text)
    text = _LOWERED.sub(lambda m: f"_{{{m[0].translate(_SCRIPTS)}}}", text)
    for sign, written in _SIGNS.items():
        if sign in text:
            text = text.replace(sign, written)
    return text


def latex_source(text: str) -> str:
    """Give what a verifier is to read: a formula, repaired, without delimiters and units."""
    text = strip_math(repair(text).strip().rstrip(".\\").strip())
    near = _APPROXIMATED.fullmatch(text)
    text = near[1].strip() if near else text
    if _TRIGONOMETRY.search(text):
        text = _DEGREES.sub(r"{\\frac{\1\\pi}{180}}", text)
    return without_unit(_THOUSANDS.sub("", text))


def latex_form(text: str) -> str:
    r"""Level what never changes meaning: delimiters, spaces, ``\left``, ``\dfrac``, final stops.

    Two texts of one form are equal; the form itself can be parsed by nobody.
    """
    text = _AND.sub(",", strip_math(undress(repair(text)).rstrip(".").strip()))
    text = _THOUSANDS.sub("", _FRACTION.sub(r"\\frac", text))
    for pattern, word in _SYNONYMS:
        text = pattern.sub(word, text)
    text = _NOISE.sub(r"\1", _MATRIX.sub(r"\\\1{matrix}", text))
    text = _SHORT_FRACTION.sub(r"\\frac{\1}{\2}", text)
    return _SINGLE.sub(r"\1", text).rstrip(".,;\\")


def without_unit(text: str) -> str:
    r"""Take a unit in a text command off the end of a formula: ``21\text{ dogs}`` is 21."""
    match = _UNIT.fullmatch(text)
    return match[1].strip() if match and not _JOINING.search(match[2]) else text


def latex_equal(a: str, b: str) -> bool | None:
    """Compare two formulas by their writing and, where they have one, by their type.

    Numbers are compared exactly, lists member by member and in any order unless brackets order
    them, an assignment with its value, an inequality with the interval it describes, and words
    whatever their case. None where that does not tell.
    """
    first, second = latex_form(a), latex_form(b)
    if first == second:
        return True if first else None
    return False if _apart(a, b, first, second) else _typed(a, b, first, second)


def _typed(a: str, b: str, first: str, second: str) -> bool | None:
    """Compare two formulas that are written differently, given with their forms."""
    sides = _SIDES.split(first), _SIDES.split(second)
    lists = len(_split(first)) > 1 or len(_split(second)) > 1
    if not lists and (len(sides[0]) > 1) != (len(sides[1]) > 1):
        equation = sides[0] if len(sides[0]) > 1 else sides[1]
        if not _names(equation[0]) and not _VARIABLE.fullmatch(equation[-1]):
            return False  # an equation between expressions has no value
    if len(sides[0]) > 1 and len(sides[1]) > 1 and not lists:
        named = [_VARIABLE.fullmatch(side[0]) for side in sides]
        if sides[0][0] != sides[1][0] and not all(named):
            quantities = all(_QUANTITY.fullmatch(side[0]) for side in sides)
            return False if quantities and sides[0][1:] == sides[1][1:] else None
    if not lists:
        x, y = _number(a), _number(b)
        if x and y:
            if _units(a) and _units(b) and _units(a) != _units(b):
                return None
            return numbers_equal(x, y)
    bare = [_value(form) for form in (latex_form(without_unit(a)), latex_form(without_unit(b)))]
    if bare[0] == bare[1] and bare[0]:
        return True
    if all(map(_WORDS.fullmatch, (unwrap_text(a).strip(" .$"), unwrap_text(b).strip(" .$")))):
        return first.casefold() == second.casefold()
    return _members(*bare)


def _apart(a: str, b: str, first: str, second: str) -> bool:
    """Tell apart by what a verifier overlooks: a base, the half of the day, a repetition."""
    bases = _BASED.fullmatch(first), _BASED.fullmatch(second)
    digits = [base[1] if base else form for base, form in zip(bases, (first, second), strict=True)]
    if any(bases):
        return digits[0] != digits[1] or all(bases)
    halves = [_HALF_DAY.search(unwrap_text(text)) for text in (a, b)]
    if halves[0] and halves[1] and halves[0][1].lower() != halves[1][1].lower():
        return True
    members = _split(first), _split(second)
    counts = {len(members[0]), len(members[1])}
    return len(counts) > 1 and 1 in counts and {*members[0]} == {*members[1]}


def _names(left: str) -> bool:
    """Tell whether the left side of an equation names a quantity, or is arithmetic."""
    return bool(_QUANTITY.fullmatch(left)) or parse_number(left) is not None


def _number(text: str) -> Number | None:
    """Read a formula that is a number with its unit; a letter that multiplies it is no unit."""
    plain = _value(strip_math(unescape(text).strip().rstrip(".")))
    for factor in _FACTOR.finditer(_TEXT_GROUP.sub(" ", plain)):
        apart, letters = factor.groups()
        if not is_unit(letters) or (len(letters) == 1 and not apart):
            return None
    return parse_number(plain)


def _value(form: str) -> str:
    """Take the name off an assignment, on whichever side it stands, and an approximation."""
    ahead, behind = _ASSIGNED.fullmatch(form), _ASSIGNED_BEHIND.fullmatch(form)
    if ahead and "=" not in ahead[1]:
        return _value(ahead[1])
    if behind and "=" not in behind[1]:
        return behind[1]
    near = _APPROXIMATED.fullmatch(form)
    if near:
        return near[1].strip()
    left, *right = _SIDES.split(form)
    if len(right) != 1 or not _names(left.strip()):
        return form
    arithmetic = parse_number(left.strip()) is not None
    return form if arithmetic and parse_number(right[0].strip()) is None else right[0].strip()


def _members(first: str, second: str) -> bool | None:
    """Compare lists, tuples, sets and intervals member by member; None where one is none."""
    sides = [_interval(first) or first, _interval(second) or second]
    unions = [side.split(r"\cup") for side in sides]
    if len(unions[0]) > 1 and len(unions[0]) == len(unions[1]):
        return _matched(unions[0], unions[1], ordered=False)
    brackets: list[str] = []
    members: list[list[str]] = []
    for side in sides:
        body = side.replace(r"\{", "{").replace(r"\}", "}")
        enclosed = body[:1] in _OPEN and body[-1:] in _CLOSE and _balanced(body[1:-1])
        brackets.append(body[:1] + body[-1:] if body and enclosed else "")
        members.append(_split(body[1:-1] if enclosed else body))
    if len(members[0]) < 2 or len(members[0]) != len(members[1]):
        return None
    if brackets[0] != brackets[1] and {*brackets} - {"", "{}"}:
        return None
    ordered = bool(brackets[0]) and brackets[0] != "{}"
    return _matched(members[0], members[1], ordered=ordered)


def _matched(a: list[str], b: list[str], *, ordered: bool) -> bool | None:
    """Pair members; True where all are equal, None where some can't be told."""
    if ordered:
        return True if all(_same(x, y) for x, y in zip(a, b, strict=True)) else None
    if Counter(a) == Counter(b):
        return True
    rest = list(b)
    for member in a:
        twin = next((other for other in rest if _same(member, other)), None)
        if twin is None:
            return None
        rest.remove(twin)
    return True


def _same(a: str, b: str) -> bool:
    if a == b:
        return True
    x, y = _number(a), _number(b)
    if x and y:
        return numbers_equal(x, y)
    return _value(a) == _value(b) or _members(a, b) is True


def _split(text: str) -> list[str]:
    """Split at commas and "and" outside of brackets."""
    text = _AND.sub(",", text).replace(";", ",")
    parts: list[str] = []
    depth = start = 0
    for at, letter in enumerate(text):
        depth += (letter in _OPEN) - (letter in _CLOSE)
        if letter == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [part for part in (*parts, text[start:]) if part]


def _balanced(text: str) -> bool:
    depth = 0
    for letter in text:
        depth += (letter in _OPEN) - (letter in _CLOSE)
        if depth < 0:
            return False
    return depth == 0


def _interval(form: str) -> str | None:
    """Write an inequality in one variable as an interval."""
    match = _ORDER.fullmatch(form)
    if match is None:
        return None
    left, sign, right = match.groups()
    more = _ORDER.fullmatch(right)
    if more is None:
        if _VARIABLE.fullmatch(right):
            left, sign, right = right, _FLIPPED[sign], left
        if not _VARIABLE.fullmatch(left):
            return None
        ends = (right, sign, "<", r"\infty") if sign in _MORE else (r"-\infty", "<", sign, right)
    else:
        middle, second, end = more.groups()
        if not _VARIABLE.fullmatch(middle) or (sign in _MORE) != (second in _MORE):
            return None
        ends = (end, second, sign, left) if sign in _MORE else (left, sign, second, end)
    low, opening, closing, high = ends
    return f"{'[' if 'q' in opening else '('}{low},{high}{']' if 'q' in closing else ')'}"


def _units(text: str) -> str:
    """Give the words of a number's unit, so that 5 cm and 5 m are not held to be equal."""
    return " ".join(_PLAIN_WORDS.findall(_COMMAND.sub(" ", unwrap_text(text)))).casefold()
