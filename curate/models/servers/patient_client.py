"""Posts to a server as often as it takes: a lost connection, 429 or 5xx is tried again."""

import asyncio
import json
import math
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
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
from curate.models.servers.faults import (
    GarbledError,
    RefusedError,
    TransientError,
    UnansweredError,
    error_in,
    fault,
    shorten,
)
from curate.models.servers.servers import ServerOptions

T = TypeVar("T")

_RETRIED: Final = (TransientError, aiohttp.ClientError, TimeoutError)
MOST_REDIRECTS: Final = 3
UNREACHABLE: Final = 5.0
"""Seconds for which an address is tried at which nobody has ever listened."""
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
        self._url, _, self._query = options.url.partition("?")
        self._secret = session.headers.get("Authorization", "").removeprefix("Bearer ")
        self._hold_until = 0.0
        self._reached = False
        self._understood = False

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
        return f"{self._options.address.rstrip('/')}{path} (model {self._model!r})"

    async def ask(
        self, path: str, body: Any, read: Callable[[Any], T], patience: float | None = None
    ) -> T:
        """Ask until there is an answer, waiting as long as a busy server says.

        Args:
            path: behind the url.
            body: posted as JSON; None to get instead.
            read: makes of the answer's JSON what is wanted; raises `TransientError` where the
                answer itself calls for another try.
            patience: seconds of trying; by default the options'.

        Raises:
            RefusedError: the server will not answer this request.
            UnansweredError: it did not in time.
            BackendError: it will not answer any.
        """
        patience = self._options.patience if patience is None else patience
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(_RETRIED),
            stop=partial(self._gives_up, patience),
            wait=_wait,
            reraise=True,
        )
        data = None if body is None else orjson.dumps(body)

        async def once() -> T:
            try:
                answer = read(await self._once(path, data))
            except (RefusedError, TransientError, BackendError) as error:
                error.args = tuple(self._without_secret(str(part)) for part in error.args)
                if isinstance(error, GarbledError) and self._understood:
                    raise TransientError(f"it {self._without_secret(error.answer)}") from error
                raise
            except RecursionError as error:
                raise TransientError("it answered with lists in lists in lists") from error
            self._understood = True
            return answer

        try:
            return await attempts(once)
        except _RETRIED as error:
            reason = str(error) or type(error).__name__
            if not self._reached and isinstance(error, aiohttp.ClientConnectorError):
                raise BackendError(
                    f"{self.where(path)} cannot be reached: {reason}; start the server, or check "
                    "its `url` under runtime"
                ) from error
            raise UnansweredError(
                f"{self.where(path)} did not answer a request in {patience:g} s of trying: "
                f"{reason}; what arrived is recorded, so run again when the server is well, or "
                "raise its `patience` under runtime"
            ) from error

    def _gives_up(self, patience: float, state: RetryCallState) -> bool:
        """Tell whether to stop trying: soon, where nobody has ever listened at that address."""
        error = state.outcome.exception() if state.outcome else None
        nobody = not self._reached and isinstance(error, aiohttp.ClientConnectorError)
        return stop_before_delay(min(patience, UNREACHABLE) if nobody else patience)(state)

    def _without_secret(self, text: str) -> str:
        """Take the key out of what a server is quoted with, in messages and in the record.

        Out of errors alone: a key may be a word ("EMPTY", "token") that stands in every answer.
        """
        return text.replace(self._secret, "[key]") if self._secret else text

    async def _once(self, path: str, body: bytes | None) -> Any:
        pause = self._hold_until - asyncio.get_running_loop().time()
        if pause > self._options.patience:
            raise TransientError(f"it wants to be left alone for {pause:,.0f} s", pause)
        if pause > 0:
            await asyncio.sleep(pause)
        method = "GET" if body is None else "POST"
        url = f"{self._url.rstrip('/')}{path}" + (f"?{self._query}" if self._query else "")
        # Where a key stands in a header that aiohttp does not know, it must not follow a redirect.
        follows = "api-key" not in self._session.headers
        try:
            async with self._session.request(
                method, url, data=body, max_redirects=MOST_REDIRECTS, allow_redirects=follows
            ) as response:
                data = await response.read()
        except aiohttp.TooManyRedirects as error:
            raise BackendError(
                f"{self.where(path)} redirects again and again; check its `url` under runtime"
            ) from error
        self._reached = True
        if response.status != 200:
            # Before it is shortened, which may cut the key in two.
            spoken = self._without_secret(data.decode(errors="replace")).encode()
            error = fault(response.status, response.headers, spoken, self.where(path))
            if isinstance(error, TransientError) and error.wait is not None:
                now = asyncio.get_running_loop().time()
                self._hold_until = max(self._hold_until, now + error.wait)
            raise error
        try:
            answer = _loaded(data)
        except (ValueError, RecursionError) as error:
            if not data.strip():
                raise TransientError("an empty answer") from error
            raise GarbledError(
                self.where(path), f"answered with {shorten(data)!r}, which is not JSON"
            ) from error
        if (wrong := error_in(answer, self.where(path))) is not None:
            raise wrong
        return answer


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
            f"for {options.address}",
            where="api_key_env",
        )
    azure = {"api-key": secret} if "api-version=" in options.url else {}
    return {"Authorization": f"Bearer {secret}", **azure}


def _loaded(data: bytes) -> Any:
    """Parse JSON, as strictly as it was meant: half a surrogate or NaN spoils no answer.

    Whatever is given can be written down again: such a half is a question mark, such a number null.

    Raises:
        ValueError: it is none.
        RecursionError: it is too deep to be an answer.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        text = data.decode("utf-8-sig")
    text = text[max(text.find("{"), 0) :] if text.startswith(":") else text
    value = json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_number)
    return orjson.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _number(text: str) -> int | float | None:
    """Read a number; None where it is too large to be one."""
    if len(text) < 19 and text.lstrip("-").isdecimal():
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else None


def _wait(state: RetryCallState) -> float:
    """Wait as long as the server said plus jitter, else exponentially with jitter, in seconds."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, TransientError) and error.wait is not None:
        return error.wait + min(1.0, _backoff(state))
    return _backoff(state)
