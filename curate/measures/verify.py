"""Verify: does a LaTeX answer equal the gold? math-verify, in processes that may be killed.

math-verify asks sympy, and sympy can be asked for ``9^{9^{9^9}}``: it then hangs or takes all
memory, in C code that no signal interrupts. So sizes are limited first and the clock second, by
the parent, which kills a worker that is late; math-verify's own signal time-outs stay off. Two of
its readings are corrected before it sees the text: a percent sign is a unit, as for ``number``
(it calls 50, 50 % and 0.5 equal), and two exact numbers must be equal exactly (it compares
1/2004! and 1/2006! after rounding).
"""

import contextlib
import importlib
import importlib.metadata
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, ClassVar, Final, cast

import polars as pl

from curate.errors import BackendError
from curate.measures import verifier
from curate.measures.base import Item, MemoMeasure
from curate.measures.verifier import MAX_LENGTH, Outcome
from filters.answers import equal
from filters.answers.latex import latex_source
from filters.columns import GLOSSARY, Glossary

_TYPED: Final[Mapping[bool, Outcome]] = {True: "equal", False: "different"}
RECYCLE_AFTER: Final = 10_000
"""Items after which a worker is replaced: sympy's caches only grow."""


class Verify(MemoMeasure):
    """Writes ``verify_outcome`` for LaTeX golds, null for every other type.

    Args:
        workers: processes; a late one is killed and replaced.
        seconds: wall clock an item may take.
    """

    name: ClassVar[str] = "verify"
    version: ClassVar[int] = 3
    reads = ("answer", "gold", "gold_type")
    writes: Glossary = GLOSSARY.of("verify")

    def __init__(self, workers: int = 2, seconds: float = 10.0) -> None:
        self._count = workers
        self._seconds = seconds
        self.workers: list[Worker] = []

    def instrument(self) -> Mapping[str, Any]:
        """Identify the verifier; the time limit decides outcomes, so it belongs to it."""
        return {
            "libraries": {
                name: importlib.metadata.version(name)
                for name in ("math-verify", "latex2sympy2_extended", "sympy")
            },
            "seconds": self._seconds,
            "max_length": MAX_LENGTH,
        }

    def items(self, frame: pl.DataFrame) -> Sequence[Item]:
        """List the pairs that neither writing nor type decides."""
        return [
            Item(self.memo_key(gold, answer), (latex_source(gold), latex_source(answer)))
            for gold, answer in self._pairs(frame)
            if gold is not None and answer is not None and equal(answer, gold, "latex") is None
        ]

    def compute(self, items: Iterable[Item]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Verify every pair, in any order; starts the workers on first use."""
        waiting = iter(items)
        while True:
            self._feed(waiting)
            busy = [worker for worker in self.workers if worker.item]
            if not busy:
                return
            patience = min(worker.deadline for worker in busy) - time.monotonic()
            ready = wait([worker.pipe for worker in busy], timeout=max(0.0, patience))
            for worker in busy:
                outcome = worker.outcome(ready=worker.pipe in ready)
                if outcome and worker.item:
                    item, worker.item = worker.item, None
                    if not worker.fit:
                        self.workers.remove(worker)
                        worker.kill()
                    yield item.key, {"outcome": outcome}

    def assemble(
        self,
        frame: pl.DataFrame,
        values: Mapping[str, Mapping[str, Any]],
        facts: Mapping[str, Any],  # noqa: ARG002 - verifying has none
    ) -> pl.DataFrame:
        """Give every row its outcome: of the verifier, or of comparing by type, or null."""
        outcomes = [
            None
            if gold is None or answer is None
            else _TYPED[same]
            if (same := equal(answer, gold, "latex")) is not None
            else values[self.memo_key(gold, answer)]["outcome"]
            for gold, answer in self._pairs(frame)
        ]
        return pl.DataFrame({"verify_outcome": pl.Series(outcomes, dtype=pl.String)})

    def close(self) -> None:
        """End the workers."""
        while self.workers:
            self.workers.pop().kill()

    def _feed(self, waiting: Iterator[Item]) -> None:
        """Give every idle worker an item, starting workers as far as there is work."""
        for worker in [w for w in self.workers if not w.item and w.process.poll() is not None]:
            self.workers.remove(worker)
            worker.kill()
        idle = [worker for worker in self.workers if not worker.item]
        for item in waiting:
            worker = idle.pop() if idle else self._start()
            worker.give(item, self._seconds)
            if not idle and len(self.workers) >= self._count:
                return

    def _start(self) -> "Worker":
        """Start one more worker."""
        worker = Worker(self._seconds)
        self.workers.append(worker)
        return worker

    def _pairs(self, frame: pl.DataFrame) -> Iterator[tuple[str | None, str | None]]:
        """Give gold and answer of every row, nulls where there is nothing to verify."""
        columns = (frame[name].to_list() for name in ("gold", "answer", "gold_type"))
        for gold, answer, gold_type in zip(*columns, strict=True):
            yield (gold, answer) if gold_type == "latex" else (None, None)


class Worker:
    """One process, its pipe, and the item it is busy with."""

    def __init__(self, seconds: float) -> None:
        # No `multiprocessing.Process`: it would import the caller's script anew, which then runs
        # once more where nobody wrote `if __name__ == "__main__"`.
        pipe, theirs = multiprocessing.Pipe()
        self.pipe = cast("Connection[Any, Any]", pipe)
        self.process = subprocess.Popen(  # noqa: S603 - our own file, in our own Python
            [sys.executable, "-P", verifier.__file__, str(theirs.fileno()), str(int(seconds) + 60)],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        theirs.close()
        self.item: Item | None = None
        self.deadline = 0.0
        self.fit = True
        self._ready = False
        self._served = 0

    def give(self, item: Item, seconds: float) -> None:
        """Hand over an item; the clock runs from when the process has loaded its libraries."""
        if not self._ready:
            self._ready = self._loaded()
        self.item = item
        self.deadline = time.monotonic() + seconds
        with contextlib.suppress(BrokenPipeError):
            self.pipe.send(item.payload)

    def _loaded(self) -> bool:
        """Wait for the process to say that it has loaded its libraries."""
        try:
            return bool(self.pipe.recv())
        except EOFError as error:
            raise BackendError(
                "the process that verifies LaTeX ended while it loaded math-verify; try "
                '`python -c "import math_verify"` in this environment'
            ) from error

    def outcome(self, *, ready: bool) -> Outcome | None:
        """Take what came back: an outcome, or what a silent or dead process means, or nothing."""
        if ready:
            try:
                outcome = cast("Outcome", self.pipe.recv())
            except (EOFError, ConnectionResetError):
                # The process ended at its memory limit, of itself or in code that can't raise.
                self.fit = False
                return "too_large"
            self._served += 1
            self.fit = self._served < RECYCLE_AFTER
            return outcome
        if time.monotonic() < self.deadline:
            return None
        self.fit = False
        return "time_out"

    def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        self.pipe.close()
