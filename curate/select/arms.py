"""Control arms: other choices from the same samples, each a row of one table.

A kind of arm says from which samples it takes, in which order and how many; everything else
(column, config, forecast, report) follows. To add one: see this folder's README.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Self

from curate.errors import InputError
from curate.select.options import Budget, SelectOptions
from curate.select.orders import Key
from filters.columns import ARM_PREFIX
from filters.registry import Registry, instance_of

Size = Literal["selection", "budget", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmKind:
    """A kind of control arm.

    In `pool`, `order`, `apart` and `takes`, ``{operand}`` stands for what a recipe names behind the
    colon.

    Attributes:
        word: as a recipe calls it.
        takes: what it takes, and what that costs beyond the selection; a clause for the plan.
        pool: Boolean column of the samples that it may take: ``live`` (after the last filter),
            ``live_correct`` (after the one that tells right from wrong), ``nonempty``, or
            ``live_without_{operand}``.
        order: what orders the samples of one question, as ``select.order_by`` has it; the seeded
            hash follows. An arm of the size ``budget`` without one has the selection's.
        size: as many a question as the ``selection``, or ``all``; with ``budget`` it is chosen as
            the selection is, in rounds, from its own pool.
        budget: of an arm of that size; None for the selection's.
        operand: what is named behind the colon: a ``COLUMN``, a ``COLUMN=VALUE`` (or several, with
            commas), a ``FILTER``, or nothing. Where a value is named, only samples that have it are
            taken. Without the filter the chain is judged again, and the arm chosen as the selection
            is.
        apart: column of which a question's samples are to differ, as far as they can.
        matches_tokens: whether the draw is made to hold as many tokens as the selection.
    """

    word: str
    takes: str
    pool: str = "live"
    order: tuple[Key, ...] = ()
    size: Size = "selection"
    budget: Budget | None = None
    operand: Literal["", "COLUMN", "COLUMN=VALUE", "FILTER"] = ""
    apart: str = ""
    matches_tokens: bool = False

    @property
    def judged_again(self) -> bool:
        """Whether the chain is judged again, without the filter that the arm names."""
        return self.operand == "FILTER"

    @property
    def written(self) -> str:
        """The arm as a recipe writes it, ``lowest:COLUMN``."""
        return f"{self.word}:{self.operand}" if self.operand else self.word


SHIPPED: Final = (
    ArmKind(
        word="random",
        takes="as many a question as the selection, at random; no model is asked more",
    ),
    ArmKind(
        word="random_correct",
        takes="as many a question as the selection, at random from all right answers; no model is "
        "asked more",
        pool="live_correct",
        matches_tokens=True,
    ),
    ArmKind(
        word="all_correct",
        takes="all right answers; no model is asked more",
        pool="live_correct",
        size="all",
    ),
    ArmKind(
        word="all",
        takes="every sample that is not empty; no model is asked more",
        pool="nonempty",
        size="all",
    ),
    ArmKind(
        word="shortest",
        takes="as many a question as the selection, the shortest; no model is asked more",
        order=("tokens",),
    ),
    ArmKind(
        word="lowest",
        takes="as many a question as the selection, of lowest {operand}; a measure that it alone "
        "needs is a step above",
        order=("{operand}",),
        operand="COLUMN",
    ),
    ArmKind(
        word="highest",
        takes="as many a question as the selection, of highest {operand}; a measure that it alone "
        "needs is a step above",
        order=("-{operand}",),
        operand="COLUMN",
    ),
    ArmKind(
        word="one_per",
        takes="as many a question as the selection, at random, of different {operand} as far as "
        "there are; a measure that it alone needs is a step above",
        operand="COLUMN",
        apart="{operand}",
    ),
    ArmKind(
        word="only",
        takes="as many a question as the selection, at random of those with {operand}; no model is "
        "asked more",
        operand="COLUMN=VALUE",
    ),
    ArmKind(
        word="without",
        takes="the chain judged again without {operand}; rows live only there are measured too",
        pool="live_without_{operand}",
        size="budget",
        operand="FILTER",
    ),
)
"""Every kind of arm of this project."""

_VALUE: Final = re.compile(r"[^=,]+=[^,]+(,[^=,]+=[^,]+)*")
_NEEDS: Final = {"COLUMN=VALUE": "a column and a value, as in source=small,"}

ARMS: Final = Registry[ArmKind](
    "arm", "curate.arms", SHIPPED, lambda kind: kind.word, instance_of(ArmKind)
)
"""Every kind of arm that a recipe can name: those shipped, plugged in, and registered."""


def spelled(text: str) -> str:
    """Spell the name of an arm as columns and configs do."""
    return re.sub(r"\W+", "_", text)


class Arm(NamedTuple):
    """One control arm.

    Attributes:
        kind: of arm.
        operand: what the recipe names behind the colon, else empty.
    """

    kind: ArmKind
    operand: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an arm as the recipe writes it, ``random`` or ``lowest:nll_rationale``.

        Raises:
            InputError: the text names no arm.
        """
        word, colon, operand = text.partition(":")
        kind = ARMS.get(word)
        fits = kind is not None and bool(kind.operand) == bool(operand) == bool(colon)
        if kind is not None and kind.operand == "COLUMN=VALUE":
            fits = bool(_VALUE.fullmatch(operand))
        if kind is not None and fits:
            return cls(kind, operand)
        hint = ""
        if kind is not None and kind.operand:
            hint = f"; {word!r} needs {_NEEDS.get(kind.operand, 'a name')} after a colon"
        elif kind is not None:
            hint = f"; {word!r} stands alone"
        raise InputError(
            f"no arm is called {text!r}{hint}; wanted one of "
            f"{', '.join(arm.written for arm in ARMS)}",
            "arms",
        )

    @property
    def text(self) -> str:
        """The arm as the recipe writes it."""
        return f"{self.kind.word}:{self.operand}" if self.operand else self.kind.word

    @property
    def adds(self) -> str:
        """What it takes, and what that costs beyond the selection."""
        return self._filled(self.kind.takes)

    @property
    def name(self) -> str:
        """The arm as columns and configs spell it (``lowest_nll_rationale``)."""
        return spelled(self.text)

    @property
    def column(self) -> str:
        """The Boolean column that marks the arm's samples."""
        return ARM_PREFIX + self.name

    @property
    def pool(self) -> str:
        """The Boolean column of the samples the arm may take."""
        return self._filled(self.kind.pool)

    @property
    def order_by(self) -> tuple[Key, ...]:
        """What orders the arm's samples inside a question; the seeded hash follows."""
        return tuple(self._filled(key) if isinstance(key, str) else key for key in self.kind.order)

    @property
    def conditions(self) -> Mapping[str, str]:
        """The values that all its samples have, by column."""
        if self.kind.operand != "COLUMN=VALUE":
            return {}
        return dict(part.split("=", 1) for part in self.operand.split(","))

    @property
    def apart(self) -> str:
        """The column of which a question's samples are to differ; empty for none."""
        return self._filled(self.kind.apart)

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that it is drawn by, beside its order and its pool."""
        return tuple(filter(None, (*self.conditions, self.apart)))

    def within(self, options: SelectOptions) -> SelectOptions:
        """Give by what an arm of the size ``budget`` is chosen: all but its own is `options`'."""
        own = {"order_by": self.order_by, "budget": self.kind.budget}
        return options.model_copy(update={key: value for key, value in own.items() if value})

    def _filled(self, text: str) -> str:
        return text.replace("{operand}", self.operand)
