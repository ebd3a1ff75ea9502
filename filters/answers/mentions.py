"""Where a text says that its answer follows: one finder a form, the best mention first."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, cast

import orjson

from filters.answers.boxes import boxed, joint_boxes
from filters.answers.clauses import clause_at
from filters.answers.compare import GOLD_TYPES, GoldType

MENTIONS: Final = 8
"""Mentions of a form that are looked at, from the last."""

_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_KEYWORDS = ("correct ", "right ", "best ", "final ", "true ")
ANSWER_IS = re.compile(
    r"(?:answers?|(?:correct|right|best|final|true)\s+(?:answer\s+)?(?:choice|option|one|result|"
    r"solution|output|value))"
    r"(?:\s+(?:choice|option|value|letter))?"
    r"(?:,?\s+(?:to|for|of|in|among|from|though|based|given|according)\s[^.\n:=]{1,80}?)?[\s*_\"']*"
    r"(?:\b(?:is|are|was)\b(?:\s+(?:therefore|thus|then|clearly|option|choice)\b)?"
    r"|\b(?:would|should|must|will)\s+be\b|:|=|\uff1a)",
    re.IGNORECASE,
)
_HEADING = re.compile(r"answer[ \t]*[*_:]*[ \t]*\n", re.IGNORECASE)
_HEADED = re.compile(r"(?:^|\n)[#*_ \t]*(?:(?:the|my|final|correct)[ \t]+)*$", re.IGNORECASE)
_EASTERN = re.compile(
    r"(?:\u7b54\u6848|\u6b63\u89e3|\u7b54\u3048)[*_\s]*(?:\u5e94\u8be5|\u61c9\u8a72)?[*_\s]*"
    r"(?:\u662f|\u4e3a|\u70ba|\u306f|\uff1a|:)[*_\s:\uff1a]*"
    r"|(?:\u6545|\u56e0\u6b64|\u6240\u4ee5|\u5e94)\u9009[*_\s:\uff1a]*"
    r"|\u6545\u9078[*_\s:\uff1a]*|\uc815\ub2f5[*_\s]*(?:\uc740|:)[*_\s]*"
)
_EASTERN_SIGNS: Final = "\u7b54\u6b63\u6545\u56e0\u6240\u5e94\uc815"
_TAGS = re.compile(
    r"<(final_answer|answer)>(?P<content>(?:(?!<(?:final_answer|answer)>).){1,2000}?)</\1>"
    r"|\[ANSWER\](?P<bracketed>.{1,2000}?)\[/ANSWER\]",
    re.DOTALL | re.IGNORECASE,
)
_JSON_KEY = re.compile(r"[\"'](?:final[_ ]?)?(?:answer|result|solution)[\"']\s*:\s*", re.IGNORECASE)
_JSON_VALUE = re.compile(
    r"\"(?:[^\"\\]|\\.){0,400}\"|'[^'\n]{0,400}'|\[[^\[\]]{0,300}\]|\{[^{}]{0,300}\}"
    r"|(?:[^\n,{}\"']|,(?=\d{3}(?!\d))){1,100}"
)
_RETRACTED = re.compile(
    r"\b(?:wait|actually|hold on|correction|oops|on second thou?ght|let me (?:re-?|double.)check"
    r"|i made (?:a|an) (?:mistake|error)|re-?checking)\b",
    re.IGNORECASE,
)
_CORRECTED = re.compile(
    r"\b(?:it|this|that|which|result|value|total|answer|number)\s+(?:should|must|would)\s+"
    r"(?:actually\s+|really\s+|instead\s+)?be\b[\s*_:]*",
    re.IGNORECASE,
)
_IS_ANSWER = re.compile(
    r"(?:\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer|[Ll]etter)\s+[\"'*_(\[`]{0,3}([A-Za-z])(?![\w'\u2019])"
    r"|(?<![\w(])[\"'*_(\[`]{0,3}([B-HJ-Z])(?![\w'\u2019]))[\"'*_)\]`.:]{0,4}\s+is\s+(?:therefore\s+|thus\s+)?"
    r"(?:the\s+)?(?:most\s+|only\s+)?(?:correct|right|best|true|answer|appropriate)\b"
    r"(?!\s+(?:if|when|only|because\s+not))"
)
_LEAD_IN: Final = frozenset(
    (
        "and", "so", "then", "thus", "hence", "therefore", "consequently", "finally", "in",
        "conclusion", "overall", "that", "the", "our", "my", "its", "final", "correct", "right",
        "best", "most", "only", "appropriate", "likely", "numerical",
    )
)  # fmt: skip
_LEAD_PUNCTUATION: Final = " \t*_#>\"'<([,;:-"
_COURTESY = re.compile(
    r"\W*(?:let me know|(?:i )?hope (?:this|that|it)|feel free|is there anything|please let|"
    r"if you (?:have|need))\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?](?=\s)|\n")
_CLOSING_TEXT: Final = 1000


class Mention(NamedTuple):
    """A place where a form says that an answer follows.

    Attributes:
        form: its name.
        start: where the lead-in begins.
        end: where the clause ends.
        clause: what states the answer.
        whole: the clause is the answer and nothing else.
    """

    form: str
    start: int
    end: int
    clause: str
    whole: bool = False


def _mention(form: str, text: str, start: int, at: int, gold_type: GoldType) -> Mention:
    clause, end = clause_at(text, at, gold_type)
    return Mention(form, start, end, text[clause:end])


def mentions_after(text: str, strings: Sequence[str], gold_type: GoldType) -> Iterator[Mention]:
    """Give the last place at which one of the recipe's strings stands."""
    places = [(text.rfind(s), len(s)) for s in strings]
    heads = [(0, len(s) - 1) for s in strings if s[:1] == "\n" and text.startswith(s[1:])]
    at, length = max([p for p in places if p[0] >= 0] or heads, default=(-1, 0))
    if at >= 0:
        start = at if text[at] == "\n" else _lead_in(text, at)
        yield _mention("after", text, start, at + length, gold_type)


