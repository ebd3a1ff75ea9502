r"""Read the answer inside a clause that states one, or in a closing line, by the gold's type.

The whole of what is stated is the answer: of "7 or 8", ``\sqrt{17}`` or "10:30" no piece is taken
for a number.
"""

import re
from typing import Final

from filters.answers.compare import GoldType
from filters.answers.dress import WORDED, after_bullet, strip_math, undress
from filters.answers.numbers import clean, parse_number
from filters.answers.options import last_option, read_option
from filters.answers.plain import BOOLEAN_WORD, DATE, QUOTES, as_date, parse_boolean, tidy
from filters.answers.units import unit_at
from filters.answers.words import read_words

_MAX_CLAUSE: Final = 300
_OPEN = re.compile(r"(?:[\s*_:~\uff1a]|(?<=\n)>|<answer>)*")
_END = re.compile(r"\n|</|<answer|[\u3002\uff01\uff1f]|[.!?](?=[\s\"'\u201d\u2019)*_$`]*(?:\s|$))")
_DISPLAY: Final = {"\\[": "\\]", "$$": "$$", "```": "```"}
_ABBREVIATION = re.compile(
    r"(?:\b(?:Dr|Mrs?|Ms|Prof|St|Sr|Jr|Gen|Col|Lt|Capt|Sgt|Rev|Hon|Mt|Ft|No|vs|Inc|Ltd|Co|Corp"
    r"|Dept|approx|ca|cf|e\.g|i\.e|etc)|\b(?:[A-Z]\.)+[A-Z])$"
)
_TITLE = re.compile(r"\b(?:Dr|Mrs?|Ms|Prof|St|Mt|No)$")
_INITIAL = re.compile(r"(?:^|\b[A-Z][a-z]+\s)(?:[A-Z]\.\s?)*[A-Z]$")
_NAME = re.compile(r"\.\s+[A-Z](?:[a-z]+\b|\.)")
_STARTS = re.compile(
    r"\.\s+(?:The|This|That|These|It|So|Because|Since|A|An|He|She|They|We|I|You|In|But|And|If|Then"
    r"|Thus|Hence|There|Here|Let|To|For|As|At|On|Option|Therefore|However|Note)\b"
)
_NEGATED = re.compile(
    r"[\s\"'*_]*(?:definitely|clearly|certainly|probably|just|simply)?\s*"
    r"(?:(?:not|never|no longer|n't|incorrect|wrong)\b|neither\s+\w)",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:\b(?:not|cannot|never|neither|nor|without|than|exceed(?:s|ing)?)|n['\u2019]t)\s+"
    r"(?:(?:be|equal|exactly|really|just|only|necessarily|actually|to|the|a)\s+)*[$\s*(\\\"']*$",
    re.IGNORECASE,
)
_EASTERN: Final = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Letters of scripts that leave no space between words, and numbers."""
_EXPRESSION = re.compile(
    rf"(?<![^\W{_EASTERN}])(?<![.,:^/\\{{!])(?<!\d-)[-+]?(?:\d+\s+(?=\d+\s?/\s?\d))?"
    r"(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:\s*/\s*\d+(?!\d|\.\d))?"
    r"(?:\s?%|(?:k|K|M|B|bn|mn)\b|\s(?:hundred|thousand|million|billion|trillion|dozen)\b)?"
    r"(?![\d:]*:\d|[\d_^!({]|[exyzijnkπθ](?![A-Za-z])|\s?(?:pi\b|π|\\(?!text|mathrm)[A-Za-z]|[\u00b0^]\s?\d))"
)
_ALGEBRA = re.compile(
    r"[+*<>^√±π≤≥≠]|\\[A-Za-z]+|(?<=\s)[-/](?=\s)|(?<=[\d)])[-/](?=[A-Za-z(]\b)|\d[xyzn]\b"
)
_LIST = re.compile(r"\s*(?:\b(?:and|or|to|through)\b|,|;|&|\u2013)\s*[$(]*[-+]?\d")
_LIST_BEFORE = re.compile(
    r"(?:\d[\d,.]*%?\s*(?:\b(?:and|to)\b|;|&|,)|\bor\b|\bbetween\s[^.;]{0,40}\band\b)\s*[$(]*$",
    re.IGNORECASE,
)
_MULTIPLIED = re.compile(
    r"\b(?:(?:half|twice|thrice|double|triple|third|quarter)(?:\s+of)?|at\s+(?:least|most))\s+[$(]*$",
    re.IGNORECASE,
)
"""What makes another value, or a bound, of the number behind it."""
_ALGEBRA_BEHIND = re.compile(r"\s*[+*/^<>≤≥≠]\s*[\w(\\]|\s+[xyz]\b(?!['\u2019])")
_OF = re.compile(r"\s+(?:out\s+)?of\s+(?:the\s+|all\s+)?\d", re.IGNORECASE)
_ASIDE = re.compile(
    r"\s*(?:[,;(\[]|\b(?:because|since|as|so|for|which|where|when|after|if|but|and|is|not|rather"
    r"|out|instead)\b)",
    re.IGNORECASE,
)
_WORDING = re.compile(
    r"(?<![\\A-Za-z{])(?!(?:sin|cos|tan|log|max|min|mod|gcd|lcm)\b)[A-Za-z]{3,}(?=[\s,.;]|$)"
    rf"|[{_EASTERN}]{{2}}"
)
_TEXT_GROUP = re.compile(rf"\\(?:{WORDED})\s*\{{[^{{}}]*\}}|\\(?:begin|end)\{{\w+\*?\}}")
_SIGNS = re.compile(
    r"\\[A-Za-z]|[\^_√π]|[A-Za-z0-9)\]]\s*[-+*/=<>]\s*[A-Za-z0-9(\[\\]|[\d)]\s*,\s*[-\d(\\]|^\s*[\[({]"
)
_WORD = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{2,}(?![A-Za-z}])")
_LONE = re.compile(r"[*$]*-?\w[\w'(),+-]*[*$.]*")
_LONGEST_FORMULA: Final = 120
_PROSE: Final = 6
"""A text with more words than this is a sentence and no formula."""
_SENTENCE_WORDS = re.compile(rf"(?<![\\A-Za-z])[A-Za-z]{{2,}}|[{_EASTERN}]")
_TEXT_ASIDE = re.compile(
    r"\s*(?:,\s*(?:because|since|as|which|who|where|not|so|and not)\b"
    r"|\b(?:because|which is|who is)\b"
    r"|\bsince\b|;)",
    re.IGNORECASE,
)
_NAME_ALONE = re.compile(r"[\w'\u2019.&-]+(?:\s+[\w'\u2019.&-]+){0,4}")
_SENTENCE = re.compile(
    r"\s(?:is|are|was|were|be|do|does|did|not|can|cannot|could|would|should|will|must|has|have|had|then"
    r"|so|\w+n['\u2019]t)\b|^(?:so|then|thus|hence|therefore|i|we|it|this|that|let|now|first|next)\s",
    re.IGNORECASE,
)
"""What is in a sentence and in no title."""
_QUOTED = re.compile(
    r"[\"\u201c`]([^\"\u201c\u201d`\n]{1,120})[\"\u201d`]|(?<!\w)['\u2018]([^'\u2018\u2019\n]{1,120})['\u2019](?!\w)"
)
_QUOTED_END = re.compile(
    r"(?:[\"\u201c`]([^\"\u201c\u201d`\n]{1,120})[\"\u201d`]|(?<!\w)['\u2018]([^'\u2018\u2019\n]{1,120})['\u2019])[\s.!*_)]*$"
)
_TAIL = re.compile(
    r"(?:[:=→\uff1a]|\b(?:is|are|be|gets?|have|obtains?|spells?|spelling|gives?(?:\s+us)?)\b)"
    r"[\s*_:=]*([^\s:=→\uff1a][^:=→\uff1a\n]{0,60})$",
    re.IGNORECASE,
)
MATH = re.compile(
    r"\$\$(.{1,400}?)\$\$|(?<![\\$])\$(?!\d[\d,.]*\s[A-Za-z]{2})((?:\\.|[^$\\\n]){1,300})\$"
    r"|\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\]",
    re.DOTALL,
)
_VERB = re.compile(r"(?<![\w\\])(?:is|are|be|equals?|becomes?)\b:?")
_VARIABLE = re.compile(r"\s*\\?[A-Za-z](?:_\{?\w+\}?|\([A-Za-z]\))?\s*")
_QUALIFIED = re.compile(r"(?:(?:all|any|every|each)\s+)?[a-z]+\s+\$[^$\n]{1,20}\$[\s.]*$")
"""A word and a variable: "odd $n$"."""
_CUT_OFF = re.compile(
    r"(?:[-+/=<>^(\[{]|\s\*|\b(?:to|is|are|was|the|of|an?|by|and|or|with|for|in|that|be))\s*$"
)
_JOINT = re.compile(r"[\s,;&]*(?:and|or)?[\s,;&]*")
_STRONG = re.compile(r"\*\*([^*\n]{1,120})\*\*|__([^_\n]{1,120})__")
_CONNECTOR = re.compile(
    r"[\s*_>-]*(?:(?:so|thus|therefore|hence|then|finally|in conclusion|overall)\b,?\s*)*",
    re.IGNORECASE,
)


def clause_at(text: str, at: int, gold_type: GoldType) -> tuple[int, int]:
    """Delimit the clause that begins at a place: to the end of its sentence or line.

    Returns:
        Start and end; leading white space, line breaks, emphasis and a bullet are stepped over. A
        displayed formula or a fence is a clause of its own.
    """
    start = _OPEN.match(text, at).end()  # pyright: ignore[reportOptionalMemberAccess] - may be ""
    if "\n" in text[at:start]:
        start = after_bullet(text, start)
    closing = _DISPLAY.get(text[start : start + 2]) or _DISPLAY.get(text[start : start + 3])
    if closing:
        inside = start + (3 if closing == "```" else 2)
        end = text.find(closing, inside, inside + _MAX_CLAUSE)
        if end >= 0:
            return inside, end
    limit = start + _MAX_CLAUSE
    for match in _END.finditer(text, start, limit):
        name = (
            gold_type == "string" and match[0] == "." and _abbreviates(text, start, match.start())
        )
        if not name:
            return start, match.start()
    return start, min(len(text), limit)


def _abbreviates(text: str, start: int, stop: int) -> bool:
    """Tell whether a full stop belongs to an abbreviation or an initial inside a name."""
    before, behind = text[start:stop], text[stop : stop + 40]
    if not behind.strip(" .*_\"'"):
        return False
    if _ABBREVIATION.search(before):
        return bool(_TITLE.search(before)) or not _STARTS.match(behind)
    return bool(_INITIAL.search(before) and _NAME.match(behind) and not _STARTS.match(behind))


def read_clause(
    clause: str, gold_type: GoldType, options: tuple[str, ...], *, whole: bool = False
) -> str | None:
    """Read what a clause such as "18 dollars" or "(B) to the left" gives as the answer.

    Args:
        clause: as written.
        gold_type: what kind of answer to read.
        options: texts of the options, for ``choice``.
        whole: it is the answer and nothing else, as a box is.

    Returns:
        The answer, its dress taken off; None where the clause gives none of this type or more than
        one.
    """
    bare = undress(clause)
    if not bare or (gold_type != "string" and _NEGATED.match(bare)):
        return None
    if gold_type == "number":
        bare = bare.strip(QUOTES)
        return _whole_number(bare) if whole else _number(bare)
    if gold_type == "choice":
        bare = strip_math(bare)
        return tidy(bare) if read_option(bare, options) else None
    if gold_type == "boolean":
        truth = parse_boolean(strip_math(bare))
        word = BOOLEAN_WORD.match(bare)
        return None if truth is None else (word[1] if word else tidy(strip_math(bare)))
    if gold_type == "date":
        days = {as_date(match): match[0] for match in DATE.finditer(bare)}
        return days.popitem()[1] if len(days) == 1 and None not in days else None
    if gold_type == "latex":
        formula = clause.strip().strip("*").strip()
        return strip_math(formula) if whole else _formula(formula)
    return _string(bare, whole=whole)


def read_closing(
    line: str, gold_type: GoldType, options: tuple[str, ...], *, alone: bool = False
) -> str | None:
    """Read the answer a closing line implies without saying "the answer is".

    Number: the last number, or what stands emphasised alone. Choice: the only option named. Date:
    the last date. Boolean: a line that begins with yes, no, true or false. String: a quotation at
    the very end, or at most four words after the last colon, equals sign, "is", "get" or "gives";
    up to five words that are no sentence, where the line stands alone: it has no line before it, or
    a blank one.
    LaTeX: the last formula, else the last number.
    """
    if gold_type in {"number", "latex"} and _CUT_OFF.search(line):
        return None
    if gold_type == "number":
        return _last_number(line)
    if gold_type == "choice":
        letter = last_option(strip_math(undress(line)), options)
        return f"({letter})" if letter else None
    if gold_type == "date":
        dates = [match[0] for match in DATE.finditer(line) if as_date(match)]
        return dates[-1] if dates else None
    if gold_type == "boolean":
        word = BOOLEAN_WORD.match(line, _CONNECTOR.match(line).end())  # pyright: ignore[reportOptionalMemberAccess] - may be ""
        return word[1] if word else None
    return _closing_formula(line) if gold_type == "latex" else _closing_words(line, alone=alone)


def _closing_formula(line: str) -> str | None:
    """Read the last formula, unless it is a bare name that the last number is said of."""
    if _QUALIFIED.fullmatch(line):
        return line.strip(" .")
    formulas = _formulas(line)
    last = _joined(line, formulas) if formulas else ""
    if last and not _VARIABLE.fullmatch(last):
        return last
    if not formulas and (_is_formula(line) or _LONE.fullmatch(line.strip())):
        return undress(line).rstrip(".").strip() or None
    tail = line[formulas[-1].end() :] if formulas else line
    return _last_number(tail) or last or None


def _closing_words(line: str, *, alone: bool) -> str | None:
    """Read a quotation at the end, the few words that a verb or colon leads up to, or a title."""
    quotation = _QUOTED_END.search(line[-200:])
    if quotation:
        return tidy(quotation[1] or quotation[2]) or None
    tail = _TAIL.search(tidy(undress(line[-200:])))
    words = tidy(tail[1]) if tail else tidy(undress(line))
    if alone and not tail and _NAME_ALONE.fullmatch(words) and not _SENTENCE.search(words):
        return words
    return words if 0 < len(words.split()) <= (4 if tail else 1) else None


def _string(bare: str, *, whole: bool) -> str | None:
    """Read a string: what is quoted, else the clause up to a reason that follows."""
    quotation = _QUOTED.match(bare)
    if quotation:
        return tidy(quotation[1] or quotation[2]) or None
    bare = strip_math(bare)
    aside = None if whole else _TEXT_ASIDE.search(bare)
    return tidy(bare[: aside.start()] if aside and aside.start() else bare) or None


def _whole_number(text: str) -> str | None:
    """Read a text that is one number, or one with something in brackets or behind a comma."""
    if parse_number(text):
        return text
    bracket = re.search(r"\s+\(|,\s+(?=[A-Za-z])", text)
    head = text[: bracket.start()].strip() if bracket else ""
    return head if head and parse_number(head) else None


def _number(clause: str) -> str | None:
    """Read the number a clause gives: the one it begins with, else its last; never algebra."""
    if parse_number(clause):
        return clause
    cleaned = clean(clause)
    if "!=" in cleaned:
        return None
    first = _EXPRESSION.search(cleaned)
    if _begins(cleaned, first) and (leading := _leading(cleaned)):
        return leading
    if "=" in cleaned:
        right = cleaned.rpartition("=")[2]
        return _leading(right) if any(c.isdecimal() for c in right) else None
    if not any(c.isdecimal() for c in cleaned):
        return _in_words(cleaned)
    if _begins(cleaned, first):
        return None
    return None if _ALGEBRA.search(cleaned) else _last_expression(cleaned)


def _in_words(text: str) -> str | None:
    """Read the number in words that a clause begins with: all of "two hundred and six"."""
    if read_words(text.partition(" and ")[2]) is not None:  # two numbers, or one of two parts
        return text if read_words(text) is not None else None
    head = _ASIDE.split(text, maxsplit=1)[0]
    return head.strip() if read_words(head) is not None else None


def _begins(text: str, first: re.Match[str] | None) -> bool:
    """Tell whether a clause begins with digits, so that no later number is what it states."""
    digit = next((at for at, letter in enumerate(text) if letter.isdecimal()), len(text))
    head = text[: min(digit, first.start() if first else digit)]
    return not any(letter.isalpha() for letter in head)


def _leading(text: str) -> str | None:
    """Read the number a text begins with, where an aside and no second number follows it."""
    if parse_number(text.strip()):
        return text.strip()
    match = _EXPRESSION.search(text)
    if match is None or any(c.isalnum() or c in "([{√±" for c in text[: match.start()]):
        return None
    if _LIST.match(text, match.end()):
        return None
    asides = (_ASIDE.search(text, match.end()), _OF.search(text, match.end()))
    ends = [aside.start() for aside in asides if aside]
    head = text[: min(ends)].strip() if ends else text.strip()
    return head if parse_number(head) else None


def _last_expression(text: str) -> str | None:
    """Read the last number of a sentence, unless it is denied, one of several, or part of more."""
    expressions = list(_EXPRESSION.finditer(text))
    digits = [at for at, letter in enumerate(text) if letter.isdecimal()]
    if not expressions or expressions[-1].end() <= digits[-1]:
        return None
    last = expressions[-1]
    before = text[: last.start()]
    if _DENIED.search(before) or _LIST_BEFORE.search(before) or _MULTIPLIED.search(before):
        return None
    if _ALGEBRA_BEHIND.match(text, last.end()) or not unit_at(text, last.end()):
        return None
    return last[0].strip() if parse_number(last[0].strip()) else None


def _last_number(line: str) -> str | None:
    """Read the number of a closing line: its only emphasised one, else the last it ends with."""
    strong = [m[1] or m[2] for m in _STRONG.finditer(line)]
    values = [text for text in strong if any(c.isdecimal() for c in text)]
    if len(values) == 1 and parse_number(undress(values[0])):
        return undress(values[0])
    formulas = _formulas(line)
    tail = line[formulas[-1].end() :] if formulas else line
    if not any(letter.isdecimal() for letter in tail) and formulas:
        inner = strip_math(formulas[-1][0])
        if any(letter.isdecimal() for letter in inner):
            return inner if parse_number(inner) else _leading(clean(inner).rpartition("=")[2])
    bare = undress(line).strip(QUOTES)
    cleaned = clean(bare)
    number = None if "!=" in cleaned else _last_result(cleaned[cleaned.rfind("=") + 1 :])
    value = parse_number(bare) if "=" not in cleaned else None
    if value is None or (number and parse_number(number) == value):
        return number
    return bare


def _last_result(text: str) -> str | None:
    """Read the last number of a text, unless algebra stands just before it."""
    number = _last_expression(text)
    if number is None:
        return None
    before = text[: text.rfind(number)].rstrip(" $(")
    algebra = before[-1:] in {"+", "*", "^", "/", "<", ">", "√", "±", "≤", "≥", "≠"}
    return None if algebra and re.search(r"[A-Za-z^)\d]\s*.$", before) else number


def _formulas(text: str) -> list[re.Match[str]]:
    """Find the formulas of a text; words between two currency or stray signs are none."""
    return [m for m in MATH.finditer(text) if m[0][:1] != "$" or not _worded(m[1] or m[2] or "")]


def _worded(inner: str) -> bool:
    """Tell whether what stands between two dollar signs is prose."""
    plain = _TEXT_GROUP.sub(" ", inner)
    if inner != inner.strip(" ,.;"):
        return bool(_WORD.search(plain))
    return len(_WORDING.findall(plain)) > 1


def _is_formula(line: str) -> bool:
    """Tell whether a line without delimiters is a formula: signs of one, and no prose."""
    line = line.strip()
    broken = len(line) > _LONGEST_FORMULA or line.count("{") != line.count("}")
    if broken or line[:1] in "&=,;" or line[-1:] in "+-*/=<>\\^_([{&":
        return False
    return bool(_SIGNS.search(line)) and not _WORDING.search(_TEXT_GROUP.sub(" ", line))


def _formula(clause: str) -> str | None:
    """Read a formula: what follows the verb, or the last formulas, else a number or the words."""
    formulas = _formulas(clause)
    if not formulas:
        bare = undress(clause).strip().rstrip(".").strip()
        words = len(_SENTENCE_WORDS.findall(bare))
        number = bare if parse_number(bare) else (_number(bare) if words > 2 else None)
        return number or (None if words > _PROSE else bare) or None
    last = formulas[-1]
    if len(formulas) == 1 and _VARIABLE.fullmatch(strip_math(last[0])) and _QUALIFIED.match(clause):
        return clause.strip(" .")
    tail = clause[last.end() :]
    verb = _VERB.search(tail)
    behind = undress(tail[verb.end() :]) if verb else ""
    if behind:
        number = _number(behind)
        if number or _VARIABLE.fullmatch(strip_math(last[0])):
            return number or behind
    return _joined(clause, formulas)


def _joined(text: str, formulas: list[re.Match[str]]) -> str:
    """Give the last formula and those that a comma, "and" or "or" joins to it."""
    group = [formulas[-1]]
    for formula in reversed(formulas[:-1]):
        if not _JOINT.fullmatch(text[formula.end() : group[0].start()]):
            break
        group.insert(0, formula)
    return ", ".join(dict.fromkeys(strip_math(formula[0]) for formula in group))
