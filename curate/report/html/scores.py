"""Charts of what was measured: every score, lengths, and where rationales lie."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.errors import count_of
from curate.report.html.audit import OUTCOMES, Audit
from curate.report.html.figures import (
    COLOURS,
    PALETTE,
    Chart,
    Figure,
    Numbers,
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
from filters.columns import Column
from filters.contract import Filter

Floats = NDArray[np.float64]

_BINS: Final = 48
_GRID: Final = 32
_MOST_TEACHERS: Final = 8
_POINTS: Final = 8_000
"""Points of all charts of scores and length together, so that more scores make no larger page."""
TAIL: Final = 0.005
"""Quantile at either end behind which values share the last bar."""


def scores_chart(audit: Audit) -> Chart | None:
    """Show the distribution of every score, with the cuts of filters; None where none is there."""
    if not audit.scores:
        return None
    views = tuple(View(score.name, _distribution(audit, score)) for score in in_order(audit))
    return Chart("scores", "Scores", tuple(_says(audit)), views, _numbers(audit))


def in_order(audit: Audit) -> list[Column]:
    """Put the score to look at first before the others."""
    rest = [score for score in audit.scores if score != audit.score]
    return [audit.score, *rest] if audit.score else rest


def _distribution(audit: Audit, score: Column) -> Figure:
    rows = audit.rows.filter(pl.col(score.name).is_not_null())
    values = placed(rows[score.name], score)
    edges = _edges(values)
    traces: list[Trace] = []
    for outcome in OUTCOMES:
        part = values[(rows["outcome"] == outcome).to_numpy()]
        if len(part):
            counts = np.histogram(np.clip(part, edges[0], edges[-1]), edges)[0]
            traces.append(_columns(outcome, edges, counts, score))
    title = f"{score.name} (1: the rationale changes nothing)" if score.ratio else score.name
    axis: dict[str, Any] = {"title": {"text": title}}
    if score.ratio:
        axis |= ratio_ticks(float(edges[0]), float(edges[-1]))
    return figure(
        traces,
        height=340,
        x=axis,
        y={"title": {"text": "samples"}, "tickformat": ",d"},
        barmode="stack",
        bargap=0.03,
        **_marks(list(_cuts(audit, score))),
    )


def _cuts(audit: Audit, score: Column) -> Iterator[tuple[float, str]]:
    """Give the places on a score's axis where filters cut, with what they are called."""
    filter_ = _comparing(audit, score)
    if filter_ is None:
        return
    idle = "" if _applied(audit, filter_) else ", not applied"
    for name in ("min", "max"):
        if limit := getattr(filter_, name, None):
            yield float(placed(pl.Series([limit]), score)[0]), f"{name} {limit:g}{idle}"


def _says(audit: Audit) -> Iterator[str]:
    score = audit.score or audit.scores[0]
    rows = audit.rows.drop_nulls(score.name)
    values = rows[score.name]
    median = f"the median is {cast('float', values.median() or 0.0):.3g}"
    total = count_of(audit.rows.height, "sample")
    summary = f"{score.name} is there for {rows.height:,} of {total}"
    if score.ratio:
        summary += (
            f"; {(values < 1).mean() or 0.0:.0%} of them make the answer likelier to the student "
            "(below 1)"
        )
    yield (
        f"{summary}; {median}. Values beyond the outermost half percent stand in the last bar at "
        "either end."
    )
    yield from _calibration(audit)


def _calibration(audit: Audit) -> Iterator[str]:
    """Say what the scoring run found out about its student."""
    facts = cast("Mapping[str, Any] | None", audit.manifest.get("calibration"))
    if facts and facts.get("auc_masked"):
        auc = facts["auc_masked"]
        verdict = {
            True: "so its scores are trusted",
            False: "so its scores are not trusted",
            None: "which does not tell whether to trust its scores",
        }[facts.get("student_follows")]
        abstaining = [
            each.name
            for count, each in zip(audit.funnel.filters, audit.filters, strict=False)
            if set(each.depends_on_run) & count.abstained.keys()
        ]
        if abstaining and not facts.get("student_follows"):
            verdict += f", and {abstaining[0]} abstains"
        yield (
            f"Calibration on {count_of(auc['questions'], 'question')}: the student prefers right "
            f"siblings to wrong ones in {auc['value']:.0%} of the pairs ({auc['low']:.0%} to "
            f"{auc['high']:.0%}) once their values are masked, {verdict}."
        )
    elif facts:
        yield f"Calibration could not tell: {facts.get('reason')}."


def _numbers(audit: Audit) -> Numbers:
    """Tell of every score what it is and how it is spread."""
    sides = {"lower": "lower is better", "higher": "higher is better", "none": ""}
    rows: list[tuple[str, ...]] = []
    for score in in_order(audit):
        values = audit.rows[score.name].drop_nulls()
        quartiles = [values.quantile(share, "linear") or 0.0 for share in (0.25, 0.5, 0.75)]
        low, middle, high = (f"{value:.3g}" for value in quartiles)
        rows.append(
            (
                score.name, score.meaning, sides[score.score or "none"], f"{len(values):,}",
                f"{middle} ({low} to {high})",
            )
        )  # fmt: skip
    heads = ("score", "what it is", "which side", "samples", "median (quartiles)")
    return Numbers(heads, tuple(rows))


def _comparing(audit: Audit, score: Column) -> Filter | None:
    """Find the filter that compares a score with its limits."""
    return next((each for each in audit.filters if each.compares() == score.name), None)


def _applied(audit: Audit, filter_: Filter) -> bool:
    """Tell whether the filter compared any row; it may have abstained from all."""
    count = next(count for count in audit.funnel.filters if count.name == filter_.name)
    return bool(count.kept or count.dropped)


