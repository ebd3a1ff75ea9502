"""Chart of planted faults: which score sees which."""

from collections.abc import Iterator, Mapping
from typing import Any

from curate.release.faults import SAYS, fault_headings, fault_rows
from curate.report.html.audit import Audit
from curate.report.html.figures import ROW, Chart, Figure, Numbers, View, figure, marked, plain


def faults_charts(audit: Audit) -> Iterator[Chart]:
    """Show what every score makes of each planted fault; nothing where none were planted."""
    facts = audit.manifest.get("planted_faults")
    if not facts:
        return
    views = [
        View(fault["meaning"], _shares(fault, facts["scores"]))
        for fault in facts["faults"]
        if any(by[fault["name"]]["value"] is not None for by in facts["scores"].values())
    ]
    if views:
        says = f"{SAYS} Planted in {facts['rationales']:,} right rationales, one a question."
        rows = tuple(tuple(row) for row in fault_rows(facts))
        numbers = Numbers(tuple(fault_headings(facts)), rows)
        yield Chart("planted-faults", "Planted faults", (says,), tuple(views), numbers)


def _shares(fault: Mapping[str, Any], scores: Mapping[str, Any]) -> Figure:
    by_score = {name: by[fault["name"]] for name, by in scores.items()}
    points = {name: share for name, share in by_score.items() if share["value"] is not None}
    shares = list(points.values())
    trace = {
        "type": "scatter", "mode": "markers", "x": [share["value"] for share in shares],
        "y": [plain(name) for name in points], "marker": {"color": "@c0", "size": 9},
        "error_x": {
            "type": "data", "symmetric": False, "color": "@c0",
            "array": [share["high"] - share["value"] for share in shares],
            "arrayminus": [share["value"] - share["low"] for share in shares],
        },
        "hovertext": [
            f"{plain(name)}: {share['value']:.2f} ({share['low']:.2f} to {share['high']:.2f}), "
            f"{share['questions']:,} pairs"
            for name, share in points.items()
        ],
        "hoverinfo": "text",
    }  # fmt: skip
    return figure(
        [trace],
        height=110 + ROW * len(points),
        x={"title": {"text": "share of pairs"}, "range": [-0.02, 1.02]},
        y={"autorange": "reversed", "dtick": 1},
        showlegend=False,
        **marked(0.5, "chance"),
    )
