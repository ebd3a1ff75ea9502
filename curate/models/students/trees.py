"""Attention over a tree of sequences, block by block.

Transformers lets an attention function be registered by name; ours is told the tree by the scorer
and not by a mask, so that blocks nothing of which is visible are never computed. (Under a dense
mask over 768 tokens a fifth of the time went into zeros.) Nodes stand depth first, so what a block
of them sees is one path from the root and the block itself.

The same function keeps keys and values of a prefix that all sequences of a run share, and shows
them to every later tree.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

import numpy as np

from curate.models.students.packing import Ints, depths

NAME: Final = "curate_tree"
"""Under which transformers knows the function."""
BLOCK: Final = {"cpu": 64, "cuda": 512}
"""Nodes a block. Small ones waste less on what is masked, large ones keep a GPU busy."""


class Block(NamedTuple):
    """Consecutive nodes and what they see.

    Attributes:
        start: first node.
        stop: behind the last.
        keys: nodes that any of them sees: the path before `start`, by depth, then the block.
        seen: for each node, which of the prefix and of `keys` it sees (nodes x keys).
    """

    start: int
    stop: int
    keys: Ints
    seen: np.ndarray[Any, np.dtype[np.bool_]]


class Prefix:
    """Keys and values of the tokens with which all sequences begin.

    Attributes:
        ids: the tokens.
        kept: by layer, keys and values (1 x heads x length x dim); empty until they were run.
    """

    def __init__(self, ids: tuple[int, ...]) -> None:
        self.ids = ids
        self.kept: dict[int, tuple[Any, Any]] = {}


class Tree:
    """One pack as the attention function sees it.

    Args:
        parents: node before each, -1 for a first one, depth first (n).
        device: of the student, as torch names it.
        dtype: of its attention.
        prefix: before all first nodes; what of it is not kept yet is taken from this very pack,
            which then is the prefix itself.
    """

    def __init__(self, parents: Ints, device: str, dtype: Any, prefix: Prefix | None) -> None:
        self.prefix = prefix
        self.before = len(prefix.ids) if prefix and prefix.kept else 0
        self.positions: Ints = depths(parents) + self.before
        self._parents = parents
        self._device, self._dtype = device, dtype
        self._plans: dict[int | None, list[tuple[Block, Any, Any]]] = {}

    def plan(self, window: int | None) -> list[tuple[Block, Any, Any]]:
        """Give blocks with the index of their keys and their additive masks.

        Args:
            window: of the layer: how many tokens back it sees, its own included; None for all.
        """
        if window is not None and int(self.positions.max(initial=0)) < window:
            window = None
        if window not in self._plans:
            import torch

            planned: list[tuple[Block, Any, Any]] = []
            for block in blocks(
                self._parents, BLOCK.get(self._device.partition(":")[0], BLOCK["cpu"])
            ):
                seen = np.concatenate(
                    [np.ones((len(block.seen), self.before), np.bool_), block.seen], axis=1
                )
                if window is not None:
                    theirs = np.concatenate([np.arange(self.before), self.positions[block.keys]])
                    own = self.positions[block.start : block.stop]
                    seen &= theirs[None, :] > own[:, None] - window
                mask = torch.zeros(seen.shape, dtype=self._dtype)
                mask.masked_fill_(torch.from_numpy(~seen), torch.finfo(self._dtype).min)
                keys = torch.from_numpy(block.keys).to(self._device)
                planned.append((block, keys, mask[None, None].to(self._device)))
            self._plans[window] = planned
        return self._plans[window]


def blocks(parents: Ints, size: int) -> Iterator[Block]:
    """Cut a tree that stands depth first into blocks.

    Args:
        parents: node before each, -1 for a first one (n).
        size: most nodes a block.
    """
    for start in range(0, len(parents), size):
        stop = min(start + size, len(parents))
        path: list[int] = []
        node = int(parents[start])
        while node >= 0:
            path.append(node)
            node = int(parents[node])
        path.reverse()
        place = {node: number for number, node in enumerate(path)}
        place |= {node: len(path) + node - start for node in range(start, stop)}
        seen = np.zeros((stop - start, len(path) + stop - start), dtype=np.bool_)
        for node in range(start, stop):
            row, parent = seen[node - start], int(parents[node])
            if parent >= start:
                row |= seen[parent - start]
            elif parent >= 0:
                row[: place[parent] + 1] = True
            row[place[node]] = True
        keys = np.concatenate([np.array(path, dtype=np.int64), np.arange(start, stop)])
        yield Block(start, stop, keys, seen)


_CURRENT: ContextVar[Tree] = ContextVar("tree")


@contextmanager
def attending(tree: Tree) -> Generator[None]:
    """Have every attention layer inside see this tree."""
    token = _CURRENT.set(tree)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def register() -> None:
    """Make the function known to transformers; once is enough, twice does no harm."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, _no_mask)


def _no_mask(*_: Any, **__: Any) -> None:
    """Make no mask: the tree knows what is seen."""


def attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    _mask: Any,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Any, None]:
    """Attend over the current tree.

    Args:
        module: the layer; `layer_idx` names it.
        query: of all nodes (1 x heads x n x dim).
        key: likewise, with as many heads as share one (1 x groups x n x dim).
        value: likewise.
        _mask: none is made.
        scaling: of the scores; by default the inverse root of dim.
        sliding_window: how many tokens back the layer sees, its own included.
        softcap: bound of the scores, by tanh.

    Returns:
        What each node has gathered (1 x n x heads x dim), and no weights.
    """
    import torch

    tree = _CURRENT.get()
    heads, groups = query.shape[1], key.shape[1]
    if tree.prefix is not None and not tree.before:
        tree.prefix.kept[module.layer_idx] = (key.clone(), value.clone())
    gathered = torch.empty(
        (1, query.shape[2], heads, value.shape[-1]), dtype=query.dtype, device=query.device
    )
    plan = tree.plan(sliding_window)
    most = max(len(index) for _, index, _ in plan)
    kept = tree.prefix.kept[module.layer_idx] if tree.before and tree.prefix else (None, None)
    rooms = [_room(states, first, most) for states, first in zip((key, value), kept, strict=True)]
    for block, index, mask in plan:
        own, behind = slice(block.start, block.stop), tree.before + len(index)
        for states, room in zip((key, value), rooms, strict=True):
            torch.index_select(states, 2, index, out=room[:, :, tree.before : behind])
        k, v = (room[:, :, :behind] for room in rooms)
        q = query[:, :, own]
        if softcap is None:
            out = torch.nn.functional.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, scale=scaling, enable_gqa=heads != groups
            )
        else:
            k, v = (t.repeat_interleave(heads // groups, dim=1) for t in (k, v))
            scores = q @ k.transpose(2, 3) * (scaling or q.shape[-1] ** -0.5)
            scores = torch.tanh(scores / softcap) * softcap + mask
            out = torch.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype) @ v
        gathered[:, own] = out.transpose(1, 2)
    return gathered, None


def _room(states: Any, first: Any, most: int) -> Any:
    """Make room for what blocks see of some states, the prefix standing there once for all.

    Args:
        states: of all nodes (1 x groups x n x dim).
        first: those of the prefix (1 x groups x length x dim); None where there is none.
        most: nodes that a block sees at most.
    """
    before = 0 if first is None else first.shape[2]
    room = states.new_empty((*states.shape[:2], before + most, states.shape[3]))
    if first is not None:
        room[:, :, :before] = first
    return room
