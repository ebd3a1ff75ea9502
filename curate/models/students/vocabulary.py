"""From states to log-probabilities, without ever holding a matrix of rows by vocabulary.

A token's log-probability is its logit less the logarithm of the normaliser, which takes all logits
of its row. For a small student with a large vocabulary that is most of the work wherever whole
rationales are read: 262,144 entries cost Gemma 3 270M 1.7 times what all its layers do. So on a
CPU that multiplies bfloat16 four times as fast as float32 (AMX), the normaliser of such rows is
screened: all logits in bfloat16, and those that hold more than a ten-thousandth of the mass again
in float32. What is left holds a few hundredths of the mass with errors that are independent from
entry to entry; their effect is estimated for each row from the entries known both ways, and a row
where it is too large is done again in full. The rows of short spans, answers above all, are never
screened.
"""

import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from curate.models.students import packing
from curate.models.students.packing import HIGHEST_RANK, Ints, Summed, Target, TokenValues
from curate.models.students.ranks import Entries, once_a_row

Flags = NDArray[np.bool_]

ROWS: Final = 512
"""States multiplied together; 36 reach a third of the rate of 256."""
_TILE: Final = 16_384
"""Entries of the vocabulary at a time on a CPU, so that a tile stays in its cache."""
_FEW: Final = 64
"""Rows of a tile gone over together."""
_RUN: Final = 64
"""Neighbouring entries among which heavy ones are looked for together."""
_SINGLES: Final = 8_192
"""Single logits computed together."""
_WIDE: Final = 65_536
"""Entries from which a vocabulary is worth screening."""
_LONG: Final = 32
"""Tokens from which a span is read through screened normalisers; its mean evens their errors."""
_SHARE: Final = 1e-4
"""Of a row's mass, above which a logit is computed in float32."""
_DOUBT: Final = 5e-4
"""Estimated error of a normaliser in nats, above which it is computed in full; in a mean over a
long span it is at most a fifth of that."""


class Wanted(NamedTuple):
    """Which states of a batch predict wanted tokens, each state once.

    Attributes:
        members: numbers of the batch's targets.
        targets: themselves.
        places: rows among all states of the batch, ascending (m).
        rows: place in `places` of each wanted token (n).
        tokens: their ids, target by target, span by span (n).
        exact: which places a short span reads (m).
        per_token: which places are read for more than a sum (m).
    """

    members: list[int]
    targets: list[Target]
    places: Ints
    rows: Ints
    tokens: list[int]
    exact: Flags
    per_token: Flags

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
        short: list[bool] = []
        whole: list[bool] = []
        for path, member in zip(paths, members, strict=True):
            for span in targets[member].spans:
                size = span[1] - span[0]
                reads += path[list(packing.readers(span))].tolist()
                tokens += targets[member].ids[span[0] : span[1]]
                short += [size < _LONG] * size
                whole += [targets[member].per_token] * size
        places, rows = np.unique(np.array(reads, dtype=np.int64), return_inverse=True)

        def marked(reads: list[bool]) -> Flags:
            flags = np.zeros(len(places), dtype=np.bool_)
            flags[rows[np.array(reads, dtype=np.bool_)]] = True
            return flags

        batch = [targets[member] for member in members]
        return cls(members, batch, places, rows, tokens, marked(short), marked(whole))


class Read(NamedTuple):
    """What a batch of a network leaves for the vocabulary.

    Attributes:
        wanted: what is to be looked up.
        hidden: the states at its places (m x width).
    """

    wanted: Wanted
    hidden: Any


