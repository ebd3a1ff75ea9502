"""Run shards on a Ray cluster: the one that ``RAY_ADDRESS`` names, that runs here, or a new one.

Shards are handed over by path, not by value, so the nodes must share the file system that holds
the store. That keeps memory bounded everywhere and lets a shard that one node judged be found by
all; what was given up is a cluster without shared storage.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from curate.engine.executors.base import Result, Task
from curate.errors import BackendError, InputError


class RayCluster:
    """Several shards at a time, on whatever node is free.

    A task whose worker died is tried again by Ray; one that raised is not.

    Args:
        workers: most shards at a time; None for as many as the cluster has cores, or GPUs where
            each has one.
        on_gpus: whether each has a GPU for itself, where the cluster has any.

    Raises:
        InputError: Ray is not installed.
        BackendError: the cluster cannot be reached.
    """

    def __init__(self, workers: int | None, *, on_gpus: bool = False) -> None:
        try:
            import ray
        except ImportError as error:
            raise InputError(
                f"Ray cannot be imported ({error}); install curate-rationales[ray], or leave "
                "runtime.executor at local",
                "runtime.executor",
            ) from error
        self._ray: Any = ray
        self._ours = not self._ray.is_initialized()
        if self._ours:
            try:
                self._ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise BackendError(
                    f"no Ray cluster could be reached or started: {error}; check RAY_ADDRESS and "
                    "`ray status`"
                ) from error
        resources = self._ray.cluster_resources()
        self._gpus = 1 if on_gpus and resources.get("GPU") else 0
        self._workers = workers or max(1, int(resources.get("GPU" if self._gpus else "CPU", 1)))

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Hand the tasks to the cluster; results come in the tasks' order.

        Raises:
            BackendError: a node cannot see the store, or its worker died again and again.
        """
        remote = self._ray.remote(num_gpus=self._gpus)(function)
        running: deque[Any] = deque()
        for task in tasks:
            if len(running) == self._workers:
                yield self._get(running.popleft())
            running.append(remote.remote(task))
        while running:
            yield self._get(running.popleft())

    def close(self) -> None:
        """Leave the cluster; end it if it was started here."""
        if self._ours:
            self._ray.shutdown()

    def _get(self, reference: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            # Ray's error is of the task's own class too, but prints the worker's whole story.
            cause = error.cause
            if isinstance(cause, FileNotFoundError):
                raise BackendError(
                    f"a Ray worker found no {cause.filename!r}; its node must see the same store: "
                    "set CURATE_STORE to a folder that all nodes share"
                ) from error
            raise cause from error
        except errors.RayError as error:
            raise BackendError(
                f"Ray lost a worker: {str(error).splitlines()[0]}; what was judged is kept, so a "
                "new run goes on from there"
            ) from error
