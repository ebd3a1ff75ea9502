"""Running coroutines to their end from code that is not asynchronous, in a notebook too."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Completer:
    """Runs coroutines one after another in one event loop.

    Where a loop runs already, as in a notebook's kernel, they get a thread and a loop of their own,
    and an interrupt of the caller cancels the one at work.
    """

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._pool: ThreadPoolExecutor | None = None

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        if self._pool is None and not _loop_runs():
            self._runner = self._runner or asyncio.Runner()
            return self._runner.run(main)
        self._pool = self._pool or ThreadPoolExecutor(1, "coroutines")
        running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

        async def supervised() -> T:
            task = asyncio.current_task()
            assert task is not None
            running.append((asyncio.get_running_loop(), task))
            return await main

        future = self._pool.submit(self._there, supervised())
        try:
            return future.result()
        except KeyboardInterrupt:
            for loop, task in running:
                loop.call_soon_threadsafe(task.cancel)
            with suppress(CancelledError, asyncio.CancelledError):
                future.result()
            raise

    def close(self) -> None:
        """Close the loop."""
        if self._pool is not None:
            if self._runner is not None:
                self._pool.submit(self._runner.close).result()
            self._pool.shutdown()
        elif self._runner is not None:
            self._runner.close()
        self._runner = self._pool = None

    def _there(self, main: Coroutine[Any, Any, T]) -> T:
        self._runner = self._runner or asyncio.Runner()
        return self._runner.run(main)


def complete(main: Coroutine[Any, Any, T]) -> T:
    """Run one coroutine to its end; see `Completer`."""
    with closing(Completer()) as completer:
        return completer.run(main)


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
