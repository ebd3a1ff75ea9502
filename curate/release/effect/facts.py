"""What the arms of a run did for its student: the facts, as they are told, shown and kept."""

from dataclasses import dataclass
from typing import Any, Literal

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


Figure = Literal["right", "golds"]
"""What arms are compared by: ``right``, the share of answers that are right, or ``golds``, nats a
token of the known answers behind the student's own rationales, of which fewer are better."""


class Standing(BaseModel):
    """How an arm stands by one figure."""

    model_config = ConfigDict(frozen=True)

    level: Difference
    """The mean of its trainings."""
    to_baseline: Difference | None
    """Less that of the arm that all are compared with, a random one unless another was wanted."""
    to_untrained: Difference | None
    """Less that of the student as it was."""


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
    right: Standing
    """By right answers."""
    golds: Standing
    """By nats a token of the known answers."""
    cut: float
    """Share of its answers that were cut off at the most tokens an answer may have."""
    gained: float | None
    """Share of questions that it answers rightly and the untrained student did not."""
    lost: float | None
    """Share that it answers wrongly and the untrained student did not. Both are None where that
    student was not asked.
    """
    losses: list[list[float]]
    """Nats a token of every update, a list a training."""

    def by(self, figure: Figure) -> Standing:
        """Give how it stands by a figure."""
        return self.right if figure == "right" else self.golds


class ExamFacts(BaseModel):
    """The questions that were asked."""

    model_config = ConfigDict(frozen=True)

    name: str
    """Of the file."""
    digest: str
    """Of the questions with their answers."""
    questions: int
    dropped: int
    """Left out, since the pool has them, or nearly."""
    unread: int
    """Asked, but with an answer too long for the student to read the known one behind it; they
    count among right answers alone."""


class Effect(BaseModel):
    """What the arms of a run did for its student."""

    model_config = ConfigDict(frozen=True)

    title: str
    dataset_hash: str
    """Of the selection."""
    student: str
    revision: str
    test: ExamFacts
    options: dict[str, Any]
    """How students were trained and asked."""
    updates: int
    """Steps of the optimiser, of every arm."""
    figure: Figure
    """By which arms are compared first."""
    expected: float | None
    """The smallest difference in right answers that the design would tell in four of five
    repetitions, as it was expected before the first training."""
    smallest: dict[Figure, float]
    """The same, as the answers have it, by each figure; empty where there is one training of each,
    or one arm."""
    arms: list[ArmEffect]
    left_out: list[Unit]
    """Trainings for which there was no time."""
    hours: float
    """That the trainings and answers took, also those of earlier calls."""
    command: str
    """That makes the same again."""
    made_with: dict[str, str]
    """Versions of what trained and answered."""

    @property
    def baseline(self) -> str:
        """Name the arm that all are compared with."""
        return self.options["baseline"]

    @property
    def method(self) -> str:
        """Give whether adapters were trained (``lora``), or all weights (``full``)."""
        return self.options["method"]
