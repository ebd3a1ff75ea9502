"""A teacher behind each kind of backend: a local server, and the one engine of the suite."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from curate.models.teachers.base import Completion, Generator, Request, Sampling
from curate.models.teachers.open import Access, open_generator
from curate.models.teachers.options import OpenAIOptions, Teacher, VllmOptions
from curate.models.teachers.vllm_engine import EngineGenerator
from tests.curate.models.teachers.laws import BROKEN, MAX_TOKENS, REFUSED, Backing
from tests.servers.openai_server import Fault

FAULTS: Final = (
    Fault(500, match=BROKEN, lasting=1.0),
    Fault(400, match=REFUSED, body={"error": {"message": "too long"}}),
)
"""What the local server does to the requests that say so."""


class ServerBacking:
    """A teacher behind a server.

    Args:
        url: of the server.
        continue_cut: whether it is told that the server can continue a chat.
        chat: whether it is asked in turns.
    """

    ahead = 2
    refuses = True

    def __init__(self, url: str, *, continue_cut: bool = False, chat: bool = True) -> None:
        self.continues = continue_cut or not chat
        self._chat = chat
        self._options = OpenAIOptions(
            backend="openai",
            url=url,
            in_flight=self.ahead,
            patience=0.1,
            continue_cut=continue_cut,
        )

    def open(self) -> Generator:
        access = Access(Teacher("tiny-teacher"), Sampling(max_tokens=MAX_TOKENS), None, Path())
        return open_generator(access, self._options)

    def request(self, key: str, about: str = "3") -> Request:
        return asking(key, f"What is {about} plus 5?", chat=self._chat)

    def cut(self) -> Request:
        return replace(self.request("k"), prefix="We add and", prefix_tokens=3)

    def use_and_close(self) -> None:
        generator = self.open()
        generator.generate(iter([self.request("k")]), _forget)
        generator.close()
        generator.close()


class EngineBacking:
    """A teacher in the engine that all tests share, which is closed with the last of them."""

    ahead = 8
    continues = True
    refuses = False

    def __init__(self, engine: EngineGenerator, folder: Path, chat: bool = True) -> None:
        self._engine = engine
        self._folder = folder
        self._chat = chat

    def open(self) -> Generator:
        return self._engine

    def request(self, key: str, about: str = "3") -> Request:
        return asking(key, f"What is {about} plus 5?", chat=self._chat)

    def cut(self) -> Request:
        return Request(key="k", prompt="1, 2, 3, 4,", seed=1, prefix=" 5, 6,", prefix_tokens=3)

    def use_and_close(self) -> None:
        access = Access(Teacher("no-model"), Sampling(), self._folder, self._folder)
        generator = open_generator(access, VllmOptions())
        generator.identity()
        generator.close()
        generator.close()


def asking(key: str, text: str, *, chat: bool) -> Request:
    """Make a request, in turns or as plain text."""
    if chat:
        return Request(key=key, messages=({"role": "user", "content": text},))
    return Request(key=key, prompt=text)


@contextmanager
def dying() -> Iterator[None]:
    """Have vLLM's engine say that it is dead when it is asked for `BROKEN`."""
    from vllm import AsyncLLMEngine
    from vllm.v1.engine.exceptions import EngineDeadError

    generate = AsyncLLMEngine.generate

    async def dead(self: Any, prompt: Any, parameters: Any, key: str) -> AsyncIterator[Any]:
        if key == BROKEN:
            raise EngineDeadError
        async for output in generate(self, prompt, parameters, key):
            yield output

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AsyncLLMEngine, "generate", dead)
        yield


def _forget(_: Completion) -> None:
    pass


def _server(**how: bool) -> Callable[[pytest.FixtureRequest], Backing]:
    return lambda request: ServerBacking(request.getfixturevalue("faulty_server"), **how)


def _engine(request: pytest.FixtureRequest) -> Backing:
    request.getfixturevalue("dying_engine")
    engine, folder = (request.getfixturevalue(name) for name in ("engine", "tmp_path"))
    return EngineBacking(engine, folder)


BACKINGS: Final[dict[str, dict[str, Callable[[pytest.FixtureRequest], Backing]]]] = {
    "openai": {
        "drawn-again": _server(),
        "continued": _server(continue_cut=True),
        "plain": _server(chat=False),
    },
    "vllm": {"engine": _engine},
}
"""Teachers behind each kind of backend, by the kind's name, with what is tried of it."""
MARKS: Final = {"vllm": (pytest.mark.vllm, pytest.mark.models)}
"""Of those that load a model."""
