"""What a server's status means, for a request and for the whole run; `fault` alone decides."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, cast

import orjson

from curate.errors import BackendError

REFUSED: Final = {400, 413, 422}
TRANSIENT: Final = {408, 409, 425, 429, 500, 502, 503, 504, 529}
NEVER_BETTER: Final = "insufficient_quota"
"""OpenAI's code for an account without money, sent with the status of a busy server."""

ADVICE: Final = {
    401: "set api_key_env to the name of the variable that holds a valid key",
    403: "the key may not use this model; name another model or another key",
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
    text = server_message(data)
    if status in REFUSED:
        return RefusedError(f"HTTP {status}: {text}")
    if status in TRANSIENT and NEVER_BETTER not in text:
        return TransientError(f"HTTP {status}: {text}", retry_after(headers.get("Retry-After")))
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
