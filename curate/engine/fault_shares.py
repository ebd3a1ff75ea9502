"""In how many pairs a score prefers a right rationale to its own copy with a fault."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.engine.table import Table
from curate.measures.faults import FAULTS
from curate.measures.statistics import means
from filters.columns import Column


class Text(NamedTuple):
    """A rationale to score.

    Attributes:
        original: id of the sample that it is, or is a copy of.
        fault: name of the copy's fault, `ORIGINAL` where it is none.
        sample_id: under which it is scored.
        rationale: its words.
    """

    original: str
    fault: str
    sample_id: str
    rationale: str


TEXTS: Final = dict.fromkeys(Text._fields, pl.String())
"""The same as a table."""
ORIGINAL: Final = ""
"""In the place of a fault, where there is none."""


def conclude(scores: Sequence[Column], texts: Sequence[Text], table: Table) -> dict[str, Any]:
    """Compare every copy with its original.

    Args:
        scores: lower or higher is better.
        texts: at most one original a question, and its copies.
        table: has their scores.

    Returns:
        The facts of `curate.engine.planted.PlantedFaults`.
    """
    names = [score.name for score in scores]
    values = pl.concat([shard.read(names) for shard in table.shards])
    rows = pl.DataFrame(texts, schema=TEXTS, orient="row").join(
        values, on="sample_id", maintain_order="left"
    )
    originals = rows.filter(fault=ORIGINAL)
    pairs = rows.filter(pl.col("fault") != ORIGINAL).join(
        originals.select("original", *names),
        on="original",
        suffix="_of_original",
        maintain_order="left",
    )
    faults = {fault: pairs.filter(fault=fault) for fault in FAULTS}
    return {
        "rationales": originals.height,
        "faults": [
            {"name": fault, "meaning": FAULTS[fault].meaning, "copies": part.height}
            for fault, part in faults.items()
        ],
        "scores": {
            score.name: {fault: _share(_better(part, score)) for fault, part in faults.items()}
            for score in scores
        },
    }


def _better(pairs: pl.DataFrame, score: Column) -> NDArray[np.float64]:
    """Give 1 for each pair in which the original is the better one, 0.5 where both are alike."""
    pairs = pairs.select(score.name, f"{score.name}_of_original").fill_nan(None).drop_nulls()
    copy, original = (column.to_numpy().astype(np.float64) for column in pairs)
    gains = copy - original if score.score == "lower" else original - copy
    return (np.sign(gains) + 1) / 2


def _share(better: NDArray[np.float64]) -> dict[str, Any]:
    """Give the mean with its interval; there is one pair a question."""
    [estimate] = means(better[:, None])
    return asdict(estimate)
