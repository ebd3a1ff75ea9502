"""What one run may spend: tokens, money, hours. A limit reached ends it cleanly, to go on later.

A limit holds for one run: what an earlier run paid for is in the record and costs nothing again. It
is looked at before each new request; requests already on their way are waited for and recorded, so
a run may spend a little more than its limit, never less than it was told.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from curate.errors import BackendError, CurateError, count_of
from curate.models.servers.servers import Price

_Item = TypeVar("_Item")


class SpendingLimitError(CurateError):
    """A limit of ``runtime`` was reached; what was paid for is in the record."""


class Limits(Protocol):
    """The three limits, as the recipe's ``runtime`` has them; None for none."""

    @property
    def max_tokens_total(self) -> int | None:
        """Prompt and completion tokens."""
        ...

    @property
    def max_cost(self) -> float | None:
        """Money, in the currency of the prices."""
        ...

    @property
    def max_hours(self) -> float | None:
        """Hours since the run began."""
        ...


class Meter:
    """Adds up what a run spends.

    Args:
        limits: None for no limit.
        clock: gives seconds.
    """

    def __init__(
        self, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._started = clock()
        self.tokens = 0
        self.cost = 0.0
        self._held_back = False
        self._uncounted: str | None = None

    def spend(self, prompt: int | None, completion: int | None, price: Price | None) -> None:
        """Add one sample.

        Args:
            prompt: its tokens, None where nobody said.
            completion: likewise.
            price: of its server, None where none is asked.
        """
        counted = self._limits is not None and (
            self._limits.max_tokens_total is not None
            or (self._limits.max_cost is not None and price is not None)
        )
        if counted and (prompt is None or completion is None):
            # Not raised here: what is on its way is paid for, and shall be recorded.
            self._uncounted = (
                "the server does not say how many tokens a sample took, so max_tokens_total and "
                "max_cost can't be kept; use max_hours, or a server that reports usage"
            )
        self.tokens += (prompt or 0) + (completion or 0)
        self.cost += price.of(prompt or 0, completion or 0) if price else 0.0

    @property
    def reached(self) -> str | None:
        """Say which limit is reached, None while none is."""
        limits = self._limits
        if self._uncounted is not None:
            return self._uncounted
        if limits is None:
            return None
        hours = (self._clock() - self._started) / 3600
        tokens = count_of(self.tokens, "token")
        usage: tuple[tuple[str, Any, float, str], ...] = (
            ("max_tokens_total", limits.max_tokens_total, self.tokens, tokens),
            ("max_cost", limits.max_cost, self.cost, f"{self.cost:.4g} spent"),
            ("max_hours", limits.max_hours, hours, f"{hours:.3g} hours"),
        )
        for name, limit, amount, text in usage:
            if limit is not None and amount >= limit:
                bound = f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
                return f"runtime.{name} {bound} is reached: {text}"
        return None

    def until_reached(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Pass items on until a limit is reached."""
        for item in items:
            if self.reached is not None:
                self.hold_back()
                return
            yield item

    def hold_back(self) -> None:
        """Note that something was left undone because of a limit."""
        self._held_back = True

    def check(self) -> None:
        """Stop where a limit left something undone.

        Raises:
            SpendingLimitError: one did.
            BackendError: a limit can't be kept, since nobody said how many tokens samples took.
        """
        if self._uncounted is not None:
            raise BackendError(self._uncounted)
        if self._held_back:
            raise SpendingLimitError(
                f"{self.reached}. All that was drawn and measured is recorded: run again to go "
                "on, with as much to spend, or raise the limit"
            )
