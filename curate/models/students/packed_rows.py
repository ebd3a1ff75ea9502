"""Scoring whole packs: one forward pass over a tree, in which every token sees its own past alone.

For decoder-only students whose attention can be exchanged (`curate.models.students.trees`). What
all sequences of a run begin with, a system prompt or worked examples, is run once and its keys and
values are kept.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from curate.models.students import packing, trees
from curate.models.students.packing import Pack, Target
from curate.models.students.trees import Prefix, Tree
from curate.models.students.vocabulary import Read, Wanted


class PackedRows:
    """Scores packs with a loaded model.

    Args:
        model: a causal language model of transformers.
    """

    def __init__(self, model: Any) -> None:
        import torch

        self._torch = torch
        self._model = model
        self._device = str(model.device)
        self._prefix: Prefix | None = None
        self._last_feed_forward = _last_feed_forward(model)
        trees.register()

    def reads(self, targets: list[Target], tokens: int) -> Iterator[Read]:
        """Run all targets; give what each pack leaves for the vocabulary.

        Args:
            targets: in any order.
            tokens: most of a pack; a longer target gets one of its own.
        """
        prefix = self._shared_prefix(targets)
        cut = len(prefix.ids) if prefix else 0
        rest = [
            t._replace(
                ids=t.ids[cut:], spans=tuple((start - cut, end - cut) for start, end in t.spans)
            )
            for t in targets
        ]
        for pack in packing.packs(rest, tokens):
            yield self._run(rest, pack, prefix)

    @contextmanager
    def _attending(self) -> Generator[None]:
        """Have the model attend over trees for one pass; 1 ms, and it never stays so."""
        # transformers has a public way to set it and none to read it.
        before = self._model.config._attn_implementation  # noqa: SLF001
        self._model.set_attn_implementation(trees.NAME)
        try:
            yield
        finally:
            self._model.set_attn_implementation(before)

    def _shared_prefix(self, targets: list[Target]) -> Prefix | None:
        """Run what all targets begin with, or find it run; None where that does not pay.

        It ends before the place that predicts the first wanted token of any target. The prefix of
        earlier calls is taken, or what it shares with this one: questions come and go, the system
        prompt and worked examples stay.
        """
        ids = packing.common([target.ids for target in targets])
        ids = ids[: min((span[0] - 1 for t in targets for span in t.spans), default=0)]
        prefix = self._prefix
        if prefix is not None:
            ids = packing.common([prefix.ids, ids])
        if len(ids) < packing.WORTH_A_PASS:
            return None
        if prefix is not None and ids == prefix.ids:
            return prefix
        prefix = Prefix(ids)
        tokens = np.array(ids, dtype=np.int64)
        self._hidden(tokens, self._tree(np.arange(-1, len(ids) - 1), prefix))
        self._prefix = prefix
        return prefix

    def _run(self, targets: list[Target], pack: Pack, prefix: Prefix | None) -> Read:
        """Run the network over one tree."""
        wanted = Wanted.of(pack.members, targets, pack.paths)
        places = self._torch.from_numpy(wanted.places).to(self._device)
        with self._only_in_the_last_layer(places, len(pack.tokens)):
            hidden = self._hidden(pack.tokens, self._tree(pack.parents, prefix))
        return Read(wanted, hidden[places])

    @contextmanager
    def _only_in_the_last_layer(self, places: Any, nodes: int) -> Generator[None]:
        """Spare the last layer's feed-forward network all states that nobody reads.

        Attention is behind it, so nothing depends on them any more; they are left without what it
        would have added.
        """
        last = self._last_feed_forward
        if last is None:
            yield
            return

        def narrow(_: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            return (inputs[0][:, places], *inputs[1:])

        def widen(_: Any, _inputs: tuple[Any, ...], output: Any) -> Any:
            whole = output.new_zeros((1, nodes, output.shape[-1]))
            whole[:, places] = output
            return whole

        hooks = last.register_forward_pre_hook(narrow), last.register_forward_hook(widen)
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _tree(self, parents: packing.Ints, prefix: Prefix | None) -> Tree:
        return Tree(parents, self._device, self._model.dtype, prefix)

    def _hidden(self, tokens: packing.Ints, tree: Tree) -> Any:
        """Run all layers; give each node's last state (n x width)."""
        torch = self._torch
        with torch.inference_mode(), self._attending(), trees.attending(tree):
            return self._model.base_model(
                input_ids=torch.from_numpy(tokens)[None].to(self._device),
                position_ids=torch.from_numpy(tree.positions)[None].to(self._device),
                use_cache=False,
            ).last_hidden_state[0]


def _last_feed_forward(model: Any) -> Any:
    """Find the feed-forward network of the last layer; None where a family calls it otherwise."""
    blocks = getattr(model.base_model, "layers", None) or getattr(model.base_model, "h", None)
    return getattr(blocks[-1], "mlp", None) if blocks else None
