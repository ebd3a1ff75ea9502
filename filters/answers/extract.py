r"""Find where a text states its answer, without looking at the gold.

Forms, in the order tried; the first that can be read wins, and within a form the last mention:

==============  ==========================================================================
``after``       a string the recipe names; nothing else is then tried
``boxed``       ``\boxed{...}``, braces balanced
``hashes``      ``#### ...``
``a_line``      a final line ``A: ...`` of one clause (not for choices: options look like that)
``answer_is``   "the answer is", "Answer:", "the final result is", "the correct choice is" ...
``last_...``    the closing line alone implies it: ``last_number``, ``last_option``,
                ``last_boolean``, ``last_date``, ``last_words``, ``last_math``
==============  ==========================================================================

A closing line that states an answer which can't be read ("the answer is (x + 5)") is not searched
for another one. A curator who wants no guessing names `after`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from filters.answers.clauses import clause_at, read_clause, read_closing
from filters.answers.compare import GoldType

LAST_FORMS: Final[dict[GoldType, str]] = {
    "number": "last_number",
    "choice": "last_option",
    "boolean": "last_boolean",
    "date": "last_date",
    "string": "last_words",
    "latex": "last_math",
}
FORMS: Final = ("after", "boxed", "hashes", "a_line", "answer_is", *LAST_FORMS.values())
MENTIONS: Final = 8


class Extracted(NamedTuple):
    """An answer and where it was stated.

    Attributes:
        answer: as written.
        form: how it was found, one of `FORMS`.
        start: where the clause that states it begins, lead-in words included; the text's length
            for the closing-line forms, which have no clause to cut.
        end: where that clause ends.
    """

    answer: str
    form: str
    start: int
    end: int


_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_KEYWORDS = ("answer", "correct ", "right ", "best ", "final ", "true ")
_ANSWER_IS = re.compile(
    r"(?:answers?|(?:correct|right|best|final|true)\s+(?:answer\s+)?(?:choice|option|one|result|"
    r"solution|output|value))(?:\s+(?:choice|option|value|letter))?"
    r"(?:,?\s+(?:to|for|of|in|among|from|though)\s[^.\n:=]{1,80}?)?[\s*_]*"
    r"(?:\b(?:is|are|was)\b(?:\s+(?:therefore|thus|then|clearly|option|choice)\b)?"
    r"|\b(?:would|should|must|will)\s+be\b|:|=)",
    re.IGNORECASE,
)
_LEAD_IN: Final = frozenset(
    (
        "and",
        "so",
        "then",
        "thus",
        "hence",
        "therefore",
        "consequently",
        "finally",
        "in",
        "conclusion",
        "overall",
        "that",
        "the",
        "our",
        "my",
        "its",
        "final",
        "correct",
        "right",
        "best",
        "most",
        "only",
        "appropriate",
        "likely",
        "numerical",
    )
)
_LEAD_PUNCTUATION: Final = " \t*_#>\"'<([,;:-"
_COURTESY = re.compile(
    r"\W*(?:let me know|(?:i )?hope (?:this|that|it)|feel free|is there anything|please let|"
    r"if you (?:have|need))\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?](?=\s)|\n")
_WINDOW = 400


def extract_answer(
    text: str,
    gold_type: GoldType,
    choices: Sequence[str] | None = None,
    after: Sequence[str] = (),
) -> Extracted | None:
    """Find the answer a text states.

    Args:
        text: a completion, run-on text already cut.
        gold_type: what kind of answer to read.
        choices: texts of the options, for ``choice``.
        after: strings after which the answer stands; the last one in the text counts, and no
            other form is tried. A string that begins with a line break also matches at the start.

    Returns:
        None where no known form holds exactly one answer of this type.
    """
    options = tuple(choices or ())
    if after:
        return _stated(text, _after(text, after), gold_type, options)
    forms = [_boxed(text), _hashes(text)]
    if gold_type != "choice":
        forms.append(_a_line(text))
    for mentions in (*forms, _answer_is(text)):
        answer = _stated(text, mentions, gold_type, options)
        if answer:
            return answer
    return _closing(text, gold_type, options)


class _Mention(NamedTuple):
    """A place where a form says that an answer follows: lead-in, clause start, clause end."""

    form: str
    start: int
    clause: int
    end: int


def _stated(
    text: str, mentions: Iterator[_Mention], gold_type: GoldType, options: tuple[str, ...]
) -> Extracted | None:
    """Read the first readable mention."""
    for mention in mentions:
        answer = read_clause(text[mention.clause : mention.end], gold_type, options)
        if answer:
            return Extracted(answer, mention.form, mention.start, mention.end)
    return None


def _after(text: str, strings: Sequence[str]) -> Iterator[_Mention]:
    """Give the last place at which one of the recipe's strings stands."""
    places = [(text.rfind(s), len(s)) for s in strings]
    heads = [(0, len(s) - 1) for s in strings if s[:1] == "\n" and text.startswith(s[1:])]
    at, length = max([p for p in places if p[0] >= 0] or heads, default=(-1, 0))
    if at >= 0:
        clause, end = clause_at(text, at + length)
        yield _Mention("after", at if text[at] == "\n" else _lead_in(text, at), clause, end)


