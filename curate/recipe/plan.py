"""From a recipe to the ordered steps of a run.

A filter names the columns it reads; the plan inserts the measure that writes them just before the
first filter that needs them, so that dear measures see only rows still live.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

import polars as pl
from pydantic import BaseModel

from curate.errors import InputError, did_you_mean
from curate.measures import MEASURES, Measure, MemoMeasure, known_columns
from curate.measures.base import ColumnOptions
from curate.measures.faults import FAULTS, RATIONALE
from curate.recipe.model import Recipe
from curate.select.arms import Arm
from curate.select.orders import columns_of, order_of
from curate.select.select import MADE, needed_columns
from curate.sources import SOURCES
from filters import FILTERS
from filters.columns import (
    GLOSSARY,
    QUESTION_COLUMNS,
    SOURCE_COLUMNS,
    TOKEN_COLUMNS,
    VERDICT_PREFIX,
    Glossary,
)
from filters.contract import Contract, Filter

FACTS: Final = "the facts of the run"
"""What a measure is for that runs though nothing reads its columns."""


@dataclass(frozen=True, slots=True)
class MeasureStep:
    """Write columns about live rows.

    Attributes:
        kind: the measure.
        options: its section of the recipe, or the defaults; None where it takes none.
        needed_by: what reads its columns first: ``filter diversity``, ``select`` or ``arms``; or
            `FACTS`, where the recipe asks for it by its section.
        filter: the filter it serves, for a measure that takes the filter's own parameters.
        demand: columns that somebody reads of it.
    """

    kind: type[Measure]
    options: BaseModel | None
    needed_by: str
    filter: Filter | None = None
    demand: frozenset[str] = frozenset()

    @property
    def measure(self) -> str:
        """The measure's name."""
        return self.kind.name

    @property
    def reads(self) -> Sequence[str]:
        """The columns that it needs for those it writes."""
        return self.kind.reads_for(self.demand)

    @property
    def writes(self) -> Glossary:
        """The columns."""
        return self.kind.columns(self.options, self.demand)


@dataclass(frozen=True, slots=True)
class FilterStep:
    """Judge live rows."""

    filter: Filter


Step = MeasureStep | FilterStep


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps after the sources, in order."""

    recipe: Recipe
    steps: tuple[Step, ...]
    arms: tuple[Arm, ...] = ()

    @property
    def filters(self) -> list[Filter]:
        """The filters, in order."""
        return [step.filter for step in self.steps if isinstance(step, FilterStep)]

    @property
    def measures(self) -> list[MeasureStep]:
        """The measures, in order."""
        return [step for step in self.steps if isinstance(step, MeasureStep)]

    @property
    def reads(self) -> set[str]:
        """The columns that a measure or a filter reads."""
        of_filters = (name for each in self.filters for name in Contract.of(each).reads)
        return {*of_filters, *(name for step in self.measures for name in step.reads)}

    @property
    def glossary(self) -> Glossary:
        """Every column that its tables have, but for verdicts and arms."""
        steps = [*(step.writes for step in self.measures), *(each.writes for each in self.filters)]
        unread = TOKEN_COLUMNS.keys() - self.reads
        written = GLOSSARY.of("question", "source", "select", "release")
        written = written.where(lambda column: column.name not in unread)
        written = written.plus(self.recipe.brought.values())
        for more in steps:
            written = written.plus(more.values())
        # in the order of the glossary, whichever step comes first
        first = [written[name] for name in GLOSSARY if name in written]
        return Glossary([*first, *written.values()])

    def describe(self) -> Iterator[str]:
        """Say each step in one line."""
        recipe = self.recipe
        yield f"load questions from {recipe.questions.path}"
        for source in recipe.sources:
            yield f"{SOURCES.name_of(type(source))} samples: {source.name}"
        for step in self.steps:
            if isinstance(step, MeasureStep):
                cost = f": {step.kind.cost}" if step.kind.cost else ""
                yield f"measure {step.measure} (for {step.needed_by}){cost}"
            else:
                yield f"filter {step.filter.name}"
        keys = [order_of(key).text for key in recipe.select.order_by]
        yield f"select by {', '.join(keys) or 'seeded hash'}"
        for arm in self.arms:
            yield f"arm {arm.text}: {arm.adds}"
        if recipe.faults:
            yield f"plant faults in up to {recipe.faults} right rationales, {self._cost}"
        yield f"release {recipe.name} {recipe.release}"

    @property
    def tested(self) -> Glossary:
        """The scores that planted faults are to be seen by: those of rationales, with a side."""
        columns = (column for step in self._of_rationales for column in step.writes.values())
        return Glossary(columns).where(lambda column: column.score in {"lower", "higher"})

    @property
    def testing(self) -> list[MeasureStep]:
        """The measures that write these scores, or what they are made of, in order."""
        steps: list[MeasureStep] = []
        columns = set(self.tested)
        for step in reversed(self._of_rationales):
            if columns.intersection(step.writes):
                columns.update(step.reads)
                steps.insert(0, step)
        return steps

    @property
    def _of_rationales(self) -> list[MeasureStep]:
        """The measures whose columns change with the rationale, directly or not.

        Those that look at the whole output as well are left out: nobody wrote one with a fault.
        """
        changed = set(RATIONALE)
        steps: list[MeasureStep] = []
        for step in self.measures:
            if changed.intersection(step.reads) and "raw_output" not in step.reads:
                changed.update(step.writes)
                steps.append(step)
        return steps

    @property
    def _cost(self) -> str:
        """Say what planted faults have measured beside the samples."""
        texts = self.recipe.faults * (len(FAULTS) + 1)
        names = [s.measure for s in self.testing if issubclass(s.kind, MemoMeasure)]
        return f"up to {texts:,} texts more for {', '.join(dict.fromkeys(names)) or 'no model'}"


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
