"""Answers that are not as they should be: good ones changed at random, and bare bytes."""

import gzip
import json
import zlib
from copy import deepcopy
from typing import Any, Final

from hypothesis import strategies as st

from tests.curate.mutations import Mistakes, Verbatim, mutated, put_verbatim
from tests.servers.odd_server import Answer

TEXT: Final = "9 + 9 = 18. The answer is 18."
CHAT: Final[dict[str, Any]] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1764500000,
    "model": "tiny-teacher",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": TEXT},
            "logprobs": {
                "content": [{"token": "9", "logprob": -0.1, "bytes": [57], "top_logprobs": []}]
            },
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19},
}
PARTS: Final[list[dict[str, Any]]] = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Add them."}]},
    {"type": "text", "text": TEXT},
]
MESSAGES: Final[list[dict[str, Any]]] = [
    {"role": "assistant", "content": PARTS},
    {"role": "assistant", "content": TEXT, "reasoning": "Add them.", "reasoning_details": PARTS},
    {"role": "assistant", "content": TEXT, "reasoning_content": "Add them."},
    {"role": "assistant", "content": None, "refusal": "I can't.", "annotations": [], "audio": None},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
        ],
    },
]
ERRORS: Final[list[dict[str, Any]]] = [
    {"error": {"message": "busy", "type": "server_error", "param": None, "code": 429}},
    {"error": {"message": "too long", "code": "context_length_exceeded"}},
    {"object": "error", "message": "no such model", "type": "NotFoundError", "code": 404},
    {"detail": [{"loc": ["body", "model"], "msg": "field required", "type": "missing"}]},
]
GOOD: Final[list[dict[str, Any]]] = [
    CHAT,
    *({**CHAT, "choices": [{**CHAT["choices"][0], "message": message}]} for message in MESSAGES),
    {**CHAT, "choices": [{"index": 0, "text": TEXT, "finish_reason": "length"}]},
    {**CHAT, "choices": [{"delta": {"content": TEXT}, "finish_reason": None}]},
]

KEYS: Final = (
    "error", "message", "content", "text", "reasoning", "reasoning_content", "thinking", "refusal",
    "delta", "tool_calls", "function_call", "finish_reason", "usage", "completion_tokens",
    "prompt_tokens", "code", "object", "choices", "type", "status", "", "\ud800", "__class__",
)  # fmt: skip
VALUES: Final = (
    None, True, False, 0, 1, -1, 9, 1.5, 1e300, -0.0, 2**31, 2**53, 2**63, 2**64, 10**30, -(10**30),
    "", " ", "x", "9", "9.0", "many", "1e999", "nan", "error", "abort", "length", "stop",
    "content_filter", "tool_calls", "max_tokens", "SAFETY", "429", "500", "404",
    "insufficient_quota", "thinking", "reasoning", "\x00", "\x1b[2J", "\ud800", "\udfff\ud800",
    "\u202e", "\ufeff", "x" * 200_000, "<think>", "</think>", "<think>a",
    "<|channel|>analysis<|message|>", "\n" * 5000, "{{ x }}", "$" * 5000, "(" * 5000,
    "The answer is " * 500, "\\boxed{" * 300, "9" * 5000, "9^9^9^9^9^9^9", "\u0660\u0661", "1/0",
    [], {}, [[]], [None], [0], ["x"], [{}], [[["x"]]], {"x": 1}, {"text": "x"},
    {"content": {"content": []}}, [{"type": "text", "text": None}], [{"type": None}],
    [{"type": ["text"], "text": "x"}],
)  # fmt: skip
WRITTEN: Final = tuple(
    map(
        Verbatim,
        (
            "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "0." + "9" * 5000,
            "1e-999", "01", "+1", ".5", "0x10", "undefined", "None", "True", "'x'", '"\\ud800"',
            '"\\u0000"', '"\\x"', '"\t"', '"x', "[" * 2000 + "]" * 2000,
            '{"text":' * 2000 + "1" + "}" * 2000, "[" * 150_000, "[1,]", '{"a":1,"a":2}',
            "/* x */ 1", "", ",", "\x00", "\ufeff",
        ),
    )
)  # fmt: skip
BODIES: Final = (
    b"", b" ", b"\n", b"null", b"true", b"0", b'""', b'"Welcome"', b"[]", b"{}", b"[[]]", b"\x00",
    b"\xff\xfe", b"\xef\xbb\xbf{}", b"<html><body>502 Bad Gateway</body></html>", b"ok",
    b": OPENROUTER PROCESSING\n\n", b"data: [DONE]\n\n", b"event: error\ndata: {}\n\n",
    b"{" * 200_000, b"[" * 200_000, b"9" * 200_000, b'{"choices": []}', b'{"choices": null}',
    b'{"choices": {}}', b'{"choices": [[]]}', b'{"error": {}}',
)  # fmt: skip
STATUSES: Final = (
    *([b"200 OK"] * 12), *([b"429 Too Many Requests"] * 2), *([b"503 Service Unavailable"] * 2),
    b"500 x", b"502 x", b"504 x", b"520 x", b"529 x", b"599 x", b"400 Bad Request", b"400 x",
    b"403 x", b"408 x", b"409 x", b"413 x", b"422 x", b"425 x", b"451 x", b"498 x", b"401 x",
    b"402 x", b"404 x", b"405 x", b"410 x", b"418 x", b"501 x", b"505 x", b"100 Continue",
    b"101 Switching Protocols", b"102 x", b"103 x", b"201 x", b"202 x", b"204 x", b"205 x",
    b"206 x", b"300 x", b"301 x", b"302 x", b"303 x", b"304 x", b"305 x", b"307 x", b"308 x",
    b"999 x", b"600 x", b"000 x", b"20 x", b"2000 x", b"-1 x", b"abc", b"200", b"200 \xff\xff", b"",
)  # fmt: skip
WAITS: Final = (
    b"0", b"1", b"0.1", b"-1", b"-0", b"1e9", b"99999", b"9" * 400, b"nan", b"inf", b"1,5", b"",
    b" ", b"soon", b"\xd9\xa3", b"\xc2\xb2", b"1.2.3", b"Wed, 21 Oct 2099 07:28:00 GMT",
    b"Wed, 21 Oct 1999 07:28:00 GMT", b"Wed, 99 Oct 2099 99:99:99 GMT",
    b"Wed, 21 Oct 99999 07:28:00 GMT", b"Wed, 21 Oct 0000 07:28:00 +9999",
)  # fmt: skip
PLACES: Final = (
    b"/v1/chat/completions", b"/elsewhere", b"http://127.0.0.1:9/v1", b"http://", b"http://[",
    b"//", b"", b"\xff", b"file:///etc/hostname", b"javascript:x", b"http://127.0.0.1:99999/",
    b"?a=b", b"http://user:pw@127.0.0.1:9/",
)  # fmt: skip
HEADERS: Final = (
    b"Content-Type: text/html", b"Content-Type: application/json; charset=utf-16",
    b"Content-Type: \xff", b"Content-Type: text/event-stream", b"Content-Encoding: gzip",
    b"Content-Encoding: deflate", b"Content-Encoding: br", b"Content-Encoding: zstd",
    b"Content-Encoding: nobody-knows", b"Content-Length: -1", b"Content-Length: x",
    b"Content-Length: 5\r\nContent-Length: 6", b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip", b"Set-Cookie: a=b; c; =; \xff", b"Connection: close",
    b"X: " + b"y" * 20_000, b"no colon here", b": no name", b"X: a\x00b",
    b"Content-Disposition: attachment", b"WWW-Authenticate: Basic",
)  # fmt: skip


