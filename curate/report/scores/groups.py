"""Which teacher, level or format for this student: figures of each, and whether they differ.

What teachers wrote under different prompts can't be compared as it stands: one who spells
everything out looks like a better teacher where it is the prompt that differs. So samples are
compared only where all the rest is the same: a teacher with the others under the prompts that all
of them had, a level with the others among the teachers and formats that have every level.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict

from curate.measures.statistics import Estimate
from curate.report.scores.group_figures import figures_of, gradient_facts
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
    labels, within = balanced(pool.rows, "teacher", ["prompt_id"])
    groups = grouped(pool, "teacher", labels, by_name=False, within=within)
    if groups is None:
        return None
    names = [one.name for one in groups.groups]
    figures, verdicts = dict(groups.figures), list(groups.verdicts)
    for name, side, estimates in gradient_facts(pool, names):
        figures[name] = estimates
        verdicts += verdict_apart(name, side, estimates)
    return groups.model_copy(
        update={
            "figures": figures,
            "verdicts": tuple(verdicts),
            "best": _agreed([verdict.best for verdict in verdicts]),
        }
    )


def grouped(
    pool: Pool,
    by: str,
    labels: pl.Series,
    *,
    by_name: bool = True,
    most: int = MOST,
    within: Sequence[str] = (),
) -> Groups | None:
    """Set groups of samples side by side; None where there is one.

    Args:
        pool: of all samples.
        by: what tells the groups apart.
        labels: the group of each sample, null for none.
        by_name: whether they stand in the order of their names; else those with more samples first.
        most: groups shown, those with the most samples.
        within: where they are compared.
    """
    counts = labels.alias("group").value_counts().drop_nulls("group")
    counts = counts.sort("count", "group", descending=[True, False])
    names: list[str] = counts["group"].to_list()
    if len(names) < 2:
        return None
    shown = sorted(names[:most]) if by_name else names[:most]
    untrusted = () if pool.trusted else tuple(s.name for s in pool.scores if s.trusted)
    figures: dict[str, Mapping[str, Estimate]] = {}
    verdicts: list[Verdict] = []
    for figure in figures_of(pool, labels, shown):
        estimates = dict(zip(shown, figure.estimates(), strict=True))
        if any(estimate.value is not None for estimate in estimates.values()):
            figures[figure.name] = estimates
            verdicts += () if figure.name in untrusted else verdict_of(figure, estimates)
    return Groups(
        by=by,
        within=tuple(within),
        groups=tuple(_groups(pool, labels, shown)),
        figures=figures,
        verdicts=tuple(verdicts),
        untrusted=tuple(name for name in untrusted if name in figures),
        best=_agreed([verdict.best for verdict in verdicts]),
        left_out=len(names) - len(shown),
    )


def balanced(
    rows: pl.DataFrame, factor: str, others: Sequence[str]
) -> tuple[pl.Series, tuple[str, ...]]:
    """Give each row's value of a factor, null outside of where all values can be compared.

    Args:
        rows: samples, with a column for the factor and for each other.
        factor: what is compared.
        others: what is to be the same on both sides.

    Returns:
        The values, and where they are compared: those combinations of the others in which every
        value of the factor is there. Where there is none such, or the others never differ, all rows
        are compared, and the second is empty.
    """
    values = rows[factor]
    named = rows.select(factor, *others).drop_nulls(factor)
    combinations = named.group_by(others).agg(pl.col(factor).n_unique().alias("values"))
    whole = combinations.filter(pl.col("values") == named[factor].n_unique()).sort(others)
    if whole.height in {0, combinations.height}:
        return values, ()
    inside = rows.select(others).join(
        whole.with_columns(inside=pl.lit(value=True)),
        on=others, how="left", nulls_equal=True, maintain_order="left",
    )  # fmt: skip
    within = [", ".join(str(part) for part in row) for row in whole.select(others).iter_rows()]
    return values.zip_with(inside["inside"].fill_null(value=False), values.clear(1)), tuple(within)


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
