"""Conditions on samples that are there already: which of them another source goes on from.

A condition names a filter of the recipe or a column. Of a filter it says the verdict: ``kept``,
``dropped``, ``abstained`` or one of its reasons. Of a column it says a value, several of them, or a
range. All of them must hold. Which filters and columns can be known so early is the recipe's to
tell (`curate.recipe.early`).
"""

from typing import Final

import polars as pl

from filters.conditions import Condition, words_of

OUTCOMES: Final = ("kept", "dropped", "abstained")
"""What a verdict is, but for its reason."""


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
