"""What the figures say, in sentences; what can't be told is said to be so."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from curate.errors import count_of
from curate.measures.statistics import FEWEST, FEWEST_SIBLINGS, Estimate
from curate.report.scores.agreement import Table
from curate.report.scores.comparison import Comparison
from curate.report.scores.group_figures import CLUSTERS
from curate.report.scores.groups import Groups
from curate.report.scores.overlap import Overlap
from curate.report.scores.separation import Separation
from curate.report.scores.verdicts import Verdict

CANT_TELL: Final = "can't tell"
_MOST: Final = 4
"""Names that a sentence lists."""
_SAME: Final = 0.99
"""Agreement above which two scores say the same."""


def figured(estimate: Estimate, form: str = "z.2f") -> str:
    """Say a figure with its interval."""
    return f"{middle(estimate, form)} ({span(estimate, form)})"


def middle(estimate: Estimate, form: str = "z.2f") -> str:
    """Say a figure, or that it can't be told."""
    return CANT_TELL if estimate.value is None else f"{estimate.value:{form}}"


def span(estimate: Estimate, form: str = "z.2f") -> str:
    """Say the interval of a figure; where it can't be told, on how little it would rest."""
    if estimate.low is None or estimate.high is None:
        return count_of(estimate.questions, "question")
    return f"{estimate.low:{form}} to {estimate.high:{form}}"


def intervals() -> str:
    """Say how intervals are made."""
    return (
        "With each figure stands its 95 % interval, from questions drawn with replacement, since "
        f"siblings are not independent. Below {FEWEST} questions nothing is told."
    )


def agreement_words(comparison: Comparison) -> Iterator[str]:
    """Say which scores agree, and which order siblings the other way round."""
    yield (
        "Spearman correlation inside questions, the mean over those with at least "
        f"{FEWEST_SIBLINGS} samples that have both scores. Scores of which lower is better are "
        "turned around: 1 is the same order of siblings, -1 the opposite, 0 none in common."
    )
    pairs = sorted(_pairs(comparison.agreement), key=lambda pair: pair[2].value or 0.0)
    same = [pair for pair in pairs if (pair[2].low or 0.0) > _SAME]
    if same:
        names = listed([f"{one} and {other}" for one, other, _ in same])
        yield f"In the same order, but for few siblings: {names}."
    others = pairs[: len(pairs) - len(same)]
    if others and (others[-1][2].low or 0.0) > 0:
        one, other, most = others[-1]
        yield f"Most alike{' of the rest' if same else ''} are {one} and {other}: {figured(most)}."
    if others and (others[0][2].high or 0.0) < 0:
        one, other, least = others[0]
        yield f"Most opposed are {one} and {other}: {figured(least)}."
    unsure = [pair for pair in pairs if pair[2].beside(0) is False]
    if not pairs:
        yield "Too few questions have both of any two scores."
    elif unsure:
        yield (
            f"Of {count_of(len(pairs), 'pair')}, {len(unsure):,} can't be told from no agreement "
            "at all."
        )


def _pairs(table: Table) -> Iterator[tuple[str, str, Estimate]]:
    """Give every two names of a symmetric table once, where their figure is known."""
    for one, other in combinations(table, 2):
        if table[one][other].value is not None:
            yield one, other, table[one][other]


def overlap_words(overlap: Overlap) -> Iterator[str]:
    """Say what is in common, and what chance would be."""
    size = (
        "as many of each question as the selection has"
        if overlap.as_selected
        else "one of each question, since the selection leaves none out"
    )
    yield (
        f"The best live samples by each score, {size}: {count_of(overlap.rows, 'row')} of "
        f"{count_of(overlap.questions, 'question')} that leave a choice. A figure is the share "
        f"that two choices have in common; of a random one it is {figured(overlap.chance, '.0%')}."
    )
    pairs = sorted(_pairs(overlap.shares), key=lambda pair: pair[2].value or 0.0)
    if pairs:
        (*least, low), (*most, high) = pairs[0], pairs[-1]
        yield (
            f"Least in common: {' and '.join(least)}, {figured(low, '.0%')}; most: "
            f"{' and '.join(most)}, {figured(high, '.0%')}."
        )


