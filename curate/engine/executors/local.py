"""Run shards in this process, or in worker processes on this machine."""

import logging
import multiprocessing
import os
import pickle
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue
from typing import Final

from curate.engine.executors.base import Result, Task
from curate.errors import BackendError
from curate.models.processes import end_with_parent, result_of

_TYPED_IN: Final = (
    "they find no filter or measure that was typed into a notebook or a shell: put it into a file "
    "and import it, or leave runtime.workers out"
)


class InProcess:
    """One shard after the other, here: the default, and what tests read best."""

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Call the function on each task in turn."""
        return map(function, tasks)

    def close(self) -> None:
        """Nothing to end."""


def _begin(environments: "Queue[Mapping[str, str]]") -> None:
    """Have a worker leave to the run's own process what is that one's to say and to answer."""
    end_with_parent()
    os.environ.update(environments.get())
    # Plug-ins that can't be used were told of when the run began.
    logging.getLogger("filters.registry").setLevel(logging.ERROR)


class WorkerProcesses:
    """Several shards at a time in spawned processes.

    Args:
        workers: number of processes. They start with the first call.
        environments: variables of each, such as the device that is its own.
        smaller: how less memory is taken, a clause for who ran out of it.
    """

    def __init__(
        self,
        workers: int,
        environments: Sequence[Mapping[str, str]] = (),
        smaller: str = "lower runtime.questions_per_shard",
    ) -> None:
        # spawn, not fork: polars' threads do not survive a fork
        spawn = multiprocessing.get_context("spawn")
        queue: Queue[Mapping[str, str]] = spawn.Queue()
        for number in range(workers):
            queue.put(environments[number] if environments else {})
        self._pool = ProcessPoolExecutor(workers, spawn, _begin, (queue,))
        self._smaller = smaller

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Hand the tasks to the workers; results come in the tasks' order.

        Raises:
            BackendError: a task can't be handed over, or a worker ended before its work was done.
        """
        try:
            for task in tasks[:1]:
                pickle.dumps(task)
        except Exception as error:
            raise BackendError(
                f"worker processes can't be given this work ({error}); {_TYPED_IN}"
            ) from error
        futures: deque[Future[Result]] = deque()
        try:
            futures.extend(self._pool.submit(function, task) for task in tasks)
            while futures:
                yield result_of(futures.popleft())
        except BrokenProcessPool as error:
            raise BackendError(
                f"a worker process ended before its work was done; {_TYPED_IN}. Where nothing was "
                f"typed in, memory may have run out: {self._smaller}"
            ) from error
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """End the workers."""
        self._pool.shutdown(cancel_futures=True)
