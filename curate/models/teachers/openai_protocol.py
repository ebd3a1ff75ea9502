"""OpenAI's protocol as a pure matter: what a request's body holds and what an answer means."""

from typing import Any, Literal

import orjson

from curate.errors import BackendError
from curate.models.servers.faults import TransientError, shorten
from curate.models.teachers.base import Completion, Request, Sampling
from curate.models.teachers.options import OpenAIOptions, Teacher
from curate.models.teachers.stops import cut_at_stop


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
