"""Which teacher for this student: figures of each, and whether the data can tell them apart."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict

from curate.measures.statistics import Estimate
from curate.report.scores.pool import Pool
from curate.report.scores.teacher_figures import gradient_facts, teacher_figures
from curate.report.scores.verdicts import Verdict, verdict_apart, verdict_of

MOST: Final = 16
"""Teachers shown: those with the most samples."""


class Teacher(BaseModel):
    """One who wrote rationales."""

    model_config = ConfigDict(frozen=True)

    name: str
    """Its teacher, or where none is known its source."""
    rows: int
    """Samples."""
    scored: int
    """Of them with any score."""
    questions: int
    """With a sample of this teacher."""


class Teachers(BaseModel):
    """Teachers side by side."""

    model_config = ConfigDict(frozen=True)

    teachers: tuple[Teacher, ...]
    """The one with the most samples first."""
    figures: Mapping[str, Mapping[str, Estimate]]
    """By figure and teacher: the mean of each score, the pass rate, distinct clusters a question,
    questions weighing alike; and what gradients say of whole teachers.
    """
    verdicts: tuple[Verdict, ...]
    """One for every figure of which one end is the better."""
    best: str | None
    """The one who is best by every such figure; None where any can't tell, or they disagree."""
    left_out: int
    """Teachers with fewer samples than those shown."""


def teachers(pool: Pool) -> Teachers | None:
    """Set the teachers of a run side by side; None where there is one."""
    names = _by_samples(pool)
    if len(names) < 2:
        return None
    figures: dict[str, Mapping[str, Estimate]] = {}
    verdicts: list[Verdict] = []
    for figure in teacher_figures(pool, names[:MOST]):
        estimates = dict(zip(names[:MOST], figure.estimates(), strict=True))
        if any(estimate.value is not None for estimate in estimates.values()):
            figures[figure.name] = estimates
            verdicts += verdict_of(figure, estimates)
    for name, side, estimates in gradient_facts(pool, names[:MOST]):
        figures[name] = estimates
        verdicts += verdict_apart(name, side, estimates)
    return Teachers(
        teachers=tuple(_teachers(pool, names[:MOST])),
        figures=figures,
        verdicts=tuple(verdicts),
        best=_agreed([verdict.best for verdict in verdicts]),
        left_out=len(names[MOST:]),
    )


def _by_samples(pool: Pool) -> list[str]:
    counts = pool.rows["teacher"].value_counts().drop_nulls("teacher")
    return counts.sort("count", "teacher", descending=[True, False])["teacher"].to_list()


def _agreed(names: Sequence[str | None]) -> str | None:
    """Give the name that all say."""
    return names[0] if len(set(names)) == 1 else None


def _teachers(pool: Pool, names: Sequence[str]) -> Iterator[Teacher]:
    rows = pool.rows.with_columns(scored=pl.Series(pool.scored))
    counts = rows.group_by("teacher").agg(
        rows=pl.len(),
        scored=pl.col("scored").sum(),
        questions=pl.col("question_id").n_unique(),
    )
    by_name = {row["teacher"]: row for row in counts.iter_rows(named=True)}
    for name in names:
        row = by_name[name]
        yield Teacher(name=name, rows=row["rows"], scored=row["scored"], questions=row["questions"])
