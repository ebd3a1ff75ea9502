"""What answers of all kinds of servers mean: read, tried again, one failed sample, or the end."""

import json
from typing import Any

import pytest

from curate.errors import BackendError
from curate.models.finish import finish_of
from curate.models.servers.faults import GarbledError, RefusedError, TransientError, error_in
from curate.models.teachers.base import Completion, Request, Sampling
from curate.models.teachers.openai_protocol import completion_of
from curate.models.teachers.options import OpenAIOptions

OPTIONS = OpenAIOptions(backend="openai", url="http://here/v1")
TEXT = "9 + 9 = 18. The answer is 18."


def answer(message: Any = None, usage: Any = None, **choice: Any) -> dict[str, Any]:
    """Make an answer with one choice."""
    said = {"role": "assistant", "content": TEXT} | (message or {})
    return {"choices": [{"message": said, "finish_reason": "stop"} | choice], "usage": usage}


def read(body: Any) -> Completion:
    return completion_of(Request(key="k", prompt="p"), body, Sampling(), OPTIONS)


@pytest.mark.parametrize(
    ("message", "text", "thought"),
    [
        ({}, TEXT, None),
        ({"content": [{"type": "text", "text": "9 + 9. "}, {"type": "text", "text": "18"}]},
         "9 + 9. 18", None),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Add."}]},
                      {"type": "text", "text": "18"}]}, "18", "Add."),
        ({"content": ["9 + 9 ", "is 18"]}, "9 + 9 is 18", None),
        ({"content": 18}, "18", None),
        ({"content": None, "reasoning_content": "Add."}, "", "Add."),
        ({"reasoning": "Add."}, TEXT, "Add."),
        ({"reasoning": {"text": "Add."}}, TEXT, "Add."),
        ({"reasoning": {"content": [{"text": "Add."}]}}, TEXT, "Add."),
        ({"reasoning": None, "reasoning_details": [{"type": "reasoning.text", "text": "Add."}]},
         TEXT, "Add."),
        ({"thinking": "Add."}, TEXT, "Add."),
        ({"reasoning": "Add.", "reasoning_content": "Add."}, TEXT, "Add."),
        ({"content": "18 \ud83d."}, "18 ?.", None),
    ],
)  # fmt: skip
def test_text_and_thought_are_read_in_whatever_form(
    message: dict[str, Any], text: str, thought: str | None
) -> None:
    completion = read(answer(message))
    assert (completion.text, completion.reasoning) == (text, thought)
    assert completion.finish_reason == "stop"
    json.dumps(completion.text).encode()


def told(*entries: Any) -> dict[str, Any]:
    """Tell the tokens of a chat's answer: pairs of a token and its bytes, each at -0.5 nats."""
    return {"content": [{"token": t, "logprob": -0.5, "bytes": data} for t, data in entries]}


CAFE = "9 cafés."
CUT = (("9 caf", [*b"9 caf"]), ("\ufffd", [195]), ("\ufffds", [169, 115]), (".", [46]))


@pytest.mark.parametrize(
    ("logprobs", "ends"),
    [
        (told(*CUT), (5, 6, 7, 8)),
        (told(*CUT, ("<|im_end|>", [*b"<|im_end|>"])), (5, 6, 7, 8, 18)),
        # vLLM shows a character with its last token; others give no bytes, or those of the word.
        (told(("9 caf", [*b"9 caf"]), ("", []), ("és", [195, 169, 115]), (".", [46])),
         (5, 6, 7, 8)),
        (told(("9 ", None), ("cafés", None), (".", None)), (2, 7, 8)),
        (told(*((token, None) for token, _ in CUT)), None),
        ({"tokens": ["9 ", "cafés", "."], "token_logprobs": [-0.5] * 3}, (2, 7, 8)),
        ({"tokens": ["9 ", "cafés", "."], "token_logprobs": [-0.5] * 2}, None),
        ({"tokens": ["9 ", "cafés", "."], "token_logprobs": None}, None),
        ({"tokens": ["token_id:9", "token_id:8"], "token_logprobs": [-0.5] * 2}, None),
        (told(*CUT[:3]), None),
        (told(*CUT[1:]), None),
        (told(("Hm.", [*b"Hm."]), *CUT), None),
        (told((CAFE, [*CAFE.encode(), 256])), (8,)),
        (told((CAFE, ["9"])), (8,)),
        ({"content": [{"token": CAFE, "logprob": None}]}, None),
        ({"content": [CAFE]}, None),
        ({"content": []}, None),
        ({"content": None}, None),
        ([], None),
        ("-0.5", None),
        (None, None),
    ],
)  # fmt: skip
def test_tokens_are_told_of_all_of_a_text_or_of_none(logprobs: Any, ends: Any) -> None:
    tokens = read(answer({"content": CAFE}, logprobs=logprobs)).tokens
    assert (tokens and tokens.ends) == ends
    assert tokens is None or set(tokens.logprobs) == {-0.5}


