"""One file a filter; ``contract.py`` is the required reading.

To add a filter: write its file, list its class in `SHIPPED`, write its golden file, ``make docs``.
The contract suite runs on it from then on.
"""

from typing import Final

from filters.band import Band
from filters.completeness import Completeness
from filters.compliance import Compliance
from filters.consistency import Consistency
from filters.contract import DatasetFilter, Filter
from filters.contradiction import Contradiction
from filters.correctness import Correctness
from filters.diversity import Diversity
from filters.duplicates import Duplicates
from filters.length import Length
from filters.overrides import Overrides
from filters.rationale_difficulty import RationaleDifficulty
from filters.registry import Registry, field_default, subclass_of
from filters.repetition import Repetition
from filters.spread import Spread

SHIPPED: Final[tuple[type[Filter], ...]] = (
    Completeness,
    Length,
    Band,
    Compliance,
    Repetition,
    Correctness,
    Contradiction,
    Consistency,
    Duplicates,
    Diversity,
    Spread,
    RationaleDifficulty,
    Overrides,
)
"""Every filter of this project, in the order of a typical chain."""

FILTERS: Final = Registry[type[Filter]](
    "filter", "curate.filters", SHIPPED, field_default("use"), subclass_of(Filter)
)
"""Every filter that a recipe knows by its `use`: those shipped, plugged in, and registered."""

__all__ = ["FILTERS", "SHIPPED", "DatasetFilter", "Filter"]
