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


class _Process(NamedTuple):
    """A process as a line of the lock file: its id, and what tells it from a later namesake."""

    pid: int
    started: str

    @classmethod
    def parse(cls, line: str) -> "_Process":
        pid, started = line.split()
        return cls(int(pid), started)

    @classmethod
    def of(cls, pid: int) -> "_Process":
        return cls(pid, _started(pid))

    def line(self) -> str:
        return f"{self.pid} {self.started}\n"

    def alive(self) -> psutil.Process | None:
        """Find the process, unless it ended or only waits to be reaped."""
        try:
            process = psutil.Process(self.pid)
            dead = process.status() == psutil.STATUS_ZOMBIE
            return None if dead or _Process.of(self.pid) != self else process
        except (psutil.NoSuchProcess, OSError):
            return None


def _started(pid: int) -> str:
    """Tell when a process began, in a form that no adjusted clock changes (proc(5), starttime)."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return f"{psutil.Process(pid).create_time():.2f}"
    return stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]


def bind_to_parent() -> None:
    """Bind this process to the owner that the environment names; called by vLLM's plug-in loader.

    Does nothing in the owner itself and where an engine was started by someone else. Otherwise the
    process enters itself in the lock file and sends what it prints to the log, or ends at once
    because its owner is gone.
    """
    path = os.environ.get(LOCK)
    if not path:
        return
    try:
        owner = _read(Path(path))[0]
    except (OSError, IndexError, ValueError):
        os._exit(1)
    if owner.pid == os.getpid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Asked only after the kernel was told: a parent that died before that sends no signal.
    ancestors = {ancestor.pid for ancestor in psutil.Process().parents()}
    if owner.pid not in ancestors or not owner.alive():
        os._exit(1)
    with Path(path).open("a", encoding="utf-8") as lock:
        lock.write(_Process.of(os.getpid()).line())
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
    me = _Process.of(os.getpid())
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
