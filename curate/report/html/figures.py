"""What a chart is: figures as plotly.js reads them, what they say, and their numbers as a table.

Figures are plain dicts; a value that starts with ``@`` is a colour of the page's theme and is
filled in by the browser, so that light and dark need no second figure. plotly.js takes some HTML in
texts; whatever comes from data goes through `plain`.
"""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

Figure = dict[str, Any]
Trace = dict[str, Any]

PALETTE: Final = tuple(f"@c{number}" for number in range(10))
COLOURS: Final = {
    "selected": "@selected", "live": "@live", "dropped": "@dropped", "abstained": "@abstained",
    "quarantined": "@muted",
}  # fmt: skip
"""Of the ways a sample may end; a colour never stands alone, the legend and hover say it too."""
ROW: Final = 30
"""Pixels of one bar of a horizontal bar chart."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure in a table, with what is said smaller below it.

    Attributes:
        text: the figure.
        note: its interval.
        heat: shade of the cell, -4 to 4; the figure says the same.
    """

    text: str
    note: str = ""
    heat: int = 0


@dataclass(frozen=True, slots=True)
class Numbers:
    """A table.

    Attributes:
        columns: headings; the first is of the rows' names.
        rows: cells, as many as there are headings.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class View:
    """One of several figures of a chart."""

    label: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class Chart:
    """Something to look at.

    Attributes:
        key: its id on the page.
        title: a few words.
        says: what it shows and what follows from it, with numbers; the chart in words.
        views: at least one; with several the page lets one choose.
        numbers: the same as a table.
        width: ``full`` or ``half`` of the page.
        open: the table stands there, and not behind a word to click on.
    """

    key: str
    title: str
    says: tuple[str, ...]
    views: tuple[View, ...]
    numbers: Numbers | None = None
    width: str = "full"
    open: bool = False


def figure(
    traces: Sequence[Trace],
    *,
    height: int,
    x: dict[str, Any] | None = None,
    y: dict[str, Any] | None = None,
    **layout: Any,
) -> Figure:
    """Put traces on axes that can't be dragged, so that a finger scrolls the page."""
    axes = {"xaxis": x or {}, "yaxis": y or {}}
    axes |= {name: layout.pop(name) for name in list(layout) if name[1:5] == "axis"}
    full_axes = {
        name: {
            "fixedrange": True, "automargin": True, "gridcolor": "@grid", "zerolinecolor": "@grid",
            **axis,
        }
        for name, axis in axes.items()
    }  # fmt: skip
    return {
        "data": list(traces),
        "layout": {
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 24, "b": 8},
            "font": {"color": "@ink", "family": "system-ui, sans-serif", "size": 13},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "hoverlabel": {"align": "left", "bgcolor": "@card", "font": {"color": "@ink"}},
            "legend": {"orientation": "h", "y": 1.08, "yanchor": "bottom", "x": 0},
            "dragmode": False,
            **full_axes,
            **layout,
        },
    }


def bars(
    name: str, categories: Sequence[str], counts: Sequence[int], colour: str, **more: Any
) -> Trace:
    """Make a trace of horizontal bars that can be stacked."""
    texts = [f"{plain(c)}: {n:,} {plain(name)}" for c, n in zip(categories, counts, strict=True)]
    return {
        "type": "bar", "orientation": "h", "name": plain(name), "x": list(counts),
        "y": [plain(category) for category in categories], "marker": {"color": colour},
        "hovertext": texts, "hoverinfo": "text", **more,
    }  # fmt: skip


