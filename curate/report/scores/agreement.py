"""In which order scores put the same siblings: with each other, and with length."""

from collections.abc import Mapping

import numpy as np

from curate.measures.statistics import Estimate, Floats, agreements, correlations, means
from curate.report.scores.pool import Pool

Table = Mapping[str, Mapping[str, Estimate]]
"""Figures by row and column."""


def agreement(pool: Pool) -> Table:
    """Correlate the ranks of every two scores inside questions, the better end of each up.

    Returns:
        For each score the mean over questions of its Spearman correlation with every other one.
    """
    names = [score.name for score in pool.scores]
    if len(names) < 2:
        return {}
    values = np.column_stack([pool.oriented(score) for score in pool.scores])
    pairs: list[tuple[str, str]] = []
    columns: list[Floats] = []
    for one, other, correlation in agreements(values, pool.group, pool.groups):
        pairs.append((names[one], names[other]))
        columns.append(correlation)
    table: dict[str, dict[str, Estimate]] = {name: {} for name in names}
    for (one, other), estimate in zip(pairs, means(np.column_stack(columns)), strict=True):
        table[one][other] = table[other][one] = estimate
    return table


def against_length(pool: Pool) -> Table:
    """Correlate the ranks of every score with those of length and of steps, inside questions.

    Above 0 the score prefers what is longer, or has more or longer steps.
    """
    pairs = [
        (score, length)
        for score in pool.scores
        for length in pool.lengths
        if score.name != length
    ]  # fmt: skip
    if not pairs:
        return {}
    columns = [
        correlations(pool.oriented(score), pool.floats(length), pool.group, pool.groups)
        for score, length in pairs
    ]
    table: dict[str, dict[str, Estimate]] = {}
    for (score, length), estimate in zip(pairs, means(np.column_stack(columns)), strict=True):
        table.setdefault(score.name, {})[length] = estimate
    return table
