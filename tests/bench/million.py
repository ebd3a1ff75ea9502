"""Import a million made rows and select from them: rows a second and peak memory.

    python -m tests.bench.million [ROWS]

Questions are sums over made names and numbers, four rationales each, one in three wrong, order
shuffled by a seeded generator. The run is a process of its own; memory is the resident size of it
and all its children, sampled ten times a second.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

NAMES = ("Ada", "Bo", "Chen", "Dara", "Eno", "Fay", "Gus", "Hana", "Ivo", "Jun", "Kai", "Lou")
THINGS = ("apples", "coins", "stamps", "shells", "beads", "cards", "pens", "nails")
RECIPE = """
name: million
questions: {path: pool.jsonl, columns: {question: question, gold: answer}, gold: {type: number}}
sources:
  - use: import
    name: pool
    path: pool.jsonl
    columns: {question: question, completion: rationale}
filters:
  - use: completeness
  - {use: length, unit: words, min: 5, max: 200}
  - use: correctness
select: {budget: {rows: 100000}, per_question: 2, order_by: [rationale_words], seed: 17}
arms: [random]
"""


def write_pool(path: Path, rows: int) -> None:
    """Write the rows in one pass."""
    draw = random.Random(17)
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows // 4):
            name, other, thing = draw.choice(NAMES), draw.choice(NAMES), draw.choice(THINGS)
            a, b, c = draw.randrange(10, 10_000), draw.randrange(10, 10_000), draw.randrange(2, 90)
            question = (
                f"{name} has {a} {thing} in box {number}, {other} brings {b} more and they pack "
                f"{c} of them away. How many {thing} are left?"
            )
            right = a + b - c
            for way in range(4):
                wrong = draw.random() < 1 / 3
                value = right + draw.randrange(1, 50) if wrong else right
                first = f"{a} + {b} = {a + b}" if way % 2 else f"{b} + {a} = {a + b}"
                text = (
                    f"At first there are {a} {thing}. {other} brings {b}, which makes {first}. "
                    f"After packing {c} away there are {a + b} - {c} = {value} {thing} left. "
                    f"The answer is {value}"
                )
                row = {"question": question, "answer": str(right), "rationale": text}
                file.write(json.dumps(row) + "\n")


def main(rows: int) -> None:
    """Make the pool, run, print one line of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_pool(folder / "pool.jsonl", rows)
        (folder / "recipe.yaml").write_text(RECIPE)
        size = (folder / "pool.jsonl").stat().st_size / 1e6
        for attempt in ("first run", "run again"):
            seconds, peak = watch(folder)
            print(
                f"| {rows:,} rows, {size:.0f} MB, {attempt} | {seconds:.0f} s | "
                f"{rows / seconds:,.0f} rows/s | {peak:.2f} GB |"
            )


def watch(folder: Path) -> tuple[float, float]:
    """Run the recipe; give its wall time and the peak memory of its process tree in GB."""
    command = [sys.executable, "-m", "curate", "run", "recipe.yaml"]
    environment = {**os.environ, "CURATE_STORE": str(folder / "store")}
    started = time.monotonic()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    tree, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            members = [tree, *tree.children(recursive=True)]
            peak = max(peak, sum(member.memory_info().rss for member in members))
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.1)
    seconds = time.monotonic() - started
    if process.returncode:
        sys.exit((folder / "log").read_text())
    return seconds, peak / 1e9


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
