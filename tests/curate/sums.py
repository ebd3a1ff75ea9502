"""Sums for questions and a recipe that samples a teacher on them, for tests of whole runs."""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

STORE = "store"


def write_questions(folder: Path, count: int) -> None:
    """Write questions of two numbers, every third of three, whose answers the server finds."""
    lines: list[str] = []
    for number in range(count):
        a, b, c = 20 + number, 3 + number % 7, 200 + number
        if number % 3:
            asked, total = f"Ann has {a} nuts and finds {b}. How many nuts has she?", a + b
        else:
            asked, total = (
                f"A box holds {a} red, {b} blue and {c} green beads. How many?",
                a + b + c,
            )
        lines.append(json.dumps({"question": asked, "answer": str(total)}) + "\n")
    (folder / "questions.jsonl").write_text("".join(lines))


def source(name: str = "teacher", **given: Any) -> dict[str, Any]:
    """Describe a generating source; two samples a question unless told otherwise."""
    return {"use": "generate", "name": name, "model": f"tiny-{name}", "samples": 2} | given


def write_recipe(
    folder: Path, url: str, sources: Sequence[Mapping[str, Any]], **reached: Any
) -> Path:
    """Write a recipe whose every source is reached at a url."""
    options = {"backend": "openai", "url": url, "in_flight": 8} | reached
    recipe = {
        "name": "sums",
        "questions": {"path": "questions.jsonl", "gold": {"type": "number"}},
        "sources": [dict(one) for one in sources],
        "filters": [{"use": "completeness"}, {"use": "correctness"}],
        "select": {"per_question": 2},
        "runtime": {"sources": {one["name"]: options for one in sources}},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


def command(*arguments: str) -> list[str]:
    """Give the command line of ``curate``."""
    return [sys.executable, "-m", "curate", *arguments]


def environment(folder: Path) -> dict[str, str]:
    """Give a process its own store inside a folder."""
    return {**os.environ, "CURATE_STORE": str(folder / STORE), "COLUMNS": "200"}


def curate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )


def recorded(folder: Path, kind: str = "samples") -> dict[str, dict[str, Any]]:
    """Read the record from its files alone: every entry whose line is whole and undamaged."""
    newest: dict[str, tuple[int, dict[str, Any]]] = {}
    for path in (folder / STORE / "record" / kind).glob("*/*.log"):
        for line in path.read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n") or int(line[:8], 16) != zlib.crc32(line[9:-1]):
                continue
            key, revision, value = line[9:-1].split(b" ", 2)
            known = newest.get(key.decode())
            if known is None or int(revision) > known[0]:
                newest[key.decode()] = int(revision), json.loads(value)
    return {key: value for key, (_, value) in newest.items()}
