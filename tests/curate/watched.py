"""The command line called in this process, and watched as a user would watch it.

What it prints goes through the same streams as in a terminal, so that a text which can't be
encoded fails here too. A call may take ten seconds of this process's own time and a minute by the
clock; whoever takes longer is thrown out, and that is a hang.
"""

import io
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from unittest.mock import patch

from curate import cli

BUSY = 10.0
"""Seconds of processor time that a call may take."""
SILENT = 60.0
"""Seconds by the clock that it may take."""
ROOM = 4 * 2**30
"""Bytes that it may add to what the process has."""
LONGEST = 1100
"""Characters of a line of a message."""
MOST_LINES = 25

Files = Mapping[str, tuple[int, int]]


class Hang(BaseException):
    """Thrown into a call that goes on for too long; no `except Exception` holds it up."""


@dataclass(frozen=True)
class Call:
    """What a call left.

    Attributes:
        code: exit status; None where it ended in a traceback.
        out: what it printed.
        err: what it printed on standard error.
        trace: the traceback.
        seconds: of processor time.
        changed: files that are there and were not, were and are not, or have changed.
    """

    code: int | None
    out: str
    err: str
    trace: str
    seconds: float
    changed: list[str]


def call(folder: Path, *arguments: str) -> Call:
    """Call ``curate`` in this process.

    Args:
        folder: where everything lies that it may write to.
        arguments: of the command line.
    """
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", "strict", write_through=True)
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True)
    before, begun = files_in(folder), time.process_time()
    code, trace = None, ""
    try:
        with (
            patch.object(sys, "argv", ["curate", *arguments]),
            redirect_stdout(out),
            redirect_stderr(err),
            _bounded(),
        ):
            cli.main()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
    except BaseException:  # noqa: BLE001 - whatever comes through is what is looked for
        trace = traceback.format_exc()
    after = files_in(folder)
    changed = sorted(p for p in {*before, *after} if before.get(p) != after.get(p))
    said, complained = (stream.buffer.getvalue().decode() for stream in (out, err))
    return Call(code, said, complained, trace, time.process_time() - begun, changed)


def faults_of(done: Call) -> list[str]:
    """Say in what a call was not as every call must be, whatever it was given."""
    faults: list[str] = []
    if done.code not in {0, 1, 2}:
        faults.append(f"ended with {done.code}\n{done.trace}")
    if "Traceback" in done.err:
        faults.append(f"printed a traceback\n{done.err}")
    messages = re.findall(r"^(?:error|Usage): .*", done.err, re.MULTILINE)
    if done.code in {1, 2} and len(messages) != 1:
        faults.append(f"{len(messages)} messages for exit {done.code}: {done.err[-2000:]!r}")
    if done.code == 0 and messages:
        faults.append(f"exit 0 with {messages}")
    said = done.err[done.err.rfind("error: ") :] if messages else ""
    lines = said.splitlines()
    if len(lines) > MOST_LINES or any(len(line) > LONGEST for line in lines):
        faults.append(f"a message of {len(lines)} lines, {len(said)} characters: {said[:3000]!r}")
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", said):
        faults.append(f"a message with controls: {said!r}")
    if done.code == 2 and done.changed:
        faults.append(f"refused, and changed {done.changed[:8]}: {said[:300]!r}")
    return faults


def files_in(folder: Path) -> Files:
    """Give size and time of everything below a folder."""
    entries: dict[str, tuple[int, int]] = {}
    waiting = [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as inside:
            for entry in inside:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    entries[entry.path] = 0, 0
                else:
                    state = entry.stat(follow_symlinks=False)
                    entries[entry.path] = state.st_size, state.st_mtime_ns
    return entries


@contextmanager
def _bounded() -> Iterator[None]:
    """Bound time and memory of what is done inside."""

    def throw(number: int, _: FrameType | None) -> None:
        raise Hang(signal.Signals(number).name)

    timers = {
        signal.SIGPROF: (signal.ITIMER_PROF, BUSY),
        signal.SIGALRM: (signal.ITIMER_REAL, SILENT),
    }
    handlers = {number: signal.signal(number, throw) for number in timers}
    handlers[signal.SIGINT] = signal.getsignal(signal.SIGINT)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    try:
        for timer, seconds in timers.values():
            signal.setitimer(timer, seconds)
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, hard))
        yield
    finally:
        for timer, _ in timers.values():
            signal.setitimer(timer, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        for number, handler in handlers.items():
            signal.signal(number, handler)
