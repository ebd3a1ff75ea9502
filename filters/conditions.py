"""Conditions on a column: a value, one of several, or a range; and which prompts a name fits."""

import re
from collections.abc import Sequence
from typing import Annotated, Self

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


def words_of(condition: Condition) -> Sequence[Value]:
    """List the values of a condition; none where it is a range."""
    if isinstance(condition, Range):
        return ()
    return condition if isinstance(condition, tuple) else (condition,)


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


def fits(pattern: str, prompt: str | None) -> bool:
    """Tell whether a pattern fits a prompt: its name, without the digest where that is a file's.

    Only ``*`` stands for something else than itself, and alone it fits rows without a prompt too.
    """
    if prompt is None:
        return pattern == "*"
    body = ".*".join(map(re.escape, pattern.split("*")))
    return bool(re.fullmatch(rf"{body}(?:-[0-9a-f]{{8}})?", prompt, re.DOTALL))
