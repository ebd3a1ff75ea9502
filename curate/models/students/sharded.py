"""Scoring on several devices, a copy of the student on each.

Every copy has a process of its own: what a scorer does between two passes, laying out trees above
all, holds Python's lock, and eight devices would wait for it in one process.
"""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from curate.errors import ModelError
from curate.models.processes import end_with_parent, result_of
from curate.models.students.packing import Summed, Target
from curate.models.students.pairs import SpanScorer

if TYPE_CHECKING:
    from curate.models.students.scorer import Scorer


def open_student(folder: Path, dtype: str) -> SpanScorer:
    """Load a student on all devices there are.

    Args:
        folder: the student's.
        dtype: in which the network computes.

    Raises:
        ModelError: the folder's model can't be loaded.
    """
    names = devices()
    if len(names) > 1:
        return ShardedScorer(folder, dtype, names)
    from curate.models.students.scorer import load_scorer

    return load_scorer(folder, dtype)


def devices() -> list[str]:
    """Name the devices that torch finds, as CUDA_VISIBLE_DEVICES shows them; else the CPU."""
    import torch

    if not torch.cuda.is_available():
        return ["cpu"]
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


class ShardedScorer:
    """Scores on several devices at once; see `curate.models.students.scorer.Scorer`.

    Args:
        folder: the student's.
        dtype: in which the network computes.
        devices: of torch; one may stand twice, and then holds two copies.

    Attributes:
        context: the most tokens the student was made to read; None where it does not say.
        window: how many pairs are best given together.

    Raises:
        ModelError: the folder's model can't be loaded, or a process ended by itself.
    """

    def __init__(self, folder: Path, dtype: str, devices: Sequence[str]) -> None:
        spawn = multiprocessing.get_context("spawn")
        # One pool a device: a pool of several hands work to whichever is free.
        self._workers = [ProcessPoolExecutor(1, spawn, end_with_parent) for _ in devices]
        self._devices = devices
        facts: list[_Facts] = self._all([(_open, folder, dtype, device) for device in devices])
        self.context = facts[0].context
        self.window = sum(fact.window for fact in facts)

    def score(self, targets: Sequence[Target]) -> list[list[Summed]]:
        """Score every span of every target.

        Raises:
            ModelError: memory does not suffice for a single target, or a process ended by itself.
        """
        parts = [part for part in shares(targets, len(self._workers)) if part]
        scores: list[list[list[Summed]]] = self._all(
            [(_score, [targets[number] for number in part]) for part in parts]
        )
        results: list[list[Summed]] = [[] for _ in targets]
        for part, sums in zip(parts, scores, strict=True):
            for number, values in zip(part, sums, strict=True):
                results[number] = values
        return results

    def close(self) -> None:
        """Free all copies."""
        for worker in self._workers:
            worker.shutdown(cancel_futures=True)

    def _all(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Make one call in each of the first processes; give what they return."""
        futures = [worker.submit(*call) for worker, call in zip(self._workers, calls, strict=False)]
        try:
            return [result_of(future) for future in futures]
        except BrokenProcessPool as error:
            self.close()
            raise ModelError(
                f"a process that scored on one of {', '.join(self._devices)} ended by itself: for "
                "want of memory, or because the script that called `run` has no "
                "`if __name__ == '__main__':` around it. Scores made before are recorded; start "
                "again, with fewer devices in CUDA_VISIBLE_DEVICES if this one is too small"
            ) from error
        except BaseException:
            self.close()
            raise


def shares(targets: Sequence[Target], count: int) -> Iterator[list[int]]:
    """Deal targets into runs of about as many tokens; what begins alike stays together.

    Args:
        targets: in any order.
        count: of runs; some are empty where targets are few.
    """
    order = sorted(range(len(targets)), key=lambda number: targets[number].ids)
    behind = list(accumulate(len(targets[number].ids) for number in order))
    total = behind[-1] if behind else 0
    start = 0
    for share in range(1, count + 1):
        stop = start
        while stop < len(order) and behind[stop] * count <= total * share:
            stop += 1
        yield order[start:stop]
        start = stop


class _Facts(NamedTuple):
    """What the parent must know of a scorer in another process."""

    context: int | None
    window: int


_HERE: Final[list["Scorer"]] = []
"""The scorer of this process; empty in the parent's."""


def _open(folder: Path, dtype: str, device: str) -> _Facts:
    from curate.models.students.scorer import load_scorer

    scorer = load_scorer(folder, dtype, device)
    _HERE.append(scorer)
    return _Facts(scorer.context, scorer.window)


def _score(targets: list[Target]) -> list[list[Summed]]:
    return _HERE[0].score(targets)
