"""Charts of what was chosen, and of what other thresholds and budgets would have chosen."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from curate.errors import count_of
from curate.release.funnel import SWEEP_HEADINGS, SweepCount, sweep_rows
from curate.report.html.audit import Audit
from curate.report.html.figures import (
    Chart,
    Figure,
    Numbers,
    Trace,
    View,
    figure,
    floats,
    marked,
    plain,
)
from curate.report.html.frontier import Frontier, frontier
from curate.report.html.scores import in_order
from curate.report.html.what_if import WhatIf, what_ifs
from filters.columns import ARM_PREFIX


def what_if_chart(audit: Audit) -> Chart | None:
    """Show how many rows every threshold would leave; None where no filter has one."""
    curves = list(what_ifs(audit))
    if not curves:
        return None
    rows = [_what_if_row(one) for one in curves]
    says = (
        (
            "Rows live after the last filter, were one threshold moved and all else as it is. What "
            "is below the line is certain from stored scores. The hatched band is not: it holds "
            "rows that the filters behind this one never judged and, where one of those compares "
            "siblings, rows with a sibling that comes or goes."
        ),
        (
            "Thresholds that compare siblings or texts are not here: no stored score says what "
            "they would do."
        ),
    )
    views = tuple(View(f"{one.filter}.{one.parameter}", _what_if(one)) for one in curves)
    heads = ("threshold", "now", "live now", "at the tightest drawn", "at the loosest drawn")
    return Chart("what-if", "Thresholds", says, views, Numbers(heads, tuple(rows)), "half")


def _what_if(one: WhatIf) -> Figure:
    low, high = one.sure, one.sure + one.unsure
    texts = [
        f"{plain(one.parameter)} {value:.4g}: {count_of(sure, 'row')}"
        + (f", perhaps {most - sure:,} more" if most > sure else "")
        for value, sure, most in zip(one.values, low, high, strict=True)
    ]
    x = floats(one.values, 6)
    traces: list[Trace] = [
        {
            "type": "scatter", "mode": "lines", "x": x, "y": [int(n) for n in high],
            "line": {"width": 0, "shape": "hv"}, "showlegend": False, "hoverinfo": "skip",
        },
        {
            "type": "scatter", "mode": "none", "x": x, "y": [int(n) for n in low],
            "line": {"shape": "hv"},
            "fill": "tonexty", "fillcolor": "rgba(0,0,0,0)", "name": "perhaps",
            "fillpattern": {"shape": "/", "fgcolor": "@abstained", "size": 8, "solidity": 0.25},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter", "mode": "lines", "x": x, "y": [int(n) for n in low],
            "name": "live", "line": {"color": "@live", "width": 2.5, "shape": "hv"},
            "hovertext": texts, "hoverinfo": "text",
        },
    ]  # fmt: skip
    return figure(
        traces if one.unsure.any() else traces[2:],
        height=360,
        x={"title": {"text": f"{plain(one.filter)}.{plain(one.parameter)}"}},
        y={"title": {"text": "live rows"}, "tickformat": ",d", "rangemode": "tozero"},
        hovermode="x",
        **marked(one.now, f"now {one.now:g}"),
    )


def _what_if_row(one: WhatIf) -> tuple[str, ...]:
    at = int(np.flatnonzero(one.values == one.now)[0])
    first, last = (0, -1) if one.side == "max" else (-1, 0)

    def live_at(place: int) -> str:
        unsure = f" to {one.sure[place] + one.unsure[place]:,}" if one.unsure[place] else ""
        return f"{one.sure[place]:,}{unsure} at {one.values[place]:.4g}"

    return (
        f"{one.filter}.{one.parameter}", f"{one.now:g}", f"{one.sure[at]:,}", live_at(first),
        live_at(last),
    )  # fmt: skip


def frontier_chart(audit: Audit) -> Chart | None:
    """Show what every budget would have taken; None where nothing is live."""
    curve = frontier(audit)
    if curve is None:
        return None
    summary = (
        f"The selection took {count_of(curve.taken, 'row')} of the {int(curve.rows[-1]):,} that "
        "its rules allow. A smaller budget is a prefix of the same ranking, so every point is what "
        "`select.budget.rows` would give."
    )
    says = [summary]
    if curve.score is None:
        says.append("No score was measured.")
    heads = ["rows", "questions"]
    columns = [curve.rows, curve.questions]
    if curve.clusters is not None:
        heads.append("distinct clusters")
        columns.append(curve.clusters)
    at = np.unique(np.linspace(0, len(curve.rows) - 1, 9).astype(int))
    rows = [
        [f"{int(column[place]):,}" for column in columns]
        + ([f"{curve.score[place]:.3f}"] if curve.score is not None else [])
        for place in at
    ]
    if curve.score is not None:
        heads.append(_mean_of(audit))
    return Chart(
        "frontier", "Budget", tuple(says), (View("", _frontier(curve, _mean_of(audit))),),
        Numbers(tuple(heads), tuple(map(tuple, rows))), "half",
    )  # fmt: skip


def _mean_of(audit: Audit) -> str:
    """Say what the mean of the score to look at first is called."""
    if audit.score is None:
        return ""
    return f"{'geometric ' if audit.score.ratio else ''}mean {audit.score.name}"


def _frontier(curve: Frontier, mean: str) -> Figure:
    x = [int(rows) for rows in curve.rows]

    def line(name: str, y: object, colour: str, axis: str) -> Trace:
        return {
            "type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "yaxis": axis,
            "line": {"color": colour, "width": 2.5},
            "hovertemplate": f"%{{x:,}} rows: %{{y}} {name}<extra></extra>",
        }  # fmt: skip

    traces = [line("questions", [int(n) for n in curve.questions], "@c1", "y")]
    if curve.clusters is not None:
        traces.append(line("distinct clusters", [int(n) for n in curve.clusters], "@c0", "y"))
    more: dict[str, object] = {}
    counts: dict[str, object] = {
        "title": {"text": "distinct"},
        "tickformat": ",d",
        "rangemode": "tozero",
    }
    if curve.score is not None:
        traces.append(line(mean, floats(curve.score), "@c2", "y2"))
        more["yaxis2"] = {
            "title": {"text": mean.removeprefix("geometric ")},
            "domain": [0, 0.42],
            "anchor": "x",
        }
        counts["domain"] = [0.52, 1]
    return figure(
        traces,
        height=360,
        x={"title": {"text": "rows taken"}, "tickformat": ",d", "anchor": "y2" if more else "y"},
        y=counts,
        **more,
        **marked(curve.taken, f"taken: {curve.taken:,}", side="left"),
    )


def arms_chart(audit: Audit) -> Chart:
    """Set the control arms beside the selection."""
    lengths = [audit.length] if audit.length else []
    numbers = [*(score.name for score in in_order(audit)), *lengths]
    rows: list[tuple[str, ...]] = []
    for column in audit.arms:
        arm_rows = audit.rows.filter(column)
        row = [
            column.removeprefix(ARM_PREFIX),
            f"{arm_rows.height:,}",
            f"{arm_rows['question_id'].n_unique():,}",
        ]
        if "cluster" in arm_rows.columns:
            clusters = arm_rows.filter(pl.col("cluster").is_not_null())
            row.append(f"{clusters.select('question_id', 'cluster').n_unique():,}")
        row += [_middle(arm_rows[name]) for name in numbers]
        rows.append(tuple(row))
    heads = ["arm", "rows", "questions"]
    heads += ["distinct clusters"] if "cluster" in audit.rows.columns else []
    heads += [f"{name}, median (quartiles)" for name in numbers]
    arms = len(rows) - 1
    intro = f"{arms} control arms are released" if arms != 1 else "One control arm is released"
    says = (
        f"{intro} beside the selection, drawn from the same samples. Train on an arm of the same "
        "size too: only what beats it was worth choosing."
        if arms
        else "No control arm is released; `arms: [random]` in the recipe adds one.",
    )
    views = tuple(View(name, _boxes(audit, name)) for name in numbers)
    table = Numbers(tuple(heads), tuple(rows))
    return Chart("arms", "Control arms", says, views, table, open=True)


def sweep_chart(audit: Audit) -> Chart | None:
    """Set the arms of a sweep beside each other; None where the recipe has none."""
    lines = audit.funnel.sweep
    if not lines:
        return None
    says = (
        (
            f"The selection once more in {count_of(len(lines), 'other way')}: by other keys, from "
            "either end of them, within other budgets. Train on both ends of a key: where they do "
            "alike, it was not worth choosing by. Where an arm holds what the selection holds, "
            "training on both says nothing."
        ),
    )
    keys = dict.fromkeys(line.key for line in lines)
    views = tuple(View(key, _ends([x for x in lines if x.key == key])) for key in keys)
    numbers = Numbers(SWEEP_HEADINGS, tuple(sweep_rows(audit.funnel)))
    return Chart("sweep", "Sweep", says, views, numbers, open=True)


def _ends(lines: Sequence[SweepCount]) -> Figure:
    """Show the mean of one key in each of its arms."""
    names = [f"{plain(line.direction)}, {plain(line.budget)}" for line in lines]
    means = [line.mean for line in lines]
    texts = [f"{plain(line.name)}: {plain(line.facts[1])}" for line in lines]
    trace: Trace = {
        "type": "scatter", "mode": "markers", "x": means, "y": names, "hovertext": texts,
        "hoverinfo": "text", "marker": {"color": "@selected", "size": 11}, "showlegend": False,
    }  # fmt: skip
    return figure(
        [trace],
        height=30 * len(lines) + 80,
        x={"title": {"text": f"mean of {plain(lines[0].key)}"}},
        y={"type": "category", "autorange": "reversed"},
    )


def _middle(values: pl.Series) -> str:
    if not values.count():
        return "none"
    low, middle, high = (values.quantile(q, "linear") for q in (0.25, 0.5, 0.75))
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def _boxes(audit: Audit, name: str) -> Figure:
    arms = [column for column in audit.arms if audit.rows.filter(column)[name].count()]
    quantiles = {
        share: [audit.rows.filter(column)[name].quantile(share, "linear") or 0.0 for column in arms]
        for share in (0.05, 0.25, 0.5, 0.75, 0.95)
    }
    labels = [plain(column.removeprefix(ARM_PREFIX)) for column in arms]
    box: Trace = {
        "type": "box", "orientation": "h", "y": labels,
        "lowerfence": floats(quantiles[0.05]), "q1": floats(quantiles[0.25]),
        "median": floats(quantiles[0.5]), "q3": floats(quantiles[0.75]),
        "upperfence": floats(quantiles[0.95]),
        "marker": {"color": "@live"}, "showlegend": False,
    }  # fmt: skip
    return figure(
        [box],
        height=46 * len(arms) + 80,
        x={"title": {"text": f"{plain(name)}: quartiles, and 5 % to 95 %"}},
        y={"autorange": "reversed", "showgrid": False},
    )
