"""Posts to a server as often as it takes: a lost connection, 429 or 5xx is tried again."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Self, TypeVar
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

from curate.errors import BackendError, InputError
from curate.models.servers.faults import TransientError, fault, shorten
from curate.models.servers.servers import ServerOptions

T = TypeVar("T")

_RETRIED: Final = (TransientError, aiohttp.ClientError, TimeoutError)
_backoff: Final = wait_random_exponential(multiplier=0.5, max=30)


class PatientClient:
    """A connection to one model of a server.

    Args:
        session: open connections.
        model: asked of the server, for messages.
        options: where, and how patiently.
    """

    def __init__(self, session: aiohttp.ClientSession, model: str, options: ServerOptions) -> None:
        self._session = session
        self._model = model
        self._options = options
        self._url = options.url.rstrip("/")
        self._hold_until = 0.0

    @classmethod
    @asynccontextmanager
    async def connected(cls, model: str, options: ServerOptions) -> AsyncGenerator[Self]:
        """Open connections for as long as the block lasts.

        Raises:
            InputError: the environment variable for the key is not set.
        """
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=options.in_flight),
            timeout=aiohttp.ClientTimeout(total=options.timeout),
            headers={"Content-Type": "application/json"} | authorization(options),
            trust_env=bool(getproxies()),  # looking for a proxy costs a thread a request
        ) as session:
            yield cls(session, model, options)

    def where(self, path: str) -> str:
        """Say what is asked, for messages."""
        return f"{self._url}{path} (model {self._model!r})"

    async def ask(self, path: str, body: Any, read: Callable[[Any], T]) -> T:
        """Ask until there is an answer, waiting as long as a busy server says.

        Args:
            path: behind the url.
            body: posted as JSON; None to get instead.
            read: makes of the answer's JSON what is wanted; raises `TransientError` where the
                answer itself calls for another try.

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
        data = None if body is None else orjson.dumps(body)

        async def once() -> T:
            return read(await self._once(path, data))

        try:
            return await attempts(once)
        except _RETRIED as error:
            raise BackendError(
                f"{self.where(path)} did not answer a request in {self._options.patience:g} s "
                f"of trying: {str(error) or type(error).__name__}; what arrived is recorded, so "
                "run again when the server is well, or raise its `patience` under runtime"
            ) from error

    async def _once(self, path: str, body: bytes | None) -> Any:
        pause = self._hold_until - asyncio.get_running_loop().time()
        if pause > 0:
            await asyncio.sleep(pause)
        method = "GET" if body is None else "POST"
        async with self._session.request(method, f"{self._url}{path}", data=body) as response:
            data = await response.read()
        if response.status != 200:
            error = fault(response.status, response.headers, data, self.where(path))
            if isinstance(error, TransientError) and error.wait is not None:
                now = asyncio.get_running_loop().time()
                self._hold_until = max(self._hold_until, now + error.wait)
            raise error
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise BackendError(
                f"{self.where(path)} answered with {shorten(data)!r}, which is not JSON; check "
                "that the url is that of an OpenAI-compatible server"
            ) from error


def authorization(options: ServerOptions) -> dict[str, str]:
    """Make the header with the key.

    Raises:
        InputError: the environment variable for it is not set.
    """
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
