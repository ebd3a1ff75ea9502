"""OpenAI's protocol as a pure matter: what a request's body holds and what an answer means."""

import json
from collections.abc import Mapping
from typing import Any, Final, Literal, cast

from curate.models.finish import finish_of
from curate.models.servers.faults import GarbledError, TransientError, error_in, shorten
from curate.models.teachers.base import Completion, Request, Sampling
from curate.models.teachers.openai_tokens import tokens_of
from curate.models.teachers.options import OpenAIOptions, Teacher
from curate.models.teachers.stops import cut_at_stop

FILTERED: Final = {"content_filter", "safety", "recitation", "blocklist", "prohibited_content"}
"""Words for a sample that a server's filter ended."""
MOST_TOKENS: Final = 2**31
"""No answer has as many; the tables hold no larger number."""
_TEXT_FIELDS: Final = ("text", "thinking", "content", "reasoning", "summary")
_THOUGHT_FIELDS: Final = ("reasoning", "reasoning_content", "reasoning_details", "thinking")


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
        BackendError: no request will be answered; `GarbledError` where the answer is none.
    """
    choice = _first_choice(answer, options)
    turn: object = choice.get("message") or choice.get("delta") or {}
    if not isinstance(turn, dict):
        raise _no_choice(answer, options)
    message = cast("dict[str, Any]", turn)
    word = str(choice.get("finish_reason") or "")
    if (wrong := error_in(choice, options.address)) is not None:
        raise wrong
    if word in {"abort", "error"}:
        raise TransientError(f"the server gave the request up with finish_reason {word!r}")
    text, thought = parts_of(message.get("content", choice.get("text")))
    thought = _thought(message) or thought
    if word.lower() in FILTERED:
        return failed(request, f"the server's content filter ended this sample ({word})")
    if not text and not thought:
        if refusal := message.get("refusal"):
            return failed(request, f"the model refused: {shorten(str(refusal))}")
        if called := message.get("tool_calls") or message.get("function_call"):
            return failed(request, f"the model called a tool: {shorten(json.dumps(called))}")
    usage: dict[str, Any] = answer.get("usage") or {}
    count = _count(usage, "completion_tokens")
    tokens = tokens_of(choice, text)
    finish: Literal["stop", "length"] = finish_of(word) or "stop"
    if continues(request, options):
        tokens = tokens and tokens.behind(request.prefix, request.earlier)
        text = request.prefix + text
        cut = cut_at_stop(text, sampling.stop, len(request.prefix))
        text, finish = (text, finish) if cut is None else (cut, "stop")
        count = None if count is None else count + request.prefix_tokens
    return Completion(
        key=request.key,
        text=text,
        finish_reason=finish,
        completion_tokens=count,
        prompt_tokens=_count(usage, "prompt_tokens"),
        reasoning=thought or None,
        tokens=tokens,
    )


def _first_choice(answer: Any, options: OpenAIOptions) -> dict[str, Any]:
    """Give the first choice of an answer.

    Raises:
        TransientError: there is a list of choices, and it is empty.
        GarbledError: there is none.
    """
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if choices == [] or (choices is None and isinstance(answer, dict) and "choices" in answer):
        raise TransientError("an answer without a choice")
    if isinstance(choices, list) and isinstance(choices[0], dict):
        choice = cast("dict[str, Any]", choices[0])
        if {"message", "delta", "text"} & choice.keys():
            return choice
    raise _no_choice(answer, options)


def _no_choice(answer: Any, options: OpenAIOptions) -> GarbledError:
    shown = shorten(json.dumps(answer))
    return GarbledError(options.address, f"answered with {shown!r}, which holds no choice")


def parts_of(content: object) -> tuple[str, str]:
    """Give the text and the thought of a message's content: a string, or a list of parts."""
    if content is None:
        return "", ""
    if isinstance(content, str):
        return _sound(content), ""
    if not isinstance(content, list):
        return _sound(str(content)), ""
    texts: list[str] = []
    thoughts: list[str] = []
    for item in cast("list[object]", content):
        kind = str(cast("dict[str, object]", item).get("type")) if isinstance(item, dict) else ""
        thinking = "think" in kind or "reason" in kind
        (thoughts if thinking else texts).append(plain(item))
    return "".join(texts), "".join(thoughts)


def plain(value: object) -> str:
    """Give the text of a part, however deep it lies: a string, an object or a list of them."""
    if isinstance(value, str):
        return _sound(value)
    if isinstance(value, list):
        return "".join(map(plain, cast("list[object]", value)))
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return next((plain(fields[name]) for name in _TEXT_FIELDS if fields.get(name)), "")
    return ""


def _thought(message: Mapping[str, Any]) -> str:
    """Give the thought that a message keeps apart, in whichever of the usual fields."""
    return next(filter(None, (plain(message.get(name)) for name in _THOUGHT_FIELDS)), "")


def _sound(text: str) -> str:
    """Replace half a surrogate, which is no character and could not be written down."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _count(usage: object, name: str) -> int | None:
    """Read a number of tokens, whatever type it came in; None where it is none."""
    value = cast("dict[str, object]", usage).get(name) if isinstance(usage, dict) else None
    try:
        count = int(float(str(value)))
    except (ValueError, OverflowError):
        return None
    return count if 0 <= count < MOST_TOKENS else None


def failed(request: Request, message: str) -> Completion:
    """Make the completion of a request that failed for good."""
    return Completion(key=request.key, text="", finish_reason="error", error=message)
