"""``curate scores --html``: the scores of a run side by side, in the style of the report."""

from collections.abc import Iterator
from pathlib import Path

from curate.report.html.page import figures_of, page, save
from curate.report.html.score_charts import score_charts
from curate.report.scores.comparison import Comparison


def write_score_comparison(comparison: Comparison, out: Path) -> Path:
    """Write a comparison of scores as a page.

    Args:
        comparison: of a run's.
        out: the file, which appears whole or not at all.

    Raises:
        InputError: it can't be written.
    """
    charts = list(score_charts(comparison))
    context = {
        "charts": charts,
        "figures": figures_of(charts),
        "headline": list(_headline(comparison)),
    }
    save(page(f"{comparison.title}: scores", context, "scores.html.jinja"), out)
    return out


def _headline(comparison: Comparison) -> Iterator[tuple[str, str]]:
    yield f"{len(comparison.scores):,}", "scores"
    yield f"{comparison.scored:,}", "scored samples"
    yield f"{comparison.questions:,}", "questions"
    if comparison.teachers:
        yield f"{len(comparison.teachers.groups):,}", "teachers"
