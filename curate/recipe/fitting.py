"""Whether a column can be what a recipe compares it with."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from curate.errors import InputError
from filters.columns import Column
from filters.conditions import Condition, Range, words_of

_NUMBERS: Final[tuple[set[type], str]] = {int, float}, "a number"
_HELD: Final[Mapping[type[pl.DataType], tuple[set[type], str]]] = {
    pl.String: ({str}, "a text"),
    pl.Boolean: ({bool}, "true or false"),
}
"""What a column of a type is compared with, and its name; others hold `_NUMBERS`."""


def refuse_other_types(column: Column, condition: Condition, where: str) -> None:
    """Refuse to compare a column with what it never holds.

    Raises:
        InputError: its type does not fit the condition.
    """
    kind = column.dtype
    fitting, wanted = _HELD.get(type(kind), _NUMBERS)
    if kind.is_nested():
        raise InputError(
            f"{column.name!r} ({column.meaning}) holds {kind}, and a condition wants one value a "
            "sample",
            where,
        )
    if isinstance(condition, Range) and not kind.is_numeric():
        raise InputError(
            f"{column.name!r} ({column.meaning}) is no number, so it has no range; name values",
            where,
        )
    for value in words_of(condition):
        if type(value) not in fitting:
            raise InputError(
                f"{column.name!r} ({column.meaning}) never is {value!r}; wanted {wanted}", where
            )
