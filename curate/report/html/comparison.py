"""``curate diff --html``: what changed from one release to the next, in the style of the report."""

from collections.abc import Iterator
from pathlib import Path

from curate.errors import count_of
from curate.release.diff import ABSENT, SELECTED, Diff
from curate.report.html.figures import (
    PALETTE,
    ROW,
    Chart,
    Figure,
    Numbers,
    Trace,
    View,
    bars,
    figure,
    floats,
    plain,
)
from curate.report.html.page import figures_of, page, save

_MOST_VALUES = 12
"""Values of a column shown; the table has all that changed."""


def write_comparison(diff: Diff, out: Path) -> Path:
    """Write a diff as a page.

    Args:
        diff: the diff.
        out: the file, which appears whole or not at all.

    Raises:
        InputError: it can't be written.
    """
    charts = [*_moves(diff), *_parameters(diff), *_shifts(diff), *_shares(diff)]
    title = f"{diff.before.title} → {diff.after.title}"
    if diff.before.title == diff.after.title:
        title = f"{diff.after.title}, before and after"
    context = {
        "charts": charts, "figures": figures_of(charts), "headline": _headline(diff),
        "diff": diff,
    }  # fmt: skip
    save(page(title, context, "diff.html.jinja"), out)
    return out


def _headline(diff: Diff) -> list[tuple[str, str]]:
    return [
        (f"{diff.before.rows:,}", "rows before"),
        (f"{diff.after.rows:,}", "rows after"),
        (f"{diff.kept:,}", "in both"),
        (f"{diff.added:,}", "added"),
        (f"{diff.removed:,}", "removed"),
    ]


def _moves(diff: Diff) -> Iterator[Chart]:
    """Show where samples went from where."""
    rows = tuple((m.before, m.after, f"{m.samples:,}", m.example) for m in diff.moves)
    numbers = Numbers(("before", "after", "samples", "one of them"), rows) if rows else None
    total = sum(move.samples for move in diff.moves)
    summary = (
        f"{count_of(diff.kept, 'row')} stayed selected; of the samples that either release tells "
        f"of, {total:,} changed places."
    )
    says = [summary]
    if altered := ", ".join(f"{n:,} in {name}" for name, n in diff.altered.items()):
        says.append(f"Of the rows in both, values differ: {altered}.")
    views = (View("", _flow(diff)),) if diff.moves or diff.kept else ()
    yield Chart("moves", "Where samples went", tuple(says), views, numbers)


def _flow(diff: Diff) -> Figure:
    flows = [(SELECTED, SELECTED, diff.kept)] if diff.kept else []
    flows += [(move.before, move.after, move.samples) for move in diff.moves]
    before = list(dict.fromkeys(source for source, _, _ in flows))
    after = list(dict.fromkeys(target for _, target, _ in flows))
    colours = {SELECTED: "@selected", ABSENT: "@muted"}
    trace: Trace = {
        "type": "sankey",
        "node": {
            "label": [plain(name) for name in (*before, *after)],
            "color": [colours.get(name, "@dropped") for name in (*before, *after)],
            "pad": 14, "thickness": 14,
        },
        "link": {
            "source": [before.index(source) for source, _, _ in flows],
            "target": [len(before) + after.index(target) for _, target, _ in flows],
            "value": [samples for _, _, samples in flows],
            "color": ["@shade"] * len(flows),
        },
        "valueformat": ",d",
    }  # fmt: skip
    return figure([trace], height=max(220, 2 * ROW * max(len(before), len(after))))


def _parameters(diff: Diff) -> Iterator[Chart]:
    if diff.parameters:
        rows = tuple((c.name, c.before or "", c.after or "") for c in diff.parameters)
        says = ("What differs in recipe, models and libraries.",)
        numbers = Numbers(("parameter", "before", "after"), rows)
        yield Chart("parameters", "Parameters", says, (), numbers, open=True)


def _shifts(diff: Diff) -> Iterator[Chart]:
    """Show the quartiles that moved."""
    if not diff.shifts:
        return
    views: list[View] = []
    for shift in diff.shifts:
        low, middle, high = zip(shift.before, shift.after, strict=True)
        box: Trace = {
            "type": "box", "orientation": "h", "y": ["before", "after"], "q1": floats(low),
            "median": floats(middle), "q3": floats(high), "lowerfence": floats(low),
            "upperfence": floats(high), "marker": {"color": "@live"}, "showlegend": False,
        }  # fmt: skip
        axis = {"title": {"text": f"{plain(shift.column)}: quartiles"}}
        plot = figure([box], height=190, x=axis, y={"autorange": "reversed", "showgrid": False})
        views.append(View(shift.column, plot))
    rows = tuple(
        (
            s.column,
            *(f"{one:.4g} ({low:.4g} to {high:.4g})" for low, one, high in (s.before, s.after)),
        )
        for s in diff.shifts
    )
    numbers = Numbers(("column", "before: median (quartiles)", "after"), rows)
    says = ("Of the selected rows.",)
    yield Chart("shifts", "Distributions", says, tuple(views), numbers, "half")


def _shares(diff: Diff) -> Iterator[Chart]:
    """Show the shares that moved."""
    if not diff.shares:
        return
    columns = dict.fromkeys(share.column for share in diff.shares)
    views: list[View] = []
    for column in columns:
        shares = [share for share in diff.shares if share.column == column]
        shares = sorted(shares, key=lambda share: -max(share.before, share.after))[:_MOST_VALUES]
        names = [share.value for share in shares]
        traces = [
            {
                **bars(side, names, [0] * len(names), colour),
                "x": [round(getattr(share, side), 4) for share in shares],
                "hoverinfo": "x+y+name", "hovertext": None,
            }
            for side, colour in (("before", "@muted"), ("after", PALETTE[0]))
        ]  # fmt: skip
        order = {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": [plain(n) for n in reversed(names)],
        }
        plot = figure(
            traces,
            height=2 * ROW * len(names) + 90,
            x={"tickformat": ".0%", "title": {"text": "share of the selected rows"}},
            y={**order, "showgrid": False},
            barmode="group",
        )
        views.append(View(column, plot))
    rows = tuple((s.column, s.value, f"{s.before:.1%}", f"{s.after:.1%}") for s in diff.shares)
    numbers = Numbers(("column", "value", "before", "after"), rows)
    says = ("Of the selected rows.",)
    yield Chart("shares", "Composition", says, tuple(views), numbers, "half")
