"""Multiple choice: an option is named by its letter, by its text, or by both."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from filters.answers.plain import tidy

_MARKER = re.compile(r"(?<![A-Za-z0-9])(?:(\()([A-Za-z])\)|([A-Za-z])([):.]))\s*")
_LAST_END = re.compile(r"\s*\n|[.?!]\s+(?=[A-Z])")
_LEADING_IN = re.compile(
    r"\s*(?:\b(?:the\s+)?(?:answer\s+)?(?:choices|options)(?:\s+are)?\s*:)$", re.IGNORECASE
)
_LABEL = re.compile(r"\s*(?:\([A-Za-z]\)|[A-Za-z][).:](?=\s|\d))\s*")
_ARTICLE = re.compile(r"(?:an?|the)\s+(?=\S)")
_NOT_TEXT = re.compile(r"[^\w%$/.+-]+")
_WORD_END = re.compile(r"\W+$|^\W+")
_WHY = re.compile(
    r"\b(?:because|since|as|while|whereas|rather|instead|not|but|for|due|given|although"
    r"|cannot|\w+n['\u2019]t)\b",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"[\s\"'*_:\[{<]{0,20}(?:(?:option|choice|answer|letter)\s{1,9})?[\"'*_]{0,4}"
    r"(?:\((?P<round>[A-Za-z])\)|\[(?P<square>[A-Za-z])\]"
    r"|(?P<marked>[A-Za-z])[):.](?![A-Za-z])(?=\W|$|\d)|(?P<bare>[B-HJ-Z])(?![\w'\u2019])"
    r"|(?P<article>[AI])(?=\W*$|[\"'*_,;]|\s*\(|\s+(?:because|since|as|which|for|due|or|and)\b))"
)
_FILLER = re.compile(
    r"[\s\"'*_]*(?:(?:for sure|for certain|definitely|clearly|certainly|obviously|probably"
    r"|most likely|likely|actually|indeed|simply|just|thus|therefore)\b[\s,:]*)+",
    re.IGNORECASE,
)
_CHOSEN = re.compile(
    r"\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer|[Ll]etter|choose|chose|pick|select|go with|going with"
    r"|(?:it|that|this|which|answer)(?:['\u2019]s| is| must be| should be| would be))\s+"
    r"(?:option\s+|choice\s+|answer\s+)?[\"'*_(\[`]{0,3}(?:([B-HJ-Z])|([AI])(?=[\s.!)\]*\"'`]*$))"
    r"(?![\w'\u2019])[\s.!)\]*\"'`]*$"
)
_BRACKETED = re.compile(r"\(([A-Za-z])\)")
_ANOTHER = re.compile(r"(?:,|/|&|\bor\b|\band\b)\s*(?:\(([A-Za-z])\)|([A-Z])(?!\w))")
_FIRST = re.compile(r"[\s\"'*_]*\(?([A-Z])[*_]*(?:[).:](?=\s|$)|[\u3002\uff1a\uff0e\u3001])")
_LISTED = re.compile(r"\n[\s*_-]*\(?[A-Z][).:]\s")
_LOWER_ALONE = re.compile(r"[\s\"'*_(\[]*([A-Za-z])[\s\"'*_)\].:]*")


class Listing(NamedTuple):
    """Options that a question lists itself.

    Attributes:
        options: their texts in order; empty where it lists none.
        stem: the question without them.
    """

    options: tuple[str, ...]
    stem: str


@lru_cache(maxsize=4096)
def listing(question: str) -> Listing:
    """Find the options in a question: ``(A) .. (B) ..``, ``A: .. B: ..`` or ``A) ..``.

    A list has at least two letters, from A on. Its last option ends with its line or its sentence.
    """
    runs: list[list[re.Match[str]]] = []
    for match in _MARKER.finditer(question):
        letter, style = _letter(match)
        if letter == "A":
            runs.append([match])
        elif runs and letter == chr(65 + len(runs[-1])) and style == _letter(runs[-1][0])[1]:
            runs[-1].append(match)
    none: list[re.Match[str]] = []
    run = next((run for run in reversed(runs) if len(run) > 1), none)
    if not run:
        return Listing((), question)
    last = _LAST_END.search(question, run[-1].end())
    end = last.start() if last else len(question)
    ends = [*(following.start() for following in run[1:]), end]
    options = tuple(
        question[match.end() : stop].strip().rstrip(".,;").strip()
        for match, stop in zip(run, ends, strict=True)
    )
    stem = _LEADING_IN.sub("", question[: run[0].start()].rstrip())
    rest = question[end:].lstrip(" .\n")
    return Listing(options, f"{stem} {rest}".strip() if rest else stem.strip())


def choices_in(question: str) -> tuple[str, ...]:
    """Give the texts of the options that a question lists itself, in order."""
    return listing(question).options


def without_options(question: str, choices: Sequence[str] | None) -> str:
    """Give a question without the options that stand in it, where they are its list of choices."""
    if not choices:
        return question
    options, stem = listing(question)
    same = len(options) == len(choices) and option_keys(options) == option_keys(tuple(choices))
    return stem if same and stem else question


def _letter(marker: re.Match[str]) -> tuple[str, str]:
    """Give a marker's letter in upper case and its style, case included."""
    letter = marker[2] or marker[3]
    return letter.upper(), f"{marker[1] or ''}{marker[4] or ''}{letter.isupper()}"


