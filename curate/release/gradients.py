"""What the facts of measure ``gradient`` look like to a person: one table."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

HEADS: Final = ("of", "rows", "questions", "GRACE", "GRACE, unit length", "G-Vendi")
"""Headings of the table."""
NOTE: Final = (
    "GRACE (arXiv 2511.02833): lower for a teacher who suits this student better. G-Vendi (arXiv "
    "2505.20161): higher for a more diverse set of rows. Both are of rows drawn by hash from the "
    "right ones. Teachers are compared on equal numbers of rows, so are sources, and so are arms; "
    "figures of other numbers of rows, or of another student, do not compare. In brackets: 95 % "
    "intervals of a jackknife over questions; where two overlap, the data may not tell them apart."
)
_FIGURES: Final = ("grace", "grace_unit", "g_vendi")
_REASONS: Final = {
    "too_few_questions": "too few questions to tell",
    "not_all_measured": "holds rows that are not right",
}


def groups_of(facts: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give teachers, sources and arms in this order, the selection before the control arms."""
    for kind in ("teachers", "sources", "arms"):
        groups: Mapping[str, Any] = facts.get(kind, {})
        names = sorted(groups, key=lambda name: (kind != "arms" or name != "selected", name))
        yield kind, {name: groups[name] for name in names}


def table_of(facts: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Give a line for each teacher, source and arm, as wide as `HEADS`."""
    for kind, groups in groups_of(facts):
        for name, group in groups.items():
            yield (f"{kind.removesuffix('s')} {name}", *_cells(group))


def _cells(group: Mapping[str, Any]) -> tuple[str, ...]:
    if "reason" in group:
        return (*[""] * (len(HEADS) - 2), _REASONS[group["reason"]])
    figures = (_figure(group[name]) if name in group else "" for name in _FIGURES)
    return f"{group['rows']:,}", f"{group['questions']:,}", *figures


def _figure(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.4g} ({figure['low']:.4g} to {figure['high']:.4g})"
