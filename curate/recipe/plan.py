"""From a recipe to the ordered steps of a run.

A filter names the columns it reads; the plan inserts the measure that writes them just before the
first filter that needs them, so that dear measures see only rows still live.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

import polars as pl
from pydantic import BaseModel

from curate.errors import InputError, did_you_mean
from curate.measures import MEASURES, Measure, MemoMeasure, known_columns
from curate.measures.base import ColumnOptions
from curate.recipe.model import Recipe
from curate.recipe.steps import FACTS, FilterStep, MeasureStep, Plan, Step
from curate.select.arms import Arm
from curate.select.orders import columns_of
from curate.select.select import MADE, needed_columns
from filters import FILTERS
from filters.columns import (
    QUESTION_COLUMNS,
    SOURCE_COLUMNS,
    TOKEN_COLUMNS,
    VERDICT_PREFIX,
)
from filters.contract import Contract, Filter


class _Steps:
    """Collects steps, inserting measures when something reads what nobody has written yet."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.steps: list[Step] = []
        sources = (*SOURCE_COLUMNS, *TOKEN_COLUMNS, *recipe.brought)
        self.columns = set[str]((*QUESTION_COLUMNS, *sources))
        self.add_measure("parse", "every filter", None)

    def need(self, names: Iterable[str], reader: str, where: str, served: Filter | None) -> None:
        """Make sure that somebody writes each column."""
        wanted: dict[str, list[str]] = {}
        for name in names:
            if name in self.columns:
                continue
            kind = next((kind for kind in MEASURES if name in kind.writes), None)
            if kind is None:
                raise InputError(self._nobody_writes(name, reader), where)
            self._check_options(kind, name, reader, where)
            wanted.setdefault(kind.name, []).append(name)
        for measure, columns in wanted.items():
            self.add_measure(measure, reader, served, columns)

    def need_sections(self, *, before_filters: bool) -> None:
        """Make sure that somebody writes what sections of measures ask for by name."""
        for kind in MEASURES:
            options = self.recipe.measures.of(kind.name)
            if isinstance(options, ColumnOptions) and options.before_filters == before_filters:
                where = f"measures.{kind.name}.columns"
                for name in options.columns:
                    if name not in kind.writes:
                        raise InputError(
                            f"{kind.name!r} writes no column {name!r}; "
                            f"{did_you_mean(name, list(kind.writes))}",
                            where,
                        )
                self.need(options.columns, f"section {where}", where, None)

    def add_measure(
        self, name: str, reader: str, served: Filter | None, demand: Sequence[str] = ()
    ) -> None:
        """Have a measure write columns, after what it reads itself.

        One that is there already writes more where it is remembered, since a model is asked once;
        a derived one is derived once more, where its columns are wanted.
        """
        kind = MEASURES.get(name)
        assert kind is not None
        reads = kind.reads_for(demand)
        self.need(
            [column for column in reads if not column.startswith(VERDICT_PREFIX)],
            f"measure {name!r}", "measures", None,
        )  # fmt: skip
        step = MeasureStep(kind, options_of(self.recipe, kind), reader, served, frozenset(demand))
        place = next((n for n, other in enumerate(self.steps) if _widens(step, other)), None)
        if place is None:
            self.steps.append(step)
        else:
            earlier = cast("MeasureStep", self.steps[place])
            step = self.steps[place] = replace(earlier, demand=earlier.demand | step.demand)
        self.columns |= step.writes.keys()

    def add_sections(self) -> None:
        """Append the measures that run where the recipe has their section, unless they did."""
        for kind in MEASURES:
            wanted = kind.by_section and self.recipe.measures.of(kind.name) is not None
            if wanted and not kind.writes.keys() <= self.columns:
                self._check_student(kind, f"measure {kind.name!r} runs", f"measures.{kind.name}")
                self.add_measure(kind.name, FACTS, None)

    def add_filter(self, added: Filter) -> None:
        """Append a filter and note its columns."""
        self.steps.append(FilterStep(added))
        self.columns |= {f"{VERDICT_PREFIX}{added.name}", *added.writes}

    def _check_options(self, kind: type[Measure], name: str, reader: str, where: str) -> None:
        """Hold that the recipe names what a measure needs, and asks for the column."""
        clause = f"{reader} reads {name!r}, which measure {kind.name!r} writes with"
        self._check_student(kind, clause, where)
        options = options_of(self.recipe, kind)
        if options is None and kind.section is not None:
            required = [key for key, f in kind.section.model_fields.items() if f.is_required()]
            raise InputError(
                f"{reader} reads {name!r}, which measure {kind.name!r} writes, and that must be "
                f"told {', '.join(required)}; add measures: {{{kind.name}: {{{required[0]}: "
                "...}}",
                where,
            )
        if name not in kind.columns(options, [name]):
            raise InputError(
                f"{reader} reads column {name!r}, which this recipe does not have; "
                f"{kind.on_demand(name)}",
                where,
            )

    def _check_student(self, kind: type[Measure], clause: str, where: str) -> None:
        """Hold that the recipe names the student that a measure needs."""
        if "student" in kind.needs and self.recipe.score is None:
            raise InputError(
                f"{clause} the student's model; name one under measures: {{score: {{student: "
                "...}}",
                where,
            )

    def _nobody_writes(self, name: str, reader: str) -> str:
        if name.startswith(VERDICT_PREFIX):
            columns = [column for column in self.columns if column.startswith(VERDICT_PREFIX)]
            other = name.removeprefix(VERDICT_PREFIX)
            return (
                f"{reader} reads the verdicts of a filter {other!r} that does not stand before it; "
                f"put one there ({did_you_mean(name, columns) if columns else 'there is none yet'})"
            )
        writer = next((kind for kind in FILTERS if name in kind.writes), None)
        if writer is not None:
            return (
                f"{reader} reads column {name!r}, which no filter of this recipe writes; "
                f"add `- use: {FILTERS.name_of(writer)}` to filters"
            )
        hint = did_you_mean(name, list(known_columns()))
        return f"{reader} reads column {name!r}, which nobody writes; {hint}"


