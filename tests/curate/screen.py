"""A terminal for tests: a pseudo-terminal that a command runs in, and what is seen on it.

Lines that are too long for a terminal made narrower are folded, as most terminals do.
"""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

_PART: Final = re.compile(
    r"\x1b\[(?P<numbers>[?0-9;]*)(?P<control>[A-Za-z])|\x1b(?P<other>.)|(?P<char>.)", re.DOTALL
)


class Screen:
    """Follows what is written to a terminal; rows that scrolled off the top are kept.

    Args:
        columns: of the terminal.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows: list[list[str]] = [[]]
        self.row = self.column = 0
        self.cursor = True
        self._hard = {0}
        self._left = ""

    def feed(self, text: str) -> None:
        text = self._left + text
        end = text.rfind("\x1b")
        whole = end < 0 or _PART.match(text, end) is not None
        self._left = "" if whole else text[end:]
        for part in _PART.finditer(text if whole else text[:end]):
            if (char := part["char"]) is not None:
                self._write(char)
            elif part["control"]:
                self._obey(part["control"], part["numbers"])

    def _write(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self._down()
            self._hard.add(self.row)
        elif char >= " ":
            if self.column == self.columns:
                self._down()
                self.column = 0
                self._hard.discard(self.row)
            line = self.rows[self.row]
            line.extend(" " * (self.column + 1 - len(line)))
            line[self.column] = char
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])

    def _obey(self, control: str, numbers: str) -> None:
        if control == "A":
            self.row = max(0, self.row - int(numbers or 1))
        elif control == "K":
            assert numbers == "2", numbers
            self.rows[self.row] = []
        elif control in "hl" and numbers == "?25":
            self.cursor = control == "h"
        else:
            assert control == "m", f"unknown {numbers}{control}"

    def resize(self, columns: int) -> None:
        """Fold lines anew; the cursor stays on its character."""
        rows: list[list[str]] = []
        hard: set[int] = set()
        place = 0, 0
        starts = [*sorted(self._hard), len(self.rows)]
        for start, end in pairwise(starts):
            line = [char for row in self.rows[start:end] for char in row]
            hard.add(len(rows))
            if start <= self.row < end:
                offset = sum(len(row) for row in self.rows[start : self.row]) + self.column
                # after a full row the cursor waits at its end
                down = max(offset - 1, 0) // columns
                place = len(rows) + down, offset - down * columns
            rows += [line[at : at + columns] for at in range(0, max(len(line), 1), columns)]
        self.rows, self._hard, self.columns = rows, hard, columns
        self.row, self.column = place

    def lines(self) -> list[str]:
        return ["".join(row).rstrip() for row in self.rows]

    def text(self) -> str:
        return "\n".join(self.lines()).rstrip()


class Terminal:
    """A command that runs in a terminal of its own.

    Args:
        command: what runs.
        folder: where.
        environment: of the command.
        columns: of the terminal.
        rows: of the terminal.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        columns: int = 100,
        rows: int = 40,
    ) -> None:
        self.screen = Screen(columns)
        self.seen: list[str] = []
        self.raw = b""
        self._rows = rows
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._ours, theirs = pty.openpty()
        self._set_size(columns)
        clear = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_INTERACTIVE"}
        environment = {k: v for k, v in environment.items() if k not in clear}
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],  # so that Ctrl-C reaches all of its processes
            cwd=folder,
            env={**environment, "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def resize(self, columns: int) -> None:
        self._set_size(columns)
        self.screen.resize(columns)

    def _set_size(self, columns: int) -> None:
        size = struct.pack("HHHH", self._rows, columns, 0, 0)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, size)

    def watch(self, until: Callable[[str], object], seconds: float = 30.0) -> str:
        """Read until the screen shows something; give what it shows then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self._read():
                break
            if until(self.screen.text()):
                return self.screen.text()
        raise AssertionError(f"not seen; the screen shows:\n{self.screen.text()}")

    def finish(self, seconds: float = 60.0) -> int:
        """Read to the end; give the exit status."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._read():
            pass
        return self.process.wait(timeout=5)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], 0.1)[0]:
            return self.process.poll() is None
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # the other end is closed
            return False
        self.raw += data
        self.screen.feed(self._decoder.decode(data))
        text = self.screen.text()
        if not self.seen or self.seen[-1] != text:
            self.seen.append(text)
        return bool(data)
