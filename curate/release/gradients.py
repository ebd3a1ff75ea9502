"""What the facts of measure ``gradient`` look like to a person: one table."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

HEADS: Final = ("of", "rows", "questions", "GRACE", "GRACE, unit length", "G-Vendi")
"""Headings of the table."""
NOTE: Final = (
    "GRACE (arXiv 2511.02833): lower for a teacher who suits this student better. G-Vendi (arXiv "
    "2505.20161): higher for a more diverse set of rows. Teachers are compared on equal numbers of "
    "rows, so are sources, and so are arms; figures with other numbers of rows, or of another "
    "student, do not compare. In brackets: 95 % intervals of a jackknife over questions. Two whose "
    "intervals overlap are not told apart."
)
_FIGURES: Final = ("grace", "grace_unit", "g_vendi")
_REASONS: Final = {
    "too_few_questions": "too few questions to tell",
    "not_all_measured": "holds rows that were stopped before gradients were taken",
}


def table_of(facts: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Give a line for each teacher, source and arm, as wide as `HEADS`."""
    for kind, groups in facts.items():
        for name, group in groups.items():
            yield (f"{kind.removesuffix('s')} {name}", *_cells(group))


def _cells(group: Mapping[str, Any]) -> tuple[str, ...]:
    if "reason" in group:
        return (_REASONS[group["reason"]], *[""] * (len(HEADS) - 2))
    figures = (_figure(group[name]) if name in group else "" for name in _FIGURES)
    return f"{group['rows']:,}", f"{group['questions']:,}", *figures


def _figure(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.4g} ({figure['low']:.4g} to {figure['high']:.4g})"
