"""Conditions on samples that are there already: which of them another source goes on from.

A condition names a filter of the recipe or a column. Of a filter it says the verdict: ``kept``,
``dropped``, ``abstained`` or one of its reasons. Of a column it says a value, several of them, or a
range. All of them must hold. Which filters and columns can be known so early is the recipe's to
tell (`curate.recipe.early`).
"""

from collections.abc import Sequence
from typing import Annotated, Final, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator


class Range(BaseModel):
    """Numbers between two bounds, both included."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    min: float | None = None
    """The smallest."""
    max: float | None = None
    """The largest."""

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a range has neither min nor max; give one, as in {max: 120}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"no number is both above {self.min:g} and below {self.max:g}")
        return self


Value = bool | int | float | str
Condition = Value | Annotated[tuple[Value, ...], Field(min_length=1)] | Range
"""A value, several of which one must be there, or a range."""

OUTCOMES: Final = ("kept", "dropped", "abstained")
"""What a verdict is, but for its reason."""


def words_of(condition: Condition) -> Sequence[Value]:
    """List the values of a condition; none where it is a range."""
    if isinstance(condition, Range):
        return ()
    return condition if isinstance(condition, tuple) else (condition,)


def verdict_is(verdict: pl.Expr, condition: Condition) -> pl.Expr:
    """Tell whether a verdict is one of those that a condition names.

    Args:
        verdict: structs with ``keep`` and ``reason``.
        condition: outcomes and reasons.
    """
    keep, reason = verdict.struct.field("keep"), verdict.struct.field("reason")
    outcome = (
        pl.when(keep.is_null())
        .then(pl.lit("abstained"))
        .when(keep)
        .then(pl.lit("kept"))
        .otherwise(pl.lit("dropped"))
    )
    words = [str(word) for word in words_of(condition)]
    return outcome.is_in(words) | reason.is_in(words).fill_null(value=False)


def value_is(column: pl.Expr, condition: Condition) -> pl.Expr:
    """Tell whether a column has what a condition wants; null has nothing.

    Args:
        column: of any type that its values or range can be compared with.
        condition: values, or a range.
    """
    if not isinstance(condition, Range):
        held = [column == value for value in words_of(condition)]
        return pl.any_horizontal(held).fill_null(value=False)
    held = [column >= condition.min] if condition.min is not None else []
    held += [column <= condition.max] if condition.max is not None else []
    return pl.all_horizontal(held).fill_null(value=False)
