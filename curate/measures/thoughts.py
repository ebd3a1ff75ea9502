"""Thoughts: parting what a model thought from its solution, in every notation known.

The thought is left whole; no mark of either stays in it or in the solution.
"""

import re
from typing import Final, NamedTuple


class Marks(NamedTuple):
    """How a family of models encloses its thought.

    Attributes:
        opening: begins the thought; a chat template may have put it into the prompt.
        closing: ends it.
    """

    opening: str
    closing: str


MARKS: Final = (
    Marks("<think>", "</think>"),  # DeepSeek-R1, QwQ, Qwen3 and most others
    Marks("<thinking>", "</thinking>"),
    Marks("<thought>", "</thought>"),
    Marks("<reasoning>", "</reasoning>"),
    Marks("<|begin_of_thought|>", "<|end_of_thought|>"),  # Sky-T1, OpenThoughts
    Marks("[THINK]", "[/THINK]"),  # Magistral
    Marks("\u25c1think\u25b7", "\u25c1/think\u25b7"),  # Kimi
    Marks("<seed:think>", "</seed:think>"),  # Seed-OSS
)
SIGNS: Final = ("hink", "hought", "reasoning>", "THINK]")
"""One of them is in every mark, so that four looks tell most texts to have none."""
_SOLUTION = re.compile(r"<\|(?:begin|end)_of_solution\|>")
_CHANNEL = re.compile(r"(?:<\|start\|>assistant)?<\|channel\|>(\w+)(?:[^<]*)<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:end|return|call)\|>")
_FINAL: Final = "final"


def part(text: str, reasoning: str | None) -> tuple[str | None, str]:
    """Part a thought from the solution behind it.

    A block may lack its opening (chat templates that put it into the prompt) or, where the output
    was cut, its closing; then all that follows the opening is thought.

    Args:
        text: a completion.
        reasoning: a server's separate reasoning text, None or blank where there is none.

    Returns:
        The thought, None where there is none; and the solution.
    """
    if "<|channel|>" in text:
        return _channels(text)
    thought, solution = _enclosed(text)
    if reasoning and reasoning.strip():
        inner, bare = _enclosed(reasoning)
        own = bare if inner is None else inner
        return own.strip(), text if thought is None else solution
    return thought, solution


def _enclosed(text: str) -> tuple[str | None, str]:
    if not ("<" in text or "[" in text or "\u25c1" in text):
        return None, text
    for opening, closing in MARKS if any(sign in text for sign in SIGNS) else ():
        if closing not in text and opening not in text:
            continue
        thought, mark, solution = text.rpartition(closing)
        if not mark:
            solution, _, thought = text.partition(opening)
        thought = thought.replace(closing, "").replace(opening, "").strip()
        return thought or None, _SOLUTION.sub("", solution)
    return None, _SOLUTION.sub("", text) if "_of_solution|>" in text else text


def _channels(text: str) -> tuple[str | None, str]:
    """Part the channels of gpt-oss: ``final`` has the solution, all others are thought."""
    begin = list(_CHANNEL.finditer(text))
    if not begin:
        return None, text
    thoughts = [text[: begin[0].start()]]
    solutions: list[str] = []
    ends = [*(match.start() for match in begin[1:]), len(text)]
    for match, end in zip(begin, ends, strict=True):
        content = _CHANNEL_END.sub("", text[match.end() : end]).strip()
        (solutions if match[1] == _FINAL else thoughts).append(content)
    thought = "\n\n".join(piece.strip() for piece in thoughts if piece.strip())
    return thought or None, "\n\n".join(solutions)
