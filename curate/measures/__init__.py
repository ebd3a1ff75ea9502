"""Columns about rows: what a sample says, how long it is, what it does to the student.

To add a measure (README.md): write its file, list its class in `SHIPPED`, write its test. The
contract suite runs on it from then on, the plan inserts it where its columns are read, and whoever
shows columns shows its.
"""

from typing import Final, cast

from pydantic import BaseModel

from curate.measures.attributes import Attributes
from curate.measures.base import DerivedMeasure, Measure, MemoMeasure, Setup
from curate.measures.casl import Casl
from curate.measures.compliance import Compliance
from curate.measures.curve import Curve
from curate.measures.embed import Embed
from curate.measures.gradient import Gradient
from curate.measures.importance import Importance
from curate.measures.local import Local
from curate.measures.overrides import Overrides
from curate.measures.parse import Parse
from curate.measures.reflection import Reflection
from curate.measures.score import Score
from curate.measures.signals import Signals
from curate.measures.teacher_signals import TeacherSignals
from curate.measures.tokens import Tokens
from curate.measures.verify import Verify
from filters.columns import GLOSSARY, Glossary
from filters.registry import Registry, subclass_of

SHIPPED: Final[tuple[type[Measure], ...]] = (
    Parse,
    Attributes,
    Compliance,
    Tokens,
    Verify,
    Embed,
    Overrides,
    Score,
    Signals,
    Reflection,
    Casl,
    Local,
    Curve,
    Importance,
    Gradient,
    TeacherSignals,
)
"""Every measure of this project."""


def _check(item: object) -> None:
    """Want a measure whose columns are nobody else's.

    Raises:
        TypeError: it is none, or its section is no model.
        ValueError: another one, or the project itself, writes a column of that name.
    """
    subclass_of(Measure)(item)
    measure = cast("type[Measure]", item)
    if measure.section is not None:
        subclass_of(BaseModel)(measure.section)
    others = [kind for kind in MEASURES if kind.name != measure.name]
    columns = (column for kind in (*others, measure) for column in kind.writes.values())
    GLOSSARY.plus(columns)


MEASURES: Final = Registry[type[Measure]](
    "measure", "curate.measures", SHIPPED, lambda kind: kind.name, _check
)
"""Every measure that can write a column: those shipped, plugged in, and registered."""


def known_columns() -> Glossary:
    """Give the glossary with the columns of all measures there are."""
    return GLOSSARY.plus(column for kind in MEASURES for column in kind.writes.values())


__all__ = [
    "MEASURES", "SHIPPED", "DerivedMeasure", "Measure", "MemoMeasure", "Setup", "known_columns",
]  # fmt: skip
