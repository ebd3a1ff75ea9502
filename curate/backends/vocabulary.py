"""From states to log-probabilities, without ever holding a matrix of rows by vocabulary."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from curate.backends import packing
from curate.backends.packing import Ints, Summed, Target

ROWS: Final = 512
"""States multiplied together; 36 reach a third of the rate of 256."""
_TILE: Final = 16_384
"""Entries of the vocabulary at a time on a CPU, so that a tile stays in its cache."""


class Wanted(NamedTuple):
    """Which states of a batch predict wanted tokens, each state once.

    Attributes:
        members: numbers of the batch's targets.
        spans: of each of them.
        places: rows among all states of the batch, ascending (m).
        rows: place in `places` of each wanted token (n).
        tokens: their ids, target by target, span by span (n).
    """

    members: list[int]
    spans: list[tuple[tuple[int, int], ...]]
    places: Ints
    rows: Ints
    tokens: list[int]

    @classmethod
    def of(cls, members: list[int], targets: Sequence[Target], paths: Sequence[Ints]) -> "Wanted":
        """Find them.

        Args:
            members: numbers of the batch's targets.
            targets: all of them.
            paths: for each member, the row of the state of each of its tokens.
        """
        reads: list[int] = []
        tokens: list[int] = []
        for path, member in zip(paths, members, strict=True):
            for span in targets[member].spans:
                reads += path[list(packing.readers(span))].tolist()
                tokens += targets[member].ids[span[0] : span[1]]
        places, rows = np.unique(np.array(reads, dtype=np.int64), return_inverse=True)
        return cls(members, [targets[member].spans for member in members], places, rows, tokens)


class Read(NamedTuple):
    """What a batch of a network leaves for the vocabulary.

    Attributes:
        wanted: what is to be looked up.
        hidden: the states at its places (m x width).
    """

    wanted: Wanted
    hidden: Any


class Head(NamedTuple):
    """How a model turns a state into logits.

    Attributes:
        layer: its last, from states to the vocabulary.
        scale: that logits are multiplied by (Granite divides, Cohere multiplies).
        cap: bound of the logits, by tanh, where the model has one (Gemma 2).
    """

    layer: Any
    scale: float
    cap: float | None

    @classmethod
    def of(cls, model: Any) -> "Head":
        """Find it in a causal language model of transformers."""
        config = model.config.get_text_config()
        divisor = getattr(config, "logits_scaling", None) or 1.0
        factor = getattr(config, "logit_scale", None) or 1.0
        cap = getattr(config, "final_logit_softcapping", None)
        return cls(model.get_output_embeddings(), factor / divisor, cap)


def look_up(head: Head, waiting: Sequence[Read]) -> tuple[list[int], list[list[Summed]]]:
    """Turn the states of several batches into their targets' sums.

    Returns:
        Numbers of the targets, and for each of them, for each of its spans, the sum.
    """
    import torch

    with torch.inference_mode():
        hidden = torch.cat([read.hidden for read in waiting])
        starts = np.cumsum([0, *(len(read.hidden) for read in waiting)])
        rows = np.concatenate(
            [read.wanted.rows + start for read, start in zip(waiting, starts, strict=False)]
        )
        tokens = [token for read in waiting for token in read.wanted.tokens]
        scores = log_probabilities(head, hidden, rows, tokens)
    members = [member for read in waiting for member in read.wanted.members]
    spans = [one for read in waiting for one in read.wanted.spans]
    return members, packing.sums(scores, spans)


def log_probabilities(head: Head, hidden: Any, rows: Ints, wanted: list[int]) -> list[float]:
    """Multiply with the vocabulary and take the log-softmax, tile by tile, in float32.

    Args:
        head: of the model.
        hidden: states (m x width).
        rows: row of each wanted token (n).
        wanted: token ids (n).

    Returns:
        Log-probability of each wanted token, in nats (n).
    """
    import torch

    device = hidden.device
    index, tokens = torch.from_numpy(rows), torch.tensor(wanted, dtype=torch.int64)
    found = torch.empty(len(wanted), dtype=torch.float32)
    layer, cap = head.layer, head.cap
    size = layer.weight.shape[0]
    tile = size if device.type == "cuda" else _TILE
    for first in range(0, hidden.shape[0], ROWS):
        states = hidden[first : first + ROWS]
        mine = torch.nonzero((index >= first) & (index < first + ROWS))[:, 0]
        own_rows, own_tokens = index[mine] - first, tokens[mine]
        total = torch.full((len(states),), -torch.inf, device=device)
        picked = torch.empty(len(mine), dtype=torch.float32)
        for start in range(0, size, tile):
            part = slice(start, start + tile)
            bias = None if layer.bias is None else layer.bias[part]
            logits = torch.nn.functional.linear(states, layer.weight[part], bias).float()
            if head.scale != 1:
                logits *= head.scale
            if cap:
                logits = torch.tanh(logits / cap) * cap
            total = torch.logaddexp(total, torch.logsumexp(logits, dim=-1))
            here = torch.nonzero((own_tokens >= start) & (own_tokens < start + tile))[:, 0]
            at = own_rows[here].to(device), (own_tokens[here] - start).to(device)
            picked[here] = logits[at].cpu()
        found[mine] = picked - total.cpu()[own_rows]
    return found.double().tolist()
