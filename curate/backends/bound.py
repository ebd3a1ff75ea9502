"""Bind vLLM's engine processes to ours, so that none outlives a killed run.

vLLM leaves its engine running, with all its memory, when the process that started it gets SIGKILL
(vllm #55510). Two measures against it, both of which need code inside the engine's processes;
vLLM calls `bind_to_parent` there through the entry point group ``vllm.general_plugins``:

* the kernel is asked for SIGKILL when the parent dies (``PR_SET_PDEATHSIG``). The kernel means the
  *thread* that started the process, so an engine must be started in a thread that lives as long as
  it does, and a process that comes too late to be told finds its owner gone and leaves;
* each process writes itself into a lock file beside the owner's id, by which the next run ends
  what is still there: `end_orphans`. Process ids are reused, so start times are compared too.
"""

import contextlib
import ctypes
import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Final, NamedTuple

import psutil

LOCK: Final = "CURATE_ENGINE_OWNER"
"""Path of the lock file, whose first line names the owner; only set while an engine starts."""
LOG: Final = "CURATE_ENGINE_LOG"
"""File that takes what an engine process prints."""

_PR_SET_PDEATHSIG: Final = 1
_CLOCK_SLACK: Final = 2.0
"""Seconds by which the start time of one process may read differently (adjusted clocks)."""


class _Process(NamedTuple):
    """A process as a line of the lock file: id and start time in seconds since the epoch."""

    pid: int
    started: float

    @classmethod
    def parse(cls, line: str) -> "_Process":
        pid, started = line.split()
        return cls(int(pid), float(started))

    @classmethod
    def of(cls, process: psutil.Process) -> "_Process":
        return cls(process.pid, process.create_time())

    def line(self) -> str:
        return f"{self.pid} {self.started:.2f}\n"

    def is_same(self, process: psutil.Process) -> bool:
        return process.pid == self.pid and abs(process.create_time() - self.started) < _CLOCK_SLACK

    def alive(self) -> psutil.Process | None:
        """Find the process, unless it ended or only waits to be reaped."""
        try:
            process = psutil.Process(self.pid)
            dead = process.status() == psutil.STATUS_ZOMBIE
            return process if self.is_same(process) and not dead else None
        except psutil.NoSuchProcess:
            return None


def bind_to_parent() -> None:
    """Bind this process to the owner that the environment names; called by vLLM's plug-in loader.

    Does nothing in the owner itself and where an engine was started by someone else. Otherwise the
    process enters itself in the lock file and sends what it prints to the log, or ends at once
    because its owner is gone.
    """
    path = os.environ.get(LOCK)
    if not path:
        return
    me = psutil.Process()
    try:
        owner = _read(Path(path))[0]
    except (OSError, IndexError, ValueError):
        os._exit(1)
    if owner.is_same(me):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Asked only after the kernel was told: a parent that died before that sends no signal.
    if not any(owner.is_same(ancestor) for ancestor in me.parents()):
        os._exit(1)
    with Path(path).open("a", encoding="utf-8") as lock:
        lock.write(_Process.of(me).line())
    if log := os.environ.get(LOG):
        _print_into(Path(log))


@contextlib.contextmanager
def owning(folder: Path) -> Generator[Path]:
    """Make engine processes started inside this block ours.

    Args:
        folder: where the lock file goes; made where it is missing.

    Yields:
        The lock file, to be removed by `release` once the engine has ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    me = _Process.of(psutil.Process())
    lock = folder / f"engine-{me.pid}.lock"
    lock.write_text(me.line(), encoding="utf-8")
    os.environ[LOCK] = str(lock.resolve())
    os.environ[LOG] = str((folder / "engine.log").resolve())
    try:
        yield lock
    finally:
        del os.environ[LOCK], os.environ[LOG]


def end_orphans(folder: Path) -> list[int]:
    """End engine processes whose owner is gone, as the lock files of this folder name them.

    Returns:
        The ids of the processes that had to be ended.
    """
    ended: list[int] = []
    for lock in sorted(folder.glob("engine-*.lock")):
        try:
            owner, *engines = _read(lock)
        except (OSError, ValueError):
            continue
        if owner.alive():
            continue
        ended += _end(engines)
        lock.unlink(missing_ok=True)
    return ended


def release(lock: Path) -> None:
    """End what is left of our own engine and remove its lock."""
    if lock.exists():
        _end(_read(lock)[1:])
        lock.unlink(missing_ok=True)


def _read(lock: Path) -> list[_Process]:
    return [_Process.parse(line) for line in lock.read_text(encoding="utf-8").splitlines()]


def _end(engines: list[_Process]) -> list[int]:
    alive = [process for process in (engine.alive() for engine in engines) if process]
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=10)
    return [process.pid for process in alive]


def _print_into(log: Path) -> None:
    """Send this process's own output, that of C libraries included, to the log."""
    with log.open("a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
