"""Word n-grams of a rationale: what near-duplicate means when texts are compared word by word."""

import re
from typing import Final

_UNSPACED: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Han characters and kana, between which nobody writes a space."""
_SCRIPTS: Final = "\u00b2\u00b3\u00b9\u2070-\u209c"
_SIGNS: Final = (
    f"-+*/=<>%^\u00ac\u00b1\u00d7\u00f7\u2190-\u21ff\u2200-\u22ff\u2a00-\u2aff{_SCRIPTS}"
)
"""Operators, relations and arrows, Unicode's mathematics among them."""
FACTORIAL: Final = re.compile(r"(\d)!(\s*[a-z(+*/=-])")
FACTORIAL_SIGN: Final = "\u00a1"
"""Written for the exclamation mark behind a number where a sentence goes on."""
WORD: Final = re.compile(
    rf"\d+(?:[.,]\d+)*|[{_UNSPACED}]|[^\W\d_{_UNSPACED}{_SCRIPTS}]+|[{_SIGNS}{FACTORIAL_SIGN}]"
)
"""Words, numbers and operators, the parts of a rationale that carry meaning; no punctuation. Polars
reads both patterns as Python does.
"""


def words(text: str) -> list[str]:
    """Cut a text into lower-case words, numbers and operators."""
    if "!" in text:
        text = FACTORIAL.sub(rf"\1{FACTORIAL_SIGN}\2", text)
    return WORD.findall(text.lower())


def shingles(text: str, size: int = 3) -> frozenset[tuple[str, ...]]:
    """Collect the n-grams of a text; a text shorter than `size` words is one n-gram."""
    parts = words(text)
    if len(parts) <= size:
        return frozenset({tuple(parts)} if parts else ())
    return frozenset(zip(*(parts[start:] for start in range(size)), strict=False))


def jaccard(left: frozenset[object], right: frozenset[object]) -> float:
    """Compare two sets: 1.0 equal, 0.0 disjoint; two empty sets are equal."""
    union = len(left | right)
    return len(left & right) / union if union else 1.0
