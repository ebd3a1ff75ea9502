"""Which teacher, level or format for this student: figures of each, and whether they differ.

What teachers wrote under different prompts can't be compared as it stands: one who spells
everything out looks like a better teacher where it is the prompt that differs. So samples are
compared only where all the rest is the same: a teacher with the others under the prompts that all
of them had, a level with the others among the teachers and formats that have every level.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from curate.measures.statistics import Estimate
from curate.report.scores.group_figures import Compared, figures_of, gradient_facts
from curate.report.scores.pool import Pool
from curate.report.scores.verdicts import Verdict, verdict_apart, verdict_of

MOST: Final = 16
"""Groups shown: those with the most samples."""


class Group(BaseModel):
    """Samples of one teacher, level, format or prompt."""

    model_config = ConfigDict(frozen=True)

    name: str
    """Of a teacher where none is known, that of its source."""
    rows: int
    """Samples."""
    scored: int
    """Of them with any score."""
    questions: int
    """With a sample of this group."""


class Groups(BaseModel):
    """Groups of samples side by side."""

    model_config = ConfigDict(frozen=True)

    by: str
    """What tells them apart: ``teacher``, ``level``, ``format`` or ``variant``."""
    within: tuple[str, ...]
    """Where they are compared, so that all the rest is the same; empty where that is everywhere."""
    scattered: bool = False
    """Whether all of them are nowhere to be found together: any two are compared where both are."""
    groups: tuple[Group, ...]
    """Teachers: the one with the most samples first; others by name."""
    figures: Mapping[str, Mapping[str, Estimate]]
    """By figure and group: the mean of each score, the pass rate, lengths, distinct clusters a
    question, questions weighing alike; and what gradients say of whole teachers.
    """
    verdicts: tuple[Verdict, ...]
    """One for every figure of which one end is the better, but for scores that aren't trusted."""
    untrusted: tuple[str, ...]
    """Scores that tell nothing here, since the student was not found to follow rationales."""
    best: str | None
    """The one that is best by every such figure; None where any can't tell, or they disagree."""
    left_out: int
    """Groups with fewer samples than those shown."""


def teachers(pool: Pool) -> Groups | None:
    """Set the teachers of a run side by side; None where there is one."""
    compared = alike(pool.rows, "teacher", ["prompt_id"])
    groups = grouped(pool, "teacher", compared, by_name=False)
    if groups is None:
        return None
    names = [one.name for one in groups.groups]
    figures, verdicts = dict(groups.figures), list(groups.verdicts)
    for name, side, estimates in gradient_facts(pool, names):
        figures[name] = estimates
        # they are of all that a teacher wrote, under whatever prompt
        if compared.count == 1 and not compared.within:
            verdicts += verdict_apart(name, side, estimates)
    return groups.model_copy(
        update={
            "figures": figures,
            "verdicts": tuple(verdicts),
            "best": _agreed([verdict.best for verdict in verdicts]),
        }
    )


def grouped(
    pool: Pool, by: str, compared: Compared, *, by_name: bool = True, most: int = MOST
) -> Groups | None:
    """Set groups of samples side by side; None where there is one.

    Args:
        pool: of all samples.
        by: what tells the groups apart.
        compared: the group of each sample, and where they are compared.
        by_name: whether they stand in the order of their names; else those with more samples first.
        most: groups shown, those with the most samples.
    """
    counts = compared.labels.alias("group").value_counts().drop_nulls("group")
    counts = counts.sort("count", "group", descending=[True, False])
    names: list[str] = counts["group"].to_list()
    if len(names) < 2:
        return None
    shown = sorted(names[:most], key=by_number) if by_name else names[:most]
    untrusted = () if pool.trusted else tuple(s.name for s in pool.scores if s.trusted)
    figures: dict[str, Mapping[str, Estimate]] = {}
    verdicts: list[Verdict] = []
    for figure in figures_of(pool, compared, shown):
        estimates = dict(zip(shown, figure.estimates(), strict=True))
        if any(estimate.value is not None for estimate in estimates.values()):
            figures[figure.name] = estimates
            verdicts += () if figure.name in untrusted else verdict_of(figure, estimates)
    return Groups(
        by=by,
        within=compared.within,
        scattered=compared.scattered,
        groups=tuple(_groups(pool, compared.labels, shown)),
        figures=figures,
        verdicts=tuple(verdicts),
        untrusted=tuple(name for name in untrusted if name in figures),
        best=_agreed([verdict.best for verdict in verdicts]),
        left_out=len(names) - len(shown),
    )


def by_number(name: str) -> tuple[str | int, ...]:
    """Order names as people do: level 2 before level 10."""
    parts = re.split(r"(\d+)", name)
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts))


def everywhere(labels: pl.Series) -> Compared:
    """Compare all samples of groups of which nothing else is to be the same."""
    return Compared(labels, np.zeros(labels.len(), dtype=np.int64), 1)


def alike(rows: pl.DataFrame, factor: str, others: Sequence[str]) -> Compared:
    """Compare the values of a factor where all the rest is the same.

    Where some combinations of the others have every value of the factor, these are the contexts,
    and rows of other combinations are left out. Where none has, every combination is one.

    Args:
        rows: samples, with a column for the factor and for each other.
        factor: what is compared.
        others: what is to be the same on both sides.
    """
    named = rows.select(factor, *others).drop_nulls(factor)
    combinations = named.group_by(others).agg(pl.col(factor).n_unique().alias("values"))
    whole = combinations.filter(pl.col("values") == named[factor].n_unique())
    chosen = (whole if whole.height else combinations).sort(others).with_row_index("context")
    numbers = rows.select(others).join(
        chosen.select("context", *others),
        on=others, how="left", nulls_equal=True, maintain_order="left",
    )["context"]  # fmt: skip
    fewer = 0 < whole.height < combinations.height
    return Compared(
        labels=rows[factor].zip_with(numbers.is_not_null(), rows[factor].clear(1)),
        contexts=numbers.fill_null(0).cast(pl.Int64).to_numpy(),
        count=max(chosen.height, 1),
        within=tuple(map(_name_of, chosen.select(others).iter_rows())) if fewer else (),
        scattered=whole.height == 0,
    )


def _name_of(values: Sequence[str | None]) -> str:
    return " ".join(value for value in values if value is not None) or "no prompt"


def _agreed(names: Sequence[str | None]) -> str | None:
    """Give the name that all say."""
    return names[0] if len(set(names)) == 1 else None


def _groups(pool: Pool, labels: pl.Series, names: Sequence[str]) -> Iterator[Group]:
    rows = pool.rows.select(
        "question_id", scored=pl.Series(pool.scored), group=labels.alias("group")
    )
    counts = rows.group_by("group").agg(
        rows=pl.len(),
        scored=pl.col("scored").sum(),
        questions=pl.col("question_id").n_unique(),
    )
    by_name = {row["group"]: row for row in counts.iter_rows(named=True)}
    for name in names:
        row = by_name[name]
        yield Group(name=name, rows=row["rows"], scored=row["scored"], questions=row["questions"])
