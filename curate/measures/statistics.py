"""Ranks, agreement and separation inside questions, and what a sample of questions can tell.

Siblings are not independent: a hard question is hard for all of its samples, and a long one long.
So the unit is the question. What is compared is compared inside it, every question weighs alike,
and an interval comes from questions drawn with replacement. Nothing here loops over questions or
draws: values of all rows are ranked by one sort, and all figures of a draw are sums of the same
multiplicities.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

FEWEST: Final = 8
"""Questions below which nothing can be concluded."""
FEWEST_SIBLINGS: Final = 3
"""Scored siblings below which an order says nothing."""
_DRAWS: Final = 2000
_SEED: Final = 20250928
_BLOCK: Final = 100
"""Draws whose multiplicities are unpacked at a time."""
_MOST_UNITS: Final = 1024
"""Units drawn from; more questions are put together into so many. What varies is a sum of
independent questions, and how they are put together leaves its variance as it is.
"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; all three are None where too few questions tell.

    Attributes:
        value: over the questions there are.
        low: 2.5 percentile over questions drawn with replacement.
        high: the 97.5 percentile.
        questions: how many it rests on.
    """

    value: float | None
    low: float | None
    high: float | None
    questions: int

    def beside(self, at: float) -> bool | None:
        """Tell whether a value lies outside of the interval; None where nothing can be told."""
        if self.low is None or self.high is None:
            return None
        return not self.low <= at <= self.high


def ranks(values: Floats) -> Floats:
    """Rank values from 0, ties sharing their mean rank."""
    return ranks_inside(values, np.zeros(len(values), dtype=np.int64))


def ranks_inside(values: Floats, group: Counts) -> Floats:
    """Rank the values of each group from 0, ties sharing their mean rank; NaN stays NaN."""
    rows = np.flatnonzero(~np.isnan(values))
    order = rows[np.lexsort((values[rows], group[rows]))]
    firsts = _changes(group[order])
    ties = np.flatnonzero(firsts | _changes(values[order]))
    sizes = np.diff(np.append(ties, len(order)))
    shared = places(firsts)[ties] + (sizes - 1) / 2
    ranked = np.full(len(values), np.nan)
    ranked[order] = np.repeat(shared, sizes)
    return ranked


def places(firsts: Flags) -> Counts:
    """Count from 0 in every run of rows, given which rows begin one."""
    starts = np.flatnonzero(firsts)
    return np.arange(len(firsts)) - np.repeat(starts, np.diff(np.append(starts, len(firsts))))


def _changes(values: NDArray[np.generic]) -> Flags:
    """Tell which values differ from the one before; the first does."""
    changes = np.ones(len(values), dtype=np.bool_)
    changes[1:] = values[1:] != values[:-1]
    return changes


def spearman(first: Floats, second: Floats) -> float | None:
    """Correlate ranks; None where one side has no order."""
    one, other = ranks(first), ranks(second)
    if float(one.std()) == 0 or float(other.std()) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def agreements(values: Floats, group: Counts, groups: int) -> Iterator[tuple[int, int, Floats]]:
    """Correlate the ranks of every two columns inside each group.

    Args:
        values: rows x columns; NaN where there is none.
        group: number of each row's group.
        groups: how many there are.

    Yields:
        Two columns, the smaller number first, and their Spearman correlation in each group, over
        the rows that have both; NaN where fewer than `FEWEST_SIBLINGS` have, or a column's values
        are all the same there.
    """
    present = ~np.isnan(values)
    ranked: dict[tuple[int, bytes], _Ranked] = {}

    def among(column: int, rows: Flags) -> _Ranked:
        key = column, np.packbits(rows).tobytes()
        if key not in ranked:
            ranked[key] = _ranked(np.where(rows, values[:, column], np.nan), group, groups)
        return ranked[key]

    for one in range(values.shape[1]):
        for other in range(one + 1, values.shape[1]):
            rows = present[:, one] & present[:, other]
            yield one, other, _correlations(among(one, rows), among(other, rows), group)


def correlations(first: Floats, second: Floats, group: Counts, groups: int) -> Floats:
    """Correlate the ranks of two columns inside each group, as `agreements` does."""
    [(_, _, correlation)] = agreements(np.column_stack([first, second]), group, groups)
    return correlation


class _Ranked(NamedTuple):
    """The ranks of a column inside groups.

    Attributes:
        offsets: how far each rank lies from the middle of its group; 0 for rows without a value.
        spread: sum of their squares, of each group.
        rows: with a value, how many of each group.
    """

    offsets: Floats
    spread: Floats
    rows: Counts


def _ranked(values: Floats, group: Counts, groups: int) -> _Ranked:
    count = np.bincount(group[~np.isnan(values)], minlength=groups)
    offsets = np.nan_to_num(ranks_inside(values, group) - (count[group] - 1) / 2)
    spread = _sums(offsets * offsets, group, groups)
    return _Ranked(offsets, spread, count)


def _correlations(one: _Ranked, other: _Ranked, group: Counts) -> Floats:
    products = _sums(one.offsets * other.offsets, group, len(one.rows))
    spread = one.spread * other.spread
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = products / np.sqrt(spread)
    return np.where((one.rows >= FEWEST_SIBLINGS) & (spread > 0), correlation, np.nan)


def _sums(values: Floats, group: Counts, groups: int) -> Floats:
    return np.bincount(group, weights=values, minlength=groups).astype(np.float64)


def aucs(values: Floats, right: Flags, group: Counts, groups: int) -> Floats:
    """Give, for each group, the chance that a right row has a higher value than a wrong one.

    A tie counts half. NaN where a group does not have both; rows without a value don't count.
    """
    ranked = ranks_inside(values, group)
    rows = ~np.isnan(ranked)
    rights = np.bincount(group[rows & right], minlength=groups)
    wrongs = np.bincount(group[rows & ~right], minlength=groups)
    sums = np.bincount(group[rows & right], weights=ranked[rows & right], minlength=groups)
    with np.errstate(invalid="ignore"):
        return (sums - rights * (rights - 1) / 2) / np.where(
            rights * wrongs, rights * wrongs, np.nan
        )


def without(values: Floats, other: Floats, group: Counts, groups: int) -> Floats:
    """Take out of a column's order inside groups what is the order of another column.

    Args:
        values: rows; NaN where there is none.
        other: likewise.
        group: number of each row's group.
        groups: how many there are.

    Returns:
        What is left of the ranks of `values`, as shares of their group and centred, once those of
        `other` times one slope are subtracted, which is fitted over all groups. NaN where either
        has none.
    """
    both = ~np.isnan(values) & ~np.isnan(other)
    count = np.maximum(np.bincount(group[both], minlength=groups), 1)[group]

    def shares(column: Floats) -> Floats:
        ranked = ranks_inside(np.where(both, column, np.nan), group)
        return (ranked - (count - 1) / 2) / count

    own, others = shares(values), shares(other)
    spread = float(np.nansum(others * others))
    slope = float(np.nansum(own * others)) / spread if spread else 0.0
    return own - slope * others


def best_shares(values: Floats, marked: Flags, group: Counts, groups: int) -> Floats:
    """Give the share of marked rows among each group's highest, which are several where they tie.

    NaN where no row of a group has a value.
    """
    rows = ~np.isnan(values)
    highest = np.full(groups, -np.inf)
    np.maximum.at(highest, group[rows], values[rows])
    best = rows & (values == highest[group])
    return shares_of(marked & best, best, group, groups)


def shares_of(part: Flags, whole: Flags, group: Counts, groups: int) -> Floats:
    """Give the share of each group's rows that are in a part of them; NaN where it has none."""
    count = np.bincount(group[whole], minlength=groups)
    return np.bincount(group[part], minlength=groups) / np.where(count, count, np.nan)


