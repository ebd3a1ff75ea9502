"""``curate diff --html``: what changed from one release to the next, in the style of the report."""

from collections.abc import Iterator
from pathlib import Path

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


def write_comparison(found: Diff, out: Path) -> Path:
    """Write a diff as a page.

    Args:
        found: the diff.
        out: the file, which appears whole or not at all.

    Raises:
        InputError: it can't be written.
    """
    charts = [*_moves(found), *_parameters(found), *_shifts(found), *_shares(found)]
    title = f"{found.before.title} → {found.after.title}"
    if found.before.title == found.after.title:
        title = f"{found.after.title}, before and after"
    context = {
        "charts": charts, "figures": figures_of(charts), "headline": _headline(found),
        "diff": found,
    }  # fmt: skip
    save(page(title, context, "diff.html.jinja"), out)
    return out


def _headline(found: Diff) -> list[tuple[str, str]]:
    return [
        (f"{found.before.rows:,}", "rows before"),
        (f"{found.after.rows:,}", "rows after"),
        (f"{found.kept:,}", "in both"),
        (f"{found.added:,}", "added"),
        (f"{found.removed:,}", "removed"),
    ]


def _moves(found: Diff) -> Iterator[Chart]:
    """Show where samples went from where."""
    rows = tuple((m.before, m.after, f"{m.samples:,}", m.example) for m in found.moves)
    numbers = Numbers(("before", "after", "samples", "one of them"), rows) if rows else None
    total = sum(move.samples for move in found.moves)
    told = (
        f"{found.kept:,} rows stayed selected; {total:,} samples that either release tells of are "
        "elsewhere."
    )
    says = [told]
    if altered := ", ".join(f"{n:,} in {name}" for name, n in found.altered.items()):
        says.append(f"Of the rows in both, values differ: {altered}.")
    views = (View("", _flow(found)),) if found.moves or found.kept else ()
    yield Chart("moves", "Where samples went", tuple(says), views, numbers)


def _flow(found: Diff) -> Figure:
    flows = [(SELECTED, SELECTED, found.kept)] if found.kept else []
    flows += [(move.before, move.after, move.samples) for move in found.moves]
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


def _parameters(found: Diff) -> Iterator[Chart]:
    if found.parameters:
        rows = tuple((c.name, c.before or "", c.after or "") for c in found.parameters)
        says = ("What differs in recipe, models and libraries.",)
        numbers = Numbers(("parameter", "before", "after"), rows)
        yield Chart("parameters", "Parameters", says, (), numbers, open=True)


def _shifts(found: Diff) -> Iterator[Chart]:
    """Show the quartiles that moved."""
    if not found.shifts:
        return
    views: list[View] = []
    for shift in found.shifts:
        low, middle, high = zip(shift.before, shift.after, strict=True)
        box: Trace = {
            "type": "box", "orientation": "h", "y": ["before", "after"], "q1": floats(low),
            "median": floats(middle), "q3": floats(high), "lowerfence": floats(low),
            "upperfence": floats(high), "marker": {"color": "@live"}, "showlegend": False,
        }  # fmt: skip
        axis = {"title": {"text": f"{plain(shift.column)}: quartiles"}}
        drawn = figure([box], height=190, x=axis, y={"autorange": "reversed", "showgrid": False})
        views.append(View(shift.column, drawn))
    rows = tuple(
        (
            s.column,
            *(f"{one:.4g} ({low:.4g} to {high:.4g})" for low, one, high in (s.before, s.after)),
        )
        for s in found.shifts
    )
    numbers = Numbers(("column", "before: median (quartiles)", "after"), rows)
    says = ("Of the selected rows.",)
    yield Chart("shifts", "Distributions", says, tuple(views), numbers, "half")


def _shares(found: Diff) -> Iterator[Chart]:
    """Show the shares that moved."""
    if not found.shares:
        return
    columns = dict.fromkeys(share.column for share in found.shares)
    views: list[View] = []
    for column in columns:
        mine = [share for share in found.shares if share.column == column]
        mine = sorted(mine, key=lambda share: -max(share.before, share.after))[:_MOST_VALUES]
        names = [share.value for share in mine]
        traces = [
            {
                **bars(side, names, [0] * len(names), colour),
                "x": [round(getattr(share, side), 4) for share in mine],
                "hoverinfo": "x+y+name", "hovertext": None,
            }
            for side, colour in (("before", "@muted"), ("after", PALETTE[0]))
        ]  # fmt: skip
        order = {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": [plain(n) for n in reversed(names)],
        }
        drawn = figure(
            traces,
            height=2 * ROW * len(names) + 90,
            x={"tickformat": ".0%", "title": {"text": "share of the selected rows"}},
            y={**order, "showgrid": False},
            barmode="group",
        )
        views.append(View(column, drawn))
    rows = tuple((s.column, s.value, f"{s.before:.1%}", f"{s.after:.1%}") for s in found.shares)
    numbers = Numbers(("column", "value", "before", "after"), rows)
    says = ("Of the selected rows.",)
    yield Chart("shares", "Composition", says, tuple(views), numbers, "half")
