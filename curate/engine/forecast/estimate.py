"""From a few questions to all of them: what a total will be, as an 80 % interval.

The questions seen are a random draw, so they are resampled (a Bayesian bootstrap over questions,
Rubin 1981) and the ones not seen are drawn from what that gives. Most filters leave most questions
as they are, and a bootstrap of questions in which nothing happened says that nothing ever will; so
how many questions differ from the usual is drawn from its posterior (Jeffreys' prior), and by how
much from those seen to differ, with a little weight on the worst that can happen.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DRAWS: Final = 1_000
_PRIOR: Final = 0.5
_EXTREME: Final = 0.15
"""Weight of the worst case beside each question seen to differ. It and the prior were set so that
intervals cover what they promise (`python -m tests.bench.probes`)."""
_TAIL: Final = 0.10
WIDEST: Final = 0.30
"""An interval that reaches further to either side predicts nothing worth saying."""


class Interval(NamedTuple):
    """Where a total will lie in four cases of five.

    Attributes:
        low: one case in ten lies below.
        middle: as many above as below.
        high: one case in ten lies above.
    """

    low: float
    middle: float
    high: float

    @property
    def reach(self) -> float:
        """How far it reaches to the farther side, as a share of the middle."""
        if self.low == self.high:
            return 0.0
        if self.middle <= 0:
            return float("inf")
        return max(self.high / self.middle - 1, 1 - self.low / self.middle)

    @property
    def is_narrow(self) -> bool:
        """Whether it is narrow enough to be of use."""
        return self.reach <= WIDEST

    def scaled(self, factor: float, more: float = 0.0) -> Self:
        """Multiply, then add what is certain."""
        return type(self)(*(value * factor + more for value in self))

    def at_most(self, most: float) -> Self:
        """Cut where a budget does."""
        return type(self)(*(min(value, most) for value in self))


def predict(seen: Sequence[float], of: int, seed: int = 0, most: float = 1.0) -> Interval:
    """Predict a total from the questions seen.

    Args:
        seen: the value of each question of a random draw without replacement (rows left, tokens);
            none is negative.
        of: all questions, those seen included.
        seed: of the resampling.
        most: what a question may come to where all that were seen came to nothing.

    Returns:
        The 80 % interval of the sum over all questions; a point where all were seen.

    Raises:
        ValueError: none was seen, or more than there are.
    """
    values = np.asarray(seen, dtype=np.float64)
    if not 0 < len(values) <= of:
        raise ValueError(f"{len(values)} of {of} questions seen; wanted at least one of them")
    total, rest = float(values.sum()), of - len(values)
    if not rest:
        return Interval(total, total, total)
    different, counts = np.unique(values, return_counts=True)
    usual = float(different[np.argmax(counts)])
    draws = np.random.default_rng(seed)
    top = max(float(values.max()), most)
    others = _drawn(values[values != usual] - usual, usual, len(values), rest, top, draws)
    totals = total + np.maximum(usual * rest + others, 0.0)
    low, middle, high = np.quantile(totals, [_TAIL, 0.5, 1 - _TAIL])
    return Interval(float(np.floor(low)), float(middle), float(np.ceil(high)))


def _drawn(
    shifts: Floats, usual: float, seen: int, rest: int, top: float, draws: np.random.Generator
) -> Floats:
    """Draw the sum of how far the questions not seen differ from the usual."""
    affected = draws.beta(len(shifts) + _PRIOR, seen - len(shifts) + _PRIOR, _DRAWS)
    count = draws.binomial(rest, affected)
    worst, step = (-usual, -1.0) if usual >= top / 2 else (top - usual, 1.0)
    support = np.append(shifts, [step, worst])
    # Where none was seen to differ, one that does differs by one sample, or by all.
    first = 0.0 if len(shifts) else 1 - _EXTREME
    weights = np.append(np.ones(len(shifts)), [max(first, 1e-6), _EXTREME])
    shares = draws.dirichlet(weights, _DRAWS)
    mean = shares @ support
    if len(shifts) > 1:  # the weights' mean varies by less than an unknown mean does
        wider = np.sqrt((len(shifts) + 1) / (len(shifts) - 1))
        mean = mean.mean() + wider * (mean - mean.mean())
    spread = np.sqrt(np.maximum(shares @ support**2 - mean**2, 0))
    return count * mean + spread * draws.standard_normal(_DRAWS) * np.sqrt(count)
