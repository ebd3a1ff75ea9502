"""First wrong steps: does a score by step point at the step where a person saw the mistake?

Inside each solution the step that overlaps the marked text is compared with the steps before it,
which are right, and with all others, of which those behind it build on the mistake. The first kind
suffers from whatever changes along a text, which the place of a step itself shows; the longest step
shows what size alone sees. Intervals come from problems drawn with replacement.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from curate.measures.statistics import Estimate, Floats, aucs, best_shares, ratios
from curate.measures.steps import split_steps
from curate.release.runs import Run
from curate.report.scores.words import figured
from tests.bench.scores.teachers import markdown

Row = Mapping[str, Any]


def _numbers(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


SUSPICIONS: Final[Mapping[str, Callable[[Row, list[tuple[int, int]]], Floats]]] = {
    "`step_nll`, the harder": lambda row, _: _numbers(row["step_nll"]),
    "`step_nll_local`, the harder": lambda row, _: _numbers(row["step_nll_local"]),
    "`step_importance`, the less": lambda row, _: -_numbers(row["step_importance"]),
    "`answer_curve`, the deeper its fall": lambda row, _: (
        -np.diff(np.log(np.maximum(_numbers(row["answer_curve"]), 1e-300)))
    ),
    "the longer": lambda _, steps: np.array([float(end - start) for start, end in steps]),
    "the later": lambda _, steps: np.arange(len(steps), dtype=np.float64),
}
LISTS: Final = ("step_nll", "step_nll_local", "step_importance", "answer_curve")


class Marked(NamedTuple):
    """A solution with its first wrong step."""

    problem: str
    row: Row
    steps: list[tuple[int, int]]
    wrong: list[bool]


def tables(runs: Mapping[str, Sequence[Path]]) -> str:
    """Give a table for each student."""
    return "\n\n".join(f"{student}: {_table(list(marked(of)))}" for student, [of] in runs.items())


def marked(folder: Path) -> Iterator[Marked]:
    """Read the solutions with a wrong step, and one before it that is right."""
    run = Run.open(folder)
    lists = [name for name in LISTS if name in run.columns]
    columns = ("question_id", "raw_output", "rationale", "wrong_begin", "wrong_end", *lists)
    rows = run.samples().select(columns).drop_nulls(["wrong_begin", *lists]).collect()
    for row in rows.iter_rows(named=True):
        shift = row["raw_output"].find(row["rationale"])
        begin, end = row["wrong_begin"] - shift, row["wrong_end"] - shift
        steps = split_steps(row["rationale"])
        wrong = [start < end and begin < stop for start, stop in steps]
        if shift >= 0 and any(wrong) and not wrong[0]:
            yield Marked(row["question_id"], row, steps, wrong)


def _table(solutions: Sequence[Marked]) -> str:
    steps = sum(len(one.steps) for one in solutions)
    problems = len({one.problem for one in solutions})
    chance = np.mean([np.mean(one.wrong) for one in solutions])
    head = ["of two steps, the wrong one is", "against those before it", "against all others",
            f"first of all (by chance {chance:.0%})"]  # fmt: skip
    body = [
        [name, *(figured(each) for each in _figures(solutions, of))]
        for name, of in SUSPICIONS.items()
        if not name.startswith("`") or name.split("`")[1] in solutions[0].row
    ]
    count = f"{len(solutions)} solutions of {problems} problems, {steps} steps."
    return f"{count}\n\n{markdown(head, body)}"


def _figures(
    solutions: Sequence[Marked], suspicion: Callable[[Row, list[tuple[int, int]]], Floats]
) -> list[Estimate]:
    group = np.repeat(np.arange(len(solutions)), [len(one.steps) for one in solutions])
    wrong = np.concatenate([one.wrong for one in solutions])
    values = np.concatenate([suspicion(one.row, one.steps) for one in solutions])
    later = np.concatenate(
        [np.arange(len(one.wrong)) > np.flatnonzero(one.wrong)[-1] for one in solutions]
    )
    count = len(solutions)
    figures = np.column_stack(
        [
            aucs(np.where(later, np.nan, values), wrong, group, count),
            aucs(values, wrong, group, count),
            best_shares(values, wrong, group, count),
        ]
    )
    names, problem = np.unique([one.problem for one in solutions], return_inverse=True)
    told = np.isfinite(figures)
    parts, wholes = np.zeros((2, len(names), figures.shape[1]))
    np.add.at(parts, problem, np.where(told, figures, 0.0))
    np.add.at(wholes, problem, told)
    return ratios(parts, wholes)
