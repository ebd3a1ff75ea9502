"""A local server that speaks OpenAI's protocol, keeps a book of what it was asked, and can fail.

Started in a process of its own (``python -m tests.servers.openai_server --book FILE``), so that it
outlives the client a test kills; it prints its address as its first line. The book has one JSON
line for each request as it is answered::

    {"n": 3, "seed": 7, "prompt": "...", "status": 200, "text": "...", "model": "m", "keys": []}

``n`` counts all requests, ``keys`` are the headers that held one. Text is arithmetic on the numbers
of the prompt, wrong in every third draw of the same prompt, and names its draw, so that no two
samples of a prompt are equal and a row can be found in the book.
"""

import argparse
import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from aiohttp import web

from tests.servers.running import running

KEY_HEADERS = ("Authorization", "api-key")


@dataclass
class Fault:
    """How some requests are answered instead.

    Attributes:
        at: numbers of the requests it strikes; None strikes all that match.
        match: text the prompt must hold.
        asking: field the request must have.
        status: HTTP status; 0 drops the connection.
        headers: of the answer.
        body: JSON of the answer.
        lasting: seconds for which every request is answered so, once one was struck.
    """

    status: int
    at: Sequence[int] | None = None
    match: str = ""
    asking: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    lasting: float = 0.0

    def strikes(self, number: int, prompt: str, body: Mapping[str, Any]) -> bool:
        struck = self.at is None or number in self.at
        return struck and self.match in prompt and (not self.asking or self.asking in body)


class Server:
    """The application.

    Args:
        book: file the book is written to; None keeps none.
        faults: what goes wrong; the first that strikes counts.
        delay: seconds before an answer.
        words: length of the text in words, beyond which an answer is cut.
    """

    def __init__(self, book: Path | None, faults: Sequence[Fault], delay: float = 0.0) -> None:
        self._book: IO[str] | None = book.open("a", buffering=1) if book else None
        self._faults = faults
        self._delay = delay
        self._count = 0
        self._broken: Fault | None = None
        self._broken_until = 0.0
        self._draws: Counter[str] = Counter()

    def application(self) -> web.Application:
        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_get("/v1/models", self._list)
        app.router.add_post("/v1/chat/completions", self._answer)
        app.router.add_post("/v1/completions", self._answer)
        return app

    async def _list(self, _: web.Request) -> web.StreamResponse:
        for fault in self._faults:
            return web.json_response(fault.body, status=fault.status, headers=fault.headers)
        return web.json_response({"data": [{"id": "tiny-teacher"}]})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        number, self._count = self._count, self._count + 1
        body = json.loads(await request.read())
        prompt = _prompt(body)
        fault = next((f for f in self._faults if f.strikes(number, prompt, body)), None)
        now = asyncio.get_running_loop().time()
        if fault is not None and fault.lasting and now >= self._broken_until:
            self._broken, self._broken_until = fault, now + fault.lasting
        if now < self._broken_until:
            fault = self._broken
        if self._delay:
            await asyncio.sleep(self._delay)
        if fault is None:
            self._draws[prompt] += 1
            answer = complete(body, prompt, self._draws[prompt] - 1)
            choice = answer["choices"][0]
            text = choice["message"]["content"] if "message" in choice else choice["text"]
            self._write(number, request, body, 200, text)
            return web.json_response(answer)
        self._write(number, request, body, fault.status, None)
        if fault.status == 0:
            request.transport.abort()
        return web.json_response(fault.body, status=fault.status or 500, headers=fault.headers)

    def _write(
        self,
        number: int,
        request: web.Request,
        body: Mapping[str, Any],
        status: int,
        text: str | None,
    ) -> None:
        if self._book is None:
            return
        prompt = _prompt(body)
        keys = [request.headers[name] for name in KEY_HEADERS if name in request.headers]
        entry = {"n": number, "seed": body.get("seed"), "prompt": prompt, "status": status}
        entry |= {"text": text, "model": body["model"], "body": dict(body), "keys": keys}
        self._book.write(json.dumps(entry) + "\n")


def _prompt(body: Mapping[str, Any]) -> str:
    return body.get("prompt") or "\n".join(m["content"] for m in body["messages"])


def complete(body: Mapping[str, Any], prompt: str, draw: int) -> dict[str, Any]:
    """Add the numbers of the prompt's last paragraph but one, as a teacher would say it."""
    numbers = [int(n) for n in re.findall(r"\d+", prompt.partition("Reason step")[0])][-3:]
    total = sum(numbers) + (draw % 3 == 2)
    sums = " + ".join(map(str, numbers)) or "0"
    words = f"Draw {draw}: we add and get {sums} = {total}. The answer is {total}.".split(" ")
    held = body["messages"][-1] if "messages" in body else {"role": "user"}
    if held["role"] == "assistant":
        words = ["and", "so", "on.", "The", "answer", "is", "7."]
    limit = body.get("max_tokens", body.get("max_completion_tokens", 1024))
    cut = len(words) > limit
    text = " ".join(words[:limit])
    choice: dict[str, Any] = {"index": 0, "finish_reason": "length" if cut else "stop"}
    choice |= {"message": {"role": "assistant", "content": text}} if "messages" in body else {}
    choice |= {} if "messages" in body else {"text": text}
    choice |= {"logprobs": _tokens(text, chat="messages" in body)} if body.get("logprobs") else {}
    return {
        "model": body["model"],
        "choices": [choice],
        "usage": {
            "prompt_tokens": len(prompt.split()),
            "completion_tokens": min(len(words), limit),
        },
    }


def _tokens(text: str, *, chat: bool) -> dict[str, Any]:
    """Tell of a text's words, each with the space before it, how likely they were."""
    words = re.findall(r"\s*\S+", text)
    if not chat:
        return {"tokens": words, "token_logprobs": [logprob(word) for word in words]}
    return {
        "content": [
            {"token": word, "logprob": logprob(word), "bytes": [*word.encode()], "top_logprobs": []}
            for word in words
        ]
    }


def logprob(word: str) -> float:
    """Give a word's log-probability, its space included."""
    return -(len(word) % 5) / 8


def read_book(path: Path) -> list[dict[str, Any]]:
    """Read what the server was asked, in order."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def serving(
    book: Path | None = None,
    faults: Sequence[Fault] = (),
    delay: float = 0.0,
    cpu: int | None = None,
) -> Iterator[str]:
    """Run the server in a process of its own and give its base url."""
    arguments = ["--delay", str(delay)]
    arguments += ["--faults", json.dumps([vars(fault) for fault in faults])]
    arguments += ["--book", str(book)] if book else []
    with running("tests.servers.openai_server", *arguments, cpu=cpu) as url:
        yield url


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--book", type=Path)
    parser.add_argument("--faults", default="[]")
    parser.add_argument("--delay", type=float, default=0.0)
    arguments = parser.parse_args()
    faults = [Fault(**fault) for fault in json.loads(arguments.faults)]
    server = Server(arguments.book, faults, arguments.delay)
    runner = web.AppRunner(server.application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"http://127.0.0.1:{runner.addresses[0][1]}/v1\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
