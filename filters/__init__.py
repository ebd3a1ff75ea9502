"""One file a filter; ``contract.py`` is the required reading.

To add a filter: write its file, list its class in `FILTERS`, write its golden file, ``make docs``.
The contract suite runs on it from then on.
"""

from typing import Final

from filters.completeness import Completeness
from filters.consistency import Consistency
from filters.contract import DatasetFilter, Filter
from filters.correctness import Correctness
from filters.diversity import Diversity
from filters.duplicates import Duplicates
from filters.length import Length
from filters.overrides import Overrides
from filters.rationale_difficulty import RationaleDifficulty
from filters.repetition import Repetition
from filters.spread import Spread

FILTERS: Final[tuple[type[Filter], ...]] = (
    Completeness,
    Length,
    Repetition,
    Correctness,
    Consistency,
    Duplicates,
    Diversity,
    Spread,
    RationaleDifficulty,
    Overrides,
)
"""Every filter the recipe knows by its `use`, in the order of a typical chain."""

__all__ = ["FILTERS", "DatasetFilter", "Filter"]
