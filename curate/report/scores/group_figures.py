"""What groups of samples are compared by: figures that are quotients of sums over questions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self, cast

import numpy as np
import polars as pl

from curate.measures.statistics import (
    Counts,
    Estimate,
    Flags,
    Floats,
    differences,
    means_inside,
    ratios,
    shares_of,
)
from curate.report.scores.pool import Pool
from filters.columns import Column, Score

CLUSTERS: Final = "clusters"
_RSR: Final = ("rsr", "rank_mean", "nll_rationale")
"""Of a set it is the mean of mean ranks over the mean of mean NLLs, not a mean of quotients."""
_GRADIENT: Final[Mapping[str, Score]] = {"grace": "lower", "g_vendi": "higher"}
"""What measure ``gradient`` finds out about whole teachers, with the better side."""


@dataclass(frozen=True)
class GroupFigure:
    """A figure of every group of samples, of a teacher's or a prompt's.

    Attributes:
        name: of the figure.
        side: which end is the better.
        parts: questions x contexts x groups; what is summed. In a context all the rest is the same.
        wholes: likewise; what its sum is divided by, 0 where a group has nothing there.
        ratio: whether it is made of logarithms, of scores of which 1 says that nothing changes.
    """

    name: str
    side: Score
    parts: Floats
    wholes: Floats
    ratio: bool = False

    @classmethod
    def mean(cls, name: str, side: Score, values: Floats, *, ratio: bool = False) -> Self:
        """Make the mean over questions of values as `parts` has them, NaN where is none."""
        present = ~np.isnan(values)
        parts = np.where(present, values, 0.0)
        return cls(name, side, parts, present.astype(np.float64), ratio)

    def estimates(self) -> list[Estimate]:
        """Estimate it of each group, contexts weighing alike inside a question."""
        present = self.wholes != 0
        estimates = ratios(
            _over_contexts(self.parts, present), _over_contexts(self.wholes, present)
        )
        return [raised(one) for one in estimates] if self.ratio else estimates

    def leads(self, one: int, others: Sequence[int]) -> list[Estimate]:
        """Estimate how far a group lies above others, over what both have of a question.

        Args:
            one: number of the group.
            others: likewise.
        """
        both = (self.wholes[:, :, [one]] != 0) & (self.wholes[:, :, others] != 0)
        return differences(
            *(
                _over_contexts(values[:, :, place], both)
                for place in ([one] * len(others), others)
                for values in (self.parts, self.wholes)
            )
        )


def _over_contexts(values: Floats, counted: Flags) -> Floats:
    """Average over the contexts that count, inside every question; 0 where none does."""
    return np.where(counted, values, 0.0).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)


@dataclass(frozen=True)
class Compared:
    """What is compared: the group of each sample, and the context in which that is.

    Attributes:
        labels: the group of each, null for none.
        contexts: number of each one's context; inside of one all the rest is the same.
        count: of contexts.
        within: names of the contexts, where these are fewer than there are.
        scattered: whether no context has all groups, so that any two are compared where both are.
    """

    labels: pl.Series
    contexts: Counts
    count: int
    within: tuple[str, ...] = ()
    scattered: bool = False


def raised(estimate: Estimate, more: float = 0.0) -> Estimate:
    """Give the quotient of an estimated logarithm, and so much more."""
    value, low, high = (
        None if one is None else float(np.exp(one)) + more
        for one in (estimate.value, estimate.low, estimate.high)
    )
    return replace(estimate, value=value, low=low, high=high)


def figures_of(pool: Pool, compared: Compared, names: Sequence[str]) -> Iterator[GroupFigure]:
    """Give what some groups are compared by: scores, how many are right, lengths, and clusters.

    Args:
        pool: of all samples.
        compared: their groups and contexts.
        names: of the groups compared.
    """
    shape = (pool.groups, compared.count, len(names))
    cells, count = _cells(pool, compared, names), int(np.prod(shape)) + 1

    def table(values: Floats) -> Floats:
        return values[:-1].reshape(shape)

    def means_of(values: Floats) -> Floats:
        return table(means_inside(values, cells, count))

    for score in pool.scores:
        if score.name == _RSR[0] and set(_RSR) <= set(pool.rows.columns):
            yield _rsr(score, *(means_of(pool.floats(name)) for name in _RSR[1:]))
        else:
            values = pool.floats(score.name)
            values = np.log(np.maximum(values, 2.0**-10)) if score.ratio else values
            side = score.score or "none"
            yield GroupFigure.mean(score.name, side, means_of(values), ratio=score.ratio)
    if pool.audit.judge is not None:
        # what was stopped before its answer was judged counts as not right
        decided = pool.rows["right"].is_not_null().to_numpy()
        rates = shares_of(pool.flags("right"), decided, cells, count)
        yield GroupFigure.mean("pass rate", "higher", table(rates))
    for name in pool.described:
        yield GroupFigure.mean(name, "none", means_of(pool.floats(name)))
    clusters = _clusters(pool, cells, count)
    if np.any(clusters > 1):
        yield GroupFigure.mean(CLUSTERS, "none", table(clusters))


def _cells(pool: Pool, compared: Compared, names: Sequence[str]) -> Counts:
    """Number each row's question, context and group; the last number is of groups left out."""
    place = {name: number for number, name in enumerate(names)}
    column = compared.labels.replace_strict(place, default=-1, return_dtype=pl.Int64)
    group = column.fill_null(-1).to_numpy()
    inside = pool.group * compared.count + compared.contexts
    last = pool.groups * compared.count * len(names)
    return np.where(group >= 0, inside * len(names) + group, last)


def _rsr(score: Column, rank: Floats, nll: Floats) -> GroupFigure:
    present = ~np.isnan(rank) & ~np.isnan(nll)
    parts, wholes = (np.where(present, values, 0.0) for values in (rank, nll))
    return GroupFigure(score.name, score.score or "none", parts, wholes)


def _clusters(pool: Pool, cells: Counts, count: int) -> Floats:
    """Count the distinct clusters of each question and group; NaN where none is known."""
    if "cluster" not in pool.rows.columns:
        return np.full(count, np.nan)
    numbers = pool.rows["cluster"].fill_null(-1).to_numpy()
    rows = numbers >= 0
    pairs = np.unique(np.column_stack([cells[rows], numbers[rows]]), axis=0)
    clusters = np.bincount(pairs[:, 0].astype(np.int64), minlength=count).astype(np.float64)
    return np.where(clusters > 0, clusters, np.nan)


def gradient_facts(
    pool: Pool, names: Sequence[str]
) -> Iterator[tuple[str, Score, Mapping[str, Estimate]]]:
    """Give what the gradients of teachers say, each figure with its better side."""
    facts = pool.audit.manifest["measures"].get("gradient", {}).get("facts", {})
    groups = cast("Mapping[str, Mapping[str, Any]]", facts.get("teachers", {}))
    for figure, side in _GRADIENT.items():
        estimates = {name: _fact(groups.get(name, {}), figure) for name in names}
        if any(one.value is not None for one in estimates.values()):
            yield figure, side, estimates


def _fact(group: Mapping[str, Any], figure: str) -> Estimate:
    """Read a figure of one teacher; nothing can be told where it has too few questions."""
    if figure not in group:
        return Estimate(None, None, None, 0)
    value, low, high = (float(group[figure][end]) for end in ("value", "low", "high"))
    return Estimate(value, low, high, int(group["questions"]))
