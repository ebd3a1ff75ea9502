"""Why a completion ended, in every server's and data set's word for it."""

from typing import Final, Literal

Finish = Literal["stop", "length"]

_LENGTH: Final = frozenset(
    ("length", "max_tokens", "max_length", "max_new_tokens", "max_output_tokens", "model_length",
     "token_limit", "incomplete", "truncated")
)  # fmt: skip
_STOP: Final = frozenset(
    ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_token", "end", "complete",
     "completed", "finished", "finish", "done")
)  # fmt: skip


def finish_of(word: str | None) -> Finish | None:
    """Give the reason in our words; None where it is not known, or is neither."""
    plain = (word or "").strip().lower().removeprefix("finish_reason_").replace("-", "_")
    if plain in _LENGTH:
        return "length"
    return "stop" if plain in _STOP else None
