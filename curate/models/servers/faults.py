"""What a server's status means, for a request and for the whole run; `fault` alone decides."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, cast

import orjson

from curate.errors import BackendError

REFUSED: Final = {400, 403, 413, 422, 451}
"""Of one request; where every request gets them, the set-up is at fault."""
TRANSIENT: Final = {408, 409, 425, 429, 498, *range(500, 600)} - {501, 505}
NEVER_BETTER: Final = "insufficient_quota"
"""OpenAI's code for an account without money, sent with the status of a busy server."""

ADVICE: Final = {
    401: "set api_key_env to the name of the variable that holds a valid key",
    404: "check that the url ends where /chat/completions follows (usually /v1) and that the model "
    "has the name under which the server offers it",
}


class TransientError(Exception):
    """Worth another try, not before `wait` seconds where the server named a time."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class RefusedError(Exception):
    """The server will not answer this request, ever."""


class UnansweredError(BackendError):
    """A request was tried as long as patience lasted, and the server did not answer it."""


def fault(
    status: int, headers: Mapping[str, str], data: bytes, where: str
) -> RefusedError | TransientError | BackendError:
    """Say what a status other than 200 means.

    Args:
        status: of the answer.
        headers: of the answer; Retry-After is read.
        data: its body.
        where: url and model, for the message.

    Returns:
        `RefusedError` for this request alone, `TransientError` for another try, `BackendError`
        where no request will be served.
    """
    return meaning(status, server_message(data), where, retry_after(headers.get("Retry-After")))


def meaning(
    status: int, text: str, where: str, wait: float | None = None
) -> RefusedError | TransientError | BackendError:
    """Say what a status means that came with a message, as a status or inside an answer's body."""
    if status in REFUSED:
        return RefusedError(f"HTTP {status}: {text}")
    if status in TRANSIENT and NEVER_BETTER not in text:
        return TransientError(f"HTTP {status}: {text}", wait)
    return BackendError(
        f"{where} answered HTTP {status}: {text}; {ADVICE.get(status, 'see the log of the server')}"
    )


def retry_after(value: str | None) -> float | None:
    """Read a Retry-After header, seconds or an HTTP date (RFC 9110, 10.2.3), into seconds."""
    if value is None:
        return None
    if value.strip().replace(".", "", 1).isdecimal():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def error_in(answer: object, where: str) -> RefusedError | TransientError | BackendError | None:
    """Find the error that an answer of status 200 holds, as gateways pass on what went wrong."""
    if not isinstance(answer, dict):
        return None
    fields = cast("dict[str, object]", answer)
    error = fields.get("error")
    if error is None and fields.get("object") == "error":
        error = fields
    if not error:
        return None
    code = cast("dict[str, object]", error).get("code") if isinstance(error, dict) else None
    text = server_message(orjson.dumps({"error": error}))
    digits = str(code)
    return meaning(int(digits) if digits.isdecimal() else 500, text, where)


def server_message(data: bytes) -> str:
    """Take the message out of an error's body, whatever its form."""
    try:
        body: object = orjson.loads(data)
    except orjson.JSONDecodeError:
        return shorten(data)
    if not isinstance(body, dict):
        return shorten(data)
    fields = cast("dict[str, object]", body)
    error = fields.get("error", fields)
    if not isinstance(error, dict):
        return shorten(str(error).encode())
    parts = cast("dict[str, object]", error)
    texts = [str(parts[name]) for name in ("message", "code", "detail") if parts.get(name)]
    return shorten(" / ".join(texts).encode() or data)


def shorten(data: bytes) -> str:
    """Show the beginning of a body."""
    return data[:300].decode(errors="replace")
