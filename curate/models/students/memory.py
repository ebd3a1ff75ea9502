"""Keeping freed memory while a model computes on a CPU.

A network asks for the same few large blocks again and again. By default glibc maps each one anew
and gives it back at once, and the kernel clears every page of it each time: 34,000 page faults a
pair, and a fifth of the time of scoring a model of 0.5B on two cores. Kept in the heap, the blocks
are there already.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, Final, cast

_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_MMAP_THRESHOLD: Final = -3
_MAPPED_BLOCKS: Final = -4
"""Numbers of mallopt's parameters, from glibc's malloc.h."""
_KEEP: Final = {_MAPPED_BLOCKS: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 << 20}
# Thresholds that were set are no longer adjusted; these are what glibc adjusts them to by itself
# once large blocks were freed.
_USUAL: Final = {
    _MAPPED_BLOCKS: 65_536,
    _MMAP_THRESHOLD: 32 << 20,
    _TRIM_THRESHOLD: 64 << 20,
    _TOP_PAD: 128 << 10,
}


def keep_freed() -> None:
    """Keep what is freed from now on; does nothing where the C library is not glibc."""
    _set(_KEEP)


def as_usual() -> None:
    """Return to the usual way with what is freed from now on."""
    _set(_USUAL)


def give_back() -> None:
    """Return to the usual way, and give the system what is free now."""
    as_usual()
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _set(values: dict[int, int]) -> None:
    mallopt = _function("mallopt")
    if mallopt is not None:
        for parameter, value in values.items():
            mallopt(parameter, value)


@cache
def _function(name: str) -> Callable[..., int] | None:
    """Find a function of the C library; None where it has none of that name."""
    library: Any = ctypes.CDLL(None)
    return cast("Callable[..., int] | None", getattr(library, name, None))
