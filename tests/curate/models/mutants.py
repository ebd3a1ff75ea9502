"""Mistakes a scorer could make, to be put into it: proof that the comparison would notice."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from curate.models.students import cached_branches, packing, padded_batches, trees
from curate.models.students.cached_branches import CachedBranches
from curate.models.students.packed_rows import PackedRows

ROUTES: dict[str, type[PackedRows] | type[CachedBranches]] = {
    "packed": PackedRows,
    "cached": CachedBranches,
}


def shifted_from_branch(original: Callable[..., Any]) -> Callable[..., Any]:
    def depths(parents: Any) -> Any:
        found = original(parents).copy()
        jumps = [n for n, p in enumerate(parents) if p >= 0 and p != n - 1]
        if jumps:
            found[jumps[0] :] += 1
        return found

    return depths


def seeing_siblings(original: Callable[..., Any]) -> Callable[..., Any]:
    def blocks(parents: Any, size: int) -> Any:
        for block in original(parents, size):
            nodes = np.arange(block.stop)
            yield block._replace(keys=nodes, seen=nodes[None] <= nodes[block.start :, None])

    return blocks


def losing_a_context_token(original: Callable[..., Any]) -> Callable[..., Any]:
    def blocks(parents: Any, size: int) -> Any:
        for block in original(parents, size):
            seen = block.seen.copy()
            seen[3:, 1] = False
            yield block._replace(seen=seen)

    return blocks


def reading_the_token_before(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda span: range(original(span).start - 1, original(span).stop - 1)


def forgetting_the_stem(original: Callable[..., Any]) -> Callable[..., Any]:
    """Run a stem without its first token, so that all that follows stands one place too early."""
    return lambda route, stem: original(route, stem[1:])


def running_on_in_the_next_branch(original: Callable[..., Any]) -> Callable[..., Any]:
    """Put the first tokens of the branch before in front of each, as if it saw its sibling."""

    def pad(rows: Any) -> Any:
        ids, mask = original(rows)
        ids[1:, 0] = ids[:-1, 0]
        return ids, mask

    return pad


def losing_a_branch_token(original: Callable[..., Any]) -> Callable[..., Any]:
    def pad(rows: Any) -> Any:
        ids, mask = original(rows)
        mask[:, 0] = 0
        return ids, mask

    return pad


def not_masking_pads(original: Callable[..., Any]) -> Callable[..., Any]:
    def pad(rows: Any) -> Any:
        ids, mask = original(rows)
        return ids, np.ones_like(mask)

    return pad


def decodes(rows: Any) -> bool:
    """Tell rows for the decoder, which begin with the start token, from sources."""
    return rows[0][0] == 0


def dropping_the_start(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda rows: original([(*row[1:], 0) for row in rows] if decodes(rows) else rows)


def reading_on_in_the_next_source(original: Callable[..., Any]) -> Callable[..., Any]:
    def pad(rows: Any) -> Any:
        if decodes(rows):
            return original(rows)
        longest = max(map(len, rows))
        return original([(*row, *rows[n - 1])[:longest] for n, row in enumerate(rows)])

    return pad


def losing_a_source_token(original: Callable[..., Any]) -> Callable[..., Any]:
    def pad(rows: Any) -> Any:
        ids, mask = original(rows)
        if not decodes(rows):
            mask[:, 1] = 0
        return ids, mask

    return pad


class Mutant(NamedTuple):
    """A mistake: what of which module it puts something else in place of."""

    module: Any
    name: str
    mutate: Callable[[Callable[..., Any]], Callable[..., Any]]


# Packs hold no padding, and a causal model never sees what is padded on the right, so of the five
# mistakes an unmasked pad can only be made with an encoder.
MUTANTS = {
    ("packed", "position off by one"): Mutant(trees, "depths", shifted_from_branch),
    ("packed", "sibling visible"): Mutant(trees, "blocks", seeing_siblings),
    ("packed", "context token lost"): Mutant(trees, "blocks", losing_a_context_token),
    ("packed", "answer token off by one"): Mutant(packing, "readers", reading_the_token_before),
    ("cached", "position off by one"): Mutant(CachedBranches, "_past", forgetting_the_stem),
    ("cached", "sibling visible"): Mutant(cached_branches, "pad", running_on_in_the_next_branch),
    ("cached", "context token lost"): Mutant(cached_branches, "pad", losing_a_branch_token),
    ("cached", "answer token off by one"): Mutant(packing, "readers", reading_the_token_before),
    ("padded", "answer token off by one"): Mutant(packing, "readers", reading_the_token_before),
    ("encoder", "position off by one"): Mutant(padded_batches, "pad", dropping_the_start),
    ("encoder", "sibling visible"): Mutant(padded_batches, "pad", reading_on_in_the_next_source),
    ("encoder", "context token lost"): Mutant(padded_batches, "pad", losing_a_source_token),
    ("encoder", "answer token off by one"): Mutant(packing, "readers", reading_the_token_before),
    ("encoder", "unmasked pad"): Mutant(padded_batches, "pad", not_masking_pads),
}
