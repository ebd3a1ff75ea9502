"""Slots: all requests are served, few at a time, and whatever ends them early ends all."""

import asyncio
from collections.abc import Iterator

import pytest

from curate.models.servers.slots import fill


class Desk:
    """Serves numbers, each in a while, and fails at some.

    Attributes:
        ended: how each request ended, in this order.
        most: requests served at a time.
        cancelling: how often the task that fills the slots was asked to stop.
    """

    def __init__(self, *failing: int, seconds: float = 0.0) -> None:
        self.failing = failing
        self.seconds = seconds
        self.ended: list[str] = []
        self.open = self.most = self.cancelling = 0

    async def serve(self, number: int) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await asyncio.sleep(self.seconds)
            if number in self.failing:
                raise OSError(number, "failed")
            self.ended.append(f"{number} served")
        except asyncio.CancelledError:
            self.ended.append(f"{number} cancelled")
            raise
        finally:
            self.open -= 1

    async def fill(self, slots: int, requests: Iterator[int]) -> None:
        try:
            await fill(slots, requests, self.serve)
        finally:
            task = asyncio.current_task()
            assert task is not None
            self.cancelling = task.cancelling()


@pytest.mark.parametrize(("slots", "count"), [(1, 5), (3, 20), (8, 3), (2, 0), (10**12, 3)])
def test_every_request_is_served_few_at_a_time(slots: int, count: int) -> None:
    desk = Desk()
    asyncio.run(desk.fill(slots, iter(range(count))))
    assert sorted(desk.ended) == sorted(f"{number} served" for number in range(count))
    assert desk.most == min(slots, count)


def test_a_failure_ends_the_others_and_does_not_count_as_a_wish_to_stop() -> None:
    desk = Desk(3)
    with pytest.raises(OSError, match="failed"):
        asyncio.run(desk.fill(2, iter(range(100))))
    assert desk.open == 0
    assert len(desk.ended) < 9
    assert desk.cancelling == 0, "else a dying engine would be taken for Ctrl-C"


def test_what_the_requests_raise_is_raised() -> None:
    def requests() -> Iterator[int]:
        yield from range(3)
        raise ValueError("no more of them")

    desk = Desk()
    with pytest.raises(ValueError, match="no more of them"):
        asyncio.run(desk.fill(2, requests()))
    assert desk.open == 0


def test_whoever_is_cancelled_cancels_what_is_served() -> None:
    desk = Desk(seconds=60)

    async def interrupted() -> None:
        task = asyncio.create_task(desk.fill(3, iter(range(100))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert desk.ended == ["0 cancelled", "1 cancelled", "2 cancelled"]
    assert desk.cancelling == 1
