"""What the documentation tells people to type: its fenced blocks, and the code in its prose."""

import re
import shlex
from pathlib import Path
from typing import Final, NamedTuple

DOCS: Final = (
    "README.md",
    "curate/README.md",
    "curate/measures/README.md",
    "curate/release/formats/README.md",
    "curate/select/README.md",
    "curate/sources/README.md",
    "filters/README.md",
    "recipes/README.md",
    "tests/bench/README.md",
)
_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"`([^`\n]+)`")


class Block(NamedTuple):
    """One fenced block.

    Attributes:
        doc: where it stands.
        language: the word after its fence.
        text: what is in it.
    """

    doc: str
    language: str
    text: str


def blocks(language: str | None = None) -> list[Block]:
    """List the fenced blocks of all documents, or those of one language."""
    found = [
        Block(doc, *fence)
        for doc in DOCS
        for fence in _FENCE.findall(Path(doc).read_text(encoding="utf-8"))
    ]
    return [block for block in found if language in {None, block.language}]


def cell() -> str:
    """Give what the README shows of a notebook; a kernel runs it."""
    return next(block.text for block in blocks("python") if "pool_recipe(rows" in block.text)


def commands() -> list[str]:
    """List the lines of all shell blocks, without their comments, each once."""
    lines = [line for block in blocks("sh") for line in block.text.splitlines()]
    bare = [re.sub(r"\s+#.*", "", line) for line in lines]
    return list(dict.fromkeys(line for line in bare if line))


def inline_code() -> list[tuple[str, str]]:
    """List what stands between backticks outside of fences, with its document."""
    return [
        (doc, code)
        for doc in DOCS
        for code in _CODE.findall(_FENCE.sub("", Path(doc).read_text(encoding="utf-8")))
    ]


def words(command: str) -> list[str]:
    """Split a command as a shell does."""
    return shlex.split(command)
