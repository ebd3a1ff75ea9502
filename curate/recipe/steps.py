"""The steps of a run: what is measured and judged, in order, and which columns that gives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from curate.measures import Measure, MemoMeasure
from curate.measures.faults import FAULTS, RATIONALE
from curate.recipe.model import Recipe
from curate.select.arms import Arm
from curate.select.orders import order_of
from curate.sources import SOURCES, SampledSource
from filters.columns import (
    GLOSSARY,
    TOKEN_COLUMNS,
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
        written = written.plus(GLOSSARY.among(self.recipe.select.extras).values())
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
            parent = source.parent if isinstance(source, SampledSource) else None
            origin = f", from those of {parent}" if parent else ""
            yield f"{SOURCES.name_of(type(source))} samples: {source.name}{origin}"
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