def _boxed(text: str, gold_type: GoldType) -> Iterator[Mention]:
    """Give what boxes hold, those that belong together at once, from the last to the first."""
    del gold_type
    end = len(text)
    for _ in range(MENTIONS):
        group = joint_boxes(text[:end])
        if not group:
            return
        end = group[0].start
        if content := boxed(text, group):
            start = _sentence_start(text, end)
            yield Mention("boxed", start, group[-1].end, content, whole=True)


def _tag(text: str, gold_type: GoldType) -> Iterator[Mention]:
    """Give what the last answer tag holds."""
    del gold_type
    at = max(text.rfind("</answer>"), text.rfind("</final_answer>"), text.rfind("[/ANSWER]"))
    if at < 0:
        return
    for match in reversed(list(_TAGS.finditer(text, max(0, at - 2100), at + 20))):
        content = match["content"] or match["bracketed"]
        if content.strip():
            yield Mention("tag", match.start(), match.end(), content.strip())
            return


def _json(text: str, gold_type: GoldType) -> Iterator[Mention]:
    """Give the value of the last key that a JSON object calls the answer."""
    del gold_type
    for match in reversed(list(_JSON_KEY.finditer(text))[-MENTIONS:]):
        value = _JSON_VALUE.match(text, match.end())
        if value:
            yield Mention("json", match.start(), value.end(), _json_text(value[0]))


def _json_text(written: str) -> str:
    """Read a JSON value as text; the members of a list or object are joined by commas."""
    try:
        value: object = orjson.loads(written)
    except orjson.JSONDecodeError:
        return written.strip("\"'")
    if isinstance(value, dict):
        value = list(cast("dict[str, object]", value).values())
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[object]", value)))
    return value if isinstance(value, str) else written


def _hashes(text: str, gold_type: GoldType) -> Iterator[Mention]:
    """Give the last ``####``."""
    at = text.rfind("####")
    if at >= 0:
        yield _mention("hashes", text, at, at + 4, gold_type)


def _a_line(text: str, gold_type: GoldType) -> Iterator[Mention]:
    """Give the last line, where it is ``A:`` and one clause."""
    start, line = closing_line(text)
    if line.startswith("A:"):
        mention = _mention("a_line", text, start, start + 2, gold_type)
        if not text[mention.end :].strip(" .!?\n"):
            yield mention


