"""Tell a person, or a log, how a run is getting on.

On a terminal one live line a stage (done, rate, time left); elsewhere plain lines, at most one
every few seconds; with ``--quiet`` nothing. Stages are told what happens; they do not know the run.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

PLAIN_SECONDS: Final = 10.0


class Stage(Protocol):
    """One stage under way."""

    def advance(self, count: int = 1, tokens: int = 0) -> None:
        """Note that so many units are done, and the tokens they took."""
        ...


class Progress:
    """Where a run reports to.

    Args:
        console: where lines go; standard error, so that ``--json`` can be piped.
        quiet: say nothing.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self.console = console or Console(stderr=True)
        self.quiet = quiet

    def say(self, text: str) -> None:
        """Print one line."""
        if not self.quiet:
            self.console.print(text, highlight=False)

    @contextmanager
    def stage(self, title: str, total: int, unit: str) -> Generator[Stage]:
        """Show a stage from its start to its end.

        Args:
            title: what is done, in two or three words.
            total: how many units there are to do.
            unit: their plural name.
        """
        started = time.monotonic()
        if self.quiet:
            yield _Counter()
        elif self.console.is_terminal:
            with _live(self.console) as bars:
                task = bars.add_task(title, total=total, rate="")
                yield _Live(bars, task, unit)
        else:
            self.say(f"{title}: {total} {unit}")
            yield _Plain(self, title, total, unit)
        self.say(f"[green]✓[/] {title}: {total} {unit} in {duration(time.monotonic() - started)}")


def duration(seconds: float) -> str:
    """Write a duration in the two largest units: ``1 m 05 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} m"


def _live(console: Console) -> RichProgress:
    return RichProgress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
    )


class _Counter:
    """Counts units and tokens, and tells the rates."""

    def __init__(self) -> None:
        self.done = 0
        self.tokens = 0
        self._started = time.monotonic()

    def advance(self, count: int = 1, tokens: int = 0) -> None:
        self.done += count
        self.tokens += tokens

    def rate(self, unit: str) -> str:
        seconds = max(time.monotonic() - self._started, 1e-9)
        text = f"{self.done / seconds:.1f} {unit}/s"
        return f"{text}, {self.tokens / seconds:.0f} tokens/s" if self.tokens else text


class _Live(_Counter):
    def __init__(self, bars: RichProgress, task: int, unit: str) -> None:
        super().__init__()
        self._bars, self._task, self._unit = bars, task, unit

    def advance(self, count: int = 1, tokens: int = 0) -> None:
        super().advance(count, tokens)
        self._bars.update(self._task, advance=count, rate=self.rate(self._unit))  # pyright: ignore[reportArgumentType]


class _Plain(_Counter):
    def __init__(self, progress: Progress, title: str, total: int, unit: str) -> None:
        super().__init__()
        self._progress, self._title, self._total, self._unit = progress, title, total, unit
        self._told = time.monotonic()

    def advance(self, count: int = 1, tokens: int = 0) -> None:
        super().advance(count, tokens)
        if time.monotonic() - self._told >= PLAIN_SECONDS:
            self._told = time.monotonic()
            self._progress.say(
                f"{self._title}: {self.done} of {self._total}, {self.rate(self._unit)}"
            )
