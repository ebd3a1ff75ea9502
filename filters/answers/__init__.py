"""Typed answers: when an answer equals a gold, and where a text states one.

Six types, each with its own module of rules and its own idea of "the same": ``number``, ``choice``,
``boolean``, ``date``, ``string`` and ``latex``. Comparison is typed first because libraries that
compare anything with anything call 50, 50 % and 0.5 equal and 'yes' and 'yes' different. Finding
an answer (`extract_answer`) never looks at the gold.
"""

from filters.answers.boxes import designated
from filters.answers.compare import GOLD_TYPES, GoldType, canonical, equal, last_value
from filters.answers.extract import Extracted, extract_answer
from filters.answers.options import options_of, without_options

__all__ = [
    "GOLD_TYPES",
    "Extracted",
    "GoldType",
    "canonical",
    "designated",
    "equal",
    "extract_answer",
    "last_value",
    "options_of",
    "without_options",
]
