"""Samples from any server that speaks OpenAI's protocol, `vllm serve` included.

A lost connection, 429 or 5xx is tried again with patience; one refused
request is one failed sample; whatever will not get better by itself stops the run at once.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from curate.errors import BackendError
from curate.models.coroutines import complete
from curate.models.servers.faults import RefusedError, UnansweredError
from curate.models.servers.patient_client import PatientClient, authorization
from curate.models.servers.slots import fill
from curate.models.teachers.base import Completion, Request, Sampling
from curate.models.teachers.openai_protocol import (
    body_of,
    completion_of,
    failed,
    path_of,
)
from curate.models.teachers.openai_tokens import asking_for_tokens
from curate.models.teachers.options import OpenAIOptions, Teacher

Sink = Callable[[Completion], None]

HELD_BACK: Final = 32
"""Refusals kept back, while nothing has succeeded yet, before the cause is looked for."""

BRIEFLY: Final = 5.0
"""Seconds for which a server is asked whether it answers at all."""


class ServerGenerator:
    """A teacher behind a server.

    Args:
        teacher: what is sampled; its model is the name that the server gives it.
        sampling: how.
        options: where, and how patiently.

    Raises:
        InputError: the environment variable for the key is not set.
    """

    def __init__(self, teacher: Teacher, sampling: Sampling, options: OpenAIOptions) -> None:
        self._teacher = teacher
        self._sampling = sampling
        self._options = options
        authorization(options)  # a missing key is told before anything is asked

    def identity(self) -> Mapping[str, Any]:
        """Identify the teacher; the server's address is no part of it."""
        return self._teacher.identity(self._options)

    def preflight(self, requests: Iterable[Request]) -> None:
        """Ask for nothing: a server knows its own limits and says so request by request."""

    def generate(self, requests: Iterable[Request], sink: Sink) -> None:
        """Draw every request; see `curate.models.teachers.base.Generator`.

        Raises:
            BackendError: the server refuses everything (a wrong key, model or parameter), or one
                request could not be served within the options' patience.
        """
        complete(self._generate(requests, sink))

    def close(self) -> None:
        """Do nothing: connections live only inside `generate`."""

    async def _generate(self, requests: Iterable[Request], sink: Sink) -> None:
        async with PatientClient.connected(self._teacher.model, self._options) as client:
            call = _Call(client, self._teacher, self._sampling, self._options)
            refusals = _Refusals(call, sink)

            async def serve(request: Request) -> None:
                try:
                    completion = await call.draw(request)
                except RefusedError as refusal:
                    await refusals.hold(request, str(refusal))
                except UnansweredError as silence:
                    if not await call.answers(like=request):
                        raise
                    refusals.deliver(failed(request, str(silence)))
                else:
                    refusals.deliver(completion)

            await fill(self._options.in_flight, requests, serve)
            await refusals.settle()


class _Call:
    """Asks the server for one sample, and for its tokens as long as the server lets itself be."""

    def __init__(
        self, client: PatientClient, teacher: Teacher, sampling: Sampling, options: OpenAIOptions
    ) -> None:
        self._client = client
        self._teacher = teacher
        self._sampling = sampling
        self._options = options
        self._tells: bool | None = None if options.logprobs else False
        """Whether it takes the question for tokens; None until one was answered or refused."""
        self._trying = asyncio.Lock()

    def where(self, request: Request) -> str:
        return self._client.where(path_of(request))

    async def answers(self, like: Request) -> bool:
        """Tell whether the server answers a plain question, so that a request is at fault.

        It is not asked just once: the connection may be one that the server has closed.
        """
        try:
            await self.draw(_probe(like), patience=min(BRIEFLY, self._options.patience))
        except (RefusedError, BackendError):
            return False
        return True

    async def draw(self, request: Request, patience: float | None = None) -> Completion:
        """Draw; see `PatientClient.ask`."""
        asking = self._tells is not False
        try:
            completion = await self._ask(request, patience, asking=asking)
        except RefusedError:
            if not asking or await self._takes_the_question(request):
                raise
            return await self._ask(request, patience, asking=False)
        if asking and self._tells is None:
            self._tells = True
        return completion

    async def _takes_the_question(self, like: Request) -> bool:
        """Tell whether a refusal was of something else than the question for tokens.

        Unless a request with it was served before, a plain one is sent with it and without.
        """
        async with self._trying:
            if self._tells is None:
                plain = _probe(like)
                self._tells = await self._serves(plain, asking=True) or not await self._serves(
                    plain, asking=False
                )
            return self._tells

    async def _serves(self, request: Request, *, asking: bool) -> bool:
        try:
            await self._ask(request, asking=asking)
        except RefusedError:
            return False
        return True

    async def _ask(
        self, request: Request, patience: float | None = None, *, asking: bool
    ) -> Completion:
        def read(answer: Any) -> Completion:
            return completion_of(request, answer, self._sampling, self._options)

        body = body_of(request, self._teacher, self._sampling, self._options)
        body |= asking_for_tokens(request) if asking else {}
        return await self._client.ask(path_of(request), body, read, patience)


class _Refusals:
    """Delivers completions, but keeps refusals back until something shows that the set-up works.

    Where all was refused so far, a plain question is asked with the same parameters. If that is
    refused too, nothing will ever be served, and no sample may be recorded as failed.
    """

    def __init__(self, call: _Call, sink: Sink) -> None:
        self._call = call
        self._sink = sink
        self._held: list[tuple[Request, str]] = []
        self._trusted = False
        self._probing = asyncio.Lock()

    def deliver(self, completion: Completion) -> None:
        self._trust()
        self._sink(completion)

    async def hold(self, request: Request, message: str) -> None:
        if self._trusted:
            self._sink(failed(request, message))
            return
        self._held.append((request, message))
        if len(self._held) >= HELD_BACK:
            await self.settle()

    async def settle(self) -> None:
        """Find out whether the refused requests are at fault or the set-up.

        Raises:
            BackendError: the set-up.
        """
        async with self._probing:
            if not self._held:
                return
            first, message = self._held[0]
            try:
                await self._call.draw(_probe(like=first))
            except RefusedError as refusal:
                raise BackendError(
                    f"{self._call.where(first)} refuses every request, even a plain one "
                    f"({refusal}); the first of ours got: {message}; check the sampling "
                    "parameters and the model's name"
                ) from None
            self._trust()

    def _trust(self) -> None:
        self._trusted = True
        for request, message in self._held:
            self._sink(failed(request, message))
        self._held.clear()


def _probe(like: Request) -> Request:
    if like.messages is None:
        return Request(key="", prompt="Hello")
    return Request(key="", messages=({"role": "user", "content": "Hello"},))
