"""What a rationale would teach: the gradient of its loss under the student, projected.

The loss is a trainer's: the mean NLL of all tokens from the rationale's first to the end of the
target line, given the question. Its gradient is taken with respect to the last blocks of the
network alone. Whatever stands below them is run without a graph and whatever stands above is
frozen, so one row costs a forward pass and a small part of a backward one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from curate.errors import ModelError, count_of
from curate.models.rendering import Layout, render
from curate.models.students.packing import Target, readers
from curate.models.students.pairs import Pair
from curate.models.students.scorer import Scorer, load_scorer
from curate.models.students.sketch import Sketch
from curate.models.students.tokenizing import encode, load_tokenizer
from curate.models.students.vocabulary import Vocabulary

_CHUNK: Final = 256
"""Tokens whose logits are there at a time."""


class Gradient(NamedTuple):
    """The gradient of one row's loss.

    Attributes:
        vector: projected, of unit length (dimensions).
        norm: length of the gradient itself, in nats a unit of the weights.
    """

    vector: NDArray[np.float32]
    norm: float


class GradientReader:
    """A student that gives gradients.

    Args:
        tokenizer: the student's, a fast one.
        scorer: the student, loaded; closed with this.
        layout: how it is asked.
        template: the target line it is trained on.
        blocks: last blocks of the network whose weights count.
        dimensions: to which gradients are projected.
        seed: of the projection.

    Raises:
        ModelError: the student has fewer blocks, or none that can be told apart.
    """

    def __init__(
        self,
        tokenizer: Any,
        scorer: Scorer,
        layout: Layout,
        template: str,
        *,
        blocks: int,
        dimensions: int,
        seed: int,
    ) -> None:
        self._tokenizer = tokenizer
        self._scorer = scorer
        self._layout: Layout = layout
        self._template = template
        self._weights = last_blocks(scorer.model, blocks)
        self._sketch = Sketch(dimensions, seed)
        self._head = _Head(scorer.model)

    @classmethod
    def load(cls, folder: Path, dtype: str, layout: Layout, template: str, **options: int) -> Self:
        """Load a student.

        Args:
            folder: the model's.
            dtype: in which the network computes.
            layout: how it is asked.
            template: the target line it is trained on.
            options: ``blocks``, ``dimensions`` and ``seed``.

        Raises:
            ModelError: the folder's model can't be loaded, or has too few blocks.
        """
        tokenizer = load_tokenizer(folder)
        return cls(tokenizer, load_scorer(folder, dtype), layout, template, **options)

    def read(self, pair: Pair) -> Gradient | None:
        """Take the gradient of one row; None where the student can't read so long a text.

        Raises:
            ModelError: the student's chat template drops rationales.
        """
        target = self.target(pair)
        limit = self._scorer.context
        return None if limit is not None and len(target.ids) > limit else self.of(target)

    def of(self, target: Target) -> Gradient:
        """Take the gradient of the mean NLL of a target's one span.

        Raises:
            ModelError: it is not finite.
        """
        hidden = self._hidden(target)
        hidden.backward(self._head.slope(hidden, target))
        weights = [pair for pair in self._weights if pair[1].grad is not None]
        gradients = [(name, weight.grad) for name, weight in weights]
        vector = self._sketch.project(gradients)
        norm = sum(float(gradient.double().square().sum()) for _, gradient in gradients) ** 0.5
        self._scorer.model.zero_grad(set_to_none=True)
        if not np.isfinite(norm):
            raise ModelError(
                f"a gradient is {norm} long under this student in {self._scorer.model.dtype}; set "
                "`dtype: float32` under measures.score"
            )
        length = float(np.linalg.norm(vector)) or 1.0
        return Gradient((vector / length).astype(np.float32), norm)

    def target(self, pair: Pair) -> Target:
        """Tokenise a row; its one span is what the loss is taken of."""
        text = render(
            pair.question, pair.rationale, self._template, pair.answer, self._tokenizer,
            self._layout,
        )  # fmt: skip
        span = (text.rationale[0], len(text.text))
        return encode(self._tokenizer, text.text, [span], begin=self._layout == "plain")

    def close(self) -> None:
        """Free the student."""
        self._weights.clear()
        self.__dict__.pop("_head", None)
        self._scorer.close()

    def _hidden(self, target: Target) -> Any:
        """Run the network; give the states that predict the tokens of the span (n x width)."""
        import torch

        model = self._scorer.model
        ids = torch.tensor([target.inputs], device=model.device)
        states = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0]
        return states[list(readers(target.spans[0]))]


class _Head(Vocabulary):
    """The last layer, which hands a loss's slope down to the states."""

    def slope(self, hidden: Any, target: Target) -> Any:
        """Differentiate the mean NLL of a span by the states that predict it (n x width).

        A few states at a time, so that a matrix of tokens by vocabulary is never whole.
        """
        torch = self._torch
        start, end = target.spans[0]
        tokens = torch.tensor(target.ids[start:end], device=hidden.device)
        states = hidden.detach().requires_grad_()
        for rows, wanted in zip(states.split(_CHUNK), tokens.split(_CHUNK), strict=True):
            logits = self._bent(self._layer(rows).float())
            nats = torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
            (nats / len(tokens)).backward()
        return states.grad


def last_blocks(model: Any, blocks: int) -> list[tuple[str, Any]]:
    """Let the weights of the last blocks of a network have gradients, and no others.

    Args:
        model: a causal language model of transformers.
        blocks: how many.

    Returns:
        Their names in the model and the weights, in its order.

    Raises:
        ModelError: it has fewer blocks, or none that can be told apart.
    """
    stacks = (getattr(model.base_model, name, None) for name in ("layers", "h", "blocks"))
    stack = next((stack for stack in stacks if stack is not None), None)
    if stack is None:
        raise ModelError(
            f"no blocks are found in {type(model).__name__}, so it has no gradient to take; drop "
            "measures.gradient, or name another student"
        )
    if blocks > len(stack):
        raise ModelError(
            f"blocks: {blocks} are wanted of a student that has {count_of(len(stack), 'block')}; "
            "set `blocks` under measures.gradient to no more"
        )
    chosen = {id(weight) for block in stack[-blocks:] for weight in block.parameters()}
    return list(_marked(model, chosen))


def _marked(model: Any, chosen: set[int]) -> Iterator[tuple[str, Any]]:
    for name, weight in model.named_parameters():
        weight.requires_grad_(id(weight) in chosen)
        if id(weight) in chosen:
            yield name, weight
