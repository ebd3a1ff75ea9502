"""Answer curve: how likely the answer is behind the first steps of a rationale.

After P2S (arXiv 2601.20649). Where the curve rises says whether a rationale works its way to the
answer, states it at once, or not before its last step.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import polars as pl
from pydantic import BaseModel

from curate.measures.variants import Step, StepOptions, VariantMeasure
from curate.models.students.pairs import Pair
from curate.models.students.variants import Variant
from filters.columns import Column, Glossary


class CurveOptions(StepOptions):
    """The answer, read behind the first steps of a rationale."""


class Curve(VariantMeasure):
    """Writes ``answer_curve`` and ``reveal_step``."""

    name: ClassVar[str] = "curve"
    cost: ClassVar[str] = "reads a rationale once, and the answer behind each of its steps"
    section: ClassVar[type[BaseModel] | None] = CurveOptions
    writes = Glossary(
        [
            Column("answer_curve", pl.List(pl.Float64()), "probability of the gold answer given "
                   "the question and the first steps of the rationale: none, one, two ...",
                   published=True),
            Column("reveal_step", pl.Int32(), "after how many steps the answer is half as probable "
                   "as after all of them", published=True, score="none"),
        ]
    )  # fmt: skip

    def variants(self, pair: Pair, steps: Sequence[Step]) -> list[Variant]:
        """Give the answer behind nothing, then behind each beginning."""
        ends = [0, *(end for _, end in steps)]
        return [Variant(pair.question, pair.answer, pair.rationale[:end]) for end in ends]

    def values(self, nats: Sequence[float], tokens: Sequence[int]) -> Mapping[str, Any]:
        """Find the first step at which the answer is half as probable as at last."""
        del tokens
        curve = [math.exp(-nll) for nll in nats]
        reveal = next(step for step, share in enumerate(curve) if share >= curve[-1] / 2)
        return {"answer_curve": curve, "reveal_step": reveal}
