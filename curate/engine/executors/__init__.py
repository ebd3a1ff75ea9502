"""Where work on shards runs: the same shards, the same results everywhere."""

from curate.engine.executors.base import Executor
from curate.engine.executors.local import InProcess, WorkerProcesses
from curate.recipe.model import Where

__all__ = ["Executor", "Where", "open_executor"]


def open_executor(where: Where, workers: int | None) -> Executor:
    """Give the executor a recipe's `runtime` asks for.

    Args:
        where: on this machine or on a Ray cluster.
        workers: shards at a time; None for one here, and for every core of a cluster.

    Raises:
        CurateError: the cluster is not to be had.
    """
    if where == "ray":
        from curate.engine.executors.ray import RayCluster

        return RayCluster(workers)
    return WorkerProcesses(workers) if workers and workers > 1 else InProcess()
