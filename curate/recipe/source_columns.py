"""Columns that sources bring beside those that all have: each under a name that nobody else has."""

from collections.abc import Sequence
from typing import Final

from curate.errors import InputError
from curate.measures import known_columns
from curate.select.select import MADE
from curate.sources import Source
from filters import FILTERS
from filters.columns import ARM_PREFIX, VERDICT_PREFIX, Glossary

WORKING: Final = MADE | {
    "abstained", "all", "answer_right", "drawn", "due", "filter", "hash", "in_words", "nth",
    "one_per", "order", "outcome", "own", "pass", "place", "quota_group", "right", "row", "sibling",
    "size", "turn", "value", "whole",
}  # fmt: skip
"""Columns by which tables are worked on; a score so called would be taken for one of them."""
PREFIXES: Final = (VERDICT_PREFIX, ARM_PREFIX, "live_without_", "key_")


def columns_of_sources(sources: Sequence[Source]) -> Glossary:
    """Declare what sources bring, whichever of them has it.

    Raises:
        InputError: a name is taken, or two sources declare it in two ways.
    """
    own = known_columns()
    own = own.plus(c for kind in FILTERS for c in kind.writes.values() if c.name not in own)
    brought = Glossary()
    for source in sources:
        where = f"sources: {source.name}: columns"
        columns = source.writes.plus(source.gives.values())
        for name, column in columns.items():
            if name in own:
                raise InputError(
                    f"{name!r} is a column already ({own[name].meaning}); give this one another "
                    "name",
                    where,
                )
            if name in WORKING or name.startswith(PREFIXES):
                raise InputError(
                    f"{name!r} is a name that tables are worked on with; give this column another, "
                    f"such as 'imported_{name}'",
                    where,
                )
            if brought.get(name, column) != column:
                raise InputError(
                    f"{name!r} is declared in another way than by a source before it "
                    f"({column.score} against {brought[name].score} is better); say the same in "
                    "both, or give one another name",
                    where,
                )
        brought = Glossary({**brought, **columns}.values())
    return brought
