"""Run folders: where a run goes, which one is the latest, and what one sample went through.

``runs/<name>/<n>-<key8>/`` never changes once it is there; ``runs/<name>/latest`` names the last
finished one and is written last, so whoever follows it finds a whole run.
"""

import re
import uuid
from pathlib import Path

from curate.errors import InputError

_RUN = re.compile(r"(\d+)-[0-9a-f]{8}")


def next_folder(name: str, key: str, runs: Path) -> Path:
    """Name the folder of the next run of a recipe: a running number and the run's identity."""
    numbers = [
        int(match[1]) for path in (runs / name).glob("*-*") if (match := _RUN.fullmatch(path.name))
    ]
    return runs / name / f"{max(numbers, default=0) + 1:03d}-{key[:8]}"


def mark_latest(folder: Path) -> None:
    """Let ``latest`` name a finished run."""
    scratch = folder.parent / f".latest-{uuid.uuid4().hex}"
    scratch.write_text(f"{folder.name}\n", encoding="utf-8")
    scratch.rename(folder.parent / "latest")


def is_run(reference: Path) -> bool:
    """Tell whether `find_run` finds one there."""
    return (reference / "run.json").is_file() or (reference / "latest").is_file()


def find_run(reference: Path) -> Path:
    """Find a finished run.

    Args:
        reference: a run folder, or ``runs/<name>``, whose latest run is meant.

    Raises:
        InputError: there is none.
    """
    if (reference / "run.json").is_file():
        return reference
    latest = reference / "latest"
    if latest.is_file():
        return reference / latest.read_text(encoding="utf-8").strip()
    known = sorted(str(path.parent) for path in Path("runs").glob("*/latest"))
    there = f"there are {', '.join(known)}" if known else "no run was finished here yet"
    raise InputError(f"no finished run at {str(reference)!r}; {there}")
