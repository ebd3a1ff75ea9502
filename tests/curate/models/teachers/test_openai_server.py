"""The openai backend against a real local server: what is sent, and what each fault means."""

import json
import re
import time
from collections.abc import Iterable
from dataclasses import replace
from email.utils import formatdate
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import BackendError, InputError
from curate.models.servers.faults import retry_after, server_message
from curate.models.teachers.base import Completion, Request, Sampling
from curate.models.teachers.openai_server import ServerGenerator
from curate.models.teachers.options import OpenAIOptions, Teacher
from curate.models.teachers.stops import cut_at_stop
from curate.models.teachers.tokens import Tokens
from tests.servers.odd_server import Answer, odd_server
from tests.servers.openai_server import Fault, logprob, read_book, serving

TEACHER = Teacher("tiny-teacher")


def chats(n: int) -> list[Request]:
    turns = [({"role": "user", "content": f"What is {i} plus 5?"},) for i in range(n)]
    return [Request(key=f"k{i}", messages=turn) for i, turn in enumerate(turns)]


def draw(
    url: str,
    requests: Iterable[Request],
    sampling: Sampling | None = None,
    teacher: Teacher = TEACHER,
    **options: Any,
) -> dict[str, Completion]:
    settings = OpenAIOptions(backend="openai", url=url, **options)
    drawn: list[Completion] = []
    ServerGenerator(teacher, sampling or Sampling(), settings).generate(requests, drawn.append)
    assert len({completion.key for completion in drawn}) == len(drawn)
    return {completion.key: completion for completion in drawn}


def statuses(book: Path) -> list[int]:
    return [entry["status"] for entry in read_book(book)]


def test_every_request_is_drawn_once_and_as_the_server_said(tmp_path: Path):
    book = tmp_path / "book"
    with serving(book) as url:
        drawn = draw(url, chats(40), in_flight=8)
    assert {entry["text"] for entry in read_book(book)} == {c.text for c in drawn.values()}
    assert len(read_book(book)) == len(drawn) == 40
    assert "12" in drawn["k7"].text
    assert {c.finish_reason for c in drawn.values()} == {"stop"}
    assert all(c.completion_tokens for c in drawn.values())


def test_only_what_is_set_is_sent(tmp_path: Path):
    book = tmp_path / "book"
    sampling = Sampling(temperature=0.3, top_k=5, stop=("END",), max_tokens=99)
    teacher = Teacher("tiny-teacher", template_args={"enable_thinking": False})
    request = Request(key="k", messages=chats(1)[0].messages, seed=7)
    with serving(book) as url:
        draw(url, [request], sampling, teacher)
        draw(url, [Request(key="k", prompt="2 and 2:")], Sampling(), teacher)
        draw(url, chats(1), limit_field="max_completion_tokens", logprobs=False)
    chat, plain, other = (entry["body"] for entry in read_book(book))
    assert chat == {
        "model": "tiny-teacher",
        "messages": list(request.messages or ()),
        "temperature": 0.3,
        "top_k": 5,
        "stop": ["END"],
        "max_tokens": 99,
        "seed": 7,
        "chat_template_kwargs": {"enable_thinking": False},
        "logprobs": True,
    }
    assert set(plain) == {"model", "prompt", "temperature", "max_tokens", "logprobs"}
    assert set(other) == {"model", "messages", "temperature", "max_completion_tokens"}


def test_busy_broken_and_lost_connections_are_tried_again(tmp_path: Path):
    faults = [
        Fault(429, at=[0], headers={"Retry-After": "0.2"}),
        Fault(500, at=[1]),
        Fault(503, at=[2], headers={"Retry-After": formatdate(usegmt=True)}),
        Fault(0, at=[3, 5]),
        Fault(502, at=[7], body={"error": {"message": "bad gateway"}}),
    ]
    with serving(tmp_path / "book", faults) as url:
        drawn = draw(url, chats(12), in_flight=3)
    assert len(drawn) == 12
    assert {c.finish_reason for c in drawn.values()} == {"stop"}
    assert sorted(statuses(tmp_path / "book")) == [0, 0, 200, *[200] * 11, 429, 500, 502, 503]