def _boxed(text: str) -> Iterator[_Mention]:
    r"""Give the balanced ``\boxed{...}`` from the last to the first."""
    end = len(text)
    for _ in range(MENTIONS):
        at = max(text.rfind("\\boxed", 0, end), text.rfind("\\fbox", 0, end))
        if at < 0:
            return
        opening = text.find("{", at, at + 10)
        close = _matching_brace(text, opening) if opening >= 0 else -1
        if close >= 0:
            yield _Mention("boxed", _sentence_start(text, at), opening + 1, close)
        end = at


def _matching_brace(text: str, opening: int) -> int:
    """Find the brace that closes one, -1 where none does within 1,000 characters."""
    depth = 0
    for at in range(opening, min(len(text), opening + 1000)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at
    return -1


def _hashes(text: str) -> Iterator[_Mention]:
    """Give the last ``####``."""
    at = text.rfind("####")
    if at >= 0:
        clause, end = clause_at(text, at + 4)
        yield _Mention("hashes", at, clause, end)


def _a_line(text: str) -> Iterator[_Mention]:
    """Give the last line, where it is ``A:`` and one clause."""
    start, line = closing_line(text)
    if line.startswith("A:"):
        clause, end = clause_at(text, start + 2)
        if text[end:].strip(" .!?\n"):
            return
        yield _Mention("a_line", start, clause, end)


def _answer_is(text: str) -> Iterator[_Mention]:
    """Give the clauses that say what the answer is, from the last to the first."""
    lower = text.lower() if text.isascii() else text.translate(_LOWER)
    end = len(text)
    for _ in range(MENTIONS):
        at = max(lower.rfind(word, 0, end) for word in _KEYWORDS)
        if at < 0:
            return
        match = _ANSWER_IS.match(text, at)
        if match:
            clause, stop = clause_at(text, match.end())
            yield _Mention("answer_is", _lead_in(text, at), clause, stop)
        end = at


def _closing(text: str, gold_type: GoldType, options: tuple[str, ...]) -> Extracted | None:
    """Read the closing line, unless it states an answer that could not be read."""
    start, line = closing_line(text)
    stated = "####" in line or "\\boxed" in line or _ANSWER_IS.search(line[-_WINDOW:])
    if not line or stated or (line.startswith("A:") and gold_type != "choice"):
        return None
    answer = read_closing(line, gold_type, options)
    if answer is None:
        return None
    alone = len(line.split()) <= len(answer.split())
    return Extracted(answer, LAST_FORMS[gold_type], start if alone else len(text), len(text))


def closing_line(text: str) -> tuple[int, str]:
    """Give where the last line with content begins, and its last 500 characters.

    Blank lines and one courtesy ("Let me know if you need more help!") are stepped over.
    """
    end = len(text.rstrip())
    start = text.rfind("\n", 0, end) + 1
    if start and _COURTESY.match(text, start, end):
        end = len(text[:start].rstrip())
        start = text.rfind("\n", 0, end) + 1
    start = max(start, end - 500)
    return start, text[start:end].lstrip()


def _lead_in(text: str, at: int) -> int:
    """Step back over "Therefore, the final" and the like, never past a line's beginning."""
    start = at
    while start:
        end = start
        while end and text[end - 1] in _LEAD_PUNCTUATION:
            end -= 1
        word = end
        while word and text[word - 1].isalpha():
            word -= 1
        if text[word:end].lower() not in _LEAD_IN:
            return start
        start = word
    return start


def _sentence_start(text: str, at: int) -> int:
    """Find where the sentence around a place begins."""
    floor = max(0, at - 1000)
    last = floor
    for match in _SENTENCE.finditer(text, floor, at):
        last = match.end()
    return last
