"""CASL: what is left of a rationale's likelihood once the share of step heads is taken out of it.

ASLEC-CASL (arXiv 2604.06834). The first token of a step is hard to predict whatever the step says,
so the mean log-probability of a rationale falls with the number of its steps. Over all live rows
the mean M is regressed on that without heads, that of the heads and their share F, by ordinary
least squares; the score is M less the slope of F times F.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

import numpy as np
import polars as pl
from pydantic import BaseModel

from curate.measures.base import ColumnOptions, DerivedMeasure
from filters.columns import Column, Glossary
from filters.contract import Scope

_FEWEST: Final = 8
"""Rows below which four coefficients are noise."""
_REGRESSORS: Final = ("nll_rationale_no_heads", "nll_heads", "head_share")


class CaslOptions(ColumnOptions):
    """The mean likelihood of a rationale, cleared of its step heads."""


class Casl(DerivedMeasure):
    """Writes ``casl``; null where a rationale has only heads, or the pool does not tell the slope.

    Args:
        slope: of the share of heads, in nats; None before the pool was seen, or where it is not to
            be told.
    """

    name: ClassVar[str] = "casl"
    section: ClassVar[type[BaseModel] | None] = CaslOptions
    scope: ClassVar[Scope] = "dataset"
    reads = ("rationale", "nll_rationale", *_REGRESSORS)
    learns_from: ClassVar[Sequence[str]] = ("nll_rationale", *_REGRESSORS)
    writes = Glossary(
        [
            Column("casl", pl.Float64(), "mean log-probability of the rationale's tokens, cleared "
                   "of the share of step heads by a regression over all live rows (ASLEC-CASL)",
                   published=True, score="higher"),
        ]
    )  # fmt: skip

    def __init__(self, slope: float | None = None) -> None:
        self._slope = slope

    def settle(self, pool: pl.DataFrame) -> Self:
        """Regress over all live rows."""
        return type(self)(slope_of_heads(pool.select(self.learns_from).drop_nulls()))

    def instrument(self) -> Mapping[str, Any]:
        """Identify the slope that the pool gave."""
        return {"slope": self._slope}

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Clear every row's mean of its heads."""
        slope = pl.lit(self._slope, pl.Float64())
        score = -pl.col("nll_rationale") - slope * pl.col("head_share")
        complete = pl.all_horizontal(pl.col(self.reads).is_not_null())
        return frame.select(casl=pl.when(complete).then(score))


def slope_of_heads(rows: pl.DataFrame) -> float | None:
    """Regress mean log-probability on that of heads, of the rest, and the share of heads.

    Args:
        rows: ``nll_rationale`` and the three regressors, without nulls.

    Returns:
        Slope of the share, in nats; None where rows are too few, or too much alike.
    """
    share = rows["head_share"].to_numpy()
    if rows.height < _FEWEST or not np.ptp(share) > 0:
        return None
    without, heads = (-rows[name].to_numpy() for name in _REGRESSORS[:2])
    table = np.column_stack([np.ones(rows.height), without, heads, share])
    slopes, _, rank, _ = np.linalg.lstsq(table, -rows["nll_rationale"].to_numpy(), rcond=None)
    return float(slopes[3]) if rank == table.shape[1] else None