def _widens(step: MeasureStep, other: Step) -> bool:
    """Tell whether a step asks more of what another one has a model measure."""
    return (
        isinstance(other, MeasureStep)
        and other.kind is step.kind
        and issubclass(step.kind, MemoMeasure)
    )


def options_of(recipe: Recipe, kind: type[Measure]) -> BaseModel | None:
    """Give a measure's options: the recipe's section, or the defaults where there are any."""
    if kind.section is None:
        return None
    options: BaseModel | None = recipe.measures.of(kind.name)
    required = any(field.is_required() for field in kind.section.model_fields.values())
    return options if options is not None or required else kind.section()


def make_plan(recipe: Recipe) -> Plan:
    """Order the steps of a recipe.

    Raises:
        InputError: a filter, `select` or an arm reads a column that nobody writes.
    """
    steps = _Steps(recipe)
    if where := recipe.token_budget:
        # Before any filter: arms draw on rows that filters stopped, and all have one unit.
        steps.need(["rationale_tokens"], where, where, None)
    steps.need_sections(before_filters=True)
    judge = recipe.judge_of_answers
    if judge is None:
        steps.add_sections()
    for index, added in enumerate(recipe.filters):
        reads = Contract.of(added).reads
        steps.need(reads, f"filter {added.name!r}", f"filters[{index}]", added)
        steps.add_filter(added)
        if added.name == judge:
            steps.add_sections()
    steps.need_sections(before_filters=False)
    swept = [point.arm for point in recipe.points]
    arms = (*(Arm.parse(text) for text in recipe.arms), *swept)
    steps.need(_ranked(recipe, ()), "select", "select", None)
    for arm in arms:
        where = "sweep" if arm in swept else "arms"
        steps.need(_ranked(recipe, [arm]), f"arm {arm.text!r}", where, None)
        if arm.kind.judged_again:
            _can_be_left_out(arm, recipe)
    plan = Plan(recipe, tuple(steps.steps), arms)
    _orders_by_numbers(plan)
    if recipe.faults and not plan.tested:
        raise InputError(
            "faults are planted to see which scores notice, and this recipe has no score of a "
            "rationale; order by one, as in select: {order_by: [rd_masked]}, or drop this",
            "calibrate.faults",
        )
    return plan


def _orders_by_numbers(plan: Plan) -> None:
    """Refuse an order by what has no lowest and no highest.

    Raises:
        InputError: a column holds text, a list or a verdict.
    """
    columns = plan.glossary
    keys = [("select.order_by", key) for key in plan.recipe.select.order_by]
    keys += [(f"arm {arm.text!r}", key) for arm in plan.arms for key in arm.order_by]
    for where, name in ((where, name) for where, key in keys for name in columns_of(key)):
        kind = columns[name].dtype if name in columns else None
        if name in MADE or (kind and (kind.is_numeric() or kind == pl.Boolean)):
            continue
        what = "text" if kind == pl.String else "a list" if kind == pl.List else "no single number"
        about = f" ({columns[name].meaning})" if name in columns else ""
        raise InputError(
            f"{name!r}{about} holds {what}, and an order wants a number or a flag; name a score "
            "or a length, such as rationale_words",
            where,
        )


def _can_be_left_out(arm: Arm, recipe: Recipe) -> None:
    """Refuse to judge a chain without a filter on whose verdicts another one rests.

    Raises:
        InputError: a filter reads what the one left out writes.
    """
    place = [each.name for each in recipe.filters].index(arm.operand)
    writes = {f"{VERDICT_PREFIX}{arm.operand}", *recipe.filters[place].writes}
    for reader in recipe.filters[place + 1 :]:
        if column := next((name for name in reader.reads() if name in writes), None):
            raise InputError(
                f"arm {arm.text!r}: filter {reader.name!r} reads {column!r}, so the chain can't be "
                f"judged without {arm.operand!r}; take the arm or the filter out",
                "arms",
            )


def _ranked(recipe: Recipe, arms: Sequence[Arm]) -> list[str]:
    """List the columns select orders by, without the pools and sizes the engine makes itself."""
    return [
        name
        for name in needed_columns(recipe.select, arms)
        if name not in MADE
        and not name.startswith("live_without_")
        and name not in {"rd_spread", "student_follows"}
    ]
