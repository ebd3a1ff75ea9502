"""A teacher's own tokens: how likely each was, and where in the text it ends.

They come with a sample while it is drawn and cannot be had afterwards. What a token is depends on
the tokenizer, so each is told by the characters up to its end, beside which the tokens of any other
tokenizer can be put.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final, Self, cast

PRECISION: Final = 1e-4
"""Nats to which a log-probability is recorded: whole numbers take half the bytes of fractions."""
UNSAID: Final = -9999.0
"""OpenAI's word for a token that is too unlikely for its probability to be told."""
ROUNDING: Final = 1e-3
"""Nats by which a certain token may come out likelier than it can be."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a completion, in order.

    Attributes:
        ends: characters of all that was sampled, up to each token's end; a character that the token
            cuts is counted. The completion's text stands at the beginning of that: a token that
            ends behind it wrote a stop string or the end of the turn.
        logprobs: natural logarithm of each one's probability, as the teacher's engine tells it.
            vLLM's is that before temperature and penalties.
    """

    ends: tuple[int, ...]
    logprobs: tuple[float, ...]

    @classmethod
    def of(cls, text: str, pieces: Sequence[bytes], logprobs: Sequence[object]) -> Self | None:
        """Find where the tokens of a text end.

        Args:
            text: of a completion.
            pieces: what each token wrote, in UTF-8; nothing, where it began a character that a
                later one completes, or wrote what is not shown.
            logprobs: of each.

        Returns:
            None where the pieces do not spell the text, or a token lacks a log-probability: what is
            not known of all tokens is told of none.
        """
        values = [min(log, 0.0) for log in map(_number, logprobs) if UNSAID < log < ROUNDING]
        if not len(values) == len(logprobs) == len(pieces):
            return None
        if not b"".join(pieces).startswith(text.encode("utf-8", "replace")):
            return None
        return cls(tuple(_ends(pieces)), tuple(values))

    def behind(self, prefix: str, earlier: "Tokens | None") -> "Tokens | None":
        """Put them behind the tokens of the text that they continue.

        Args:
            prefix: that text; where it is empty, nothing is continued.
            earlier: its tokens; None where they are not known, and then none are.
        """
        if not prefix:
            return self
        if earlier is None:
            return None
        # What was begun behind the text, as half a character, was drawn again.
        kept = sum(end <= len(prefix) for end in earlier.ends)
        ends = (len(prefix) + end for end in self.ends)
        return Tokens((*earlier.ends[:kept], *ends), (*earlier.logprobs[:kept], *self.logprobs))

    def as_json(self) -> dict[str, list[int]]:
        """Give what the record keeps: characters and, in ten-thousandths of a nat, surprisal."""
        return {
            "characters": [end - begin for begin, end in pairwise((0, *self.ends))],
            "surprisal": [round(-log / PRECISION) for log in self.logprobs],
        }

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        """Read what `as_json` gave; None of anything else."""
        fields = cast("dict[str, object]", value) if isinstance(value, dict) else {}
        characters, surprisal = (_counts(fields.get(name)) for name in ("characters", "surprisal"))
        if characters is None or surprisal is None or len(characters) != len(surprisal):
            return None
        return cls(tuple(accumulate(characters)), tuple(-PRECISION * each for each in surprisal))


def _ends(pieces: Sequence[bytes]) -> Iterator[int]:
    """Count characters up to each piece's end: every byte begins one that continues none."""
    at = last = 0
    for piece in pieces:
        at += len(piece) if piece.isascii() else sum(byte & 0xC0 != 0x80 for byte in piece)
        last = max(last, at if piece else at + 1)
        yield last


def _number(value: object) -> float:
    """Give a number, and minus infinity for what is none."""
    return float(value) if type(value) is float or type(value) is int else -math.inf


def _counts(value: object) -> list[int] | None:
    """Give a list of whole numbers, and None for what is none."""
    if not isinstance(value, list):
        return None
    counts = [n for n in cast("list[object]", value) if isinstance(n, int) and n >= 0]
    return counts if len(counts) == len(cast("list[object]", value)) else None