def length_words(comparison: Comparison) -> Iterator[str]:
    """Say which scores are much like length."""
    yield (
        "Spearman correlation inside questions, scores with their better end up: above 0 a score "
        "prefers what is longer. Near 1 or -1 it says little that a ruler does not."
    )
    figures = [
        (abs(estimate.value), score, length, estimate)
        for score, row in comparison.length.items()
        for length, estimate in row.items()
        if estimate.value is not None
    ]
    if figures:
        _, score, length, estimate = max(figures, key=lambda figure: figure[0])
        yield f"Most bound to it: {score} and {length}, {figured(estimate)}."


def separation_words(separation: Separation) -> Iterator[str]:
    """Say what tells right from wrong, and whether anything beats taking the shortest."""
    if separation.note is not None:
        yield f"Nothing can be told here: {separation.note}."
        return
    yield (
        "AUC: the chance that a score puts a right sibling before a wrong one; 0.5 is none. A "
        "score may see nothing but the answer that a rationale states, so it is given once more "
        "for pairs of which neither states the known answer; and once more for what is left of its "
        "order when that of length is taken out. Wrong ones taken: had each question "
        "its best of all scored siblings, without a filter for correctness; a random one would be "
        f"wrong in {figured(separation.chance_wrong, '.0%')}."
    )
    for name, better in (("right", 1.0), ("wrong", -1.0)):
        seeing = [
            one.score
            for one in separation.scores
            if one.auc.value is not None
            and one.auc.beside(0.5)
            and better * (one.auc.value - 0.5) > 0
        ]
        if seeing:
            yield f"They put {name} siblings first: {listed(seeing)}."
    ruled = [
        one.score
        for one in separation.scores
        if one.auc.beside(0.5) and one.auc_length.beside(0.5) is False
    ]
    if ruled:
        yield f"With length taken out they tell nothing: {listed(ruled)}."
    if not any(one.auc.beside(0.5) for one in separation.scores):
        yield "No score can be told from a coin."


def group_words(groups: Groups) -> Iterator[str]:
    """Say how it is found out which one is best."""
    yield (
        "Best is who has the best mean over questions, and can be told from every other "
        f"{groups.by} in the questions that both have. Only figures of which one end is the better "
        "decide."
    )
    if groups.within:
        yield f"Compared where all the rest is the same: {'; '.join(groups.within)}."
    if groups.scattered:
        yield (
            "Nowhere are all of them with all the rest the same, so any two are compared where "
            "both are, and the means below are of different samples."
        )
    if groups.untrusted:
        yield (
            f"{listed(groups.untrusted)} decide nothing: the calibration did not find that the "
            "student follows rationales."
        )
    if groups.left_out:
        yield f"Left out: {count_of(groups.left_out, groups.by)} with fewer samples."


def mean_words(groups: Groups) -> Iterator[str]:
    """Say what the figures of groups are."""
    yield (
        "Means over questions, each weighing alike. A score's is of the samples that have it: "
        "where wrong ones are not scored, of right ones."
    )
    if CLUSTERS in groups.figures:
        yield f"A {groups.by} with more samples has more clusters a question: they decide nothing."


def which(groups: Groups) -> str:
    """Say in a sentence which teacher, level or format is the one for this student."""
    question = f"Which {groups.by} for this student"
    if groups.best is not None:
        return f"{question}: {groups.best}, ahead of all by every figure."
    by: dict[str, list[str]] = {}
    for verdict in groups.verdicts:
        if verdict.best is not None:
            by.setdefault(verdict.best, []).append(verdict.by)
    if not by:
        return f"{question}: the data can't tell."
    ahead = " ".join(f"Ahead by {listed(figures)}: {name}." for name, figures in by.items())
    silent = sum(verdict.best is None for verdict in groups.verdicts)
    unsure = f" By {silent:,} of {count_of(len(groups.verdicts), 'figure')} the data can't tell."
    return f"{question}: it depends on the figure. {ahead}{unsure if silent else ''}"


def verdict_words(verdict: Verdict) -> str:
    """Say who is best by one figure."""
    if verdict.best is None:
        best, *others = verdict.alike
        return f"{verdict.by}: can't tell {best} from {listed(others)}."
    if verdict.lead is None:
        return f"{verdict.by}: {verdict.best}, ahead of all; next is {verdict.runner_up}."
    lead = figured(verdict.lead, lead_form(verdict))
    return f"{verdict.by}: {verdict.best}, ahead of all; of {verdict.runner_up} by {lead}."


def lead_form(verdict: Verdict) -> str:
    """Say how a lead is written."""
    return "z.1%" if verdict.relative else "z.2g"


def listed(names: Sequence[str]) -> str:
    """List names, the first few of many."""
    rest = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {rest:,} more" if rest > 0 else "")
