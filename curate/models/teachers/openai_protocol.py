"""OpenAI's protocol as a pure matter: what a request's body holds and what an answer means.

`fault` is the one place that decides what a status means for a request and for the whole run.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, cast

import orjson

from curate.errors import BackendError
from curate.models.teachers.base import Completion, Request, Sampling
from curate.models.teachers.options import OpenAIOptions, Teacher
from curate.models.teachers.stops import cut_at_stop

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


def path_of(request: Request) -> str:
    """Name the endpoint that serves a request."""
    return "/completions" if request.messages is None else "/chat/completions"


def continues(request: Request, options: OpenAIOptions) -> bool:
    """Tell whether the earlier text is handed over; otherwise the sample is drawn again."""
    return bool(request.prefix) and (request.messages is None or options.continue_cut)


def body_of(
    request: Request, teacher: Teacher, sampling: Sampling, options: OpenAIOptions
) -> dict[str, Any]:
    """Build the JSON body of a request; only what the recipe sets is sent."""
    continued = continues(request, options)
    body: dict[str, Any] = {
        "model": teacher.model,
        **{name: value for name, value in sampling.identity().items() if value != []},
        options.limit_field: sampling.max_tokens - (request.prefix_tokens if continued else 0),
    }
    if request.seed is not None:
        body["seed"] = request.seed
    prefix = request.prefix if continued else ""
    if request.messages is None:
        return body | {"prompt": f"{request.prompt}{prefix}"}
    if teacher.template_args:
        body["chat_template_kwargs"] = dict(teacher.template_args)
    if not continued:
        return body | {"messages": request.messages}
    return body | {
        "messages": [*request.messages, {"role": "assistant", "content": prefix}],
        "add_generation_prompt": False,
        "continue_final_message": True,
    }


def completion_of(
    request: Request, answer: Any, sampling: Sampling, options: OpenAIOptions
) -> Completion:
    """Read the answer of either endpoint.

    Raises:
        TransientError: the server gave the request up.
        BackendError: the answer is no answer of this protocol.
    """
    try:
        choice = answer["choices"][0]
        message: dict[str, Any] = choice.get("message") or {"content": choice["text"]}
    except (KeyError, IndexError, TypeError) as error:
        shown = shorten(orjson.dumps(answer))
        raise BackendError(
            f"{options.url} answered with {shown!r}, which holds no choice; check that the url is "
            "that of an OpenAI-compatible server"
        ) from error
    reason = choice.get("finish_reason")
    if reason in {"abort", "error"}:
        raise TransientError(f"the server gave the request up with finish_reason {reason!r}")
    if reason == "content_filter":
        return failed(request, "the server's content filter ended this sample")
    usage: dict[str, Any] = answer.get("usage") or {}
    text, tokens = message.get("content") or "", usage.get("completion_tokens")
    finish: Literal["stop", "length"] = "length" if reason == "length" else "stop"
    if continues(request, options):
        text = request.prefix + text
        cut = cut_at_stop(text, sampling.stop, len(request.prefix))
        text, finish = (text, finish) if cut is None else (cut, "stop")
        tokens = None if tokens is None else tokens + request.prefix_tokens
    return Completion(
        key=request.key,
        text=text,
        finish_reason=finish,
        completion_tokens=tokens,
        prompt_tokens=usage.get("prompt_tokens"),
        reasoning=message.get("reasoning") or message.get("reasoning_content"),
    )


def failed(request: Request, message: str) -> Completion:
    """Make the completion of a request that failed for good."""
    return Completion(key=request.key, text="", finish_reason="error", error=message)


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
