"""Step importance: how much less likely the answer is when one step is left out.

After SPIRIT (arXiv 2502.13260) and PIR (arXiv 2505.19187), which cut steps out without which the
answer is as likely.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import polars as pl
from pydantic import BaseModel, Field

from curate.measures.variants import Step, StepOptions, VariantMeasure
from curate.models.students.pairs import Pair
from curate.models.students.variants import Variant
from filters.columns import Column, Glossary


class ImportanceOptions(StepOptions):
    """A rationale's steps, each left out in turn."""

    least: float = Field(default=0.0, ge=0)
    """Nats a token of the answer; a step that adds no more to its likelihood can be pruned."""


class Importance(VariantMeasure):
    """Writes ``step_importance`` and ``prunable_share``."""

    name: ClassVar[str] = "importance"
    cost: ClassVar[str] = (
        "reads a rationale as often as it has steps, each time from another one on"
    )
    section: ClassVar[type[BaseModel] | None] = ImportanceOptions
    afterwards: ClassVar[Collection[str]] = ("least",)
    writes = Glossary(
        [
            Column("step_importance", pl.List(pl.Float64()), "for each step, the rise of the mean "
                   "nats a token of the gold answer when it is left out", published=True),
            Column("prunable_share", pl.Float64(), "share of the rationale's steps without which "
                   "the answer is as likely", published=True, score="lower"),
        ]
    )  # fmt: skip

    def variants(self, pair: Pair, steps: Sequence[Step]) -> list[Variant]:
        """Give the answer behind the whole rationale, then behind all but one step."""
        text = pair.rationale
        texts = [text, *(text[:start] + text[end:] for start, end in steps)]
        return [Variant(pair.question, pair.answer, one) for one in texts]

    def values(self, nats: Sequence[float], tokens: Sequence[int]) -> Mapping[str, Any]:
        """Compare each with the whole."""
        assert isinstance(self._options, ImportanceOptions)
        whole, *without = (nll / count for nll, count in zip(nats, tokens, strict=True))
        rises = [nll - whole for nll in without]
        prunable = sum(rise <= self._options.least for rise in rises)
        return {"step_importance": rises, "prunable_share": prunable / len(rises)}
