"""A sweep: the selection once more for every key, direction and budget, each a control arm.

What a score is worth shows where its two ends and several budgets are trained on. A sweep takes
from the same samples in the same way as the selection, so that only what it names differs, and a
run in which only the sweep is another asks nothing of a model that was asked before.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from curate.select.arms import Arm, ArmKind
from curate.select.options import Budget
from curate.select.orders import Key, order_of, turned
from curate.select.ranking import Siblings
from curate.store.keys import short_id
from filters.columns import GLOSSARY

Direction = Literal["lowest", "highest"]
RATIOS: Final = frozenset(GLOSSARY.where(lambda column: column.ratio))
"""Columns of which the mean is the geometric one."""
MOST_ARMS: Final = 100
"""Arms of one sweep: each is a config of the release."""
LONGEST_SLUG: Final = 80
"""Characters of a key in an arm's name, which is that of a folder; longer ones end in a digest."""


class Point(NamedTuple):
    """Where a sweep stands.

    Attributes:
        key: what orders the samples.
        direction: which end of it comes first.
        budget: how much is taken; None for as much as the selection may.
    """

    key: Key
    direction: Direction
    budget: Budget | None

    @property
    def key_text(self) -> str:
        """The key as a person reads it."""
        return order_of(self.key).text

    @property
    def budget_text(self) -> str:
        """The budget as a person reads it."""
        return "the selection's budget" if self.budget is None else self.budget.text

    @property
    def arm(self) -> Arm:
        """The control arm that stands there."""
        slug = order_of(self.key).slug
        if len(slug) > LONGEST_SLUG:
            slug = f"{slug[: LONGEST_SLUG - 9]}_{short_id(slug)[:8]}"
        size = "" if self.budget is None else f"_{self.budget.slug}"
        name = f"sweep_{slug}_{self.direction}{size}"
        takes = (
            f"{self.budget_text} by {self.key_text}, {self.direction} first, chosen as the "
            "selection is; a measure that it alone needs is a step above"
        )
        key = self.key if self.direction == "lowest" else turned(self.key)
        kind = ArmKind(word=name, takes=takes, order=(key,), size="budget", budget=self.budget)
        return Arm(kind)


class Sweep(BaseModel):
    """The recipe's ``sweep`` section: one arm for every key, direction and budget."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    order_by: tuple[Key, ...] = Field(min_length=1)
    """Keys as ``select.order_by`` has them, each on its own and without a ``-``: `direction` says
    which end comes first.
    """
    budget: tuple[Budget, ...] = ()
    """Budgets as ``select.budget`` has them (``{rows: 500}``, ``{share: 0.1}``, ``{tokens: N}``);
    left out, the selection's.
    """
    direction: tuple[Direction, ...] = Field(default=("lowest",), min_length=1)
    """``lowest`` takes a key as it stands, ``highest`` with every column in it turned round."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for key in self.order_by:
            if isinstance(key, str) and key.startswith("-"):
                raise ValueError(
                    f"got {key!r} in order_by; name {key[1:]!r} there, and say direction: [highest]"
                )
        if len(self.points) > MOST_ARMS:
            raise ValueError(
                f"these are {len(self.points):,} arms, and a sweep has at most {MOST_ARMS}; name "
                "fewer keys, budgets or directions"
            )
        names = [point.arm.name for point in self.points]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(
                f"two of its arms are called {twice!r}; name each key, budget and direction once"
            )
        return self

    @property
    def points(self) -> tuple[Point, ...]:
        """Every combination, key by key."""
        return tuple(
            Point(key, direction, budget)
            for key in self.order_by
            for direction in self.direction
            for budget in self.budget or (None,)
        )


class Outcome(NamedTuple):
    """What an arm of a sweep turned out to hold.

    Attributes:
        right: share of its samples whose answer was right, of those that were judged; None where
            none was.
        mean: of what its key compares, the geometric mean of a ratio; None where nothing is known.
        overlap: share of its samples that the selection has too; None where it is empty.
    """

    right: float | None
    mean: float | None
    overlap: float | None


def outcomes(
    points: Sequence[Point], table: pl.DataFrame, chosen: pl.DataFrame
) -> tuple[Outcome, ...]:
    """Look at what the arms of a sweep hold.

    Args:
        points: of the sweep.
        table: as `curate.select.select` was given it, with ``answer_right`` (Boolean, null
            where nobody judged).
        chosen: what it returned for the points' arms.
    """
    marks = chosen.select("selected", *(point.arm.column for point in points))
    live = table.hstack(marks).filter("live").with_row_index("row")
    frame = live.with_columns(question=pl.col("question_id").rank("dense"))
    means: dict[str, pl.Series] = {}
    for point in points:
        if point.key_text not in means:
            values = order_of(point.key).values(Siblings(frame=frame))
            means[point.key_text] = values.log() if point.key in RATIOS else values
    return tuple(_outcome(point, frame, means[point.key_text]) for point in points)


def _outcome(point: Point, frame: pl.DataFrame, values: pl.Series) -> Outcome:
    held = frame.with_columns(values.alias("value")).filter(point.arm.column)
    right, value, overlap = held.select(pl.col("answer_right", "value", "selected").mean()).row(0)
    geometric = pl.Series([value], dtype=pl.Float64).exp().item() if point.key in RATIOS else value
    return Outcome(right, geometric, overlap)
