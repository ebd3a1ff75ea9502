"""What another threshold would keep, as far as the verdicts given can tell.

A row that this filter stopped was never judged by those behind it, so beyond the present value it
may go either way. Where a filter behind it compares siblings, a row that comes or goes may change
the verdict of every other of its question (a pass rate, a medoid), and where one compares the whole
table, of any row: these may go either way too. What is left is certain.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.report.html.audit import Audit, number_of
from filters.contract import Filter, Scope, Threshold

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_POINTS = 200
"""Values at which a curve is drawn."""
_TAIL = 0.01
"""Share of the rows left off either end of a curve, unless the present value lies there."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Live rows after the last filter as a function of one threshold.

    Attributes:
        filter: the filter's name.
        parameter: the threshold's.
        side: ``max`` or ``min``.
        now: its present value.
        values: where the curve is drawn, ascending.
        sure: rows that would be live.
        unsure: more rows that might be.
    """

    filter: str
    parameter: str
    side: Literal["min", "max"]
    now: float
    values: Floats
    sure: Counts
    unsure: Counts


def what_ifs(audit: Audit) -> Iterator[WhatIf]:
    """Give the curve of every threshold whose filter compared any row."""
    for place, filter_ in enumerate(audit.filters):
        for threshold in filter_.thresholds():
            curve = _what_if(audit, place, filter_, threshold)
            if curve is not None:
                yield curve


def _what_if(audit: Audit, place: int, filter_: Filter, threshold: Threshold) -> WhatIf | None:
    judged = audit.rows.filter((pl.col("filter") >= place) & (pl.col("outcome") != "quarantined"))
    number = pl.col(number_of(filter_, threshold))
    compared = pl.when(_comparable(place, filter_, threshold)).then(number)
    marked = judged.select("question_id", "live", "filter", number=compared)
    rows = marked.drop_nulls("number")
    if not rows.height:
        return None
    scopes: list[Scope] = [other.compared_scope() for other in audit.filters[place + 1 :]]
    now = float(getattr(filter_, threshold.parameter))
    # One sign for both sides: a row is within where its number is at most the value.
    sign = 1.0 if threshold.side == "max" else -1.0
    values = _grid(rows["number"].to_numpy(), now)
    at, limit = sign * values, sign * now
    marked = marked.with_columns(number=sign * pl.col("number"))
    sure = _certain(marked, scopes, place, at, limit)
    unsure = np.where(values == now, 0, _possible(marked, scopes, place, at) - sure)
    return WhatIf(
        filter_.name, threshold.parameter, threshold.side, now, values, sure, np.maximum(unsure, 0)
    )


def _comparable(place: int, filter_: Filter, threshold: Threshold) -> pl.Expr:
    """Tell which rows a moved threshold decides: those within all other bounds."""
    bounds = filter_.thresholds()
    within = [_within(filter_, other) for other in bounds if other != threshold]
    reasons = [bound.reason for bound in bounds]
    return pl.all_horizontal(
        pl.col(number_of(filter_, threshold)).is_not_null(),
        (pl.col("filter") != place) | pl.col("rejected_reason").is_in(reasons),
        *(expression.fill_null(value=True) for expression in within),
    )


def _within(filter_: Filter, bound: Threshold) -> pl.Expr:
    number, limit = pl.col(number_of(filter_, bound)), getattr(filter_, bound.parameter)
    return number <= limit if bound.side == "max" else number >= limit


def _certain(
    marked: pl.DataFrame, scopes: Sequence[Scope], place: int, at: Floats, limit: float
) -> Counts:
    """Count the rows that are live at each value, whatever the filters behind make of others."""
    live = marked.filter("live")
    if set(scopes) <= {"sample"}:
        # Behind it nobody looks at others; rows it stopped are live where it is the last.
        free = marked if scopes else marked.filter(pl.col("live") | (pl.col("filter") == place))
        numbers = (live if scopes else free).drop_nulls("number")["number"]
        untouched = int(live["number"].is_null().sum())
        return untouched + _up_to(numbers, at)
    group = "question_id" if "dataset" not in scopes else pl.lit(0)
    here = pl.col("filter") == place
    # A row is certain until one it is compared with comes (the first beyond) or goes (the last of
    # those within).
    compared = marked.with_columns(
        comes=pl.col("number").filter(here & (pl.col("number") > limit)).min().over(group),
        goes=pl.col("number").filter(~here).max().over(group),
    ).filter("live")
    coming = compared["comes"].fill_null(np.inf).sort().to_numpy()
    looser = len(coming) - np.searchsorted(coming, at, side="right")
    stricter = _up_to(compared["goes"].fill_null(-np.inf), at)
    return np.where(at > limit, looser, np.where(at < limit, stricter, live.height))


def _possible(marked: pl.DataFrame, scopes: Sequence[Scope], place: int, at: Floats) -> Counts:
    """Count the rows that might be live at each value."""
    places = [place + 1 + number for number, scope in enumerate(scopes) if scope != "sample"]
    might = pl.col("live") | (pl.col("filter") == place)
    if places:
        # What a filter before the one that compares siblings stopped stays stopped.
        might |= pl.col("filter") >= places[0]
    rows = marked.filter(might)
    untouched = int(rows.filter(pl.col("filter") != place)["number"].is_null().sum())
    return untouched + _up_to(rows["number"].drop_nulls(), at)


def _grid(numbers: Floats, now: float) -> Floats:
    """Choose the values to draw: quantiles of what was compared, and the present one."""
    shares = np.linspace(_TAIL, 1 - _TAIL, _POINTS)
    return np.unique(np.append(np.quantile(numbers, shares, method="inverted_cdf"), now))


def _up_to(numbers: pl.Series, at: Floats) -> Counts:
    return np.searchsorted(np.sort(numbers.to_numpy()), at, side="right").astype(np.int64)
