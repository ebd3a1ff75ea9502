"""Scratch folders that no killed run leaves for long: the next start removes those without owner.

The owner holds a lock file beside its folder for as long as it lives, whatever ends it. A lock that
can be taken has therefore no owner any more, on this machine or on another that shares the store.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def scratch(place: Path) -> Generator[Path]:
    """Give a folder that is gone afterwards, and remove those whose owner is gone.

    Args:
        place: where all scratch folders are; made where it is missing, and then gone with them.
    """
    made = [parent for parent in (place, *place.parents) if not parent.exists()]
    place.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(place)
    folder, lock = _owned(place)
    try:
        folder.mkdir()
        yield folder
    finally:
        _remove(folder, lock)
        with suppress(OSError):  # somebody else has put something there
            for parent in made:
                parent.rmdir()


def _owned(place: Path) -> tuple[Path, IO[bytes]]:
    """Name a folder that is to be made, and lock it."""
    while True:
        folder = place / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        path = _lock_of(folder)
        lock = path.open("wb")
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return folder, lock
        lock.close()  # another process took it for abandoned before it was locked


def _remove_abandoned(place: Path) -> None:
    for path in place.glob("*.lock"):
        try:
            lock = path.open("r+b")
        except OSError:  # it is gone by now, or no file
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # of a run that lives
            lock.close()
            continue
        _remove(path.with_suffix(""), lock)


def _remove(folder: Path, lock: IO[bytes]) -> None:
    """Remove a folder, and its lock last."""
    with lock:
        shutil.rmtree(folder, ignore_errors=True)
        _lock_of(folder).unlink(missing_ok=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
