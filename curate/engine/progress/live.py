"""The region at the foot of a terminal that shows a run under way.

The stage, the funnel so far, memory, and the last error. It is drawn anew a few times a second by
rich's own thread from what others count, so that counting costs a stage nothing. A terminal that
is made narrower folds the lines it shows; these are counted before the region is drawn over.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from curate.engine.progress.memory import Memory
from curate.engine.progress.pace import Meter, Pace, duration, frequency, one_line
from curate.release.funnel import FilterCount, percent

A_SECOND: Final = 4
"""Drawings."""
STALLED: Final = 10.0
"""Seconds without a unit done after which that is said."""
SETTLED: Final = 1.0
"""Seconds before which a rate says nothing."""
WIDEST: Final = 100
WIDE: Final = 60
"""Columns from which a stage, and a filter with a bar, fit on a line."""
NAMES_FIRST: Final = 48
"""Columns below which a filter's share gives way to its name."""
LEAST_BAR: Final = 8
GAP: Final = "  "
SPINNER, ASCII_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "-\\|/"


class Region:
    """What a terminal shows of a run under way.

    Args:
        console: a terminal.

    Attributes:
        filters: what the filters did so far, in order.
    """

    def __init__(self, console: Console) -> None:
        self.filters: list[FilterCount] = []
        self._console = console
        self._paces: list[Pace] = []
        self._meters: list[Meter] = []
        self._lengths: list[int] = []
        self._live: _Live | None = None
        self._memory: Memory | None = None
        self._closed = False

    def begin(self, pace: Pace) -> None:
        """Show a stage, in place of the one it is a part of."""
        self._paces.append(pace)
        self._meters.append(Meter(pace))
        if self._live is None and not self._closed:
            self._memory = Memory()
            self._live = _Live(self, self._console)
            self._live.start()

    def end(self, pace: Pace) -> None:
        """Show a stage no more."""
        self._meters = [meter for meter in self._meters if meter.pace is not pace]

    def close(self) -> None:
        """Take the region away; it does not come back."""
        self._closed = True
        if self._memory is not None:
            self._memory.close()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # Two columns stay free for the `^C` that a terminal shows at the cursor.
        width = max(min(options.max_width - 2, WIDEST), 1)
        stage = list(self._stage(width, ascii_only=options.ascii_only))
        foot = list(self._foot())
        room = console.size.height - len(stage) - len(foot) - 3
        funnel = list(_funnel(self.filters, width, room, "#" if options.ascii_only else "█"))
        lines = [*stage, *_apart(funnel), *_apart(foot)][: console.size.height - 1]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
            line.rstrip()
        self._lengths = [line.cell_len for line in lines]
        yield from lines

    def folds(self, columns: int) -> int:
        """Count the rows that what was drawn last takes beyond a row a line."""
        return sum(max(length - 1, 0) // columns for length in self._lengths)

    def _stage(self, width: int, *, ascii_only: bool) -> Iterator[Text]:
        frames = ASCII_SPINNER if ascii_only else SPINNER
        frame = frames[int(time.monotonic() * A_SECOND) % len(frames)]
        if not self._meters:
            yield Text.assemble((f"{frame} ", "cyan"), "working")
            return
        meter = self._meters[-1]
        meter.look()
        head = Text.assemble((f"{frame} ", "cyan"), (meter.pace.title, "bold"))
        yield from _headed(head, meter.pace, width, ascii_only=ascii_only)
        yield from _flowed(_facts(meter), width)

    def _foot(self) -> Iterator[Text]:
        if self._memory is not None and self._memory.told:
            yield Text(f"{GAP}{self._memory.told}", "dim")
        error = next((pace.error for pace in reversed(self._paces) if pace.failures), None)
        if error is not None:
            yield Text.assemble(GAP, ("last error: ", "bold yellow"), one_line(error))


def _headed(head: Text, pace: Pace, width: int, *, ascii_only: bool) -> Iterator[Text]:
    """Say how far a stage is: title, bar, share and count, on one line where they fit."""
    if not pace.total:
        yield head.append(f"{GAP}{pace.progress()}" if pace.done else "")
        return
    total = f"{pace.total:,}"
    count = f"{pace.done:>{len(total)},} of {total} {pace.unit}"
    share = f"{percent(pace.done, pace.total):>4}"
    room = width - head.cell_len - len(share) - len(count) - 3 * len(GAP)
    if width >= WIDE and room >= LEAST_BAR:
        yield (
            head.append(GAP)
            .append_text(_bar(pace, room, ascii_only=ascii_only))
            .append(f"{GAP}{share}{GAP}{count}")
        )
        return
    yield head
    bar = _bar(pace, max(width - 2 * len(GAP) - len(share), 1), ascii_only=ascii_only)
    yield Text.assemble(GAP, bar, GAP, share)
    yield Text(f"{GAP}{count.strip()}")


def _bar(pace: Pace, width: int, *, ascii_only: bool) -> Text:
    full, rest = ("#", ".") if ascii_only else ("━", "╌")
    filled = min(int(width * pace.done / pace.total), width)
    return Text.assemble((full * filled, "green"), (rest * (width - filled), "dim"))


def _facts(meter: Meter) -> Iterator[str]:
    """Say how fast a stage is, how long it takes yet, and what went wrong in it."""
    pace, idle = meter.pace, meter.idle()
    if idle >= STALLED:
        what = "nothing done for" if pace.done else "waiting for the first,"
        yield f"{what} {duration(round(idle)).replace('.0', '')}"
    elif pace.done and pace.seconds >= SETTLED:
        units, tokens = meter.rates()
        yield frequency(units, pace.unit)
        if pace.tokens:
            yield frequency(tokens, "tokens")
        if (seconds := meter.left()) is not None:
            yield f"{duration(round(seconds)).replace('.0', '')} left"
    yield from pace.mishaps()


def _flowed(parts: Iterable[str], width: int) -> Iterator[Text]:
    """Put parts on as few lines as they need."""
    line = ""
    for part in parts:
        longer = f"{line}, {part}" if line else f"{GAP}{part}"
        if line and len(longer) > width:
            yield Text(f"{line},", "dim")
            longer = f"{GAP}{part}"
        line = longer
    if line:
        yield Text(line, "dim")


def _apart(lines: list[Text]) -> list[Text]:
    return [Text(), *lines] if lines else []


def _funnel(filters: list[FilterCount], width: int, room: int, block: str) -> Iterator[Text]:
    """Lay out the funnel so far; where a terminal is low, the last filters."""
    if not filters or room < 3:
        return
    first = filters[0]
    rows = [("all samples", first.rows, first.covered_before)]
    rows += [(line.name, line.live, line.covered) for line in filters][-(room - 2) :]
    sample_width = max(len("samples"), len(f"{first.rows:,}"))
    question_width = max(len("questions"), len(f"{first.covered_before:,}"))
    share_width = len(GAP) + 4 if width >= NAMES_FIRST else 0
    fixed = len(GAP) + sample_width + share_width + question_width + 2 * len(GAP)
    name_width = max(min(max(len(name) for name, _, _ in rows), 26, width - fixed), 4)
    bar = width - fixed - name_width - len(GAP) if width >= WIDE else 0
    between = " " * (share_width + (len(GAP) + bar if bar else 0))
    head = f"{GAP}{'':{name_width}}{GAP}{'samples':>{sample_width}}{between}"
    yield Text(f"{head}{GAP}{'questions':>{question_width}}", "dim")
    for name, count, questions in rows:
        cut = name if len(name) <= name_width else f"{name[: name_width - 1]}…"
        row = Text(f"{GAP}{cut:{name_width}}{GAP}{count:>{sample_width},}")
        if bar:
            filled = max(round(bar * count / first.rows), 1) if count else 0
            row.append(GAP).append(f"{block * filled:{bar}}", "green")
        if share_width:
            row.append(f"{GAP}{percent(count, first.rows):>4}")
        yield row.append(f"{GAP}{questions:>{question_width},}")


class _Live(Live):
    """Draws over what it drew before, also where a terminal made narrower has folded that."""

    def __init__(self, region: Region, console: Console) -> None:
        super().__init__(
            region,
            console=console,
            refresh_per_second=A_SECOND,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._region = region

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Go up by the folds after rich went up by the lines, before anything is written."""
        folds = self._region.folds(self.console.width)
        up = Control(*((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)) * folds)
        return super().process_renderables([up, *renderables])
