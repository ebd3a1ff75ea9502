"""Samples from any server that speaks OpenAI's protocol, `vllm serve` included.

A lost connection, 429 or 5xx is tried again with patience; one refused
request is one failed sample; whatever will not get better by itself stops the run at once.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.request import getproxies

import aiohttp
import orjson
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_before_delay,
    wait_random_exponential,
)

from curate.backends.base import Completion, Request, Sampling
from curate.backends.openai_protocol import (
    RefusedError,
    TransientError,
    body_of,
    completion_of,
    failed,
    fault,
    path_of,
    shorten,
)
from curate.backends.slots import fill
from curate.backends.teachers import OpenAIOptions, Teacher
from curate.errors import BackendError, InputError

Sink = Callable[[Completion], None]

HELD_BACK: Final = 32
"""Refusals kept back, while nothing has succeeded yet, before the cause is looked for."""

_RETRIED: Final = (TransientError, aiohttp.ClientError, TimeoutError)
_backoff: Final = wait_random_exponential(multiplier=0.5, max=30)


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
        self._url = options.url.rstrip("/")
        self._headers = {"Content-Type": "application/json"} | _authorization(options)

    def identity(self) -> Mapping[str, Any]:
        """Identify the teacher; the server's address is no part of it."""
        return self._teacher.identity("openai")

    def preflight(self, requests: Iterable[Request]) -> None:
        """Ask for nothing: a server knows its own limits and says so request by request."""

    def generate(self, requests: Iterable[Request], sink: Sink) -> None:
        """Draw every request; see `curate.backends.base.Generator`.

        Raises:
            BackendError: the server refuses everything (a wrong key, model or parameter), or one
                request could not be served within the options' patience.
        """
        asyncio.run(self._generate(requests, sink))

    def close(self) -> None:
        """Do nothing: connections live only inside `generate`."""

    async def _generate(self, requests: Iterable[Request], sink: Sink) -> None:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._options.in_flight),
            timeout=aiohttp.ClientTimeout(total=self._options.timeout),
            headers=self._headers,
            trust_env=bool(getproxies()),  # looking for a proxy costs a thread a request
        ) as session:
            call = _Call(session, self._url, self._teacher, self._sampling, self._options)
            refusals = _Refusals(call, sink)

            async def serve(request: Request) -> None:
                try:
                    completion = await call.draw(request)
                except RefusedError as refusal:
                    await refusals.hold(request, str(refusal))
                else:
                    refusals.deliver(completion)

            await fill(self._options.in_flight, requests, serve)
            await refusals.settle()


class _Call:
    """Asks the server, as often as it takes."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        teacher: Teacher,
        sampling: Sampling,
        options: OpenAIOptions,
    ) -> None:
        self._session = session
        self._url = url
        self._teacher = teacher
        self._sampling = sampling
        self._options = options
        self._hold_until = 0.0

    def where(self, request: Request) -> str:
        return f"{self._url}{path_of(request)} (model {self._teacher.model!r})"

    async def draw(self, request: Request) -> Completion:
        """Ask until there is an answer, waiting as long as a busy server says.

        Raises:
            RefusedError: the server will not answer this request.
            BackendError: it will not answer any, or not in time.
        """
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(_RETRIED),
            stop=stop_before_delay(self._options.patience),
            wait=_wait,
            reraise=True,
        )
        body = orjson.dumps(body_of(request, self._teacher, self._sampling, self._options))
        try:
            return await attempts(self._post, request, body)
        except _RETRIED as error:
            raise BackendError(
                f"{self.where(request)} did not answer a request in {self._options.patience:g} s "
                f"of trying: {str(error) or type(error).__name__}; what arrived is recorded, so "
                "run again when the server is well, or raise `patience` in runtime.sources"
            ) from error

    async def _post(self, request: Request, body: bytes) -> Completion:
        pause = self._hold_until - asyncio.get_running_loop().time()
        if pause > 0:
            await asyncio.sleep(pause)
        async with self._session.post(f"{self._url}{path_of(request)}", data=body) as response:
            data = await response.read()
        if response.status != 200:
            error = fault(response.status, response.headers, data, self.where(request))
            if isinstance(error, TransientError) and error.wait is not None:
                now = asyncio.get_running_loop().time()
                self._hold_until = max(self._hold_until, now + error.wait)
            raise error
        try:
            answer = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise BackendError(
                f"{self.where(request)} answered with {shorten(data)!r}, which is not JSON; check "
                "that the url is that of an OpenAI-compatible server"
            ) from error
        return completion_of(request, answer, self._sampling, self._options)


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


def _authorization(options: OpenAIOptions) -> dict[str, str]:
    if options.api_key_env is None:
        return {}
    secret = os.environ.get(options.api_key_env)
    if not secret:
        raise InputError(
            f"the environment variable {options.api_key_env!r} is not set; export it with the key "
            f"for {options.url}",
            where="api_key_env",
        )
    return {"Authorization": f"Bearer {secret}"}


def _wait(state: RetryCallState) -> float:
    """Wait as long as the server said plus jitter, else exponentially with jitter, in seconds."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, TransientError) and error.wait is not None:
        return error.wait + min(1.0, _backoff(state))
    return _backoff(state)