@pytest.mark.parametrize("chat", [True, False])
def test_the_teacher_s_tokens_come_with_every_sample(chat: bool) -> None:
    asked = chats(6) if chat else [Request(key="k", prompt="2 and 2:")]
    with serving() as url:
        drawn = draw(url, asked)
    for completion in drawn.values():
        words = re.findall(r"\s*\S+", completion.text)
        assert completion.tokens is not None
        assert completion.tokens.ends == tuple(accumulate(map(len, words)))
        assert completion.tokens.logprobs == tuple(map(logprob, words))


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.parametrize("in_flight", [1, 8])
def test_a_server_that_refuses_to_tell_tokens_is_asked_without(
    tmp_path: Path, status: int, in_flight: int
) -> None:
    fault = Fault(status, asking="logprobs", body={"error": {"message": "no logprobs"}})
    with serving(tmp_path / "book", [fault]) as url:
        drawn = draw(url, chats(40), in_flight=in_flight)
    assert {c.finish_reason for c in drawn.values()} == {"stop"}
    assert {c.tokens for c in drawn.values()} == {None}
    refused = [entry for entry in read_book(tmp_path / "book") if entry["status"] == status]
    assert len(refused) <= in_flight + 1, "it was asked again and again"


def test_a_refused_prompt_does_not_cost_the_tokens_of_others(tmp_path: Path) -> None:
    fault = Fault(400, match="What is 0", body={"error": {"message": "flagged"}})
    with serving(tmp_path / "book", [fault]) as url:
        drawn = draw(url, chats(5), in_flight=1)
    assert drawn["k0"].error == "HTTP 400: flagged"
    assert all(drawn[f"k{n}"].tokens for n in range(1, 5))


def test_a_refused_prompt_is_not_asked_twice_of_a_server_that_tells_tokens(tmp_path: Path) -> None:
    fault = Fault(400, match="What is 3", body={"error": {"message": "flagged"}})
    with serving(tmp_path / "book", [fault]) as url:
        draw(url, chats(5), in_flight=1)
    assert statuses(tmp_path / "book") == [200, 200, 200, 400, 200]


def test_tokens_that_cut_characters_are_told_by_their_bytes() -> None:
    text = "Fée: 8 🙂."
    data = text.encode()
    parts = [data[n : n + 2] for n in range(0, len(data), 2)]
    entries = [{"token": "\ufffd", "logprob": -0.25, "bytes": [*part]} for part in parts]
    choice = {"message": {"content": text}, "logprobs": {"content": entries}}
    with odd_server() as server:
        server.answers = {
            "What is 0": Answer((_whole(json.dumps({"choices": [choice]}).encode()),))
        }
        tokens = draw(server.url, chats(1))["k0"].tokens
    assert tokens is not None
    assert tokens.ends[-1] == len(text)
    assert len(tokens.ends) == len(parts) > len(text) / 2


def test_a_server_that_stays_broken_stops_the_run_and_keeps_what_came(tmp_path: Path):
    drawn: list[Completion] = []
    with serving(tmp_path / "book", [Fault(500, at=[*range(3, 99)])]) as url:
        options = OpenAIOptions(backend="openai", url=url, in_flight=1, patience=0.5)
        with pytest.raises(BackendError, match=r"0\.5 s of trying.*HTTP 500") as caught:
            ServerGenerator(TEACHER, Sampling(), options).generate(chats(9), drawn.append)
    assert "recorded" in str(caught.value)
    assert [c.key for c in drawn] == ["k0", "k1", "k2"]


def test_a_request_that_breaks_a_server_which_answers_others_is_one_failed_sample(tmp_path: Path):
    with serving(tmp_path / "book", [Fault(500, match="What is 3")]) as url:
        drawn = draw(url, chats(6), in_flight=1, patience=0.5)
    assert drawn["k3"].finish_reason == "error"
    assert "HTTP 500" in (drawn["k3"].error or "")
    assert {drawn[f"k{i}"].finish_reason for i in (0, 1, 2, 4, 5)} == {"stop"}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(200, at=[1], body={"error": {"message": "Provider returned error", "code": 502}}),
        Fault(200, at=[1], body={"choices": []}),
        Fault(520, at=[1]),
        Fault(524, at=[0, 1]),
        Fault(498, at=[1], body={"error": {"message": "at capacity"}}),
    ],
)
def test_a_passing_fault_of_a_gateway_costs_another_try(tmp_path: Path, fault: Fault):
    with serving(tmp_path / "book", [fault]) as url:
        drawn = draw(url, chats(4), in_flight=1)
    assert {c.finish_reason for c in drawn.values()} == {"stop"}
    assert len(read_book(tmp_path / "book")) == 4 + len(fault.at or ())


