"""Continuous admission: a fixed number of slots, each taking the next request as it falls free."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
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

    async def work(first: T) -> None:
        await serve(first)
        for request in waiting:
            await serve(request)

    tasks: list[asyncio.Task[None]] = []
    ended: Iterable[asyncio.Task[None]] = ()
    try:
        # no more slots than there is to do
        tasks.extend(asyncio.create_task(work(request)) for request in islice(waiting, slots))
        if tasks:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()
