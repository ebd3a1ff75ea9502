"""Ranks: how many entries of a vocabulary a student finds likelier than the one that stands there.

Counted tile by tile beside the normaliser, so that no row of logits is ever held whole. A state may
predict several wanted tokens, where siblings part, so entries are dealt out to where each row
stands once, and the first deal, which has all rows, is compared without a copy.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from curate.models.students.packing import Ints

_ROUNDING: Final = 2.0**-18
"""Share of a logit by which float32 may round it one way in a product and another way alone."""


class Entries:
    """Entries of the vocabulary, one a row at most, and how many are ahead of each.

    Args:
        numbers: which of all wanted tokens they are (k).
        rows: in which of the states' rows each is looked for, ascending (k).
        ids: of all wanted tokens (n).
        logits: likewise.
    """

    def __init__(self, numbers: Any, rows: Ints, ids: Any, logits: Any) -> None:
        self.numbers = numbers
        self._rows = rows
        self._ids = ids[numbers]
        # A logit that was computed alone is rounded otherwise than a tile's, and ties are ties.
        self._behind = logits[numbers] + _ROUNDING * logits[numbers].abs()
        self.ahead = self._ids.new_zeros(len(rows))

    def count(self, tile: Any, start: int) -> None:
        """Count what of a tile is ahead of each.

        Args:
            tile: logits of all rows (m x tile).
            start: the tile's first entry.
        """
        if len(self._rows) < len(tile):
            tile = tile[self._rows]
        place = self._ids - start
        inside = ((place >= 0) & (place < tile.shape[1])).nonzero()[:, 0]
        own = self._behind.clone()
        own[inside] = tile[inside, place[inside]]
        self.ahead += (tile > own[:, None]).count_nonzero(dim=-1)


def once_a_row(rows: Ints, chunk: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Deal the entries of some rows out, so that each share has a row once; the first has all.

    Args:
        rows: row of each entry (n).
        chunk: rows to look at, ascending, each with an entry (m).

    Yields:
        Numbers of entries, and the place of each one's row in `chunk`, ascending.
    """
    numbers = np.flatnonzero(np.isin(rows, chunk))
    places = np.searchsorted(chunk, rows[numbers])
    order = np.argsort(places, kind="stable")
    numbers, places = numbers[order], places[order]
    turn = np.arange(len(places)) - np.searchsorted(places, places)
    for now in range(int(turn.max(initial=-1)) + 1):
        yield numbers[turn == now], places[turn == now]
