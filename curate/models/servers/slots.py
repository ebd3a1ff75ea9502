"""Continuous admission: a fixed number of slots, each taking the next request as it falls free."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def fill(slots: int, requests: Iterable[T], serve: Callable[[T], Awaitable[None]]) -> None:
    """Serve all requests, at most `slots` at a time, reading each only when a slot is free.

    Requests enter in their order, so siblings of a question are in flight together.

    Raises:
        Exception: what `serve` or the iterable raised first; the other slots are cancelled.
    """
    waiting = iter(requests)

    async def work() -> None:
        for request in waiting:
            await serve(request)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(slots):
                tasks.create_task(work())
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
