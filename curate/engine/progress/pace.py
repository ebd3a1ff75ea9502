"""What a stage has done so far, and how fast: counted by who works, read by who shows it.

A stage advances thousands of times a second, so counting adds numbers and looks at no clock; rates
are made when somebody looks.
"""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

RECENT_SECONDS: Final = 20.0
"""A rate is that of at least so long a time, where a stage has run as long."""
RECENT_UNITS: Final = 10
"""And of at least so many units: a slow stage's rate would jump otherwise."""
MARKS: Final = 600
MARK_SECONDS: Final = 1.0
CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


@dataclass(slots=True)
class Pace:
    """Counts what one stage does.

    Attributes:
        title: what is done, in two or three words.
        total: how many units there are to do; 0 where nobody knows.
        unit: their plural name.
        done: units done, failed ones included.
        tokens: that they took.
        cuts: units cut off at a limit.
        failures: units that failed for good.
        error: why the last of these did.
        started: when, by the monotonic clock.
    """

    title: str
    total: int = 0
    unit: str = ""
    done: int = 0
    tokens: int = 0
    cuts: int = 0
    failures: int = 0
    error: str = ""
    started: float = field(default_factory=time.monotonic)

    def advance(self, count: int = 1, tokens: int = 0) -> None:
        """Note that so many units are done, and the tokens they took."""
        self.done += count
        self.tokens += tokens

    def cut(self) -> None:
        """Note that a unit was cut off at a limit."""
        self.cuts += 1

    def failed(self, error: str) -> None:
        """Note that a unit failed for good, and why."""
        self.failures += 1
        self.error = error

    @property
    def seconds(self) -> float:
        """How long the stage has run."""
        return time.monotonic() - self.started

    def mishaps(self) -> list[str]:
        """Say how many units failed or were cut, if any."""
        counted = ((self.failures, "failed for good"), (self.cuts, "cut off"))
        return [f"{count:,} {what}" for count, what in counted if count]

    def progress(self) -> str:
        """Say how far it is."""
        whole = f" of {self.total:,}" if self.total else ""
        return f"{self.done:,}{whole} {self.unit}".rstrip()

    def closing(self) -> str:
        """Say what was done, in one line."""
        whole = f" of {self.total:,}" if self.done < self.total else ""
        line = f"{self.title}: {self.done:,}{whole} {self.unit} in {duration(self.seconds)}"
        return "; ".join((line, ", ".join(self.mishaps()))) if self.mishaps() else line


class _Mark(NamedTuple):
    at: float
    done: int
    tokens: int


class Meter:
    """Tells how fast a stage is now, from looks taken at it every second.

    Args:
        pace: the stage's.
    """

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._marks = deque([_Mark(pace.started, 0, 0)], MARKS)
        self._seen, self._moved = 0, pace.started

    def look(self) -> None:
        """Take note of where the stage is."""
        now, done = time.monotonic(), self.pace.done
        if done != self._seen:
            self._seen, self._moved = done, now
        if now - self._marks[-1].at >= MARK_SECONDS:
            self._marks.append(_Mark(now, done, self.pace.tokens))

    def idle(self) -> float:
        """Give the seconds in which nothing was done."""
        return time.monotonic() - self._moved

    def rates(self) -> tuple[float, float]:
        """Give units and tokens a second, of late."""
        now, pace = time.monotonic(), self.pace
        since = self._marks[0]
        for mark in reversed(self._marks):
            if now - mark.at >= RECENT_SECONDS and pace.done - mark.done >= RECENT_UNITS:
                since = mark
                break
        seconds = max(now - since.at, 1e-9)
        return (pace.done - since.done) / seconds, (pace.tokens - since.tokens) / seconds

    def left(self) -> float | None:
        """Estimate the seconds that are left; None where nobody can."""
        rate, _ = self.rates()
        rest = self.pace.total - self.pace.done
        return rest / rate if rate and rest > 0 else None


def frequency(rate: float, unit: str) -> str:
    """Write how many of a unit a second; a minute where a second has less than one."""
    if 0 < rate < 1:
        return f"{rate * 60:.1f} {unit}/min"
    return f"{rate:,.{1 if rate < 100 else 0}f} {unit}/s"


def duration(seconds: float) -> str:
    """Write a duration in the two largest units: ``1 m 05 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} m"


def one_line(text: str) -> str:
    """Put text from elsewhere on one line, its terminal sequences spelt out."""
    return " ".join(text.split()).translate(CONTROLS)
