"""Where work on shards runs: the same shards, the same results everywhere."""

from typing import TYPE_CHECKING

from curate.engine.executors.base import Executor
from curate.engine.executors.local import InProcess, WorkerProcesses

if TYPE_CHECKING:
    from curate.recipe.model import Where  # a worker begins with this package

__all__ = ["Executor", "open_executor"]


def open_executor(where: "Where", workers: int | None) -> Executor:
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