def test_tokens_of_a_thought_that_came_apart_are_not_those_of_the_text() -> None:
    logprobs = told(("Add. ", [*b"Add. "]), ("18", [*b"18"]))
    apart = answer({"content": "18", "reasoning_content": "Add. "}, logprobs=logprobs)
    assert read(apart).tokens is None


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 9}, (10, 9)),
        ({"prompt_tokens": 10.0, "completion_tokens": 9.0}, (10, 9)),
        ({"prompt_tokens": "10", "completion_tokens": "9"}, (10, 9)),
        ({"prompt_tokens": None, "completion_tokens": "many"}, (None, None)),
        ({"prompt_tokens": -1, "completion_tokens": -1}, (None, None)),
        ({"prompt_tokens": 2**31, "completion_tokens": 1e300}, (None, None)),
        (None, (None, None)),
        ([], (None, None)),
    ],
)
def test_tokens_are_whole_numbers_or_unknown(usage: Any, tokens: tuple[int | None, int | None]):
    completion = read(answer(usage=usage))
    assert (completion.prompt_tokens, completion.completion_tokens) == tokens


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"), ("eos_token", "stop"), ("end_turn", "stop"), ("STOP", "stop"),
        ("length", "length"), ("max_tokens", "length"), ("MAX_TOKENS", "length"),
        ("FINISH_REASON_MAX_TOKENS", "length"), ("max-new-tokens", "length"),
        ("content_filter", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_every_word_for_the_end_is_known(word: str | None, reason: str | None) -> None:
    assert finish_of(word) == reason
    if word is None or reason:
        assert read(answer(finish_reason=word)).finish_reason == (reason or "stop")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (answer({"content": None}, finish_reason="content_filter"), "content filter"),
        (answer({"content": ""}, finish_reason="SAFETY"), "content filter"),
        (answer({"content": None, "refusal": "I can't."}), "the model refused: I can't."),
        (answer({"content": None, "refusal": {"why": "I" * 9000}}), "the model refused: {'why"),
        (answer({"content": None, "tool_calls": [{"id": "1"}]}, finish_reason="tool_calls"),
         "called a tool"),
    ],
)  # fmt: skip
def test_what_holds_no_sample_is_one_that_failed(body: Any, message: str) -> None:
    completion = read(body)
    assert completion.finish_reason == "error"
    assert message in (completion.error or "")
    assert len(completion.error or "") < 400


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"choices": []}, TransientError),
        ({"choices": None}, TransientError),
        (answer(finish_reason="error"), TransientError),
        (answer(error={"message": "idle", "code": 502}), TransientError),
        ({"choices": {"message": {"content": "x"}}}, GarbledError),
        ({"choices": [{"message": "x"}]}, GarbledError),
        ({"choices": [{"message": [{"content": "x"}]}]}, GarbledError),
        ({"text": "x"}, GarbledError),
        ([answer()], GarbledError),
        ("Welcome", GarbledError),
    ],
)
def test_an_answer_without_a_choice_is_no_answer(body: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "Provider returned error", "code": 502}}, TransientError),
        ({"error": {"message": "Rate limit exceeded", "code": 429}}, TransientError),
        ({"error": {"message": "gone wrong"}}, TransientError),
        ({"error": "gone wrong"}, TransientError),
        ({"error": {"message": "flagged", "code": 403}}, RefusedError),
        ({"error": {"message": "too long", "code": "400"}}, RefusedError),
        ({"error": {"message": "wrong key", "code": 401}}, BackendError),
        ({"object": "error", "message": "no such model", "code": 404}, BackendError),
        ({"error": {"message": "its own code", "code": 1301}}, TransientError),
        ({"error": {"message": "its own code", "code": "9" * 5000}}, TransientError),
        ({"error": {"message": "two", "code": [429]}}, TransientError),
        ({"error": None} | answer(), type(None)),
        (answer(), type(None)),
        ([], type(None)),
    ],
)
def test_an_error_inside_an_answer_means_what_its_status_would(body: Any, kind: type) -> None:
    assert type(error_in(body, "here")) is kind
