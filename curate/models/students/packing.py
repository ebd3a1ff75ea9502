"""Many token sequences as one row, in which what they share stands once.

The sequences of a question (its rationales, each under several answer templates, masked and not)
begin alike. Laid out as a tree, every shared token is computed once: a token sees its ancestors
and nothing else, and its position is its depth, so each path through the tree is, to the model,
the plain sequence. Sharing is found by comparing tokens, so it needs no knowledge of prompts, and
every sequence is tokenised whole, as a trainer would.

Pure functions over numpy arrays; nothing here knows a model.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

WORTH_A_PASS: Final = 16
"""Tokens from which a common beginning is worth a pass of its own."""


HIGHEST_RANK: Final = 100
"""Where ranks are cut off: RSR (arXiv 2601.14249) goes no further, and deeper ones are noise."""


class TokenValues(NamedTuple):
    """What is known of tokens, one entry each.

    Attributes:
        logs: log-probabilities in nats (n).
        entropies: of the distributions they were predicted from, in nats, nan where not wanted (n);
            empty where nobody tells them.
        ranks: 1 + the number of entries of the vocabulary with a larger logit, `HIGHEST_RANK` at
            most; 0 where not wanted (n).
    """

    logs: Sequence[float]
    entropies: Sequence[float] = ()
    ranks: Sequence[int] = ()


class Summed(NamedTuple):
    """What a span of tokens came to.

    Attributes:
        total: sum of log-probabilities in nats.
        tokens: how many there are.
        logs: log-probability of each in nats; empty unless the target asks for every token.
        entropies: of the distribution each was predicted from, in nats; likewise, and empty where
            a server reads, for none tells them.
        ranks: 1 for the token that was likeliest, `HIGHEST_RANK` at most; likewise.
    """

    total: float
    tokens: int
    logs: tuple[float, ...] = ()
    entropies: tuple[float, ...] = ()
    ranks: tuple[int, ...] = ()


class Target(NamedTuple):
    """A sequence, and the spans of it whose log-probability is wanted.

    Attributes:
        ids: token ids, at least one of them before the first span.
        spans: half-open ranges of positions in `ids`.
        source: token ids for the encoder; empty for decoder-only models.
        per_token: whether each token's log-probability, entropy and rank are wanted, too.
    """

    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    source: tuple[int, ...] = ()
    per_token: bool = False

    @property
    def inputs(self) -> tuple[int, ...]:
        """Give the tokens that a decoder must run: none behind the last that predicts a wanted."""
        end = max((end for start, end in self.spans if start < end), default=len(self.ids) + 1)
        return self.ids[: max(1, end - 1)]


class Pack(NamedTuple):
    """Sequences as a forest, parents before children.

    Attributes:
        tokens: id of each node (n).
        parents: node before it, -1 for a first token (n).
        paths: for each target, the nodes of its inputs in order.
        members: number of each target in the list that was packed.
    """

    tokens: Ints
    parents: Ints
    paths: list[Ints]
    members: list[int]


def packs(targets: Sequence[Target], nodes: int) -> Iterator[Pack]:
    """Pack sequences; sorted, so that each shares the most with the one before it.

    Args:
        targets: in any order.
        nodes: most nodes of a pack; a longer sequence gets one of its own.
    """
    inputs = [target.inputs for target in targets]
    order = sorted(range(len(targets)), key=lambda number: inputs[number])
    rows = [inputs[number] for number in order]
    overlaps = [0, *(shared(*pair) for pair in pairwise(rows))]
    for start, stop in _slices([len(row) for row in rows], overlaps, nodes):
        yield _pack(rows[start:stop], [0, *overlaps[start + 1 : stop]], order[start:stop])


def _slices(sizes: Sequence[int], overlaps: Sequence[int], nodes: int) -> Iterator[tuple[int, int]]:
    """Cut sorted sequences into packs at least two thirds full, where the least is repeated.

    What a sequence shares with the one before it must be computed again behind a cut, so packs
    are cut between questions where there is room for it.

    Args:
        sizes: tokens of each sequence.
        overlaps: how many of them the one before it begins with, too.
        nodes: most nodes of a pack.
    """
    start = 0
    while start < len(sizes):
        full, stop, cut = sizes[start], start + 1, start + 1
        while stop < len(sizes) and full + sizes[stop] - overlaps[stop] <= nodes:
            full += sizes[stop] - overlaps[stop]
            stop += 1
            if stop == len(sizes) or 3 * full < 2 * nodes or overlaps[stop] <= overlaps[cut]:
                cut = stop
        yield start, cut
        start = cut


def _pack(rows: Sequence[tuple[int, ...]], overlaps: Sequence[int], members: list[int]) -> Pack:
    """Lay sorted sequences out as one forest."""
    tokens: list[int] = []
    parents: list[int] = []
    paths: list[list[int]] = []
    for ids, overlap in zip(rows, overlaps, strict=True):
        path = paths[-1][:overlap] if paths else []
        for token in ids[overlap:]:
            parents.append(path[-1] if path else -1)
            path.append(len(tokens))
            tokens.append(token)
        paths.append(path)
    arrays = [np.array(path, dtype=np.int64) for path in paths]
    return Pack(np.array(tokens), np.array(parents), arrays, members)


def common(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Give what all sequences begin with."""
    first, last = min(rows), max(rows)
    return first[: shared(first, last)]


def shared(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """Count the tokens with which both begin."""
    for place, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return place
    return min(len(a), len(b))


def depths(parents: Ints) -> Ints:
    """Give each node's position in its sequence, 0 for a first token (n)."""
    depth = np.zeros_like(parents)
    for node, parent in enumerate(parents):
        depth[node] = 0 if parent < 0 else depth[parent] + 1
    return depth


def readers(span: tuple[int, int]) -> range:
    """Give the positions whose output predicts a span's tokens: one before each."""
    return range(span[0] - 1, span[1] - 1)


def sums(values: TokenValues, targets: Sequence[Target]) -> list[list[Summed]]:
    """Cut runs of values into the spans they belong to.

    Args:
        values: of each wanted token, target by target, span by span; all but the log-probabilities
            are read only where a target asks for every token.
        targets: what was wanted.
    """
    results: list[list[Summed]] = []
    at = 0
    for target in targets:
        summed: list[Summed] = []
        for start, end in target.spans:
            part = slice(at, at + end - start)
            total = Summed(float(sum(values.logs[part])), end - start)
            if target.per_token:
                total = total._replace(
                    logs=tuple(values.logs[part]),
                    entropies=tuple(values.entropies[part]),
                    ranks=tuple(values.ranks[part]),
                )
            summed.append(total)
            at = part.stop
        results.append(summed)
    return results
