"""Run shards in this process, or in worker processes on this machine."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from curate.engine.executors.base import Result, Task


class InProcess:
    """One shard after the other, here: the default, and what tests read best."""

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Call the function on each task in turn."""
        return map(function, tasks)

    def close(self) -> None:
        """Nothing to end."""


class WorkerProcesses:
    """Several shards at a time in spawned processes.

    Args:
        workers: number of processes. They start with the first call.
    """

    def __init__(self, workers: int) -> None:
        # spawn, not fork: polars' threads do not survive a fork
        spawn = multiprocessing.get_context("spawn")
        # A terminal sends Ctrl-C to all processes of a run; only the first of them answers.
        ignore = signal.SIGINT, signal.SIG_IGN
        self._pool = ProcessPoolExecutor(workers, spawn, signal.signal, ignore)

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Hand the tasks to the workers; results come in the tasks' order."""
        return self._pool.map(function, tasks)

    def close(self) -> None:
        """End the workers."""
        self._pool.shutdown(cancel_futures=True)
