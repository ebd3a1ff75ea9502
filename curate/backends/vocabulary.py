"""From states to log-probabilities, without ever holding a matrix of rows by vocabulary."""

from typing import Any, Final

from curate.backends.packing import Ints

ROWS: Final = 512
"""States multiplied together; 36 reach a third of the rate of 256."""
_TILE: Final = 16_384
"""Entries of the vocabulary at a time on a CPU, so that a tile stays in its cache."""


def log_probabilities(
    head: Any, cap: float | None, hidden: Any, rows: Ints, wanted: list[int]
) -> list[float]:
    """Multiply with the vocabulary and take the log-softmax, tile by tile, in float32.

    Args:
        head: the model's last layer, from states to logits.
        cap: bound of the logits, by tanh, where the model has one.
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
    size = head.weight.shape[0]
    tile = size if device.type == "cuda" else _TILE
    for first in range(0, hidden.shape[0], ROWS):
        states = hidden[first : first + ROWS]
        mine = torch.nonzero((index >= first) & (index < first + ROWS))[:, 0]
        own_rows, own_tokens = index[mine] - first, tokens[mine]
        total = torch.full((len(states),), -torch.inf, device=device)
        picked = torch.empty(len(mine), dtype=torch.float32)
        for start in range(0, size, tile):
            part = slice(start, start + tile)
            bias = None if head.bias is None else head.bias[part]
            logits = torch.nn.functional.linear(states, head.weight[part], bias).float()
            if cap:
                logits = torch.tanh(logits / cap) * cap
            total = torch.logaddexp(total, torch.logsumexp(logits, dim=-1))
            here = torch.nonzero((own_tokens >= start) & (own_tokens < start + tile))[:, 0]
            at = own_rows[here].to(device), (own_tokens[here] - start).to(device)
            picked[here] = logits[at].cpu()
        found[mine] = picked - total.cpu()[own_rows]
    return found.double().tolist()
