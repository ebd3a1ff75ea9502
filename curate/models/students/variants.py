"""Other texts in place of a rationale: some of its steps, or all but one.

Each is a sequence of its own, tokenised whole as a trainer would, so what comes out is what a loop
over single texts gives. They begin alike, and under the packed tree what they share is run once: of
the beginnings of a rationale only the target lines are new, and of its windows, which begin with
the question alone, every step.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from curate.models.rendering import Layout, Rendered, render, render_rationale
from curate.models.students.packing import Summed, Target
from curate.models.students.pairs import SpanScorer, context_limit
from curate.models.students.proofs import prove_comparable
from curate.models.students.tokenizing import encode, load_tokenizer


class Variant(NamedTuple):
    """A text in place of a rationale, and what of it is to be scored.

    Attributes:
        question: with its options.
        answer: the gold, as the student is to print it.
        text: what stands between them; may be empty.
        part: half-open range of characters of `text`; None for the answer behind it.
    """

    question: str
    answer: str
    text: str
    part: tuple[int, int] | None = None


class VariantReader:
    """A student that reads variants.

    Args:
        tokenizer: the student's, a fast one.
        scorer: the student.
        layout: how it is asked.
        template: target line.

    Attributes:
        window: how many variants are best read together.
    """

    def __init__(self, tokenizer: Any, scorer: SpanScorer, layout: Layout, template: str) -> None:
        self._tokenizer = tokenizer
        self._scorer = scorer
        self._layout: Layout = layout
        self._template = template
        self._limit = context_limit(tokenizer, scorer)
        self.window = scorer.window

    @classmethod
    def load(
        cls, folder: Path, open_scorer: Callable[[], SpanScorer], layout: Layout, template: str
    ) -> Self:
        """Load a student, its tokenizer first.

        Raises:
            ModelError: the tokenizer can't be loaded; or see `prove_comparable`.
        """
        tokenizer = load_tokenizer(folder)
        prove_comparable(tokenizer, layout, [template])
        return cls(tokenizer, open_scorer(), layout, template)

    def read(self, variants: Sequence[Variant]) -> list[Summed | None]:
        """Score the wanted part of each; None where it exceeds the student's context."""
        targets = [self._target(variant) for variant in variants]
        unique = list(dict.fromkeys(target for target in targets if self._fits(target)))
        sums = dict(zip(unique, self._scorer.score(unique), strict=True))
        return [sums[target][0] if target in sums else None for target in targets]

    def close(self) -> None:
        """Free the student."""
        self._scorer.close()

    def _fits(self, target: Target) -> bool:
        return max(len(target.ids), len(target.source)) <= self._limit

    def _target(self, variant: Variant) -> Target:
        """Tokenise a variant whole."""
        text = self._rendered(variant)
        span = text.answer
        if variant.part is not None:
            # Rendering strips a text at both ends.
            first, last = text.rationale
            begin = first - (len(variant.text) - len(variant.text.lstrip()))
            span = (max(begin + variant.part[0], first), min(begin + variant.part[1], last))
        begins = self._layout == "plain"
        return encode(self._tokenizer, text.text, [span], text.source, begin=begins)

    def _rendered(self, variant: Variant) -> Rendered:
        if self._layout == "encoder" and variant.part is not None:
            return render_rationale(variant.question, variant.text, self._tokenizer)
        return render(
            variant.question, variant.text, self._template, variant.answer, self._tokenizer,
            self._layout,
        )  # fmt: skip