class Vocabulary:
    """The last layer of a model.

    Args:
        model: a causal language model of transformers.

    Attributes:
        screens: whether normalisers of long spans are screened.
    """

    def __init__(self, model: Any) -> None:
        import torch

        self._torch = torch
        config = model.config.get_text_config()
        self._layer = model.get_output_embeddings()
        # Granite divides its logits, Cohere multiplies them, Gemma 2 bounds them.
        divisor = getattr(config, "logits_scaling", None) or 1.0
        self._scale = (getattr(config, "logit_scale", None) or 1.0) / divisor
        self._cap = getattr(config, "final_logit_softcapping", None)
        weight = self._layer.weight
        self._device = weight.device
        self._tile = len(weight) if self._device.type == "cuda" else _TILE
        plain = weight.dtype == torch.float32 and self._layer.bias is None
        wide = self._device.type == "cpu" and len(weight) >= _WIDE
        self.screens = bool(plain and wide and _has_amx())
        self._rough: Any = None

    def look_up(self, waiting: Sequence[Read]) -> tuple[list[int], list[list[Summed]]]:
        """Turn the states of several batches into their targets' sums.

        Returns:
            Numbers of the targets, and for each of them, for each of its spans, the sum.
        """
        torch = self._torch
        with torch.inference_mode():
            hidden = torch.cat([read.hidden for read in waiting])
            starts = np.cumsum([0, *(len(read.hidden) for read in waiting)])
            rows = np.concatenate(
                [read.wanted.rows + start for read, start in zip(waiting, starts, strict=False)]
            )
            tokens = [token for read in waiting for token in read.wanted.tokens]
            exact = np.concatenate([read.wanted.exact for read in waiting])
            per_token = np.concatenate([read.wanted.per_token for read in waiting])
            values = self.values(hidden, rows, tokens, exact, per_token)
        members = [member for read in waiting for member in read.wanted.members]
        targets = [target for read in waiting for target in read.wanted.targets]
        return members, packing.sums(values, targets)

    def values(
        self, hidden: Any, rows: Ints, tokens: Sequence[int], exact: Flags, per_token: Flags
    ) -> TokenValues:
        """Take the log-softmax of some tokens, in float32, and more where it is wanted.

        Args:
            hidden: states (m x width).
            rows: row of each wanted token (n).
            tokens: their ids (n).
            exact: rows whose normaliser may not be screened (m).
            per_token: rows of which entropy and ranks are wanted; they are not screened either (m).
        """
        torch = self._torch
        normalisers, entropies = torch.full((2, len(hidden)), torch.nan, device=self._device)
        full = exact | per_token if self.screens else np.ones_like(exact)
        for which, way in (
            (full & ~per_token, self._normalisers),
            (~full, self._screened),
        ):
            for chunk in self._chunks(which):
                normalisers[chunk] = way(hidden[chunk])
        at = torch.from_numpy(rows).to(self._device)
        ids = torch.tensor(tokens, dtype=torch.int64, device=self._device)
        logits = self._logits(hidden, at, ids)
        ranks = torch.zeros(len(rows), dtype=torch.int64, device=self._device)
        for chunk in self._chunks(per_token):
            entries = [
                Entries(torch.from_numpy(those).to(self._device), local, ids, logits)
                for those, local in once_a_row(rows, chunk.cpu().numpy())
            ]
            normalisers[chunk], entropies[chunk] = self._in_detail(hidden[chunk], entries)
            for each in entries:
                ranks[each.numbers] = each.ahead + 1
        return TokenValues(
            (logits - normalisers[at]).double().tolist(),
            entropies[at].double().tolist(),
            ranks.clamp(max=HIGHEST_RANK).tolist(),
        )

    def _chunks(self, which: Flags) -> Iterator[Any]:
        """Give the numbers of marked rows, as many at a time as are multiplied together."""
        numbers = self._torch.from_numpy(np.flatnonzero(which)).to(self._device)
        yield from numbers.split(ROWS) if len(numbers) else ()

    def _tiles(self, states: Any) -> Iterator[Any]:
        """Give the logits of some states, a tile of the vocabulary at a time (m x tile)."""
        layer = self._layer
        for start in range(0, len(layer.weight), self._tile):
            part = slice(start, start + self._tile)
            bias = None if layer.bias is None else layer.bias[part]
            logits = self._torch.nn.functional.linear(states, layer.weight[part], bias)
            yield self._bent(logits.float())

    def _normalisers(self, states: Any) -> Any:
        """Take the logarithm of the sum of all exponentiated logits of each state (m)."""
        torch = self._torch
        total = torch.full((len(states),), -torch.inf, device=self._device)
        for logits in self._tiles(states):
            total = torch.logaddexp(total, torch.logsumexp(logits, dim=-1))
        return total

    def _in_detail(self, states: Any, entries: Sequence[Entries]) -> tuple[Any, Any]:
        """Do the same, take the entropy of the distribution (m each), and count ranks.

        The entropy of a whole is its parts' own, weighed by their mass, and that of the masses. A
        part's own is its normaliser less the mean of its logits.

        Args:
            states: of rows (m x width).
            entries: of the vocabulary that are looked for in them; told what is ahead of them.
        """
        torch = self._torch
        entr = torch.special.entr
        total = torch.full((len(states),), -torch.inf, device=self._device)
        entropy = torch.zeros_like(total)
        start = 0
        for logits in self._tiles(states):
            for each in entries:
                each.count(logits, start)
            start += logits.shape[1]
            highest = logits.amax(dim=-1)
            below = logits.sub_(highest[:, None])
            mass = below.exp()
            size = mass.sum(dim=-1)
            within = size.log() - mass.mul_(below).sum(dim=-1) / size
            of_tile = highest + size.log()
            joint = torch.logaddexp(total, of_tile)
            before, here = (total - joint).exp(), (of_tile - joint).exp()
            entropy = before * entropy + here * within + entr(before) + entr(here)
            total = joint
        return total, entropy

    def _screened(self, states: Any) -> Any:
        """Do the same with most logits in bfloat16 (m)."""
        torch = self._torch
        if self._rough is None:
            self._rough = self._layer.weight.to(torch.bfloat16)
        rough = states.to(torch.bfloat16)
        shift = torch.full((len(states),), -torch.inf)
        total = torch.zeros(len(states))
        entries: list[tuple[Any, Any, Any]] = []
        for start in range(0, len(self._rough), self._tile):
            logits = torch.nn.functional.linear(rough, self._rough[start : start + self._tile])
            # A few rows at a time stay in the cache while they are gone over.
            for first in range(0, len(states), _FEW):
                few = slice(first, first + _FEW)
                mass = self._bent(logits[few].float())
                if not start:
                    shift[few] = mass.amax(dim=-1)
                mass.sub_(shift[few, None]).exp_()
                total[few] += mass.sum(dim=-1)
                # Heavy entries are few: looked for in runs of the vocabulary that hold one.
                if lacking := -mass.shape[1] % _RUN:
                    mass = torch.nn.functional.pad(mass, (0, lacking))
                runs = mass.unflatten(1, (-1, _RUN))
                holds = runs.amax(dim=-1) > _SHARE * total[few, None]
                at, run = torch.nonzero(holds, as_tuple=True)
                entries.append((at + first, start + run * _RUN, runs[at, run]))
        at, ids, masses = (torch.cat(parts) for parts in zip(*entries, strict=True))
        which, place = torch.nonzero(masses > _SHARE * total[at, None], as_tuple=True)
        at, ids, roughly = at[which], ids[which] + place, masses[which, place]
        order = (at * len(self._rough) + ids).argsort()
        at, ids, roughly = at[order], ids[order], roughly[order]
        exactly = (self._sampled(states, at, ids) - shift[at]).exp()
        zeros = torch.zeros_like(total)
        tail = (total - zeros.index_add(0, at, roughly)).clamp(min=0)
        mass = tail + zeros.index_add(0, at, exactly)
        # Entries of the tail hold less than the share each, and err as those known both ways do.
        errors = zeros.index_add(0, at, (exactly / roughly).log().square())
        spread = errors / zeros.index_add(0, at, torch.ones_like(roughly))
        doubt = (spread * _SHARE * tail / mass).sqrt()
        results = shift + mass.log()
        again = torch.nonzero(~(doubt < _DOUBT))[:, 0]
        if len(again):
            results[again] = self._normalisers(states[again])
        return results

    def _sampled(self, states: Any, rows: Any, ids: Any) -> Any:
        """Compute many single logits on a CPU, without a copy of the vocabulary for each (n).

        Args:
            states: in float32 (m x width).
            rows: row of each, ascending (n).
            ids: its entry of the vocabulary, ascending within a row (n).
        """
        torch, weight = self._torch, self._layer.weight
        starts = torch.zeros(len(states) + 1, dtype=torch.int64)
        starts[1:] = torch.bincount(rows, minlength=len(states)).cumsum(0)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
            wanted = torch.sparse_csr_tensor(
                starts,
                ids,
                torch.zeros(len(ids)),
                size=(len(states), len(weight)),
                check_invariants=False,  # said aloud, or torch warns that nobody did
            )
        logits = torch.sparse.sampled_addmm(wanted, states, weight.t(), beta=0.0).values()
        return self._bent(logits)

    def _logits(self, states: Any, rows: Any, ids: Any) -> Any:
        """Compute single logits, each from its state and its row of the vocabulary (n)."""
        torch, layer = self._torch, self._layer
        parts = [
            (states[at].float() * layer.weight[of].float()).sum(dim=-1)
            for at, of in zip(rows.split(_SINGLES), ids.split(_SINGLES), strict=True)
        ]
        logits = torch.cat(parts)
        if layer.bias is not None:
            logits = logits + layer.bias[ids].float()
        # Rounded as those of the normaliser are, or a likelihood might exceed one.
        return self._bent(logits.to(layer.weight.dtype).float())

    def _bent(self, logits: Any) -> Any:
        """Scale and bound logits as the model does."""
        if self._scale != 1:
            logits = logits * self._scale
        if self._cap:
            logits = self._torch.tanh(logits / self._cap) * self._cap
        return logits


@cache
def _has_amx() -> bool:
    """Tell whether this CPU multiplies bfloat16 in tiles."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
