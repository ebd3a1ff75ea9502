"""Local naturalness: how likely each step is to the student, given only the few before it.

After Local Naturalness (arXiv 2510.03988): over a long rationale a student comes to expect even an
odd style, so the likelihood of all of it prefers long texts of one teacher. Each step is read
behind the question and the `window` steps before it alone.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, ClassVar

import polars as pl
from pydantic import BaseModel, Field

from curate.measures.variants import Step, StepOptions, VariantMeasure
from curate.models.students.pairs import Pair
from curate.models.students.variants import Variant
from filters.columns import Column, Glossary


class LocalOptions(StepOptions):
    """Steps of a rationale, each read behind the few before it."""

    window: int = Field(default=4, ge=0)
    """How many steps before each are read with it."""


class Local(VariantMeasure):
    """Writes ``step_nll_local``, a step's mean nats a token, and their mean ``nll_local``."""

    name: ClassVar[str] = "local"
    cost: ClassVar[str] = "reads every step of a rationale with those in its window"
    section: ClassVar[type[BaseModel] | None] = LocalOptions
    writes = Glossary(
        [
            Column("nll_local", pl.Float64(), "mean over the rationale's steps of the mean nats a "
                   "token of a step, given the question and only the few steps before it",
                   published=True, score="lower"),
            Column("step_nll_local", pl.List(pl.Float64()), "mean nats a token of each step, given "
                   "the question and only the few steps before it", published=True),
        ]
    )  # fmt: skip

    def variants(self, pair: Pair, steps: Sequence[Step]) -> list[Variant]:
        """Give each step behind those of its window."""
        assert isinstance(self._options, LocalOptions)
        texts: list[Variant] = []
        for number, (start, end) in enumerate(steps):
            begin = steps[max(0, number - self._options.window)][0]
            part = start - begin, end - begin
            texts.append(Variant(pair.question, pair.answer, pair.rationale[begin:end], part))
        return texts

    def values(self, nats: Sequence[float], tokens: Sequence[int]) -> Mapping[str, Any]:
        """Take the mean over steps that have tokens."""
        steps = [nll / count if count else None for nll, count in zip(nats, tokens, strict=True)]
        means = [mean for mean in steps if mean is not None]
        return {"nll_local": fmean(means) if means else None, "step_nll_local": steps}
