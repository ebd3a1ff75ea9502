"""What each score would take: how much of it another would take too, and chance."""

import zlib
from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from curate.measures.statistics import Counts, Estimate, Flags, highest, ratios
from curate.report.scores.agreement import Table
from curate.report.scores.pool import Pool

SELECTED = "selected"


class Overlap(BaseModel):
    """What two choices of the same size have in common."""

    model_config = ConfigDict(frozen=True)

    shares: Table
    """For each choice (``selected``, and the best by each score) and each other one, the share of
    rows that both take.
    """
    chance: Estimate
    """What a random choice has in common with any of them."""
    rows: int
    """That each takes."""
    questions: int
    """Questions with more live rows than are taken: elsewhere nothing is chosen."""
    as_selected: bool
    """Whether each takes as many of a question as the selection; where that leaves no choice, it is
    the best one.
    """


def overlap(pool: Pool) -> Overlap | None:
    """Take the best live rows of each question by every score, as many as the selection has.

    That is what the arms ``lowest:COLUMN`` and ``highest:COLUMN`` take, but that values of
    Rationale Difficulty within its spread are not tied here.

    Returns:
        None where fewer than two scores have a better side, or no question leaves a choice.
    """
    live, selected = pool.flags("live"), pool.flags(SELECTED)
    stock, taken = (_counts(pool, rows) for rows in (live, selected))
    as_selected = bool(np.any((taken > 0) & (taken < stock)))
    sizes = taken if as_selected else np.minimum(stock, 1)
    sizes = np.where(sizes < stock, sizes, 0)
    if len(pool.sided) < 2 or not sizes.any():
        return None
    choices = {SELECTED: selected} if as_selected else {}
    choices |= _best(pool, live, sizes)
    return Overlap(
        shares=_shares(pool, choices, sizes),
        chance=_chance(sizes, stock),
        rows=int(sizes.sum()),
        questions=int(np.count_nonzero(sizes)),
        as_selected=as_selected,
    )


def _best(pool: Pool, live: Flags, sizes: Counts) -> Mapping[str, Flags]:
    """Mark what each score would take."""
    rows = np.flatnonzero(live)
    choices: dict[str, Flags] = {}
    for score in pool.sided:
        salt = zlib.crc32(score.name.encode())  # ties are broken apart, not alike
        choices[score.name] = np.zeros(len(live), dtype=np.bool_)
        values = pool.oriented(score)[rows]
        choices[score.name][rows] = highest(values, sizes, pool.group[rows], salt)
    return choices


def _shares(pool: Pool, choices: Mapping[str, Flags], sizes: Counts) -> Table:
    names = list(choices)
    pairs = [(one, other) for place, one in enumerate(names) for other in names[place + 1 :]]
    common = [
        np.where(sizes > 0, _counts(pool, choices[one] & choices[other]), 0) for one, other in pairs
    ]
    parts = np.column_stack(common).astype(np.float64)
    wholes = np.repeat(sizes[:, None].astype(np.float64), len(pairs), axis=1)
    table: dict[str, dict[str, Estimate]] = {name: {} for name in names}
    for (one, other), estimate in zip(pairs, ratios(parts, wholes), strict=True):
        table[one][other] = table[other][one] = estimate
    return table


def _chance(sizes: Counts, stock: Counts) -> Estimate:
    """Expect what a random choice shares with another: of k rows out of n, k * k / n."""
    expected = sizes * sizes / np.maximum(stock, 1)
    [estimate] = ratios(expected[:, None], sizes[:, None].astype(np.float64))
    return estimate


def _counts(pool: Pool, rows: Flags) -> Counts:
    return np.bincount(pool.group[rows], minlength=pool.groups)
