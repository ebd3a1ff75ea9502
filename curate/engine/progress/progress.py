"""Tell a person, or a log, how a run is getting on.

On a terminal a region that stays in place, see `curate.engine.progress.live`; elsewhere plain
lines, at most one every few seconds; with ``--quiet`` nothing. Stages are told what happens; they
do not know the run.
"""

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.text import Text

from curate.engine.progress.live import Region
from curate.engine.progress.pace import Pace, duration, frequency, one_line
from curate.release.funnel import FilterCount, filter_line

PLAIN_SECONDS: Final = 10.0


class Stage(Protocol):
    """One stage under way."""

    def advance(self, count: int = 1, tokens: int = 0) -> None:
        """Note that so many units are done, failed ones too, and the tokens they took."""
        ...

    def cut(self) -> None:
        """Note that a unit was cut off at a limit."""
        ...

    def failed(self, error: str) -> None:
        """Note that a unit failed for good, and why."""
        ...


class Progress:
    """Where a run reports to.

    Args:
        console: where lines go; standard error, so that ``--json`` can be piped.
        quiet: say nothing.
        at_interrupt: called as soon as a stage is interrupted, before the run is cleaned up.
    """

    def __init__(
        self,
        console: Console | None = None,
        *,
        quiet: bool = False,
        at_interrupt: Callable[[], None] | None = None,
    ) -> None:
        self.console = console or _console()
        self.quiet = quiet
        live = self.console.is_interactive and not quiet
        self._region = Region(self.console) if live else None
        self._at_interrupt = at_interrupt
        self._interrupted = False

    def say(self, text: str, mark: str = "", style: str = "") -> None:
        """Print one line, after a mark of a style."""
        if not self.quiet:
            line = Text.assemble((f"{mark} ", style), text) if mark else Text(text)
            # A log gets every line whole.
            self.console.print(line, soft_wrap=not self.console.is_interactive)

    @contextmanager
    def shown(self) -> Generator[None]:
        """Show a run from its start to its end; only lines of stages stay."""
        try:
            yield
        except KeyboardInterrupt:
            self._interrupt()
            raise
        finally:
            if self._region:
                self._region.close()

    @contextmanager
    def stage(
        self, title: str, total: int = 0, unit: str = "", *, brief: bool = False
    ) -> Generator[Stage]:
        """Show a stage from its start to its end.

        Args:
            title: what is done, in two or three words.
            total: how many units there are to do; 0 where nobody knows.
            unit: their plural name.
            brief: leave no line, because what comes of the stage is told otherwise.
        """
        plain = not (self._region or self.quiet)
        pace = _Plain(title, total, unit, self.say) if plain else Pace(title, total, unit)
        if plain and not brief:
            self.say(f"{title}: {total} {unit}")
        if self._region:
            self._region.begin(pace)
        try:
            yield pace
        except KeyboardInterrupt:
            self._interrupt(pace)
            raise
        finally:
            if self._region:
                self._region.end(pace)
        if not brief:
            self.say(pace.closing(), "✓", "green")

    def filtered(self, count: FilterCount) -> None:
        """Tell what a filter of the chain did."""
        if self._region:
            self._region.filters.append(count)
        else:
            self.say(filter_line(count))

    def _interrupt(self, pace: Pace | None = None) -> None:
        if self._interrupted:
            return
        self._interrupted = True
        if self._region:
            self._region.close()
        if pace is not None:
            self.say(f"{pace.title}: stopped at {pace.progress()} after {duration(pace.seconds)}")
        if self._at_interrupt:
            self._at_interrupt()


def _console() -> Console:
    """Open standard error for a run."""
    if not sys.stderr.isatty():
        # Who forces colours on a log wants no cursor moved in it, and a notebook shows results.
        return Console(stderr=True, force_interactive=False, force_jupyter=False)
    # A descriptor of its own: the region stays while a library's words go elsewhere.
    return Console(file=os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding))


class _Plain(Pace):
    """Counts, and prints a line every few seconds."""

    __slots__ = ("_say", "_told", "_warned")

    def __init__(self, title: str, total: int, unit: str, say: Callable[[str], None]) -> None:
        super().__init__(title, total, unit)
        self._say = say
        self._told, self._warned = self.started, -PLAIN_SECONDS

    def advance(self, count: int = 1, tokens: int = 0) -> None:
        self.done += count
        self.tokens += tokens
        if time.monotonic() - self._told >= PLAIN_SECONDS:
            self._told = time.monotonic()
            rates = [frequency(self.done / self.seconds, self.unit)]
            rates += [frequency(self.tokens / self.seconds, "tokens")] if self.tokens else []
            if 0 < self.done < self.total:
                left = self.seconds / self.done * (self.total - self.done)
                rates.append(f"{duration(left)} left")
            self._say(f"{self.title}: {', '.join((self.progress(), *rates))}")

    def failed(self, error: str) -> None:
        super().failed(error)
        if time.monotonic() - self._warned >= PLAIN_SECONDS:
            self._warned = time.monotonic()
            last = ", the last" if self.failures > 1 else ""
            self._say(f"{self.title}: {self.failures:,} failed for good{last}: {one_line(error)}")
