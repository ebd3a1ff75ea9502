"""Worker processes that neither answer a terminal nor outlive the process that started them."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, wait
from typing import Final, TypeVar

T = TypeVar("T")

STEP: Final = 0.5
"""Seconds that Ctrl-C may go unseen while nothing else happens."""


def end_with_parent() -> None:
    """Leave when the parent does, however it went; the first thing that a spawned worker calls.

    A killed run must not hold on to a device, nor leave processes that wait for work for ever. A
    terminal's Ctrl-C is the parent's to answer.
    """

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()


def result_of(future: "Future[T]") -> T:
    """Wait for a worker's result, in steps: Ctrl-C is seen between two of them.

    Polars answers SIGINT itself and then has the system go on with a wait that it interrupted, so
    that one without end would not notice it.
    """
    while not wait([future], STEP).done:
        pass
    return future.result()
