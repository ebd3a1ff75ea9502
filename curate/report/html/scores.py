"""Charts of what was measured: Rationale Difficulty, lengths, and where rationales lie."""

from collections.abc import Mapping
from typing import Any, Final, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.report.html.audit import OUTCOMES, Audit
from curate.report.html.figures import (
    COLOURS,
    PALETTE,
    Chart,
    Figure,
    Trace,
    View,
    figure,
    floats,
    logarithms,
    marked,
    plain,
    ratio_ticks,
)
from curate.report.html.projection import Projection
from filters.rationale_difficulty import RationaleDifficulty

Floats = NDArray[np.float64]

_BINS: Final = 48
_GRID: Final = 40
_MOST_TEACHERS: Final = 8
TAIL: Final = 0.005
"""Quantile at either end behind which values share the last bar."""


def rd_chart(audit: Audit) -> Chart | None:
    """Show the distribution of Rationale Difficulty with the cut; None where it was not scored."""
    column = audit.rd
    if column is None:
        return None
    scored = audit.rows.filter(pl.col(column).is_not_null())
    values = logarithms(scored[column].to_numpy().astype(np.float64))
    edges = _edges(values)
    traces: list[Trace] = []
    for outcome in OUTCOMES:
        mine = values[(scored["outcome"] == outcome).to_numpy()]
        if len(mine):
            counts = np.histogram(np.clip(mine, edges[0], edges[-1]), edges)[0]
            traces.append(_columns(outcome, edges, counts))
    gate = _difficulty_filter(audit)
    idle = "" if gate is None or _applied(audit, gate) else ", not applied"
    cuts = [(getattr(gate, name), name) for name in ("min", "max") if gate and getattr(gate, name)]
    drawn = figure(
        traces,
        height=340,
        x={"title": {"text": f"{column} (1: the rationale changes nothing)"}}
        | ratio_ticks(float(edges[0]), float(edges[-1])),
        y={"title": {"text": "samples"}, "tickformat": ",d"},
        barmode="stack",
        bargap=0.03,
        **_marks([(float(np.log2(value)), f"{name} {value:g}{idle}") for value, name in cuts]),
    )
    return Chart("rd", "Rationale Difficulty", (*_rd_says(audit, scored),), (View("", drawn),))


def _rd_says(audit: Audit, scored: pl.DataFrame) -> list[str]:
    assert audit.rd is not None
    values = scored[audit.rd]
    told = (
        f"{scored.height:,} of {audit.rows.height:,} samples reached the student and were scored; "
        f"{(values < 1).mean() or 0.0:.0%} of them make the answer likelier to it (below 1), the "
        f"median is {cast('float', values.median() or 0.0):.2f}. Values beyond the outermost half "
        "percent stand in the last bar at either end."
    )
    said = [told]
    facts = cast("Mapping[str, Any] | None", audit.manifest.get("calibration"))
    if facts and facts.get("auc_masked"):
        auc = facts["auc_masked"]
        verdict = {
            True: "so its scores are trusted",
            False: "so its scores are not trusted",
            None: "which does not tell whether to trust its scores",
        }[facts.get("student_follows")]
        gate = _difficulty_filter(audit)
        if gate is not None and gate.variant == "masked" and not facts.get("student_follows"):
            verdict += f", and {gate.name} abstains"
        said.append(
            f"Calibration on {auc['questions']} questions: the student prefers right siblings to "
            f"wrong ones in {auc['value']:.0%} of the pairs ({auc['low']:.0%} to "
            f"{auc['high']:.0%}) once their values are masked, {verdict}."
        )
    elif facts:
        said.append(f"Calibration could not tell: {facts.get('reason')}.")
    return said


def _difficulty_filter(audit: Audit) -> RationaleDifficulty | None:
    return next((gate for gate in audit.gates if isinstance(gate, RationaleDifficulty)), None)


def _applied(audit: Audit, gate: RationaleDifficulty) -> bool:
    """Tell whether the filter compared any row; it abstains where the student can't follow."""
    count = next(count for count in audit.funnel.gates if count.name == gate.name)
    return bool(count.kept or count.dropped)


def _edges(values: Floats) -> Floats:
    low, high = float(np.quantile(values, TAIL)), float(np.quantile(values, 1 - TAIL))
    high = high if high > low else low + 1
    return np.linspace(low, high, _BINS + 1)


def _columns(outcome: str, edges: Floats, counts: NDArray[np.int64]) -> Trace:
    middles = (edges[:-1] + edges[1:]) / 2
    spans = zip(2.0 ** edges[:-1], 2.0 ** edges[1:], counts, strict=True)
    return {
        "type": "bar", "name": outcome, "x": floats(middles), "y": [int(n) for n in counts],
        "width": float(edges[1] - edges[0]), "marker": {"color": COLOURS[outcome]},
        "hovertext": [f"{low:.3g} to {high:.3g}: {n:,} {outcome}" for low, high, n in spans],
        "hoverinfo": "text",
    }  # fmt: skip


def _marks(places: list[tuple[float, str]]) -> dict[str, Any]:
    lines = [marked(at, label) for at, label in places]
    return {key: [one for line in lines for one in line[key]] for key in ("shapes", "annotations")}