def means_inside(values: Floats, group: Counts, groups: int) -> Floats:
    """Give the mean of each group; NaN where no row of it has a value."""
    rows = ~np.isnan(values)
    count = np.bincount(group[rows], minlength=groups)
    sums = np.bincount(group[rows], weights=values[rows], minlength=groups)
    return sums / np.where(count, count, np.nan)


def highest(values: Floats, sizes: Counts, group: Counts, salt: int) -> Flags:
    """Mark the highest values of each group, as many as wanted of it.

    Args:
        values: rows without one come last.
        sizes: how many of each group.
        group: number of each row's group.
        salt: of the draw that breaks ties.
    """
    lots = np.random.default_rng([_SEED, salt]).random(len(values))
    order = np.lexsort((lots, np.where(np.isnan(values), np.inf, -values), group))
    marked = np.zeros(len(values), dtype=np.bool_)
    marked[order] = places(_changes(group[order])) < sizes[group[order]]
    return marked


def means(values: Floats, fewest: int = FEWEST) -> list[Estimate]:
    """Estimate the mean over questions of each column.

    Args:
        values: questions x columns; NaN where a question tells nothing.
        fewest: questions below which nothing is told.
    """
    present = np.isfinite(values)
    return ratios(np.where(present, values, 0.0), present.astype(np.float64), fewest)


