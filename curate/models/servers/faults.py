"""What a server's status means, for a request and for the whole run; `fault` alone decides."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, cast

import orjson

from curate.errors import BackendError

REFUSED: Final = {400, 403, 413, 422, 451}
"""Of one request; where every request gets them, the set-up is at fault."""
TRANSIENT: Final = {408, 409, 425, 429, 498, *range(500, 600)} - {501, 505}
_STATUS: Final = re.compile("[45][0-9]{2}")
"""Of the codes inside answers those that are HTTP's; others are the provider's own."""
NEVER_BETTER: Final = "insufficient_quota"
"""OpenAI's code for an account without money, sent with the status of a busy server."""

ADVICE: Final = {
    401: "set api_key_env to the name of the variable that holds a valid key",
    404: "check that the url ends where /chat/completions follows (usually /v1) and that the model "
    "has the name under which the server offers it",
}


OTHER_PROTOCOL: Final = "check that the url is that of an OpenAI-compatible server"


class TransientError(Exception):
    """Worth another try, not before `wait` seconds where the server named a time."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class RefusedError(Exception):
    """The server will not answer this request, ever."""


class GarbledError(BackendError):
    """An answer is none of this protocol: a wrong url or, where others were, a passing fault.

    Args:
        where: what was asked.
        answer: what came, and what is wrong with it.
        advice: what to do where nothing else comes from there.
    """

    def __init__(self, where: str, answer: str, advice: str = "") -> None:
        super().__init__(f"{where} {answer}; {advice or OTHER_PROTOCOL}")
        self.answer = answer


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
    status = int(str(code)) if _STATUS.fullmatch(str(code)) else 500
    return meaning(status, _message_in({"error": error}), where)


def server_message(data: bytes) -> str:
    """Take the message out of an error's body, whatever its form."""
    try:
        body: object = orjson.loads(data)
    except orjson.JSONDecodeError:
        return shorten(data)
    return _message_in(body) or shorten(data)


def _message_in(body: object) -> str:
    """Take the message out of an error that was read; empty where it has none."""
    if not isinstance(body, dict):
        return ""
    fields = cast("dict[str, object]", body)
    error = fields.get("error", fields)
    if not isinstance(error, dict):
        return shorten(str(error))
    parts = cast("dict[str, object]", error)
    texts = [str(parts[name]) for name in ("message", "code", "detail") if parts.get(name)]
    return shorten(" / ".join(texts))


def shorten(data: bytes | str) -> str:
    """Show the beginning of a body, or of a text in it."""
    return data[:300] if isinstance(data, str) else data[:300].decode(errors="replace")