def placed(values: pl.Series, score: Column) -> Floats:
    """Give the places of values on a score's axis: logarithms, where the score is a ratio."""
    numbers = values.to_numpy().astype(np.float64)
    return logarithms(numbers) if score.ratio else numbers


def _edges(values: Floats) -> Floats:
    low, high = float(np.quantile(values, TAIL)), float(np.quantile(values, 1 - TAIL))
    high = high if high > low else low + 1
    return np.linspace(low, high, _BINS + 1)


def _columns(outcome: str, edges: Floats, counts: NDArray[np.int64], score: Column) -> Trace:
    middles = (edges[:-1] + edges[1:]) / 2
    bounds = 2.0**edges if score.ratio else edges
    spans = zip(bounds[:-1], bounds[1:], counts, strict=True)
    return {
        "type": "bar", "name": outcome, "x": floats(middles), "y": [int(n) for n in counts],
        "width": float(edges[1] - edges[0]), "marker": {"color": COLOURS[outcome]},
        "hovertext": [f"{low:.3g} to {high:.3g}: {n:,} {outcome}" for low, high, n in spans],
        "hoverinfo": "text",
    }  # fmt: skip


def _marks(places: list[tuple[float, str]]) -> dict[str, Any]:
    lines = [marked(at, label) for at, label in places]
    return {key: [one for line in lines for one in line[key]] for key in ("shapes", "annotations")}


def scores_length_chart(audit: Audit, texts: pl.DataFrame) -> Chart | None:
    """Show every score against length, all rows as shades and a few with their text.

    Args:
        audit: of the run.
        texts: chosen rows with their scores and outcome, numbered in ``place``.
    """
    length = audit.length
    scores = [score for score in in_order(audit) if length and _both(audit, score, length).height]
    if length is None or not scores:
        return None
    texts = texts.gather_every(max(-(-len(scores) * texts.height // _POINTS), 1))
    views = tuple(View(each.name, _against(audit, texts, each, length)) for each in scores)
    counted = _both(audit, scores[0], length)
    few = _few(texts, scores[0], length)
    note = (
        f"Shades count all {counted.height:,} scored samples; {few.height:,} of them are points "
        "that tell their text."
        if counted.height > few.height
        else f"All {counted.height:,} scored samples."
    )
    rows = tuple((each.name, _correlation(audit, each, length)) for each in scores)
    numbers = Numbers(("score", f"Spearman correlation with {length}"), rows)
    first = _correlation(audit, scores[0], length)
    says = (f"{note} Spearman correlation of {scores[0].name} and {length}: {first}.",)
    return Chart("scores-length", "Scores and length", says, views, numbers)


def _both(audit: Audit, score: Column, length: str) -> pl.DataFrame:
    return audit.rows.drop_nulls([score.name, length])


def _few(texts: pl.DataFrame, score: Column, length: str) -> pl.DataFrame:
    return texts.drop_nulls([score.name, length])


def _correlation(audit: Audit, score: Column, length: str) -> str:
    rows = _both(audit, score, length)
    correlation = rows.select(pl.corr(score.name, length, method="spearman")).item()
    return (
        "not known" if correlation is None or not np.isfinite(correlation) else f"{correlation:.2f}"
    )


def _against(audit: Audit, texts: pl.DataFrame, score: Column, length: str) -> Figure:
    scored, few = _both(audit, score, length), _few(texts, score, length)
    x, y = _plane(scored, length, score)
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=_GRID)
    shade: Trace = {
        "type": "heatmap", "x": floats(_middles(x_edges)), "y": floats(_middles(y_edges)),
        "z": [floats(np.where(row > 0, np.log1p(row), np.nan), 3) for row in counts.T],
        "colorscale": [[0, "@card"], [1, "@shade"]], "showscale": False, "hoverinfo": "skip",
        "name": "all rows",
    }  # fmt: skip
    axis: dict[str, Any] = {"title": {"text": score.name}}
    if score.ratio:
        axis |= ratio_ticks(float(y.min()), float(y.max()))
    lines = [marked(at, label, "y") for at, label in _cuts(audit, score)]
    return figure(
        [
            *([shade] if scored.height > few.height else []),
            *_points(few, *_plane(few, length, score), "outcome", OUTCOMES, COLOURS),
        ],
        height=420,
        x={"title": {"text": length}, "type": "linear", **_length_ticks(x)},
        y=axis,
        **{key: [one for line in lines for one in line[key]] for key in ("shapes", "annotations")},
    )


def _plane(rows: pl.DataFrame, length: str, score: Column) -> tuple[Floats, Floats]:
    """Give both coordinates: the length's logarithm, and the score's place on its axis."""
    lengths = np.log2(np.clip(rows[length].to_numpy().astype(np.float64), 1, None))
    return lengths, placed(rows[score.name], score)


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


def map_chart(audit: Audit, texts: pl.DataFrame, projection: Projection | None) -> Chart | None:
    """Show where rationales lie to each other; None where there was nothing to lay out."""
    if projection is None:
        return None
    rows = pl.DataFrame({"sample_id": projection.ids}).join(
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
    for layout, points in (("all", projection.points), ("siblings apart", projection.apart)):
        if points is None:
            continue
        views.append(View(f"{layout}, by outcome", _map(rows, points, "outcome", COLOURS)))
        if len(teachers) > 1:
            views.append(View(f"{layout}, by teacher", _map(rows, points, "writer", writers)))
    summary = (
        f"{rows.height:,} of {audit.rows.height:,} rationales, laid out by {projection.by} "
        "(t-SNE). Such distances are made of wording, not of the path of the reasoning, and those "
        "between far groups mean nothing."
    )
    says = [summary]
    if projection.apart is not None:
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