def answer_is(text: str, gold_type: GoldType) -> Iterator[Mention]:
    """Give the clauses that say what the answer is, from the last to the first."""
    lower = text.lower()
    if len(lower) != len(text):
        lower = text.translate(_LOWER)
    foreign = not text.isascii() and any(sign in text for sign in _EASTERN_SIGNS)
    eastern = list(_EASTERN.finditer(text))[-MENTIONS:] if foreign else []
    corrections = _corrections(text)
    at = len(text)
    for _ in range(MENTIONS):
        at = _last_keyword(lower, at)
        while eastern and eastern[-1].start() > at:
            match = eastern.pop()
            yield _mention("answer_is", text, match.start(), match.end(), gold_type)
        while corrections and corrections[-1].start() > at:
            match = corrections.pop()
            if at >= 0 and _RETRACTED.search(text, at, match.start()):
                start = _lead_in(text, match.start())
                yield _mention("corrected", text, start, match.end(), gold_type)
        if at < 0:
            return
        match = ANSWER_IS.match(text, at) or _headed(text, at)
        if match:
            yield _mention("answer_is", text, _lead_in(text, at), match.end(), gold_type)


def _last_keyword(lower: str, end: int) -> int:
    """Find the last keyword that ends before a place, -1 where there is none."""
    last = lower.rfind("answer", 0, end)
    for word in _KEYWORDS:  # mostly between the last "answer" and the end, so little is searched
        last = max(last, lower.rfind(word, max(last, 0), end))
    return last


def _headed(text: str, at: int) -> re.Match[str] | None:
    """Match a heading "Answer" that has a line for itself."""
    match = _HEADING.match(text, at)
    return match if match and _HEADED.search(text, max(0, at - 40), at) else None


def _corrections(text: str) -> list[re.Match[str]]:
    """Find where "it should be" stands, if anything is taken back at all."""
    if not ("should" in text or "must" in text or "would" in text):
        return []
    if " be" not in text or not _RETRACTED.search(text):
        return []
    return list(_CORRECTED.finditer(text))[-MENTIONS:]


def _is_answer(text: str, gold_type: GoldType) -> Iterator[Mention]:
    """Give the last letter of which the text says that it is the answer."""
    del gold_type
    matches = list(_IS_ANSWER.finditer(text[-_CLOSING_TEXT:]))
    if matches:
        shift = max(0, len(text) - _CLOSING_TEXT)
        last = matches[-1]
        letter = last[1] or last[2]
        start = _lead_in(text, shift + last.start())
        yield Mention("is_answer", start, shift + last.end(), f"({letter})", whole=True)


class Form(NamedTuple):
    """A form in which texts state answers.

    Attributes:
        find: gives its mentions, the best first.
        markers: one of them is in every text that has the form.
        types: of golds it is tried for.
        decisive: what it holds is what the text states, readable or not.
        marked: it marks an answer off; words behind it may still name another one.
    """

    find: Callable[[str, GoldType], Iterator[Mention]]
    markers: tuple[str, ...] = ("",)
    types: frozenset[GoldType] = frozenset(GOLD_TYPES)
    decisive: bool = False
    marked: bool = False


STATING_FORMS: Final = (
    Form(_boxed, ("\\boxed", "\\fbox"), decisive=True, marked=True),
    Form(_tag, ("answer>", "[/ANSWER]"), marked=True),
    Form(_json, ("{",), decisive=True, marked=True),
    Form(_hashes, ("####",), marked=True),
    Form(_a_line, ("A:",), types=frozenset(GOLD_TYPES) - {"choice"}),
    Form(answer_is),
    Form(_is_answer, (" is ",), types=frozenset({"choice"})),
)
"""The forms that state an answer, in the order tried."""


def closing_line(text: str) -> tuple[int, str]:
    """Give where the last line with content begins, and its last 500 characters.

    Blank lines and one courtesy ("Let me know if you need more help!") are stepped over.
    """
    end = len(text.rstrip())
    start = text.rfind("\n", 0, end) + 1
    if start and _COURTESY.match(text, start, end):
        end = len(text[:start].rstrip())
        start = text.rfind("\n", 0, end) + 1
    opening = {"\\]": "\\[", "$$": "$$"}.get(text[start:end].strip())
    if opening:  # a displayed formula is one line
        start = max(text.rfind(opening, max(0, start - 500), start), 0, start - 500)
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
