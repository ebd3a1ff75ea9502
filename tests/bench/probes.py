"""Do intervals of `curate plan --probe` hold what they promise? Recorded pools, drawn from again.

    CURATE_TEST_DATA=DIR python -m tests.bench.probes

Each pool is judged whole, so the truth is known; then 32 of its questions are drawn 200 times, and
for each quantity (rows left by each filter, rows selected, words) it is counted how often the 80 %
interval holds the truth. What every question has as much of as any other is certain and left out.
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl
import pytest

from curate.engine.forecast.estimate import WIDEST, predict
from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, run
from curate.recipe.files import read_recipe
from curate.report.html.audit import Audit

RECIPES: Final = Path(__file__).parents[1] / "recipes"
POOLS: Final = ("gsm8k-solutions", "svamp-teachers", "last-letters")
CHAIN: Final = """filters=[
  {use: completeness}, {use: length, unit: words, max: 150}, {use: repetition},
  {use: correctness}, {use: diversity, by: [path, text]}
]"""
SELECT: Final = "select={per_question: 2, one_per: cluster, order_by: [rationale_words]}"
PROBES, SEEN = 200, 32


class Probe(NamedTuple):
    """One interval against the truth: whether it holds it, and how far it reaches to a side."""

    hit: bool
    reach: float


def judged_pools(data: Path, folder: Path) -> dict[str, pl.DataFrame]:
    """Judge each pool whole: one row a question, one column a quantity.

    Args:
        data: folder of the recorded rationales.
        folder: scratch.
    """
    found: dict[str, pl.DataFrame] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        patch.setenv("CURATE_TEST_DATA", str(data))
        for name in POOLS:
            recipe = folder / f"{name}.yaml"  # its lock file goes beside it
            recipe.write_text((RECIPES / recipe.name).read_text())
            options = RunOptions(runs=folder / "runs")
            done = run(read_recipe(str(recipe), (CHAIN, SELECT)), options, Progress(quiet=True))
            audit = Audit.read(done.folder)
            left = {
                each.name: (pl.col("filter") > place).sum()
                for place, each in enumerate(audit.filters)
            }
            found[name] = audit.rows.group_by("question_id", maintain_order=True).agg(
                **left,
                selected=pl.col("selected").sum(),
                words=pl.col("rationale_words").fill_null(0).sum(),
            )
    return found


def varying(table: pl.DataFrame) -> list[str]:
    """Name the quantities of which questions have different amounts."""
    return [name for name in table.columns[1:] if table[name].n_unique() > 1]


def probes(column: pl.Series, seed: int) -> Iterator[Probe]:
    """Draw questions again and again, and hold each interval against the truth."""
    values = column.cast(pl.Float64).to_numpy()
    draws, truth = np.random.default_rng(seed), float(values.sum())
    for number in range(PROBES):
        seen = values[draws.choice(len(values), SEEN, replace=False)]
        interval = predict(seen.tolist(), len(values), number)
        yield Probe(interval.low <= truth <= interval.high, interval.reach)


def covered(found: Iterable[Probe]) -> float:
    """Give the share of intervals that hold the truth."""
    return float(np.mean([probe.hit for probe in found]))


def main() -> None:
    """Print the table."""
    data = os.environ.get("CURATE_TEST_DATA")
    if not data:
        sys.exit("CURATE_TEST_DATA is not set: it names the folder of recorded rationales")
    print("| pool | quantity | told | holds the truth | median reach |")
    print("| :--- | :--- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as scratch:
        for pool, table in judged_pools(Path(data), Path(scratch)).items():
            everything: list[Probe] = []
            for name in varying(table):
                found = list(probes(table[name], 17))
                told = [probe for probe in found if probe.reach <= WIDEST]
                reach = np.median([probe.reach for probe in found])
                print(f"| {pool} | {name} | {len(told)} | {covered(told):.1%} | {reach:.1%} |")
                everything += told
            print(f"| {pool} | **all** | {len(everything)} | **{covered(everything):.1%}** | |")


if __name__ == "__main__":
    main()
