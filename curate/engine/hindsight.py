"""What measures can only say once the arms are drawn: facts about arms, beside those about rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import polars as pl

from curate.engine.measuring import MeasureResult
from curate.engine.table import Table
from curate.measures import Measure, MemoMeasure
from curate.recipe.steps import MeasureStep, Plan


@dataclass(frozen=True, slots=True)
class Arms:
    """The selection and the control arms.

    Attributes:
        marks: for each a Boolean column, of its name: which rows it holds, in the table's order.
        among_right: for each, whether all of its rows are right and live, as the filter left them
            that tells right from wrong.
    """

    marks: pl.DataFrame
    among_right: Mapping[str, bool]

    @classmethod
    def of(cls, plan: Plan, ranking: pl.DataFrame, selection: pl.DataFrame) -> Self:
        """Read them from what `select` was given and what it returned."""
        columns = {"selected": "selected"} | {arm.name: arm.column for arm in plan.arms}
        marks = selection.select(pl.col(column).alias(name) for name, column in columns.items())
        wrong = ~ranking["live_correct"]
        return cls(marks, {mark.name: not (mark & wrong).any() for mark in marks})


def look_back(
    results: Sequence[MeasureResult],
    plan: Plan,
    table: Table,
    arms: Arms,
    open_measure: Callable[[MeasureStep], Measure],
) -> list[MeasureResult]:
    """Give every measure that wants it a second look.

    Args:
        results: what the measures did, in the order of the plan.
        plan: the steps.
        table: after the last step.
        arms: as `Arms`.
        open_measure: makes a step's instrument.

    Returns:
        `results`, their facts complete.
    """
    return [
        replace(result, facts={**result.facts, **_facts(open_measure(step), table, arms)})
        for step, result in zip(plan.measures, results, strict=True)
    ]


def _facts(measure: Measure, table: Table, arms: Arms) -> Mapping[str, Any]:
    """Show a measure the rows that it saw."""
    columns = measure.looks_back_on() if isinstance(measure, MemoMeasure) else ()
    if not isinstance(measure, MemoMeasure) or not columns:
        return {}
    own = [pl.col(name).is_not_null() for name in measure.writes if name in columns]
    frames: list[pl.DataFrame] = []
    begin = 0
    for shard in table.shards:
        marks = arms.marks.slice(begin, shard.height)
        begin += shard.height
        frames.append(
            shard.read(columns).hstack(marks.get_columns()).filter(pl.any_horizontal(own))
        )
    return measure.look_back(pl.concat(frames), arms.among_right) if frames else {}
