"""Scores side by side, as the report and ``curate scores --html`` show them.

What is a matrix stands as a table whose cells are shaded, since a heat map could not be read by
who can't see it; what is one figure a score is drawn with its interval.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from curate.measures.statistics import Estimate
from curate.report.html.figures import (
    Cell,
    Chart,
    Figure,
    Numbers,
    View,
    forest,
)
from curate.report.scores.comparison import Comparison
from curate.report.scores.groups import Groups
from curate.report.scores.separation import SHORTEST, Separation
from curate.report.scores.verdicts import Verdict
from curate.report.scores.words import (
    CANT_TELL,
    agreement_words,
    figured,
    group_words,
    intervals,
    lead_form,
    length_words,
    listed,
    mean_words,
    middle,
    overlap_words,
    separation_words,
    span,
    which,
)

_SHADES = 4


def score_charts(comparison: Comparison) -> Iterator[Chart]:
    """Draw what there is to compare; the first chart says what intervals are."""
    first, *others = _charts(comparison)
    yield replace(first, says=(*first.says, intervals()))
    yield from others


def _charts(comparison: Comparison) -> Iterator[Chart]:
    if comparison.agreement:
        says = tuple(agreement_words(comparison))
        numbers = _matrix(comparison.agreement)
        yield Chart("agreement", "Agreement of scores", says, (), numbers, open=True)
    if comparison.overlap:
        says = tuple(overlap_words(comparison.overlap))
        numbers = _matrix(comparison.overlap.shares, "z.0%")
        yield Chart("overlap", "What each score would take", says, (), numbers, open=True)
    if comparison.length:
        yield _length(comparison)
    yield _separation(comparison.separation)
    for groups in (*filter(None, [comparison.teachers]), *comparison.variants):
        yield _which(groups)
        yield _by_group(groups)


def _matrix(table: Mapping[str, Mapping[str, Estimate]], form: str = "z.2f") -> Numbers:
    rows = tuple(
        (one, *(Cell("") if one == other else _cell(table[one][other], form) for other in table))
        for one in table
    )
    return Numbers(("", *table), rows)


def _cell(estimate: Estimate, form: str, *, shaded: bool = True) -> Cell:
    heat = round(_SHADES * (estimate.value or 0.0)) if shaded else 0
    return Cell(middle(estimate, form), span(estimate, form), heat)


def _length(comparison: Comparison) -> Chart:
    lengths = list(dict.fromkeys(name for row in comparison.length.values() for name in row))
    views = tuple(
        View(
            length,
            _forest(
                {score: row[length] for score, row in comparison.length.items() if length in row},
                f"Spearman with {length}",
                0.0,
            ),
        )
        for length in lengths
    )
    rows = tuple(
        (score, *(_cell(row[n], "z.2f") if n in row else "" for n in lengths))
        for score, row in comparison.length.items()
    )
    says = tuple(length_words(comparison))
    return Chart("length", "Length inside questions", says, views,
                 Numbers(("score", *lengths), rows))  # fmt: skip


def _separation(separation: Separation) -> Chart:
    rows = tuple(
        (
            one.score,
            _cell(one.auc, "z.2f", shaded=False),
            _cell(one.auc_unstated, "z.2f", shaded=False),
            "" if one.score == SHORTEST else _cell(one.auc_length, "z.2f", shaded=False),
            _cell(one.wrong, "z.0%", shaded=False) if one.sided else "",
        )
        for one in separation.scores
    )
    heads = ("score", "AUC", "AUC, gold not stated", "AUC, length taken out", "wrong ones taken")
    numbers = Numbers(heads, rows) if rows else None
    says, views = tuple(separation_words(separation)), tuple(_separated(separation))
    return Chart("separation", "Right and wrong", says, views, numbers)


def _separated(separation: Separation) -> Iterator[View]:
    """Draw what scores see, each figure beside chance."""
    aucs = {one.score: one.auc for one in separation.scores}
    unstated = {one.score: one.auc_unstated for one in separation.scores}
    even = {one.score: one.auc_length for one in separation.scores if one.score != SHORTEST}
    wrong = {one.score: one.wrong for one in separation.scores if one.sided}
    chance = separation.chance_wrong.value
    for label, title, table, at in (
        ("AUC", "AUC, right before wrong", aucs, 0.5),
        ("AUC, gold not stated", "AUC of pairs that don't state the known answer", unstated, 0.5),
        ("AUC, length taken out", "AUC of what length leaves of each order", even, 0.5),
        ("Wrong ones taken", "share of wrong ones among each question's best", wrong, chance),
    ):
        if any(estimate.value is not None for estimate in table.values()):
            yield View(label, _forest(table, title, at, "chance"))


def _which(groups: Groups) -> Chart:
    rows = tuple(
        (one.by, one.best or CANT_TELL, _lead(one), _others(one)) for one in groups.verdicts
    )
    heads = ("figure", "best", "lead over the next", "told from")
    says = (which(groups), *group_words(groups))
    return Chart(f"which-{groups.by}", f"Which {groups.by} for this student", says, (),
                 Numbers(heads, rows), open=True)  # fmt: skip


def _lead(verdict: Verdict) -> Cell:
    if verdict.lead is None:
        return Cell("")
    return _cell(verdict.lead, lead_form(verdict), shaded=False)


def _others(verdict: Verdict) -> str:
    """Say from whom the best is told, or who can't be told apart."""
    if verdict.best is not None:
        return f"all, next {verdict.runner_up}"
    return f"not {' from '.join((verdict.alike[0], listed(verdict.alike[1:])))}"


def _by_group(groups: Groups) -> Chart:
    views = tuple(View(name, _forest(row, name, None)) for name, row in groups.figures.items())
    rows = tuple(
        (
            one.name,
            f"{one.rows:,}",
            f"{one.scored:,}",
            *(_cell(row[one.name], "z.3g", shaded=False) for row in groups.figures.values()),
        )
        for one in groups.groups
    )
    heads = (groups.by, "samples", "scored", *groups.figures)
    says = tuple(mean_words(groups))
    return Chart(f"by-{groups.by}", f"Scores by {groups.by}", says, views, Numbers(heads, rows),
                 open=True)  # fmt: skip


def _forest(table: Mapping[str, Estimate], title: str, at: float | None, label: str = "") -> Figure:
    return forest(table, title, at, label, say=lambda one: figured(one, "z.3g"))
