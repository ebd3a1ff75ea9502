"""What answers to the same questions say of two arms, and what they could say.

An arm is trained several times, and after every training the same questions are asked. What comes
of it varies for two reasons: these questions were asked and not others, and a training goes well or
badly. So two arms are compared on each question, which takes out how hard it is; and the spread of
trainings of the same arm is added, which no number of questions makes smaller. In symbols

    y[a,s,q] = skill[a] + ease[q] + taste[a,q] + luck[a,s] + chance[a,s,q]

and a difference of two arms, of S and S' trainings and Q questions, varies by

    Var(taste - taste') / Q + (Var(luck) + Var(chance) / Q) (1/S + 1/S')

The spread of trainings is pooled over all arms, for three seeds of one arm alone say little of it;
how much they say sets the degrees of freedom (Satterthwaite).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, ndtr, stdtrit  # pyright: ignore[reportUnknownVariableType]

from curate.release.effect.facts import Difference

Answers = NDArray[np.float64]
"""Of one arm, trainings x questions: 1 where it answered rightly and 0 where not, or nats."""
LEVEL: Final = 0.95
POWER: Final = 0.80
_FINE: Final = 1e-5
_GRID: Final = 64
"""Quantiles over which a power is averaged."""


@dataclass(frozen=True, slots=True)
class Luck:
    """How much trainings of the same arm differ.

    Attributes:
        between: mean square of a training's mean over questions about its arm's.
        within: mean square of what is left of an answer without its question's and training's.
        freedom: trainings beyond the first, of all arms.
    """

    between: float
    within: float
    freedom: int

    @classmethod
    def of(cls, arms: Sequence[Answers]) -> Self:
        """Pool the arms that were trained more than once; zero freedom where none was."""
        between = within = 0.0
        freedom = rest = 0
        for answers in arms:
            trainings, questions = answers.shape
            means = answers.mean(axis=1, keepdims=True)
            left = answers - means - answers.mean(axis=0) + answers.mean()
            between += float(np.square(means - answers.mean()).sum())
            within += float(np.square(left).sum())
            freedom += trainings - 1
            rest += (trainings - 1) * (questions - 1)
        return cls(between / max(freedom, 1), within / max(rest, 1), freedom)


def level(one: Answers, luck: Luck, *, trained: bool = True) -> Difference:
    """Estimate an arm's own mean; a student that was not trained has no luck."""
    return _difference(one, np.zeros_like(one[:1]), luck, trained / len(one))


def difference(one: Answers, other: Answers, luck: Luck) -> Difference:
    """Compare two arms.

    Args:
        one: its answers.
        other: the other's, to the same questions.
        luck: of trainings, pooled over all arms of the same design. An arm that was not trained
            has one row and no luck; see `untrained`.
    """
    return _difference(one, other, luck, 1 / len(one) + 1 / len(other))


def gain(one: Answers, untrained: Answers, luck: Luck) -> Difference:
    """Compare an arm with the student as it was before any training: one row, and no luck."""
    return _difference(one, untrained, luck, 1 / len(one))


def _difference(one: Answers, other: Answers, luck: Luck, rate: float) -> Difference:
    distances = one.mean(axis=0) - other.mean(axis=0)
    questions = len(distances)
    value = float(distances.mean())
    error = _Error.of(
        float(distances.var(ddof=1)) / questions, questions - 1,
        luck.between * rate, luck.freedom, luck.within / questions * rate,
    )  # fmt: skip
    if not luck.freedom:
        return Difference(value, None, None, error.size)
    return Difference(value, value - error.reach, value + error.reach, error.size)


class _Error(NamedTuple):
    """The standard error of a difference, and the degrees of freedom that it rests on."""

    size: float
    freedom: float

    @classmethod
    def of(
        cls, by_question: float, questions: int, by_training: float, trainings: int, chance: float
    ) -> Self:
        """Add up variances.

        Args:
            by_question: of the mean over questions.
            questions: degrees of freedom of that.
            by_training: of the means of trainings.
            trainings: degrees of freedom of that.
            chance: of answers, which is in both.
        """
        lucky = max(by_training - chance, 0.0)
        total = by_question + lucky
        parts = by_question**2 / max(questions, 1)
        least = questions
        if lucky:
            parts += by_training**2 / trainings
            least = min(questions, trainings)  # a difference of mean squares may seem to have none
        return cls(sqrt(total), max(total**2 / parts if parts else 0.0, least, 1))

    @property
    def reach(self) -> float:
        """Half of the interval."""
        return float(stdtrit(self.freedom, 0.5 + LEVEL / 2)) * self.size


@dataclass(frozen=True, slots=True)
class Design:
    """What is to be asked, before it is.

    Attributes:
        questions: asked after every training.
        trainings: of each arm.
        arms: that are trained.
        changed: mean squared difference of answers of two arms, trained once each; of right and
            wrong ones, the share of questions that they answer differently.
        unstable: the same of two trainings of one arm.
        luck: standard deviation of a training's mean over questions about its arm's.
    """

    questions: int
    trainings: int
    arms: int
    changed: float = 0.25
    unstable: float = 0.20
    luck: float = 0.01

    @property
    def smallest(self) -> float | None:
        """The smallest difference that it would tell in four of five repetitions.

        None where every arm is trained once, for then nothing is known of luck.
        """
        if self.trainings < 2:
            return None
        low, high = 0.0, 1.0
        while self.power(high) < POWER:
            high *= 2  # nats have no end, as shares have
        while high - low > _FINE:
            middle = (low + high) / 2
            low, high = (low, middle) if self.power(middle) >= POWER else (middle, high)
        return high

    def power(self, effect: float) -> float:
        """Say how likely it is that a true difference is told, over what trainings may seem."""
        rate = 2 / self.trainings
        # half of a squared difference is the variance of each
        chance = self.unstable / 2 * rate / self.questions
        by_question = max(self.changed - self.unstable, 0.0) / self.questions + chance
        true = sqrt(by_question + self.luck**2 * rate) or _FINE
        freedom = self.arms * (self.trainings - 1)
        shares = (np.arange(_GRID) + 0.5) / _GRID
        seen = (self.luck**2 * rate + chance) * chdtri(freedom, shares) / freedom
        power = 0.0
        for by_training in seen.tolist():
            error = _Error.of(by_question, self.questions - 1, by_training, freedom, chance)
            above, below = (effect - error.reach) / true, (-effect - error.reach) / true
            power += float(ndtr(above) + ndtr(below))
        return power / _GRID

    @classmethod
    def of(cls, arms: Sequence[Answers]) -> Self:
        """Tell from answers what a design like theirs can see."""
        luck = Luck.of(arms)
        questions = arms[0].shape[1]
        trainings = min(len(answers) for answers in arms)
        spread = max(luck.between - luck.within / questions, 0.0)
        changed = [
            float(np.square(one[:, None] - other[None]).mean() - (one.mean() - other.mean()) ** 2)
            for number, one in enumerate(arms)
            for other in arms[number + 1 :]
        ]
        return cls(
            questions, trainings, len(arms), float(np.mean(changed or [0.0])), 2 * luck.within,
            sqrt(spread),
        )  # fmt: skip
