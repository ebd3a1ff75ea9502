"""What OpenAI's protocol tells of a completion's tokens, where a server tells anything."""

from collections.abc import Mapping
from typing import Any, cast

from curate.models.teachers.base import Request
from curate.models.teachers.tokens import Tokens


def asking_for_tokens(request: Request) -> dict[str, Any]:
    """Give the part of a request's body that asks how likely each token of its completion was.

    Plain completions take a number of alternatives, and some servers take 0 for not being asked.
    """
    return {"logprobs": 1} if request.messages is None else {"logprobs": True}


def tokens_of(choice: Mapping[str, Any], text: str) -> Tokens | None:
    """Find the tokens of a choice's text.

    Args:
        choice: of an answer.
        text: as it was read; what a model thought apart is no part of it, and where a server
            tells the tokens of that too, they do not spell the text.

    Returns:
        None where the server does not tell them all.
    """
    logprobs = choice.get("logprobs")
    fields = cast("dict[str, object]", logprobs) if isinstance(logprobs, dict) else {}
    if isinstance(fields.get("content"), list):
        entries = [_fields(entry) for entry in cast("list[object]", fields["content"])]
        pieces = [_piece(entry.get("bytes"), entry.get("token")) for entry in entries]
        return Tokens.of(text, pieces, [entry.get("logprob") for entry in entries])
    words, values = (_list(fields.get(name)) for name in ("tokens", "token_logprobs"))
    return Tokens.of(text, [_piece(None, word) for word in words], values) if words else None


def _piece(data: object, word: object) -> bytes:
    """Give the bytes of a token; a server's word for one that cuts a character has lost them."""
    values = [byte for byte in _list(data) if isinstance(byte, int) and 0 <= byte < 256]
    if isinstance(data, list) and len(values) == len(_list(data)):
        return bytes(values)
    return str(word).encode("utf-8", "replace")


def _fields(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []
