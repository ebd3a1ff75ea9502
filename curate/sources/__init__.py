"""What comes in: questions, and the only makers of rows.

`generate` samples a teacher, `rewrite` has one write samples anew, `pose` has one write questions,
`import_` reads what teachers wrote, `gold` takes the solutions that questions came with.
`questions/` is the other table, `tables/` reads files of any format.

To add a source: write its file, list its class in `SHIPPED`, write its test, as README.md shows.
The contract suite runs on it from then on, recipes know it by its `use`, and plan, probe and
manifest count it.
"""

from typing import Final

from curate.sources.base import ReadSource, Source, Tally
from curate.sources.generate import Generate
from curate.sources.gold import Gold
from curate.sources.import_ import Import
from curate.sources.pose import Pose
from curate.sources.rewrite import Rewrite
from curate.sources.sampled import SampledSource
from filters.registry import Registry, field_default, subclass_of

SHIPPED: Final[tuple[type[Source], ...]] = (
    Generate,
    Rewrite,
    Pose,
    Import,
    Gold,
)
"""Every source of this project."""

SOURCES: Final = Registry[type[Source]](
    "source", "curate.sources", SHIPPED, field_default("use"), subclass_of(Source)
)
"""Every source that a recipe knows by its `use`: those shipped, plugged in, and registered."""

__all__ = ["SHIPPED", "SOURCES", "ReadSource", "SampledSource", "Source", "Tally"]
