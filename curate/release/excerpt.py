"""What a card shows of the rows: a few kept, a few stopped, and how the scores are spread.

Gathered shard by shard, and the same however the table was cut.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from filters.columns import Glossary

Floats = NDArray[np.float64]

SHOWN: Final = 3
"""Rows shown of each kind."""
_COLUMNS: Final = ("sample_id", "question", "rationale", "answer", "gold", "teacher")
_WHY: Final = ("rejected_by", "rejected_reason")
_BINS: Final = 8
_TAIL: Final = 0.98
"""Quantile behind which values share the last bin; one outlier would flatten all others."""
_WIDTH: Final = 30


class Bin(NamedTuple):
    """A bar of a histogram.

    Attributes:
        low: least value.
        high: not reached; None for the last bin, which has no end.
        rows: how many.
        bar: for a terminal, as long as its share of the largest.
    """

    low: float
    high: float | None
    rows: int
    bar: str


class Excerpt:
    """Remembers what the card shows.

    Args:
        glossary: of the run; the distribution of every length, and of every score of which one side
            is better, is shown.
    """

    def __init__(self, glossary: Glossary) -> None:
        scores = glossary.where(lambda column: column.score not in {None, "none"})
        self._numbers = [*scores, *glossary.lengths]
        self._kept: list[dict[str, Any]] = []
        self._stopped: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self._values: dict[str, list[pl.Series]] = {}

    def add(self, rows: pl.DataFrame) -> None:
        """Take one shard.

        Args:
            rows: with `selected`, `selection_rank`, `live`, `rejected_by`, `rejected_reason`, and
                what is shown of them.
        """
        columns = [name for name in _COLUMNS if name in rows.columns]
        selection = rows.filter("selected")
        best = selection.sort("selection_rank").head(SHOWN).select("selection_rank", *columns)
        ranked = [*self._kept, *best.iter_rows(named=True)]
        self._kept = sorted(ranked, key=lambda row: row["selection_rank"])[:SHOWN]
        for name in self._numbers:
            if name in selection.columns:
                self._values.setdefault(name, []).append(selection[name].drop_nulls())
        stopped = rows.filter(pl.col("rejected_reason").is_not_null())
        by_reason = stopped.sort("sample_id").group_by(_WHY, maintain_order=True)
        firsts = by_reason.agg(pl.len().alias("count"), *(pl.col(n).first() for n in columns))
        for row in firsts.iter_rows(named=True):
            why = row["rejected_by"], row["rejected_reason"]
            count, first = self._stopped.get(why, (0, row))
            first = min(first, row, key=lambda r: r["sample_id"])
            self._stopped[why] = count + row.pop("count"), first

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The best-ranked rows, best first."""
        return self._kept

    @property
    def stopped(self) -> list[dict[str, Any]]:
        """A row of each of the most frequent reasons, the most frequent first."""
        by_count = sorted(self._stopped.items(), key=lambda item: (-item[1][0], item[0]))
        return [row for _, (_, row) in by_count[:SHOWN]]

    def histograms(self) -> dict[str, list[Bin]]:
        """Give the distribution of each number over the selection; none where all are equal."""
        bins: dict[str, list[Bin]] = {}
        for name, parts in self._values.items():
            values = pl.concat(parts).sort().to_numpy().astype(np.float64)
            if len(values) and values[0] < values[-1]:
                bins[name] = list(_bins(values))
        return bins


def _bins(values: Floats) -> list[Bin]:
    """Count sorted values in bins of one width, the last without an end."""
    end = float(np.quantile(values, _TAIL))
    end = end if end > values[0] else float(values[-1])
    edges: Floats = values[0] + (end - values[0]) * np.arange(_BINS + 1) / _BINS
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, _BINS - 1)
    counts = np.bincount(places, minlength=_BINS)
    return [
        Bin(
            float(edges[number]),
            float(edges[number + 1]) if number + 1 < _BINS else None,
            int(count),
            "█" * round(_WIDTH * int(count) / int(counts.max())),
        )
        for number, count in enumerate(counts)
    ]
