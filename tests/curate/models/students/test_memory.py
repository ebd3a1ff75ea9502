"""Freed memory is kept while it is wanted, and given back after.

The allocator is asked where blocks lie, and the kernel for what is ours whether in memory or
swapped out: page faults and resident memory alone change with what else runs on a machine.
"""

import ctypes
from typing import Any

import numpy as np
import psutil
import pytest

from curate.models.students import memory as heap

BLOCK = 48 << 20
"""Bytes of a block that glibc would map by itself."""


class Account(ctypes.Structure):
    """What glibc's ``mallinfo2`` gives."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
                     "uordblks", "fordblks", "keepcost")
    ]  # fmt: skip


def account() -> Any:
    function: Any = heap._function("mallinfo2")
    function.restype = Account
    return function()


# Elsewhere there is nothing to test: the functions do nothing. CI lets nothing skip.
pytestmark = pytest.mark.skipif(heap._function("mallinfo2") is None, reason="glibc's alone")


def is_mapped() -> bool:
    """Tell whether a large block is mapped by itself, and so cleared by the kernel every time."""
    before = account().hblkhd
    block = np.ones(BLOCK, dtype=np.uint8)
    mapped = account().hblkhd - before
    del block
    return mapped >= BLOCK


def ours() -> int:
    """Give the bytes that this process has of the machine."""
    memory = psutil.Process().memory_full_info()
    return memory.rss + memory.swap


def test_kept_blocks_are_not_mapped_anew_and_are_given_back() -> None:
    heap.as_usual()
    assert is_mapped()
    heap.keep_freed()
    try:
        assert not is_mapped()
        assert account().fordblks > BLOCK
        assert not is_mapped()
        held = ours()
    finally:
        heap.give_back()
    assert ours() < held - BLOCK // 2
    assert is_mapped()
