"""A comparison of scores at a terminal: sentences, and tables of middle values."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from curate.errors import CONTROLS, count_of
from curate.measures.statistics import Estimate
from curate.report.rich_view import RichView
from curate.report.scores.comparison import Comparison
from curate.report.scores.groups import Groups
from curate.report.scores.separation import SHORTEST, Separation
from curate.report.scores.words import (
    agreement_words,
    figured,
    group_words,
    intervals,
    length_words,
    mean_words,
    middle,
    overlap_words,
    separation_words,
    verdict_words,
    which,
)

_NAME: Final = 26
"""Most characters of a name in the first column."""
_FIGURE: Final = 7
"""Characters of a column of a matrix, its gap included."""
_INTERVAL: Final = 21
"""Most characters of a figure with its interval."""
_GAP: Final = 2
"""Characters between columns."""
Estimates = Mapping[str, Mapping[str, Estimate]]
Say = Callable[[Estimate], str]


@dataclass(frozen=True, slots=True, repr=False)
class ComparisonView(RichView):
    """Shows a comparison.

    Attributes:
        comparison: its figures.
    """

    comparison: Comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for a terminal."""
        shown = self.comparison
        yield Text(
            f"{shown.title}: {count_of(len(shown.scores), 'score')} of "
            f"{shown.scored:,} of {count_of(shown.rows, 'sample')}, "
            f"{count_of(shown.questions, 'question')}",
            "bold",
        )
        yield Text(f"{intervals()} `--html FILE` writes those left out here.", "dim")
        width = options.max_width
        if shown.agreement:
            yield from _section("Agreement", agreement_words(shown))
            yield Text("~ may be no agreement: the interval holds 0. ? can't be told.", "dim")
            yield _matrix(shown.agreement, width, _doubted)
        if shown.overlap:
            yield from _section("What each would take", overlap_words(shown.overlap))
            yield _matrix(shown.overlap.shares, width, _share)
        if shown.length:
            yield from _section("Length", length_words(shown))
            yield _listing(shown.length, width)
        yield from _section("Right and wrong", separation_words(shown.separation))
        if shown.separation.scores:
            yield _separation(shown.separation, width)
        for groups in (*filter(None, [shown.teachers]), *shown.variants):
            yield from _section(f"{groups.by.capitalize()}s", group_words(groups))
            yield _text(which(groups))
            words = (_text(verdict_words(one)) for one in groups.verdicts)
            yield from (Padding(line, (0, 0, 0, 2)) for line in words)
            yield from _section(f"Scores by {groups.by}", mean_words(groups))
            yield _groups(groups, width)


def _section(title: str, words: Iterable[str]) -> Iterator[RenderableType]:
    yield Text(f"\n{title}", "bold")
    yield from map(_text, words)


def _matrix(table: Estimates, width: int, say: Say) -> RenderableType:
    """Show figures of names by names; columns are numbered, and stand in several where many are."""
    names = list(dict.fromkeys(name for row in table.values() for name in row))
    names = list(table) if set(names) == set(table) else names
    size = max((width - _NAME - 6) // _FIGURE, 1)
    parts = [range(start, min(start + size, len(names))) for start in range(0, len(names), size)]
    return Group(*(_matrix_part(table, names, part, say) for part in parts))


def _matrix_part(table: Estimates, names: Sequence[str], columns: Iterable[int], say: Say) -> Table:
    grid = _table(("", *(str(column + 1) for column in columns)))
    for place, (name, row) in enumerate(table.items()):
        cells = [say(row[names[n]]) if names[n] in row else "" for n in columns]
        grid.add_row(_text(f"{place + 1} {name}" if name in names else name), *cells)
    return grid


def _doubted(estimate: Estimate) -> str:
    """Say a correlation, and whether it may be none."""
    mark = "~" if estimate.beside(0) is False else ""
    return f"{mark}{_short(estimate, 'z.2f')}"


def _share(estimate: Estimate) -> str:
    return _short(estimate, "z.0%")


def _number(estimate: Estimate) -> str:
    return _short(estimate, "z.3g")


def _short(estimate: Estimate, form: str) -> str:
    return "?" if estimate.value is None else middle(estimate, form)


def _listing(table: Estimates, width: int) -> RenderableType:
    """Show figures with their intervals, a row each score."""
    names = list(dict.fromkeys(name for row in table.values() for name in row))
    columns = {
        name: [figured(row[name]) if name in row else "" for row in table.values()]
        for name in names
    }
    return _intervals(list(table), columns, width)


def _separation(separation: Separation, width: int) -> RenderableType:
    scores = separation.scores
    columns = {
        "AUC": [figured(one.auc) for one in scores],
        "gold not stated": [figured(one.auc_unstated) for one in scores],
        "length taken out": [
            "" if one.score == SHORTEST else figured(one.auc_length) for one in scores
        ],
        "wrong ones taken": [figured(one.wrong, "z.0%") if one.sided else "" for one in scores],
    }
    return _intervals([one.score for one in scores], columns, width)


def _intervals(
    names: Sequence[str], columns: Mapping[str, Sequence[str]], width: int
) -> RenderableType:
    """Show columns of figures with their intervals; they stand in several parts where many are."""
    size = max((width - max(map(len, names)) - _GAP) // (_INTERVAL + _GAP), 1)
    heads = list(columns)
    parts: list[Table] = []
    for start in range(0, len(heads), size):
        part = heads[start : start + size]
        grid = _table(("score", *part))
        for name, *cells in zip(names, *(columns[head] for head in part), strict=True):
            grid.add_row(_text(name), *cells)
        parts.append(grid)
    return Group(*parts)


def _groups(groups: Groups, width: int) -> RenderableType:
    grid = _table((groups.by, "samples", "scored", "questions"))
    for place, one in enumerate(groups.groups):
        counts = (f"{count:,}" for count in (one.rows, one.scored, one.questions))
        grid.add_row(_text(f"{place + 1} {one.name}"), *counts)
    return Group(grid, Text(), _matrix(groups.figures, width, _number))


def _table(heads: Sequence[str]) -> Table:
    grid = Table(box=None, padding=(0, _GAP, 0, 0), show_edge=False, header_style="dim")
    for place, head in enumerate(heads):
        width = None if place else _NAME + 3
        side = "right" if place else "left"
        grid.add_column(_text(head), justify=side, max_width=width, no_wrap=True)
    return grid


def _text(text: str) -> Text:
    """Show a name of somebody's data, its terminal sequences spelt out."""
    return Text(text.translate(CONTROLS))
