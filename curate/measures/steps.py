"""Steps of a rationale: where one ends and the next begins.

Papers cut at the ends of sentences. Rationales of chat models also number their steps and put
markup between them, and neither "1. " nor "---" is a step: what says nothing belongs to the next.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Final

from pydantic import Field

Delimiters = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
"""What steps end with, as a recipe gives it: one at least, and none of them empty."""
SPLIT_AT: Final = (". ", "? ", "! ", "\n")
"""What a step ends with, where a recipe says nothing else; ASLEC's are ``". "`` and ``"? "``."""
_SAYS_NOTHING: Final = re.compile(r"[\W_]*\d{0,3}[\W_]*")


def split_steps(text: str, split_at: Sequence[str] = SPLIT_AT) -> list[tuple[int, int]]:
    """Cut a text into steps.

    Args:
        text: a rationale.
        split_at: delimiters; a step ends behind one.

    Returns:
        Half-open ranges of characters that cover the text, in order; one where all of it says
        nothing, none where it is blank.
    """
    delimiter = re.compile("|".join(map(re.escape, sorted(split_at, key=len, reverse=True))))
    borders = [0]
    for end in (*(match.end() for match in delimiter.finditer(text)), len(text)):
        if not _SAYS_NOTHING.fullmatch(text, borders[-1], end):
            borders.append(end)
    if not text.strip():
        return []
    # What says nothing at the end belongs to the last step.
    return list(pairwise([*(borders[:-1] or borders), len(text)]))