MISTAKES: Final = Mistakes(
    keys=lambda _: st.sampled_from(KEYS),
    values=lambda _holder, _key: st.sampled_from((*VALUES, *WRITTEN, *GOOD)).map(deepcopy),
)


def as_json(tree: Any) -> bytes:
    """Write a tree as JSON; half a surrogate becomes three bytes, which are no UTF-8."""

    def write(plain: Any) -> str:
        return json.dumps(plain, ensure_ascii=False)

    return put_verbatim(tree, write).encode("utf-8", "surrogatepass")


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw the body of an answer: most are an answer's with a mistake or two in it."""
    if draw(st.sampled_from((True, True, True, True, False))):
        base = draw(st.sampled_from(GOOD * 2 + ERRORS))
        body = as_json(draw(mutated(base, MISTAKES, (0, 1, 1, 1, 2, 3))))
    else:
        body = draw(st.sampled_from(BODIES) | st.binary(max_size=200))
    form = draw(
        st.sampled_from(
            (*[""] * 12, "cut", "sse", "bom", "twice", "gzip", "zlib", "utf-16", "noise")
        )
    )
    place = draw(st.integers(0, max(len(body) - 1, 0))) if form in {"cut", "noise"} else 0
    forms = {
        "cut": lambda: body[:place],
        "noise": lambda: body[:place] + b"\xff\x00" + body[place:],
        "sse": lambda: b"data: " + body + b"\n\ndata: [DONE]\n\n",
        "bom": lambda: b"\xef\xbb\xbf" + body,
        "twice": lambda: body + body,
        "gzip": lambda: gzip.compress(body),
        "zlib": lambda: zlib.compress(body),
        "utf-16": lambda: body.decode("utf-8", "replace").encode("utf-16"),
    }
    return forms[form]() if form else body


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Draw a whole response."""
    body = draw(bodies())
    odd = draw(st.sampled_from((False, False, True)))
    status = draw(st.sampled_from(STATUSES)) if odd else b"200 OK"
    headers = draw(st.lists(st.sampled_from(HEADERS), max_size=2)) if odd else []
    if odd and draw(st.booleans()):
        headers.append(b"Retry-After: " + draw(st.sampled_from(WAITS)))
    if status[:1] == b"3":
        headers.append(b"Location: " + draw(st.sampled_from(PLACES)))
    length = draw(st.sampled_from((0, 0, 0, 0, 7, -7, None))) if odd else 0
    if length is not None:
        headers.append(b"Content-Length: %d" % max(len(body) + length, 0))
    head = b"\r\n".join([b"HTTP/1.1 " + status, *headers]) + b"\r\n\r\n"
    whole = head + body
    match draw(st.sampled_from((*["whole"] * 12, "drip", "stall", "head", "nothing", "junk"))):
        case "drip":
            step = len(whole) // 4 + 1
            return Answer(tuple(whole[i : i + step] for i in range(0, len(whole), step)), 0.02)
        case "stall":
            return Answer((whole[: len(whole) // 2],), held=True)
        case "head":
            return Answer((head[: len(head) // 2],))
        case "nothing":
            return Answer(())
        case "junk":
            return Answer((body + b"\r\n\r\n",))
        case _:
            return Answer((whole,))
