"""Reflection: the gain of the answer's tokens, those counting most on which siblings differ.

After DRO (arXiv 2506.13351): most tokens of an answer are as likely behind one rationale as behind
another, and say nothing of either. So each token's gain is weighed by the variance of its
probability across the live siblings of its question.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
import polars as pl
from pydantic import BaseModel

from curate.measures.base import ColumnOptions, DerivedMeasure
from curate.measures.signals import answer_gains
from filters.columns import Column, Glossary
from filters.contract import Scope

_ALIKE: Final = 1e-12
"""Variance of a probability that is none but rounding."""
_WITH, _WITHOUT = "answer_logprobs_with_rationale", "answer_logprobs_without_rationale"


class ReflectionOptions(ColumnOptions):
    """The gain of the answer, weighed by how siblings differ."""


class Reflection(DerivedMeasure):
    """Writes ``answer_gain_reflective``; null where siblings are alike, or there is but one."""

    name: ClassVar[str] = "reflection"
    section: ClassVar[type[BaseModel] | None] = ReflectionOptions
    scope: ClassVar[Scope] = "question"
    reads = ("rationale", _WITH, _WITHOUT)
    writes = Glossary(
        [
            Column("answer_gain_reflective", pl.Float64(), "mean rise of the probability of the "
                   "answer's tokens by the rationale, weighed by how much siblings differ in them",
                   published=True, score="higher"),
        ]
    )  # fmt: skip

    def instrument(self) -> Mapping[str, Any]:
        """Identify nothing: a gain depends on the siblings alone."""
        return {}

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Go over every question's siblings, in the order of their ids."""
        scored = frame.with_row_index("row").filter(
            pl.col("rationale").is_not_null(), pl.col(_WITH).list.len() > 0
        )
        gains: list[float | None] = [None] * frame.height
        for _, siblings in scored.sort("sample_id").group_by("question_id"):
            rows, behind, alone = (siblings[name].to_list() for name in ("row", _WITH, _WITHOUT))
            lengths = {len(tokens) for tokens in (*behind, *(tokens or () for tokens in alone))}
            if len(lengths) > 1:
                continue  # the answer is cut otherwise behind one of them: no token has siblings
            for row, gain in zip(rows, reflective_gains(np.array(behind), alone[0]), strict=True):
                gains[row] = gain
        return pl.DataFrame({"answer_gain_reflective": pl.Series(gains, dtype=pl.Float64)})


def reflective_gains(behind: Any, alone: Any) -> list[float | None]:
    """Weigh gains by the variance across siblings.

    Args:
        behind: log-probabilities of the answer's tokens behind each sibling (siblings x n).
        alone: given the question alone (n).

    Returns:
        One gain a sibling; None where no token's probability varies.
    """
    weights = np.exp(behind).var(axis=0)
    weights[weights < _ALIKE] = 0
    if not weights.any():
        return [None] * len(behind)
    gains = [answer_gains(row, np.array(alone)) for row in behind]
    return [float(gain @ weights / weights.sum()) for gain in gains]
