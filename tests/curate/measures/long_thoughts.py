"""Thoughts as long as reasoning models write them, with interim answers all the way."""

from typing import Final, NamedTuple

TRIES: Final = (
    "Let me try {n} rows of 7: that is {n} * 7 = {product}. So the answer is {product}?",
    "Hmm, wait. That counts the corner twice, so I must have made a mistake somewhere.",
    "If the answer is {product}, then half of it is {n} and a bit, which doesn't match.",
    "Okay, so maybe the answer is \\boxed{{{product}}}. Let me double-check that from the start.",
    "No, that's not right. I can't find a row of {n} in the picture.",
    "Alternatively, take {n} from {product} and look at what is left over on the other side.",
)
STATEMENTS: Final = (
    "So it would be 1350.", "that makes 1,350 in all", "\\boxed{1350}", "**1350**", "x = 1350.0,",
    "$1,350", "1{,}350", "1\\,350", "(1350)", "one thousand three hundred fifty", "=1350;",
)  # fmt: skip
"""Of one value, in every dress that its reader knows."""


class LongThought(NamedTuple):
    """A thought and what was written behind it.

    Attributes:
        thought: of about as many words as were wanted.
        solution: short, with steps of its own.
        statements: how often the thought states the value.
    """

    thought: str
    solution: str
    statements: int


def long_thought(words: int) -> LongThought:
    """Write a thought that states 1350 every now and then, and other answers in between."""
    lines: list[str] = []
    size = statements = 0
    while size < words:
        n = len(lines) % 89 + 11
        line = TRIES[len(lines) % len(TRIES)].format(n=n, product=n * 7)
        if len(lines) % 25 == 24:
            line = f"{line} {STATEMENTS[statements % len(STATEMENTS)]}"
            statements += 1
        lines.append(line)
        size += len(line.split())
    lines.append("Right: 27 * 50 = 1350, and nothing is counted twice. So the answer is 1350.")
    solution = "There are 27 rows of 50 tiles.\n\n27 * 50 = 1350\n\n**The answer is 1350 tiles.**"
    return LongThought("\n\n".join(lines), solution, statements + 2)
