"""What scores see: right against wrong siblings, and the wrong ones that each would take."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from curate.measures.statistics import (
    Estimate,
    Flags,
    Floats,
    aucs,
    best_shares,
    means,
    shares_of,
    without,
)
from curate.report.scores.pool import Pool

SHORTEST: Final = "shortest"
_NOTHING: Final = Estimate(None, None, None, 0)
_STATES: Final = "states_gold"
_SCORE_WRONG: Final = (
    "to have wrong samples scored too, ask for a score before the filters, as measures: {signals: "
    "{columns: [rsr], before_filters: true}}"
)


class Separated(BaseModel):
    """What one score sees."""

    model_config = ConfigDict(frozen=True)

    score: str
    """Its column; ``shortest`` for what length alone sees, to compare with."""
    sided: bool
    """Whether one end is the better: else the AUC is of higher values, and nothing is taken."""
    auc: Estimate
    """Chance that it puts a right sibling before a wrong one, questions weighing alike."""
    auc_unstated: Estimate
    """The same of pairs neither of which states the known answer, so that nothing is copied."""
    auc_length: Estimate
    """The same with length taken out of the order of siblings (see `without`)."""
    wrong: Estimate
    """Share of wrong ones, were each question's best of all scored siblings taken."""


class Separation(BaseModel):
    """What every score sees."""

    model_config = ConfigDict(frozen=True)

    scores: tuple[Separated, ...]
    """None where there is nothing to tell."""
    chance_wrong: Estimate
    """Share of wrong ones, were a random sibling of each of these questions taken."""
    note: str | None
    """Why nothing can be told, and what to do about it."""


class _Rival(NamedTuple):
    """What is taken for better: a score, or being short."""

    name: str
    sided: bool
    values: Floats


def separation(pool: Pool) -> Separation:
    """Compare right with wrong siblings, in the questions where a score has both."""
    rows = pool.scored & pool.judged
    note = _note(pool, rows)
    if note is not None:
        return Separation(scores=(), chance_wrong=_NOTHING, note=note)
    rivals = list(_rivals(pool))
    figures = [_figures(pool, np.where(rows, rival.values, np.nan)) for rival in rivals]
    columns = [column for four in figures for column in four]
    *estimates, chance_wrong = means(np.column_stack([*columns, _wrong_shares(pool, rows)]))
    scores = tuple(
        Separated(
            score=rival.name, sided=rival.sided, auc=auc, auc_unstated=unstated,
            auc_length=_NOTHING if rival.name == SHORTEST else even,
            wrong=wrong if rival.sided else _NOTHING,
        )
        for rival, (auc, unstated, even, wrong) in zip(rivals, _fours(estimates), strict=True)
    )  # fmt: skip
    return Separation(scores=scores, chance_wrong=chance_wrong, note=None)


def _fours(estimates: Sequence[Estimate]) -> Iterator[tuple[Estimate, ...]]:
    return zip(*(estimates[start::4] for start in range(4)), strict=True)


def _rivals(pool: Pool) -> Iterator[_Rival]:
    for score in pool.scores:
        yield _Rival(score.name, score in pool.sided, pool.oriented(score))
    if pool.audit.length is not None:
        yield _Rival(SHORTEST, sided=True, values=-pool.floats(pool.audit.length))


def _note(pool: Pool, rows: Flags) -> str | None:
    """Say why right and wrong can't be compared; None where they can."""
    if pool.audit.judge is None:
        return "no filter of this run tells right from wrong; `{use: correctness}` does"
    if not np.any(rows & ~pool.right):
        judge = pool.audit.judge.name
        return f"the run scored right samples only, behind {judge}; {_SCORE_WRONG}"
    return None if np.any(rows & pool.right) else "the run scored no right sample"


def _figures(pool: Pool, values: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Give each question's AUC, that of silent pairs, that without length, and what is wrong."""
    everywhere = pool.group, pool.groups
    unstated = np.full(pool.groups, np.nan)
    if _STATES in pool.rows.columns:
        silent = (~pool.rows[_STATES]).fill_null(value=False).to_numpy()
        unstated = aucs(np.where(silent, values, np.nan), pool.right, *everywhere)
    even = np.full(pool.groups, np.nan)
    if pool.audit.length is not None:
        left = without(values, pool.floats(pool.audit.length), *everywhere)
        even = aucs(left, pool.right, *everywhere)
    taken = best_shares(values, ~pool.right, *everywhere)
    chosen = ~np.isnan(_wrong_shares(pool, ~np.isnan(values)))
    return aucs(values, pool.right, *everywhere), unstated, even, np.where(chosen, taken, np.nan)


def _wrong_shares(pool: Pool, rows: Flags) -> Floats:
    """Give the share of wrong ones among some rows of each question that has both sorts."""
    shares = shares_of(rows & ~pool.right, rows, pool.group, pool.groups)
    return np.where((shares > 0) & (shares < 1), shares, np.nan)