@pytest.mark.parametrize(
    "body", [b"<html>", b"[" * 100_000, b'"Welcome"', b'{"choices": [{"message": "x"}]}']
)
def test_an_answer_that_is_none_is_a_passing_fault_where_others_were_understood(body: bytes):
    with odd_server() as server:
        server.answers = {"What is 2": Answer((_whole(body),))}
        drawn = draw(server.url, chats(4), in_flight=1, patience=2)
        assert "it answered with" in (drawn["k2"].error or "")
        assert {drawn[f"k{i}"].finish_reason for i in (0, 1, 3)} == {"stop"}
        server.answers = {"What is 0": Answer((_whole(body),))}
        with pytest.raises(BackendError, match=r"check that the url|did not answer"):
            draw(server.url, chats(4), in_flight=1, patience=0.5)


def _whole(body: bytes, *headers: str) -> bytes:
    lines = ("HTTP/1.1 200 OK", *headers, f"Content-Length: {len(body)}", "", "")
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    "content", ['"18 \\ud83d."', '"18 ?.", "x": NaN', f'"18 ?.", "x": 1e999, "y": {"9" * 5000}']
)
def test_json_that_is_nearly_some_is_read(content: str):
    body = f'{{"choices": [{{"message": {{"content": {content}}}}}]}}'.encode()
    with odd_server() as server:
        server.answers = {"What is 0": Answer((_whole(body),))}
        assert draw(server.url, chats(1))["k0"].text == "18 ?."


@pytest.mark.parametrize("wait", ["99999", "9" * 400, formatdate(2**33, usegmt=True)])
def test_a_server_that_wants_to_be_left_alone_for_long_ends_the_run(wait: str):
    busy = Answer((f"HTTP/1.1 429 x\r\nRetry-After: {wait}\r\nContent-Length: 0\r\n\r\n".encode(),))
    with odd_server() as server:
        server.answers = {"What is 2": busy}
        with pytest.raises(BackendError, match="did not answer a request in 600 s of trying"):
            draw(server.url, chats(40), in_flight=4)


