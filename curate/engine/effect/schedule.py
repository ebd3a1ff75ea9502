"""Batches that make trainings comparable: as many tokens in as many updates, whatever the arm."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np


def lay_out(sizes: Sequence[int], batches: int, total: int, seed: int) -> list[list[int]]:
    """Lay rows out in batches, going over them as often as it takes.

    Rows come in a new order each time round. Every batch ends where the sum comes nearest to its
    share, so batches are about even and the whole is within half a row of what is wanted.

    Args:
        sizes: of the rows, 1 at least: tokens that have a loss, or 1 each to count rows.
        batches: how many.
        total: sum of the sizes of all rows laid out.
        seed: of the orders.

    Returns:
        Numbers of rows, a list a batch; none is empty.
    """
    dice = np.random.default_rng(seed)
    laid: list[list[int]] = []
    order: list[int] = []
    held = 0
    for batch in range(1, batches + 1):
        wanted = total * batch / batches
        rows: list[int] = []
        while not rows or held + sizes[order[-1] if order else 0] / 2 <= wanted:
            order = order or dice.permutation(len(sizes)).tolist()
            if rows and held + sizes[order[-1]] / 2 > wanted:
                break
            rows.append(order.pop())
            held += sizes[rows[-1]]
        laid.append(rows)
    return laid


def regroup(
    batches: Sequence[Sequence[int]], parts: int, lengths: Sequence[int]
) -> list[list[int]]:
    """Put rows of like length into the same part of an update, so that little is padded.

    Args:
        batches: numbers of rows, those of an update together.
        parts: how many of these an update has.
        lengths: of the rows.

    Returns:
        As many batches; each update holds the rows that it held.
    """
    grouped: list[list[int]] = []
    for start in range(0, len(batches), parts):
        rows = [row for batch in batches[start : start + parts] for row in batch]
        rows.sort(key=lambda row: lengths[row])
        ends = [len(rows) * part // parts for part in range(parts + 1)]
        grouped += [rows[begin:end] for begin, end in pairwise(ends)]
    return grouped
