r"""Find where a text states its answer, without looking at the gold.

Forms, in the order tried; the first that can be read wins, and within a form the last mention:

================  ========================================================================
``after``         a string the recipe names; nothing else is then tried
``boxed``         ``\boxed{...}``; neighbours joined by commas or "and" are one answer
``tag``           ``<answer>...</answer>``
``json``          ``"answer": ...`` of a JSON object
``hashes``        ``#### ...``
``a_line``        a final line ``A: ...`` of one clause (not for choices: options look like that)
``answer_is``     "the answer is", "Answer:", "the final result is", "the correct choice is" ...;
                  likewise in Chinese, Japanese and Korean
``corrected``     "it should be", where the text has taken back what it stated before
``is_answer``     "B is the answer", "option B is correct"
``first_option``  the letter with which a text begins that names no other ("D. It can't be A.")
``last_...``      the closing line alone implies it: ``last_number``, ``last_option``,
                  ``last_boolean``, ``last_date``, ``last_words``, ``last_math``
================  ========================================================================

A closing line that states an answer which can't be read ("the answer is (x + 5)") is not searched
for another one, and a box that holds no number leaves a question for a number without an answer. A
curator who wants no guessing names `after`.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Final, NamedTuple

from filters.answers.clauses import read_clause, read_closing
from filters.answers.compare import GoldType, equal
from filters.answers.mentions import (
    ANSWER_IS,
    STATING_FORMS,
    Mention,
    answer_is,
    closing_line,
    mentions_after,
)
from filters.answers.options import first_option

LAST_FORMS: Final[dict[GoldType, str]] = {
    "number": "last_number",
    "choice": "last_option",
    "boolean": "last_boolean",
    "date": "last_date",
    "string": "last_words",
    "latex": "last_math",
}
_GUESSES: Final = frozenset(LAST_FORMS.values())
_SENTENCE_WORDS: Final = 5
"""A tag or JSON value of fewer words is the answer as a whole, and has no closing line."""


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


_CALLED_FINAL = re.compile(r"\b(?:final|correct|right) (?:answer|result)\b", re.IGNORECASE)
_VALUE = re.compile(r"[\d\\]")
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
    decided = False
    if after:
        return _stated(mentions_after(text, after, gold_type), gold_type, options)
    for form in STATING_FORMS:
        if gold_type not in form.types:
            continue
        for marker in form.markers:
            if marker in text:
                break
        else:
            continue
        mentions = form.find(text, gold_type)
        if form.decisive and gold_type == "number":
            first = next(mentions, None)
            mentions = iter(() if first is None else (first,))
            decided = first is not None and any(letter.isdecimal() for letter in first.clause)
        answer = _stated(mentions, gold_type, options)
        if answer and form.marked:
            return _superseded(text, answer, gold_type, options)
        if answer or decided:
            return answer
    return _closing(text, gold_type, options)


def _superseded(
    text: str, marked: Extracted, gold_type: GoldType, options: tuple[str, ...]
) -> Extracted:
    """Prefer to a marked answer another one that is later called final or correct in words."""
    if not _CALLED_FINAL.search(text, marked.end):
        return marked
    later = takewhile(lambda mention: mention.start >= marked.end, answer_is(text, gold_type))
    called = (
        mention
        for mention in later
        if _CALLED_FINAL.search(text, mention.start, mention.end - len(mention.clause))
        and not mention.clause.startswith("that ")  # a sentence, which may hold several numbers
    )
    final = _stated(called, gold_type, options)
    if final is None or equal(final.answer, marked.answer, gold_type, options):
        return marked
    return final if gold_type != "latex" or _VALUE.search(final.answer) else marked


def _stated(
    mentions: Iterable[Mention], gold_type: GoldType, options: tuple[str, ...]
) -> Extracted | None:
    """Read the first readable mention."""
    for mention in mentions:
        answer = read_clause(mention.clause, gold_type, options, whole=mention.whole)
        if answer is None and mention.form in {"tag", "json"}:
            inner = extract_answer(mention.clause, gold_type, options)
            guess = (
                inner and inner.form in _GUESSES and len(mention.clause.split()) < _SENTENCE_WORDS
            )
            answer = inner.answer if inner and not guess else None
        if answer:
            return Extracted(answer, mention.form, mention.start, mention.end)
    return None


FORMS: Final = (
    "after", "boxed", "tag", "json", "hashes", "a_line", "answer_is", "corrected", "is_answer",
    "first_option", *LAST_FORMS.values(),
)  # fmt: skip
"""What `answer_form` may hold."""


def _closing(text: str, gold_type: GoldType, options: tuple[str, ...]) -> Extracted | None:
    """Read the closing line, unless it states an answer that could not be read."""
    start, line = closing_line(text)
    stated = "####" in line or "\\boxed" in line or ANSWER_IS.search(line[-_WINDOW:])
    if not line or stated or (line.startswith("A:") and gold_type != "choice"):
        return None
    first = first_option(text, options) if gold_type == "choice" else None
    if first:
        return Extracted(f"({first})", "first_option", len(text), len(text))
    apart = not start or text[:start].rstrip(" ").endswith("\n\n")
    answer = read_closing(line, gold_type, options, alone=apart)
    if answer is None:
        return None
    alone = len(line.split()) <= len(answer.split())
    return Extracted(answer, LAST_FORMS[gold_type], start if alone else len(text), len(text))
