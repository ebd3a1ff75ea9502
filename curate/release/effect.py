"""What the arms of a run did for its student: the facts, as they are told, shown and kept."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True, slots=True)
class Difference:
    """One arm's mean, or its mean less another's.

    Attributes:
        value: the difference.
        low: lower end of its 95 % interval; None where one training of each tells nothing of luck.
        high: upper end.
        error: its standard error.
    """

    value: float
    low: float | None
    high: float | None
    error: float

    @property
    def distinguishable(self) -> bool:
        """Whether the interval holds no zero."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    @property
    def turned(self) -> "Difference":
        """The other one's mean less this one's."""
        low = None if self.high is None else -self.high
        high = None if self.low is None else -self.low
        return Difference(-self.value, low, high, self.error)


class Unit(BaseModel):
    """One arm, trained under one seed."""

    model_config = ConfigDict(frozen=True)

    arm: str
    seed: int


class ArmEffect(BaseModel):
    """What an arm did for the student."""

    model_config = ConfigDict(frozen=True)

    arm: str
    trainings: int
    rows: int
    """Different ones, of the first training."""
    epochs: float
    """How often each was gone over."""
    tokens: int
    """With a loss, that a training saw; the mean of the trainings."""
    accuracy: Difference
    """Of its answers; the mean of the trainings."""
    to_random: Difference | None
    """Its accuracy less that of the random arm."""
    to_untrained: Difference | None
    """Less that of the student as it was."""
    gained: float | None
    """Share of questions that it answers rightly and the untrained student did not."""
    lost: float | None
    """Share that it answers wrongly and the untrained student did not. Both are None where that
    student was not asked.
    """
    losses: list[list[float]]
    """Nats a token of every update, a list a training."""


class Effect(BaseModel):
    """What the arms of a run did for its student."""

    model_config = ConfigDict(frozen=True)

    title: str
    student: str
    method: str
    match: str
    """What all arms have as much of, beside updates: ``tokens`` or ``rows``."""
    updates: int
    questions: int
    dropped: int
    """Test questions left out, since the pool has them, or nearly."""
    expected: float | None
    """The smallest difference that the design would tell in four of five repetitions, as it was
    expected before the first training."""
    smallest: float | None
    """The same, as the answers have it."""
    arms: list[ArmEffect]
    left_out: list[Unit]
    """Trainings for which there was no time."""
