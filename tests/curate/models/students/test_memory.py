"""Freed memory is kept while it is wanted, and given back after."""

import resource

import numpy as np
import psutil
import pytest

from curate.models.students import memory as heap

# Elsewhere there is nothing to test: both functions do nothing. CI lets nothing skip.
pytestmark = pytest.mark.skipif(heap._function("mallopt") is None, reason="mallopt is glibc's")
BLOCK = 48 << 20
"""Bytes of a block that glibc would map by itself."""


def faults(rounds: int = 10) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        np.ones(BLOCK, dtype=np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_kept_blocks_are_not_mapped_anew_and_are_given_back() -> None:
    heap.as_usual()
    as_usual = faults()
    heap.keep_freed()
    try:
        faults(1)
        assert faults() * 10 < as_usual
        held = psutil.Process().memory_info().rss
    finally:
        heap.give_back()
    assert psutil.Process().memory_info().rss < held - BLOCK // 2
    assert faults() * 2 > as_usual
