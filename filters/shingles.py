"""Word n-grams of a rationale: what near-duplicate means when texts are compared word by word."""

import re
from typing import Final

WORD: Final = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[-+*/=\u2212\u00d7\u00f7^<>%]")
"""Words, numbers and operators, the parts of a rationale that carry meaning; no punctuation."""


def words(text: str) -> list[str]:
    """Cut a text into lower-case words, numbers and operators."""
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