def ratios(parts: Floats, wholes: Floats, fewest: int = FEWEST) -> list[Estimate]:
    """Estimate the sum of each column's parts over that of its wholes.

    Args:
        parts: questions x columns.
        wholes: likewise; 0 where a question tells nothing, and its part is 0 too.
        fewest: questions below which nothing is told.
    """
    sums, draws = _resampled(np.hstack([parts, wholes]))
    width = parts.shape[1]
    values, drawn = _quotients(sums, width), _quotients(draws, width)
    return _estimates(values, drawn, np.count_nonzero(wholes, axis=0), fewest)


def differences(
    parts: Floats, wholes: Floats, other_parts: Floats, other_wholes: Floats
) -> list[Estimate]:
    """Estimate how far each ratio lies above another one, over the questions that have both.

    Args: as for `ratios`, of both sides.
    """
    both = (wholes != 0) & (other_wholes != 0)
    columns = [np.where(both, side, 0.0) for side in (parts, other_parts, wholes, other_wholes)]
    sums, draws = _resampled(np.hstack(columns))
    width = 2 * parts.shape[1]
    values, drawn = _quotients(sums, width), _quotients(draws, width)
    half = parts.shape[1]
    return _estimates(
        values[:half] - values[half:], drawn[:, :half] - drawn[:, half:],
        np.count_nonzero(both, axis=0), FEWEST,
    )  # fmt: skip


def _quotients(sums: Floats, width: int) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[..., :width] / sums[..., width:]


def _estimates(values: Floats, drawn: Floats, questions: Counts, fewest: int) -> list[Estimate]:
    """Put figures and their percentiles together."""
    # a draw that missed every question of a column says nothing of it
    drawn = np.sort(np.where(np.isfinite(drawn), drawn, values), axis=0)
    tail = _DRAWS // 40
    return [
        Estimate(float(value), float(low), float(high), int(count))
        if count >= max(fewest, 1)
        else Estimate(None, None, None, int(count))
        for value, low, high, count in zip(
            values, drawn[tail], drawn[-1 - tail], questions, strict=True
        )
    ]


def _resampled(values: Floats) -> tuple[Floats, Floats]:
    """Sum each column over all questions, and over questions drawn with replacement."""
    units = _units(values[np.any(values != 0, axis=1)])
    draws = np.zeros((_DRAWS, values.shape[1]))
    if len(units):
        counts = _multiplicities(len(units))
        for start in range(0, _DRAWS, _BLOCK):
            block = counts[start : start + _BLOCK].astype(np.float64)
            draws[start : start + _BLOCK] = block @ units
    return units.sum(axis=0), draws


def _units(values: Floats) -> Floats:
    """Put questions together where there are more than are drawn from."""
    if len(values) <= _MOST_UNITS:
        return values
    short = -len(values) % _MOST_UNITS
    whole = np.vstack([values, np.zeros((short, values.shape[1]))])
    return whole.reshape(-1, _MOST_UNITS, values.shape[1]).sum(axis=0)


@lru_cache(maxsize=4)
def _multiplicities(units: int) -> NDArray[np.uint8]:
    """Count how often each draw has each unit, always the same for as many units."""
    generator = np.random.default_rng(_SEED)
    counts = np.empty((_DRAWS, units), dtype=np.uint8)
    for draw in counts:
        draw[:] = np.bincount(generator.integers(0, units, size=units), minlength=units)
    return counts
