"""Which group of samples is best by a figure, or which can't be told apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from pydantic import BaseModel, ConfigDict

from curate.measures.statistics import Estimate
from curate.report.scores.group_figures import GroupFigure, raised
from filters.columns import Score


class Verdict(BaseModel):
    """Who is best by one figure."""

    model_config = ConfigDict(frozen=True)

    by: str
    """Name of the figure."""
    best: str | None
    """Ahead of all others, over the questions that both have; None where the data can't tell."""
    alike: tuple[str, ...]
    """Where it can't: the one with the best figure, and those it can't be told from."""
    runner_up: str
    """The next best by that figure."""
    lead: Estimate | None
    """How far the best figure lies before that of the next, above 0 where it does; None where that
    was not taken from questions that both have.
    """
    relative: bool
    """Whether that is a share of the next one's: so it is of scores of which 1 says that nothing
    changes.
    """


def verdict_of(figure: GroupFigure, estimates: Mapping[str, Estimate]) -> Iterator[Verdict]:
    """Compare the best by a figure with all others, by questions that both have.

    The best is chosen by the same data. Against one other that is no more than a two-sided test;
    since it has to be ahead of every other, being the best of many does not make it easier.

    Args:
        figure: of which one end is the better, or nothing is told.
        estimates: of it, by group in its order.
    """
    names, ranked = list(estimates), _ranked(estimates, figure.side)
    if figure.side == "none" or len(ranked) < 2:
        return
    best, *others = (names.index(name) for name in ranked)
    leads = [_towards(figure.side, lead) for lead in figure.leads(best, others)]
    alike = [name for name, lead in zip(ranked[1:], leads, strict=True) if not (lead.low or 0) > 0]
    lead = raised(leads[0], -1.0) if figure.ratio else leads[0]
    yield _verdict(figure.name, ranked, alike, lead, relative=figure.ratio)


def verdict_apart(name: str, side: Score, estimates: Mapping[str, Estimate]) -> Iterator[Verdict]:
    """Compare figures of whole groups: they are told apart where intervals don't overlap."""
    ranked = _ranked(estimates, side)
    if len(ranked) < 2:
        return
    best = estimates[ranked[0]]
    alike = [other for other in ranked[1:] if _overlap(best, estimates[other])]
    yield _verdict(name, ranked, alike, None, relative=False)


def _verdict(
    by: str, ranked: Sequence[str], alike: Sequence[str], lead: Estimate | None, *, relative: bool
) -> Verdict:
    return Verdict(
        by=by,
        best=None if alike else ranked[0],
        alike=(ranked[0], *alike) if alike else (),
        runner_up=ranked[1],
        lead=lead,
        relative=relative,
    )


def _ranked(estimates: Mapping[str, Estimate], side: Score) -> list[str]:
    """Order the groups that have a figure, best first."""
    values = {name: one.value for name, one in estimates.items() if one.value is not None}
    return sorted(values, key=lambda name: values[name], reverse=side == "higher")


def _towards(side: Score, estimate: Estimate) -> Estimate:
    """Turn a difference so that above 0 is better."""
    value, low, high = estimate.value, estimate.low, estimate.high
    if side == "higher" or value is None or low is None or high is None:
        return estimate
    return replace(estimate, value=-value, low=-high, high=-low)


def _overlap(one: Estimate, other: Estimate) -> bool:
    ends = np.array([one.low, one.high, other.low, other.high], dtype=np.float64)
    return bool(ends[0] <= ends[3] and ends[2] <= ends[1])