def rd_length_chart(audit: Audit, texts: pl.DataFrame) -> Chart | None:
    """Show Rationale Difficulty against length, all rows as shades and a few with their text.

    Args:
        audit: of the run.
        texts: chosen rows with their scores and outcome, numbered in ``place``.
    """
    rd, length = audit.rd, audit.length
    if rd is None or length is None:
        return None
    scored = audit.rows.filter(pl.col(rd).is_not_null() & pl.col(length).is_not_null())
    if not scored.height:
        return None
    x, y = _plane(scored, length, rd)
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=_GRID)
    few = texts.filter(pl.col(rd).is_not_null() & pl.col(length).is_not_null())
    shade: Trace = {
        "type": "heatmap", "x": floats(_middles(x_edges)), "y": floats(_middles(y_edges)),
        "z": [[float(np.log1p(n)) if n else None for n in row] for row in counts.T],
        "colorscale": [[0, "@card"], [1, "@shade"]], "showscale": False, "hoverinfo": "skip",
        "name": "all rows",
    }  # fmt: skip
    gate = _difficulty_filter(audit)
    drawn = figure(
        [
            *([shade] if scored.height > few.height else []),
            *_points(few, *_plane(few, length, rd), "outcome", OUTCOMES, COLOURS),
        ],
        height=420,
        x={"title": {"text": length}, "type": "linear", **_length_ticks(x)},
        y={"title": {"text": rd}, **ratio_ticks(float(y.min()), float(y.max()))},
        **(marked(float(np.log2(gate.max)), f"max {gate.max:g}", "y") if gate and gate.max else {}),
    )
    spearman = scored.select(pl.corr(rd, length, method="spearman")).item()
    shown = (
        f"Shades count all {scored.height:,} scored samples; {few.height:,} of them are points "
        "that tell their text. "
        if scored.height > few.height
        else f"All {scored.height:,} scored samples. "
    )
    says = (
        shown
        + (f"Spearman correlation of the two: {spearman:.2f}." if spearman is not None else ""),
    )
    return Chart("rd-length", "Difficulty and length", says, (View("", drawn),))


def _plane(rows: pl.DataFrame, length: str, rd: str) -> tuple[Floats, Floats]:
    """Give both coordinates as logarithms."""
    lengths = np.log2(np.clip(rows[length].to_numpy().astype(np.float64), 1, None))
    return lengths, logarithms(rows[rd].to_numpy().astype(np.float64))


def _length_ticks(x: Floats) -> dict[str, Any]:
    places = range(int(np.floor(x.min())), int(np.ceil(x.max())) + 1)
    return {"tickvals": list(places), "ticktext": [f"{2**place:,}" for place in places]}


def _middles(edges: Floats) -> Floats:
    return (edges[:-1] + edges[1:]) / 2


def _points(
    rows: pl.DataFrame,
    x: Floats,
    y: Floats,
    by: str,
    order: tuple[str, ...] | list[str],
    colours: Mapping[str, str],
) -> list[Trace]:
    """Make one trace of points for each value of a column; the page knows their texts by place."""
    traces: list[Trace] = []
    for name in order:
        places = np.flatnonzero((rows[by].fill_null("unknown") == name).to_numpy())
        if len(places):
            traces.append(
                {
                    "type": "scatter", "mode": "markers", "name": plain(name),
                    "x": floats(x[places]), "y": floats(y[places]),
                    "marker": {"color": colours[name], "size": 6, "opacity": 0.75},
                    "customdata": [rows["place"][int(place)] for place in places],
                    "hoverinfo": "text",
                }
            )  # fmt: skip
    return traces


def map_chart(audit: Audit, texts: pl.DataFrame, laid: Projection | None) -> Chart | None:
    """Show where rationales lie to each other; None where there was nothing to lay out."""
    if laid is None:
        return None
    rows = pl.DataFrame({"sample_id": laid.ids}).join(
        texts, on="sample_id", how="left", maintain_order="left"
    )
    counts = rows["teacher"].fill_null("unknown").value_counts(sort=True)
    teachers = [str(name) for name in counts["teacher"].head(_MOST_TEACHERS)]
    rows = rows.with_columns(
        teacher=pl.col("teacher").fill_null("unknown"),
        writer=pl.when(pl.col("teacher").fill_null("unknown").is_in(teachers))
        .then(pl.col("teacher").fill_null("unknown"))
        .otherwise(pl.lit("others")),
    )
    writers = dict(zip([*teachers, "others"], PALETTE, strict=False))
    views: list[View] = []
    for layout, points in (("all", laid.points), ("siblings apart", laid.apart)):
        if points is None:
            continue
        views.append(View(f"{layout}, by outcome", _map(rows, points, "outcome", COLOURS)))
        if len(teachers) > 1:
            views.append(View(f"{layout}, by teacher", _map(rows, points, "writer", writers)))
    told = (
        f"{rows.height:,} of {audit.rows.height:,} rationales, laid out by {laid.by} (t-SNE). Such "
        "distances are made of wording, not of the path of the reasoning, and those between far "
        "groups mean nothing."
    )
    says = [told]
    if laid.apart is not None:
        says.append(
            "In the first layout questions lie apart; in the second the mean of each question is "
            "taken away, so that what is left is how its rationales differ."
        )
    return Chart("map", "Map of rationales", tuple(says), tuple(views))


def _map(rows: pl.DataFrame, points: Floats, by: str, colours: Mapping[str, str]) -> Figure:
    hidden = {"showticklabels": False, "zeroline": False, "ticks": ""}
    return figure(
        _points(rows, points[:, 0], points[:, 1], by, list(colours), colours),
        height=520,
        x=hidden,
        y=hidden,
    )
