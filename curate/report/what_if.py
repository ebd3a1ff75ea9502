"""What another threshold would keep, as far as the verdicts given can tell.

Exact where the stored numbers suffice. A row that this filter stopped was never judged by those
behind it, so beyond the present value only a band can be given; and where a filter behind it
compares siblings, a row that it dropped may come back once a sibling is gone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.report.audit import Audit, number_of
from filters.contract import Filter, Threshold

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
        gate: the filter's name.
        parameter: the threshold's.
        now: its present value.
        values: where the curve is drawn, ascending.
        sure: rows that would be live.
        unsure: more rows that might be.
        behind: names of the filters behind it that never saw the rows in question.
        siblings: those of them that compare siblings.
    """

    gate: str
    parameter: str
    now: float
    values: Floats
    sure: Counts
    unsure: Counts
    behind: tuple[str, ...]
    siblings: tuple[str, ...]


def what_ifs(audit: Audit) -> Iterator[WhatIf]:
    """Give the curve of every threshold whose filter compared any row."""
    for place, gate in enumerate(audit.gates):
        for threshold in gate.thresholds():
            found = _what_if(audit, place, gate, threshold)
            if found is not None:
                yield found


def _what_if(audit: Audit, place: int, gate: Filter, threshold: Threshold) -> WhatIf | None:
    number = pl.col(number_of(gate, threshold))
    others = [other for other in gate.thresholds() if other != threshold]
    stopped = pl.col("gate") == place
    reasons = [bound.reason for bound in gate.thresholds()]
    # Within the other bounds, and stopped here for nothing but a bound.
    within = pl.all_horizontal(
        pl.lit(value=True), *(_within(gate, other).fill_null(value=True) for other in others)
    )
    comparable = number.is_not_null() & within
    comparable &= ~stopped | pl.col("rejected_reason").is_in(reasons)
    judged = audit.rows.filter((pl.col("gate") >= place) & (pl.col("outcome") != "quarantined"))
    rows = judged.filter(comparable)
    if not rows.height:
        return None
    untouched = int(judged.filter(~comparable)["live"].sum())  # kept though it abstained
    later = audit.gates[place + 1 :]
    siblings = tuple(other.name for other in later if other.scope != "sample")
    here = pl.col("gate") == place
    first_sibling = next(
        (place + 1 + n for n, other in enumerate(later) if other.scope != "sample"), None
    )
    behind = pl.col("gate") > place
    may_return = behind & ~pl.col("live")
    # What a filter before the one that compares siblings stopped stays stopped.
    may_return &= pl.lit(first_sibling is not None) & (pl.col("gate") >= (first_sibling or 0))
    sure = rows.filter(pl.col("live") | (here if not later else pl.lit(value=False)))
    unseen = rows.filter(here) if later else rows.clear()
    returning = rows.filter(may_return)
    now = float(getattr(gate, threshold.parameter))
    column = number_of(gate, threshold)
    values = _grid(rows[column].to_numpy(), now)
    looser = values > now if threshold.side == "max" else values < now
    stricter = values < now if threshold.side == "max" else values > now
    unsure = np.where(looser, _kept(unseen[column], values, threshold.side), 0)
    unsure += np.where(stricter, _kept(returning[column], values, threshold.side), 0)
    return WhatIf(
        gate.name, threshold.parameter, now, values,
        untouched + _kept(sure[column], values, threshold.side), unsure,
        tuple(other.name for other in later), siblings,
    )  # fmt: skip


def _within(gate: Filter, bound: Threshold) -> pl.Expr:
    number, limit = pl.col(number_of(gate, bound)), getattr(gate, bound.parameter)
    return number <= limit if bound.side == "max" else number >= limit


def _grid(numbers: Floats, now: float) -> Floats:
    """Choose the values to draw: quantiles of what was compared, and the present one."""
    shares = np.linspace(_TAIL, 1 - _TAIL, _POINTS)
    return np.unique(np.append(np.quantile(numbers, shares, method="inverted_cdf"), now))


def _kept(numbers: pl.Series, values: Floats, side: str) -> Counts:
    ordered = np.sort(numbers.to_numpy())
    if side == "max":
        return np.searchsorted(ordered, values, side="right").astype(np.int64)
    return (len(ordered) - np.searchsorted(ordered, values, side="left")).astype(np.int64)
