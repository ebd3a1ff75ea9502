"""Right answers of valid and of invalid reasoning: does a score tell them apart?

Solutions are compared with those of the same task alone, since some tasks have more invalid ones
and longer texts; pairs of all tasks weigh alike. Intervals come from questions drawn with
replacement.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.measures.statistics import Counts, Estimate, Flags, Floats, without
from curate.release.runs import Run
from curate.report.scores.words import figured
from tests.bench.scores.teachers import markdown

DRAWS: Final = 2_000
SHORTEST: Final = "shortest"
TRUTHS: Final = ("human_right", "human_valid")
CLAIMS: Final[Mapping[str, tuple[pl.Expr, pl.Expr]]] = {
    "right and valid before right and invalid": (
        (pl.col("human_right") == 1) & (pl.col("human_valid") == 1),
        (pl.col("human_right") == 1) & (pl.col("human_valid") == 0),
    ),
    "right before wrong": (pl.col("human_right") == 1, pl.col("human_right") == 0),
}


def tables(runs: Mapping[str, Sequence[Path]]) -> str:
    """Set students beside each other, a run of each task."""
    pools = {student: read(folders) for student, folders in runs.items()}
    scores = list(dict.fromkeys(name for pool in pools.values() for name in pool.columns))[4:]
    parts: list[str] = []
    for title, (good, bad) in CLAIMS.items():
        first = next(iter(pools.values()))
        count = [first.filter(side).height for side in (good, bad)]
        parts.append(
            markdown(
                [
                    f"{title} ({count[0]}, {count[1]})",
                    *(head for pool in pools for head in (pool, "length taken out")),
                ],
                (
                    [
                        f"`{name}`",
                        *(
                            _cell(pool, name, good, bad, even=even)
                            for pool in pools.values()
                            for even in (False, True)
                        ),
                    ]
                    for name in scores
                ),
            )
        )
    return "\n\n".join(parts)


def read(folders: Sequence[Path]) -> pl.DataFrame:
    """Read every task's solutions: task, question, truths, then scores with the better end up."""
    frames: list[pl.DataFrame] = []
    for folder in folders:
        run = Run.open(folder)
        scores = [
            (-pl.col(name) if score.score == "lower" else pl.col(name)).cast(pl.Float64).alias(name)
            for name, score in run.glossary.scores.items()
            if name not in TRUTHS
        ]
        frames.append(
            run.samples()
            .select(
                pl.lit(folder.name).alias("task"), "question_id", *TRUTHS, *scores,
                -pl.col("rationale").str.len_chars().cast(pl.Float64).alias(SHORTEST),
            )
            .collect()
        )  # fmt: skip
    return pl.concat(frames, how="diagonal")


def _cell(pool: pl.DataFrame, name: str, good: pl.Expr, bad: pl.Expr, *, even: bool) -> str:
    if name not in pool.columns or (even and name == SHORTEST):
        return ""
    rows = pool.filter(good | bad).with_columns(good=good).drop_nulls(name)
    rows = rows.filter(pl.col(name).is_finite())
    values, length = rows[name].to_numpy(), rows[SHORTEST].to_numpy()
    tasks, task = np.unique(rows["task"].to_numpy(), return_inverse=True)
    values = without(values, length, task, len(tasks)) if even else values
    return figured(auc(values, rows["good"].to_numpy(), task, rows["question_id"].to_numpy()))


def auc(values: Floats, good: Flags, strata: Counts, units: NDArray[np.str_]) -> Estimate:
    """Give the chance that a good row has the higher value of two of one stratum."""
    names, unit = np.unique(units, return_inverse=True)
    count = len(names)
    dice = np.random.default_rng(17)
    weights = dice.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(np.float64)
    weights = np.vstack([np.ones(count), weights])[:, unit]
    won, pairs = np.zeros(DRAWS + 1), np.zeros(DRAWS + 1)
    for stratum in np.unique(strata):
        goods = np.flatnonzero((strata == stratum) & good)
        others = np.flatnonzero((strata == stratum) & ~good)
        above = values[goods][:, None] > values[others]
        level = values[goods][:, None] == values[others]
        won += ((weights[:, goods] @ (above + level / 2)) * weights[:, others]).sum(axis=1)
        pairs += weights[:, goods].sum(axis=1) * weights[:, others].sum(axis=1)
    if not pairs.all():
        return Estimate(None, None, None, count)
    areas = won / pairs
    low, high = np.quantile(areas[1:], [0.025, 0.975])
    return Estimate(float(areas[0]), float(low), float(high), count)