def marked(at: float, label: str, axis: str = "x", side: str = "right") -> dict[str, Any]:
    """Draw a line across the plot where a limit lies, with its label."""
    across = {"x0": at, "x1": at, "y0": 0, "y1": 1, "xref": "x", "yref": "paper"}
    place: dict[str, Any] = {
        "x": at, "y": 1, "xref": "x", "yref": "paper", "yanchor": "bottom",
        "xanchor": "left" if side == "right" else "right",
    }  # fmt: skip
    if axis == "y":
        across = {"y0": at, "y1": at, "x0": 0, "x1": 1, "yref": "y", "xref": "paper"}
        place = {
            "y": at, "x": 1, "yref": "y", "xref": "paper", "xanchor": "right", "yanchor": "bottom"
        }  # fmt: skip
    return {
        "shapes": [
            {"type": "line", "line": {"color": "@ink", "width": 1.5, "dash": "dot"}} | across
        ],
        "annotations": [{"text": plain(label), "showarrow": False, "font": {"size": 12}} | place],
    }


def plain(text: object) -> str:
    """Let data be text to plotly.js, which would read tags and entities."""
    return html.escape(str(text), quote=False)


def share(part: float, whole: float) -> str:
    """Say a share, or nothing where there is nothing to share."""
    return f"{part / whole:.0%}" if whole else ""


def logarithms(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give log2 of ratios, 0 as 2**-10: RD is a quotient, as far below 1 as above it."""
    return np.log2(np.clip(values, 2.0**-10, None))


def ratio_ticks(low: float, high: float) -> dict[str, Any]:
    """Name whole powers of two on an axis of logarithms; every second one where there are many."""
    ends = int(np.floor(low)), int(np.ceil(high))
    step = max(1, -(-(ends[1] - ends[0]) // 8))
    places = [n for n in range(ends[0], ends[1] + 1) if n % step == 0]
    return {"tickvals": places, "ticktext": [f"{2.0**place:.4g}" for place in places]}


def floats(values: Iterable[float], digits: int = 4) -> list[float | None]:
    """Round for a small page; what is not finite is a gap."""
    return [
        float(f"{value:.{digits}g}") if np.isfinite(value) else None
        for value in np.asarray(list(values), dtype=float)
    ]


class Interval(Protocol):
    """A figure with its interval; None where it can't be told."""

    @property
    def value(self) -> float | None:
        """Give the figure."""
        ...

    @property
    def low(self) -> float | None:
        """Give the lower end."""
        ...

    @property
    def high(self) -> float | None:
        """Give the upper end."""
        ...


def forest(
    table: Mapping[str, Interval],
    title: str,
    at: float | None,
    label: str = "",
    *,
    say: Callable[[Any], str],
    scale: float = 1.0,
) -> Figure:
    """Draw figures with their intervals, one below the other, and a line where chance is.

    Args:
        table: by name.
        title: of the axis.
        at: where the line is; None for no line.
        label: of the line.
        say: writes a figure with its interval, shown at a point.
        scale: that what is drawn is multiplied by, as 100 for shares in %.
    """
    drawn = {name: one for name, one in table.items() if one.value is not None}
    values = [scale * (one.value or 0.0) for one in drawn.values()]
    lows, highs = (
        [value if end is None else scale * end for value, end in zip(values, ends, strict=True)]
        for ends in ([one.low for one in drawn.values()], [one.high for one in drawn.values()])
    )
    trace: Trace = {
        "type": "scatter", "mode": "markers", "x": floats(values),
        "y": list(map(plain, drawn)), "marker": {"color": "@live", "size": 9}, "showlegend": False,
        "error_x": {
            "type": "data", "symmetric": False, "color": "@ink", "thickness": 1.5,
            "array": floats(high - value for high, value in zip(highs, values, strict=True)),
            "arrayminus": floats(value - low for value, low in zip(values, lows, strict=True)),
        },
        "hovertext": [f"{plain(name)}: {say(one)}" for name, one in drawn.items()],
        "hoverinfo": "text",
    }  # fmt: skip
    categories = {"type": "category", "autorange": "reversed", "tickfont": {"size": 12}}
    line: dict[str, Any] = marked(at, label) if at is not None else {}
    return figure(
        [trace], height=ROW * len(drawn) + 90, x={"title": {"text": plain(title)}}, y=categories,
        **line,
    )  # fmt: skip
