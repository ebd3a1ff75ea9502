"""Servers in processes of their own, so that they outlive a client that a test kills."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running(module: str, *arguments: str, cpu: int | None = None) -> Iterator[str]:
    """Run a server and give what it prints as its first line, its base url.

    Args:
        module: as ``python -m`` takes it.
        arguments: of its command line.
        cpu: the one core it may use.
    """
    bound = ["taskset", "-c", str(cpu)] if cpu is not None else []
    process = subprocess.Popen(
        [*bound, sys.executable, "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
