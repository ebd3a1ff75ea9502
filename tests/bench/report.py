"""Write the report of 100,000 rows: seconds, peak memory, size.

    python -m tests.bench.report RUN [ROWS [SCORES]]

The audit of a finished run is taken as often as it takes, every copy with ids of its own, so texts,
scores and verdicts are real ones; more scores than the run has are made up. The report is written
by a process of its own; memory is its largest resident size.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from curate.release.runs import find_run
from filters.columns import Column

ROWS = 100_000


def multiplied(run: Path, folder: Path, rows: int, scores: int = 0) -> None:
    """Write a run folder whose audit has so many rows, and as many scores more."""
    audit = pl.read_parquet(run / "audit" / "samples-*.parquet")
    more = [f"made_up_{number}" for number in range(scores)]
    draw = np.random.default_rng(0)
    audit = audit.with_columns(pl.Series(name, draw.normal(size=audit.height)) for name in more)
    (folder / "audit").mkdir(parents=True)
    (folder / "dataset").mkdir()
    account = json.loads((run / "run.json").read_text())
    del account["digests"]  # what is written here is not what the run wrote
    (folder / "run.json").write_text(json.dumps(account))
    copies = -(-rows // audit.height)
    for copy in range(copies):
        mine = audit.head(rows - copy * audit.height).with_columns(
            pl.concat_str(pl.lit(f"{copy:04x}"), pl.col("sample_id")).alias("sample_id"),
            pl.concat_str(pl.lit(f"{copy:04x}"), pl.col("question_id")).alias("question_id"),
            pl.col("selection_rank") + copy * audit.height,
        )
        mine.write_parquet(folder / "audit" / f"samples-{copy:05d}-of-{copies:05d}.parquet")
    manifest = json.loads((run / "dataset" / "manifest.json").read_text())
    columns = [Column(name, pl.Float64(), "made up", "bench", score="lower") for name in more]
    manifest["glossary"] += [column.as_json() for column in columns]
    (folder / "dataset" / "manifest.json").write_text(json.dumps(manifest))


def main(run: str, rows: int = ROWS, scores: int = 0) -> None:
    """Print what the report of so many rows takes.

    Args:
        run: a run folder, or ``runs/<name>``.
        rows: of the report.
        scores: made up beside those of the run.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        multiplied(find_run(Path(run)), folder, rows, scores)
        page = Path(scratch) / "report.html"
        begun = time.monotonic()
        command = [sys.executable, "-m", "curate", "report", str(folder), "--out", str(page)]
        subprocess.run(command, check=True, env=os.environ, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - begun
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        size = page.stat().st_size / 1e6
        print(f"{rows:,} rows: {seconds:.1f} s, {peak:,.0f} MB, a page of {size:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]))
