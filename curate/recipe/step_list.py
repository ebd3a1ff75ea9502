"""The steps of a run while they are put together: measures go in where somebody reads them.

A filter names the columns it reads; the measure that writes them stands just before the first
filter that needs them, so that dear measures see only rows still live.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

from pydantic import BaseModel

from curate.errors import InputError, did_you_mean
from curate.measures import MEASURES, Measure, MemoMeasure, known_columns
from curate.measures.base import ColumnOptions
from curate.recipe.model import Recipe
from curate.recipe.steps import FACTS, FilterStep, MeasureStep, Step
from filters import FILTERS
from filters.columns import (
    PARENT_COLUMNS,
    QUESTION_COLUMNS,
    SOURCE_COLUMNS,
    TOKEN_COLUMNS,
    VERDICT_PREFIX,
)
from filters.contract import Filter


class StepList:
    """Collects steps, inserting measures when something reads what nobody has written yet."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.steps: list[Step] = []
        sources = (*SOURCE_COLUMNS, *TOKEN_COLUMNS, *recipe.brought)
        self.columns = set[str]((*QUESTION_COLUMNS, *PARENT_COLUMNS, *sources))
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
