"""Gradients under the student: which teacher suits it, and how diverse sources and arms are."""

from collections.abc import Iterator, Mapping
from typing import Any

from curate.release.gradients import HEADS, NOTE, groups_of, table_of
from curate.report.html.audit import Audit
from curate.report.html.figures import ROW, Chart, Figure, Numbers, View, figure, floats, plain


def gradients_chart(audit: Audit) -> Chart | None:
    """Show GRACE and G-Vendi with their intervals; None where no gradients were taken."""
    facts = audit.manifest["measures"].get("gradient", {}).get("facts")
    if not facts:
        return None
    table = Numbers(HEADS, tuple(table_of(facts)))
    return Chart("gradients", "Gradients", (NOTE,), tuple(_views(facts)), table, open=True)


def _views(facts: Mapping[str, Any]) -> Iterator[View]:
    for kind, groups in groups_of(facts):
        for name, title in (("grace", "GRACE"), ("g_vendi", "G-Vendi")):
            figures = {of: group[name] for of, group in groups.items() if name in group}
            if figures:
                yield View(f"{title} of {kind}", _intervals(figures, title))


def _intervals(figures: Mapping[str, Mapping[str, float]], title: str) -> Figure:
    values = [each["value"] for each in figures.values()]
    above = [each["high"] - each["value"] for each in figures.values()]
    below = [each["value"] - each["low"] for each in figures.values()]
    dots: dict[str, Any] = {
        "type": "scatter", "mode": "markers", "showlegend": False,
        "x": floats(values), "y": [plain(name) for name in figures],
        "error_x": {"type": "data", "array": floats(above), "arrayminus": floats(below)},
        "marker": {"color": "@live", "size": 9},
    }  # fmt: skip
    return figure(
        [dots],
        height=ROW * len(figures) + 110,
        x={"title": {"text": f"{title}, and 95 % interval"}},
        y={"autorange": "reversed", "showgrid": False, "type": "category"},
    )
