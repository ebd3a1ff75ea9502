"""Boxes: where LaTeX marks an answer, and where data sets mark a known one."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

MENTIONS: Final = 8
"""Boxes looked at, from the last."""
_LONGEST: Final = 1000
_COMMAND = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])[ \t]{0,9}")
_BARE = re.compile(r"[^\s{}$\\,;]{1,40}")
_JOINT = re.compile(
    r"[\s$]{0,20}(?:[A-Za-z]{2,14}\s+(?=and\b|or\b))?(?:\\[()\[\],;! ]|[,;&]|\band\b|\bor\b"
    r"|\\text\{[^{}]{0,20}\}|\s|[$()]|\\quad|\\qquad|[A-Za-z](?:_\{?\w\}?)?\s*=)*"
)
_APART: Final = 40


class Box(NamedTuple):
    r"""A box.

    Attributes:
        start: where its command begins.
        inside: where its content begins.
        end: where its content ends.
        close: where the box ends.
    """

    start: int
    inside: int
    end: int
    close: int


def boxes(text: str) -> Iterator[Box]:
    r"""Give the boxes (``\boxed{...}``, ``\fbox{...}``, ``\boxed 5``), the last first."""
    end = len(text)
    for _ in range(MENTIONS):
        at = max(text.rfind("\\boxed", 0, end), text.rfind("\\fbox", 0, end))
        if at < 0:
            return
        box = _box_at(text, at)
        if box is not None:
            yield box
        end = at


def joint_boxes(text: str) -> tuple[Box, ...]:
    r"""Give the last box and those before it that make one answer with it, in their order.

    Boxes belong together where nothing but a comma, "and", "or" or the like is between them.
    """
    group: list[Box] = []
    for box in boxes(text):
        if group:
            between = text[box.close : group[0].start]
            if len(between) > _APART or "\n\n" in between or not _JOINT.fullmatch(between):
                break
        group.insert(0, box)
    return tuple(group)


def boxed(text: str, group: tuple[Box, ...]) -> str:
    """Give what boxes hold, each content once, joined by commas."""
    contents = (text[box.inside : box.end].strip() for box in group)
    return ", ".join(dict.fromkeys(contents))


def designated(text: str) -> str:
    r"""Give the part of a known answer that it designates as such, else all of it.

    That is what its last boxes hold, or what follows the last ``####``.
    """
    group = joint_boxes(text)
    if group:
        return boxed(text, group) or text
    _, hashes, behind = text.rpartition("####")
    return behind.strip() or text if hashes else text


def _box_at(text: str, at: int) -> Box | None:
    command = _COMMAND.match(text, at)
    if command is None:
        return None
    inside = command.end()
    if text[inside : inside + 1] == "{":
        close = matching_brace(text, inside)
        return Box(at, inside + 1, close, close + 1) if close >= 0 else None
    bare = _BARE.match(text, inside)
    return Box(at, bare.start(), bare.end(), bare.end()) if bare else None


def matching_brace(text: str, opening: int) -> int:
    """Find the brace that closes one, -1 where none does within 1,000 characters."""
    depth = 0
    for at in range(opening, min(len(text), opening + _LONGEST)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at
    return -1
