"""Where trainings run: one after the other here, a process for each GPU, or nodes of a cluster."""

import os
from typing import Final

from joblib import cpu_count

from curate.engine.executors.base import Executor
from curate.engine.executors.local import InProcess, WorkerProcesses
from curate.models.students.sharded import devices
from curate.recipe.model import Where

_SMALLER: Final = "train fewer at a time (`--set workers=1`), or in more `micro_batches`"
_VISIBLE: Final = "CUDA_VISIBLE_DEVICES"


def open_places(where: Where, workers: int | None) -> Executor:
    """Give the executor that carries trainings out.

    Args:
        where: on this machine or on a Ray cluster.
        workers: trainings at a time; None for one for each GPU, or one where there is none.

    Raises:
        CurateError: the cluster is not to be had.
    """
    if where == "ray":
        from curate.engine.executors.ray import RayCluster

        return RayCluster(workers, on_gpus=True)
    gpus = _gpus()
    count = workers or max(len(gpus), 1)
    if count == 1:
        return InProcess()
    cores = max(cpu_count(only_physical_cores=True) // count, 1)
    own = [
        {_VISIBLE: gpus[number % len(gpus)]} if gpus else {"OMP_NUM_THREADS": str(cores)}
        for number in range(count)
    ]
    return WorkerProcesses(count, own, _SMALLER)


def _gpus() -> list[str]:
    """Name the GPUs that this process sees, as a process of its own would be shown one."""
    count = len([name for name in devices() if name != "cpu"])
    shown = [name for name in os.environ.get(_VISIBLE, "").split(",") if name]
    return shown[:count] if shown else [str(number) for number in range(count)]