@pytest.mark.parametrize("key", ["EMPTY", "token", "choices", "a", "1"])
def test_a_key_that_is_a_word_changes_no_answer(key: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TEACHER_KEY", key)
    with serving() as first, serving() as second:
        assert draw(first, chats(2), api_key_env="TEACHER_KEY") == draw(second, chats(2))


@pytest.mark.parametrize("key", ["s3cret-value", "choices"])
@pytest.mark.parametrize(
    "body", ['{{"error": {{"message": "no {}", "code": 401}}}}', "no {}", '{{"a": "{}"}}']
)
def test_a_key_in_a_good_status_is_shown_nowhere(
    key: str, body: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TEACHER_KEY", key)
    with odd_server() as server:
        server.answers = {"What is 0": Answer((_whole(body.format(key).encode()),))}
        with pytest.raises(BackendError) as caught:
            draw(server.url, chats(1), api_key_env="TEACHER_KEY")
    assert "[key]" in str(caught.value)
    assert key == "choices" or key not in str(caught.value)


@pytest.mark.parametrize("status", [403, 451, 413])
def test_a_prompt_that_is_refused_is_one_failed_sample(status: int):
    fault = Fault(status, match="What is 2", body={"error": {"message": "flagged"}})
    with serving(faults=[fault]) as url:
        drawn = draw(url, chats(4), in_flight=1)
    assert drawn["k2"].error == f"HTTP {status}: flagged"
    assert {drawn[f"k{i}"].finish_reason for i in (0, 1, 3)} == {"stop"}


def test_a_server_that_is_not_there_is_named_within_seconds_whatever_the_patience():
    begun = time.monotonic()
    with pytest.raises(BackendError, match=r"127\.0\.0\.1:9/v1.*cannot be reached"):
        draw("http://127.0.0.1:9/v1", chats(1), patience=600)
    assert time.monotonic() - begun < 20


def test_a_query_of_the_address_stays_behind_the_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TEACHER_KEY", "s3cret-value")
    with serving() as url:
        drawn = draw(f"{url}?api-version=2026-01-01", chats(2), api_key_env="TEACHER_KEY")
    assert {c.finish_reason for c in drawn.values()} == {"stop"}


def test_a_server_that_redirects_in_a_loop_is_asked_no_more(tmp_path: Path):
    loop = Fault(307, headers={"Location": "/v1/chat/completions"})
    with (
        serving(tmp_path / "book", [loop]) as url,
        pytest.raises(BackendError, match="redirects again and again"),
    ):
        draw(url, chats(1))
    assert len(read_book(tmp_path / "book")) <= 5


@pytest.mark.parametrize(("status", "said"), [(401, "api_key_env"), (404, "usually /v1")])
def test_what_will_not_get_better_stops_the_run_at_once(tmp_path: Path, status: int, said: str):
    fault = Fault(status, body={"error": {"message": "no such thing"}})
    with serving(tmp_path / "book", [fault]) as url:
        with pytest.raises(BackendError, match=said) as caught:
            draw(url, chats(500), in_flight=4)
        assert url in str(caught.value)
    assert "no such thing" in str(caught.value)
    assert "tiny-teacher" in str(caught.value)
    assert len(read_book(tmp_path / "book")) <= 4


def test_an_account_without_money_is_not_a_busy_server(tmp_path: Path):
    fault = Fault(429, body={"error": {"message": "pay first", "code": "insufficient_quota"}})
    with (
        serving(tmp_path / "book", [fault]) as url,
        pytest.raises(BackendError, match="pay first"),
    ):
        draw(url, chats(3), in_flight=1)
    assert statuses(tmp_path / "book") == [429]


def test_one_refused_request_is_one_failed_sample():
    fault = Fault(400, match="What is 0", body={"error": {"message": "too long"}})
    with serving(faults=[fault]) as url:
        drawn = draw(url, chats(6), in_flight=1)
    assert drawn["k0"].finish_reason == "error"
    assert drawn["k0"].error == "HTTP 400: too long"
    assert {drawn[f"k{i}"].finish_reason for i in range(1, 6)} == {"stop"}


def test_refused_requests_alone_are_failed_samples_if_a_plain_one_is_served(tmp_path: Path):
    with serving(tmp_path / "book", [Fault(400, match="plus")]) as url:
        drawn = draw(url, chats(3))
    assert {c.finish_reason for c in drawn.values()} == {"error"}
    assert statuses(tmp_path / "book") == [400, 400, 400, 200, 200]


@pytest.mark.parametrize("count", [2, 200])
def test_a_server_that_refuses_everything_records_nothing(count: int, tmp_path: Path):
    drawn: list[Completion] = []
    fault = Fault(400, body={"error": {"message": "top_k is not permitted"}})
    with serving(tmp_path / "book", [fault]) as url:
        options = OpenAIOptions(backend="openai", url=url, in_flight=8)
        with pytest.raises(BackendError, match=r"every request.*top_k is not permitted"):
            ServerGenerator(TEACHER, Sampling(), options).generate(chats(count), drawn.append)
    assert drawn == []
    assert len(read_book(tmp_path / "book")) < 60


def test_the_key_is_sent_but_shown_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TEACHER_KEY", "s3cret-value")
    echo = Fault(401, body={"error": {"message": "no such key: Bearer s3cret-value"}})
    with serving(tmp_path / "book", [echo]) as url, pytest.raises(BackendError) as caught:
        draw(url, chats(1), api_key_env="TEACHER_KEY")
    assert "HTTP 401: no such key: Bearer [key]; set api_key_env" in str(caught.value)
    assert read_book(tmp_path / "book")[0]["keys"] == ["Bearer s3cret-value"]
    monkeypatch.delenv("TEACHER_KEY")
    with pytest.raises(InputError, match="TEACHER_KEY"):
        draw("http://127.0.0.1:9/v1", chats(1), api_key_env="TEACHER_KEY")


def test_a_password_in_the_address_is_shown_nowhere():
    with serving(faults=[Fault(404)]) as url, pytest.raises(BackendError) as caught:
        draw(url.replace("//", "//me:s3cret-value@") + "?key=s3cret-value", chats(1))
    assert "s3cret-value" not in str(caught.value)
    assert f"{url}/chat/completions" in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_redirect_does_not_carry_the_key_to_another_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
):
    monkeypatch.setenv("TEACHER_KEY", "s3cret-value")
    other, book = tmp_path / "other", tmp_path / "book"
    with serving(other) as there:
        place = there.replace("127.0.0.1", host) + "/chat/completions"
        with serving(book, [Fault(307, headers={"Location": place})]) as url:
            drawn = draw(url, chats(1), api_key_env="TEACHER_KEY")
            with pytest.raises(BackendError, match="HTTP 307"):  # its second header would follow
                draw(f"{url}?api-version=1", chats(1), api_key_env="TEACHER_KEY")
    assert drawn["k0"].finish_reason == "stop"
    assert [entry["keys"] for entry in read_book(other)] == [[]]
    assert [len(entry["keys"]) for entry in read_book(book)] == [1, 2]


CUT = Request(key="k", messages=chats(1)[0].messages, prefix="We add and", prefix_tokens=3)


def test_a_cut_sample_is_continued_where_the_server_can(tmp_path: Path):
    book = tmp_path / "book"
    with serving(book) as url:
        drawn = draw(url, [CUT], Sampling(max_tokens=50), continue_cut=True)
    body = read_book(book)[0]["body"]
    assert body["messages"][-1] == {"role": "assistant", "content": "We add and"}
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert body["max_tokens"] == 47
    assert drawn["k"].text.startswith("We add and")
    assert drawn["k"].text.endswith(read_book(book)[0]["text"])
    assert drawn["k"].completion_tokens == 3 + 7


def test_a_continued_sample_has_the_tokens_of_both_parts() -> None:
    earlier = Tokens((2, 6, 10), (-0.1, -0.2, -0.3))
    with serving() as url:
        known = draw(url, [replace(CUT, earlier=earlier)], continue_cut=True)["k"].tokens
        unknown = draw(url, [CUT], continue_cut=True)["k"].tokens
        again = draw(url, [replace(CUT, earlier=earlier)])["k"].tokens
    assert known is not None
    assert known.ends[:4] == (2, 6, 10, 13)
    assert known.logprobs[:4] == (-0.1, -0.2, -0.3, logprob("and"))
    assert unknown is None
    assert again is not None
    assert again.ends[0] == len("Draw")


def test_a_cut_sample_is_drawn_again_where_the_server_cannot(tmp_path: Path):
    book = tmp_path / "book"
    with serving(book) as url:
        drawn = draw(url, [CUT], Sampling(max_tokens=50))
    assert len(read_book(book)[0]["body"]["messages"]) == 1
    assert read_book(book)[0]["body"]["max_tokens"] == 50
    assert drawn["k"].text == read_book(book)[0]["text"]


def test_a_cut_plain_prompt_is_always_continued(tmp_path: Path):
    request = Request(key="k", prompt="1 and 2:", prefix=" three", prefix_tokens=1)
    with serving(tmp_path / "book") as url:
        drawn = draw(url, [request], Sampling(max_tokens=4))
    assert read_book(tmp_path / "book")[0]["prompt"] == "1 and 2: three"
    assert drawn["k"].finish_reason == "length"
    assert drawn["k"].text.startswith(" three")


def test_identity_holds_neither_address_nor_key():
    options = OpenAIOptions(backend="openai", url="http://somewhere/v1")
    here = ServerGenerator(TEACHER, Sampling(), options)
    there = ServerGenerator(TEACHER, Sampling(), options.model_copy(update={"url": "http://x/v1"}))
    assert here.identity() == there.identity()
    assert "somewhere" not in str(here.identity())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("7", 7.0), ("0.25", 0.25), ("soon", None), (formatdate(0, usegmt=True), 0.0)],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None):
    assert retry_after(header) == seconds


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "m", "code": "c"}}', "m / c"),
        (b'{"error": "plain"}', "plain"),
        (b'{"detail": "d"}', "d"),
        (b'{"object": "error", "message": "old vllm"}', "old vllm"),
        (b"<html>gateway</html>", "<html>gateway</html>"),
        (b"[1]", "[1]"),
    ],
)
def test_the_message_is_found_in_errors_of_any_form(body: bytes, said: str):
    assert server_message(body) == said


@given(st.text("ab", max_size=6), st.text("ab", max_size=6), st.text("ab", min_size=1, max_size=4))
def test_a_stop_string_is_found_where_it_straddles_the_joint(old: str, new: str, stop: str):
    cut = cut_at_stop(old + new, [stop], len(old))
    starts = [i for i in range(len(old)) if (old + new).startswith(stop, i)]
    straddling = [i for i in starts if i + len(stop) > len(old)]
    assert cut == ((old + new)[: straddling[0]] if straddling else None)
