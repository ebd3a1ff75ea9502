"""How much memory a run holds, looked at every few seconds without ever keeping the run waiting."""

import contextlib
import shutil
import subprocess
import threading
from typing import Final

import psutil

EVERY_SECONDS: Final = 3.0
PATIENCE: Final = 5.0
"""Seconds that a driver gets to answer; one that hangs is not asked again."""
_QUERY: Final = ("--query-gpu=memory.used,memory.total", "--format=csv,noheader,nounits")
_MIB: Final = 2**20


class Memory:
    """Looks at memory from a thread of its own.

    Attributes:
        told: what was found last; empty until something was.
    """

    def __init__(self) -> None:
        self.told = ""
        self._asks_gpus = shutil.which("nvidia-smi")
        self._closed = threading.Event()
        # It is not waited for: it may hang in the driver.
        threading.Thread(target=self._watch, name="memory", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.is_set():
            self.told = ", ".join(filter(None, (f"memory {gigabytes(resident())}", self._gpus())))
            self._closed.wait(EVERY_SECONDS)

    def _gpus(self) -> str:
        """Say what is used of the GPUs; nothing where there is none or it can't be told."""
        if self._asks_gpus is None:
            return ""
        try:
            answer = subprocess.run(  # noqa: S603
                [self._asks_gpus, *_QUERY],
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=PATIENCE, check=True, start_new_session=True,
            )  # fmt: skip
            used, total = zip(*_pairs(answer.stdout), strict=True)
        except (OSError, ValueError, subprocess.SubprocessError):
            self._asks_gpus = None
            return ""
        name = "GPU" if len(used) == 1 else f"{len(used)} GPUs"
        return f"{name} {gigabytes(sum(used) * _MIB)} of {gigabytes(sum(total) * _MIB)}"


def _pairs(answer: str) -> list[tuple[int, int]]:
    """Read used and total, in MiB, of each GPU."""
    rows = [line.split(",") for line in answer.splitlines() if line.strip()]
    return [(int(used), int(total)) for used, total in rows]


def resident() -> int:
    """Add up what this process and its children hold in memory, in bytes."""
    here, total = psutil.Process(), 0
    with contextlib.suppress(psutil.Error):
        for process in (here, *here.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
    return total


def gigabytes(size: int) -> str:
    """Write a size in bytes."""
    return f"{size / 1e9:.1f} GB"
