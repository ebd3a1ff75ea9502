"""A local server that answers each question as it is told to, byte by byte, and else as it should.

It writes to the socket itself, since no library sends a length that is not so. It runs in a thread
of the test, which says what is answered and sees what was asked.
"""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.servers.openai_server import complete


@dataclass(frozen=True)
class Answer:
    """What is sent.

    Attributes:
        parts: of the whole response, written one after the other.
        pause: seconds between two of them.
        held: whether the connection stays open afterwards, until the client has had enough.
    """

    parts: tuple[bytes, ...]
    pause: float = 0.0
    held: bool = False


class OddServer:
    """The server.

    Attributes:
        url: its base.
        answers: how prompts are answered, by words that are in the prompt.
        asked: the words of `answers` that were in a prompt, in order.
    """

    def __init__(self) -> None:
        self.url = ""
        self.answers: Mapping[str, Answer] = {}
        self.asked: list[str] = []
        self._connections: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes through one connection, until it is closed."""
        self._connections.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while (body := await _read(reader)) is not None:
                said = json.dumps(body)
                words = next((words for words in self.answers if words in said), None)
                if words is None:
                    writer.write(_well(body))
                    await writer.drain()
                    continue
                answer = self.answers[words]
                self.asked.append(words)
                await _send(writer, answer)
                if answer.held:
                    await reader.read()
                break
        self._connections.discard(writer)
        writer.close()

    async def hang_up(self) -> None:
        """Close every connection."""
        for writer in self._connections:
            writer.close()
        await asyncio.sleep(0)


async def _read(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Read one request's body; None where the connection was closed."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.lower().splitlines()
        if line.startswith(b"content-length:")
    )
    return json.loads(await reader.readexactly(length))


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> None:
    for number, part in enumerate(answer.parts):
        await asyncio.sleep(answer.pause if number else 0)
        writer.write(part)
        await writer.drain()


def _well(body: Mapping[str, Any]) -> bytes:
    prompt = body.get("prompt") or body["messages"][-1]["content"]
    answer = json.dumps(complete(body, prompt, 0)).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}"
    return f"{head}\r\n\r\n".encode() + answer


@contextmanager
def odd_server() -> Iterator[OddServer]:
    """Run the server for as long as the block lasts."""
    server, loop = OddServer(), asyncio.new_event_loop()

    async def open_port() -> asyncio.Server:
        return await asyncio.start_server(server.serve, "127.0.0.1", 0)

    async def close_port() -> None:
        listening.close()  # in its own thread: from another it races with what just hung up
        await server.hang_up()

    listening = loop.run_until_complete(open_port())
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(close_port(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
        loop.close()
