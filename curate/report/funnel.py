"""What a person sees first of a run: its funnel.

The funnel is the first thing a run shows, so it is laid out by hand for 80 columns: counts line up
on the right, a bar shows what is left, and why samples went stands right under the filter they
stopped at. `curate.release.funnel` counts and says the same in plain lines and in markdown.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from curate.errors import CONTROLS, count_of
from curate.release.funnel import Funnel, PickCount, losses, percent, preamble

WIDEST: Final = 100
LEGEND: Final = "choice: share of the questions of which one sample was kept and another dropped"
GAP: Final = "  "


def render(funnel: Funnel) -> RenderableType:
    """Make the funnel printable by rich, at any width from 60 columns."""
    return _FunnelView(funnel)


class _FunnelView:
    def __init__(self, funnel: Funnel) -> None:
        self.funnel = funnel
        names = ["all samples", *(g.name for g in funnel.filters), *(p.name for p in funnel.named)]
        in_words = any(p.words for p in funnel.picks) and not any(p.tokens for p in funnel.picks)
        self.unit = "words" if in_words else "tokens"
        numbers = [funnel.samples, funnel.covered, *map(self._length, funnel.picks)]
        self.name_width = min(max(map(len, names)), 26)
        self.live_width = max(7, len(f"{numbers[0]:,}"))
        self.question_width = max(9, len(f"{numbers[1]:,}"))
        self.last_width = max(6, *(len(f"{number:,}") for number in numbers[2:]), 0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fixed = self.name_width + self.live_width + 4 + self.question_width + self.last_width
        bar = min(options.max_width, WIDEST) - fixed - 5 * len(GAP)
        block = "#" if options.ascii_only else "█"
        yield from self._lines(max(bar, 4), block)

    def _lines(self, bar: int, block: str) -> Iterator[RenderableType]:
        funnel = self.funnel
        if facts := preamble(funnel):
            yield pairs(facts)
            yield Text()
        yield self._row("", "samples", bar * " ", "", "questions", "choice", style="dim")
        yield self._counts("all samples", funnel.samples, funnel.covered, "", bar, block)
        for line in funnel.filters:
            choice = percent(line.choice, line.covered_before)
            yield self._counts(line.name, line.live, line.covered, choice, bar, block)
            for loss in losses(line):
                yield Padding(Text(loss, "dim"), (0, 0, 0, 4))
        if funnel.picks:
            yield Text()
            yield self._row("", "samples", bar * " ", "", "questions", self.unit, style="dim")
        for pick in funnel.named:
            length = f"{self._length(pick):,}"
            yield self._counts(pick.name, pick.rows, pick.questions, length, bar, block)
            if pick.words and self.unit == "tokens":
                words = count_of(pick.words, "word")
                yield Text(f"    and {words} of samples whose tokens nobody counted", "dim")
            if pick.choice is not None:
                share = percent(pick.choice, 1)
                yield Text(f"    more live samples than taken in {share} of these questions", "dim")
        yield Text()
        if funnel.sweep:
            yield from _sweep(funnel, self.unit)
            yield Text()
        if funnel.notes:
            yield pairs([("note", note) for note in funnel.notes], "yellow")
        yield Text(LEGEND, style="dim")

    def _length(self, pick: PickCount) -> int:
        """Give how much text it is, in the unit of the column."""
        return pick.words if self.unit == "words" else pick.tokens

    def _counts(
        self, name: str, live: int, questions: int, last: str, bar: int, block: str
    ) -> Text:
        whole = self.funnel.samples
        filled = round(bar * live / whole) if whole else 0
        if live and not filled:
            filled = 1
        return self._row(
            name, f"{live:,}", (block * filled).ljust(bar), percent(live, whole), f"{questions:,}",
            last,
        )  # fmt: skip

    def _row(
        self, name: str, live: str, bar: str, share: str, questions: str, last: str, style: str = ""
    ) -> Text:
        if len(name) > self.name_width:
            name = f"{name[: self.name_width - 1]}…"
        text = Text(f"{name:<{self.name_width}}{GAP}{live:>{self.live_width}}{GAP}", style=style)
        text.append(bar, style="green")
        text.append(
            f"{GAP}{share:>4}{GAP}{questions:>{self.question_width}}{GAP}{last:>{self.last_width}}"
        )
        text.rstrip()
        return text


def _sweep(funnel: Funnel, unit: str) -> Iterator[RenderableType]:
    """Set the arms of a sweep below each other, under the key that they share.

    A name begins as the line above it says: names of a whole fusion leave no room for numbers. The
    overlap is the share of an arm's samples that the selection has too.
    """
    headings = ("", "samples", "questions", unit, "right", "mean", "overlap")
    table: dict[str, list[tuple[str, ...]]] = {}
    for line in funnel.sweep:
        start, end = line.name.rsplit(f"_{line.direction}", 1)
        length = line.words if unit == "words" else line.tokens
        numbers = (f"{number:,}" for number in (line.rows, line.questions, length))
        row = (f"…_{line.direction}{end}", *numbers, *line.facts)
        table.setdefault(f"{start}… by {line.key}", []).append(row)
    rows = [headings, *itertools.chain.from_iterable(table.values())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    yield _aligned(headings, widths, "dim")
    for title, lines in table.items():
        yield Text(title)
        yield from (_aligned(line, widths) for line in lines)


def _aligned(cells: Sequence[str], widths: Sequence[int], style: str = "") -> Text:
    name, *numbers = (
        f"{cell:<{width}}" if not place else f"{cell:>{width}}"
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return Text(GAP.join((name, *numbers)), style=style)


def pairs(pairs: Iterable[tuple[str, str]], style: str = "") -> Table:
    """Lay out names and what is said about them, long texts under themselves."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(style=style, overflow="fold")
    for name, text in pairs:
        grid.add_row(name, Text(text.translate(CONTROLS)))
    return grid
