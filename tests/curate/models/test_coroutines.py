"""Coroutines end where they are called from plain code, and where a loop runs already."""

import asyncio
import threading
from contextlib import closing

import pytest

from curate.models.coroutines import Completer, complete


async def _loop() -> tuple[asyncio.AbstractEventLoop, str]:
    await asyncio.sleep(0)
    return asyncio.get_running_loop(), threading.current_thread().name


def test_in_plain_code_it_is_the_caller_s_thread():
    _, thread = complete(_loop())
    assert thread == threading.current_thread().name


async def _in_a_notebook() -> None:
    with closing(Completer()) as completer:
        first, thread = completer.run(_loop())
        second, _ = completer.run(_loop())
        assert first is second is not asyncio.get_running_loop()
        assert thread != threading.current_thread().name
    assert first.is_closed()


def test_where_a_loop_runs_it_is_another():
    asyncio.run(_in_a_notebook())


async def _failing() -> None:
    raise OSError(28, "full")


def test_what_fails_is_raised_here():
    async def caller() -> None:
        complete(_failing())

    for call in (lambda: complete(_failing()), lambda: asyncio.run(caller())):
        with pytest.raises(OSError, match="full"):
            call()
