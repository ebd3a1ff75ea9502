"""Right against wrong siblings of many teachers, as `curate scores` tells them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from curate.measures.statistics import Estimate
from curate.report.scores.comparison import Comparison, compare
from curate.report.scores.words import figured, which


def tables(runs: Mapping[str, Sequence[Path]]) -> str:
    """Set students beside each other, a run of each."""
    comparisons = {student: compare(of) for student, [of] in runs.items()}
    return "\n\n".join(_parts(comparisons))


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _parts(comparisons: Mapping[str, Comparison]) -> Iterator[str]:
    for student, one in comparisons.items():
        yield f"{student}: {one.scored} of {one.rows} rationales of {one.questions} questions."
    separated = {
        student: {row.score: row for row in one.separation.scores}
        for student, one in comparisons.items()
    }
    scores = list(dict.fromkeys(score for of in separated.values() for score in of))
    for title, what in (
        ("right before wrong", "auc"),
        ("of pairs that state no gold", "auc_unstated"),
        ("with length taken out", "auc_length"),
        ("wrong ones taken", "wrong"),
    ):
        yield markdown(
            [title, *separated],
            (
                [f"`{score}`", *(_cell(of[score], what) for of in separated.values())]
                for score in scores
            ),
        )
    for student, one in comparisons.items():
        if one.teachers:
            yield f"{student}: {which(one.teachers)}"


def _cell(row: object, what: str) -> str:
    estimate: Estimate = getattr(row, what)
    return "" if estimate.value is None else figured(estimate)