def options_of(choices: Sequence[str] | None, question: str | None) -> tuple[str, ...]:
    """Give the options of a question: its own list, else those in its text, else none."""
    if choices:
        return tuple(choices)
    return choices_in(question) if question else ()


@lru_cache(maxsize=8192)
def option_key(text: str) -> str:
    """Reduce an option's text to what a teacher repeats of it: no label, article or punctuation."""
    text = unicodedata.normalize("NFKC", text).casefold()
    label = _LABEL.match(text)
    if label and label.end() < len(text):
        text = text[label.end() :]
    text = _WORD_END.sub("", _NOT_TEXT.sub(" ", tidy(text)))
    return _ARTICLE.sub("", text, count=1) if _ARTICLE.match(text) else text


@lru_cache(maxsize=8192)
def option_keys(options: tuple[str, ...]) -> tuple[str, ...]:
    """Reduce every option."""
    return tuple(option_key(option) for option in options)


def read_option(text: str, options: tuple[str, ...]) -> str | None:
    """Read which option a short text names.

    Args:
        text: a gold or the clause in which an answer is stated.
        options: the options' texts in order; empty where they are not known.

    Returns:
        The letter in upper case. Without options, where no letter is named, the text's key. None
        where nothing is named, where several options are, or where letter and text disagree.
    """
    if not text.strip():
        return None
    keys = option_keys(options)
    head = text
    if not _equals(text, keys):
        filler = _FILLER.match(text)
        rest = text[filler.end() :] if filler and filler.end() < len(text) else text
        head = _WHY.split(rest, maxsplit=1)[0]
    named = _letters(head, len(options))
    if len(named) > 1:
        return None
    by_text = _by_text(head, keys)
    if not named:
        return by_text or (None if options else option_key(text) or None)
    letter = named.pop()
    rest = _equals(_strip_letter(head), keys)
    return letter if rest is None or _same(letter, rest, keys) else None


def options_equal(a: str, b: str, options: tuple[str, ...]) -> bool | None:
    """Compare two options as `read_option` gives them; options with one text are one option."""
    if a == b:
        return True
    if (len(a) == 1 and a.isupper()) != (len(b) == 1 and b.isupper()):
        return None
    return _same(a, b, option_keys(options))


def last_option(text: str, options: tuple[str, ...]) -> str | None:
    """Read the one option a closing line names: alone, in brackets, as "option B" or by text."""
    alone = _LOWER_ALONE.fullmatch(text) or _CHOSEN.search(text)
    if alone:
        letter = next(group for group in alone.groups() if group).upper()
        return letter if not options or ord(letter) - 65 < len(options) else None
    bracketed = {letter.upper() for letter in _BRACKETED.findall(text)}
    valid = {letter for letter in bracketed if not options or ord(letter) - 65 < len(options)}
    if len(valid) == 1:
        return valid.pop()
    return None if valid else _by_text(text, option_keys(options))


def first_option(text: str, options: tuple[str, ...]) -> str | None:
    """Read the letter with which a text begins, where it labels no list and names no other."""
    first = _FIRST.match(text)
    if first is None or _LISTED.search(text, first.end()):
        return None
    rest = text[first.end() :]
    valid = not options or ord(first[1]) - 65 < len(options)
    return first[1] if valid and not (_CHOSEN.search(rest) or _BRACKETED.search(rest)) else None


def _letters(head: str, count: int) -> set[str]:
    """Collect the letters a clause names as its answer."""
    whole = _LOWER_ALONE.fullmatch(head)
    first = whole or _NAMED.match(head)
    if first is None:
        letters = {letter.upper() for letter in _BRACKETED.findall(head)}
    else:
        letters = {next(group for group in first.groups() if group).upper()}
        for another in _ANOTHER.finditer(head, first.end()):
            letters.add((another[1] or another[2]).upper())
    return {letter for letter in letters if not count or ord(letter) - 65 < count}


def _strip_letter(head: str) -> str:
    """Give what follows the letter a clause begins with."""
    first = _NAMED.match(head)
    return head[first.end() :] if first else ""


def _equals(text: str, keys: tuple[str, ...]) -> str | None:
    """Give the letter of the first option whose text this is."""
    key = option_key(text)
    return chr(65 + keys.index(key)) if key and key in keys else None


def _by_text(text: str, keys: tuple[str, ...]) -> str | None:
    """Give the letter of the only option whose text stands in this one, longest options first."""
    exact = _equals(text, keys)
    if exact:
        return exact
    phrase = f" {option_key(text)} "
    inside = {key for key in keys if key and f" {key} " in phrase}
    longest = {key for key in inside if not any(key != other and key in other for other in inside)}
    return chr(65 + keys.index(longest.pop())) if len(longest) == 1 else None


def _same(a: str, b: str, keys: tuple[str, ...]) -> bool:
    """Tell whether two letters name the same text."""
    if a == b:
        return True
    i, j = ord(a[0]) - 65, ord(b[0]) - 65
    return 0 <= i < len(keys) and 0 <= j < len(keys) and keys[i] == keys[j]
