"""Continuous admission: a fixed number of slots, each taking the next request as it falls free."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def fill(slots: int, requests: Iterable[T], serve: Callable[[T], Awaitable[None]]) -> None:
    """Serve all requests, at most `slots` at a time, reading each only when a slot is free.

    Requests enter in their order, so siblings of a question are in flight together. No task group:
    Python 3.11's cancels the task it stands in when one of its own fails, and leaves that counted,
    so that nobody could tell a failure from Ctrl-C afterwards.

    Raises:
        Exception: what `serve` or the iterable raised first; the other slots are cancelled.
    """
    waiting = iter(requests)

    async def work() -> None:
        for request in waiting:
            await serve(request)

    tasks = [asyncio.create_task(work()) for _ in range(slots)]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()
