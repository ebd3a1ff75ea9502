"""What is known of a sample before all samples are there, and may decide what is asked next.

A sample may be written anew as soon as it is drawn, or drawn again until enough are right. What
decides that is a filter that looks at one sample alone, or a column that no model writes: a verdict
that rests on siblings would be another one once they are all there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from curate.errors import InputError, did_you_mean
from curate.measures import known_columns
from curate.measures.base import DerivedMeasure
from curate.recipe.fitting import refuse_other_types
from curate.recipe.model import Recipe
from curate.recipe.step_list import StepList
from curate.recipe.steps import MeasureStep
from curate.sources import SampledSource
from curate.sources.where import OUTCOMES
from filters.columns import GLOSSARY, PARENT_COLUMNS, TOKEN_COLUMNS, VERDICT_PREFIX
from filters.conditions import Condition, Range, words_of
from filters.contract import Contract, Filter

READ: Final = ("rationale", "answer", "raw_output", "gold_shown", "round")
"""What is read of a sample that another is made from."""


@dataclass(frozen=True, slots=True)
class EarlyPlan:
    """How samples of one source are looked at before the others are there.

    Attributes:
        measures: that write what is read, in order.
        filters: that judge, each on its own.
        columns: that conditions are about.
        conditions: of the samples to go on from, by filter or column.
    """

    measures: tuple[MeasureStep, ...]
    filters: tuple[Filter, ...]
    columns: tuple[str, ...]
    conditions: tuple[tuple[str, Condition], ...]

    @property
    def reads(self) -> Sequence[str]:
        """The columns that tell whether the conditions hold."""
        return (*self.columns, *(f"{VERDICT_PREFIX}{each.name}" for each in self.filters))


def refuse_late(recipe: Recipe) -> None:
    """Refuse a recipe whose sources go by what is known only once all samples are there.

    Raises:
        InputError: one does, or by what never is.
    """
    for source in recipe.used_sources:
        if isinstance(source, SampledSource) and source.parent is not None:
            plan_parents(recipe, source)
        if isinstance(source, SampledSource) and source.adaptive is not None:
            plan_accepting(recipe, source)
        if isinstance(source, SampledSource) and source.makes == "facts":
            plan_judging(recipe, source)


def plan_parents(recipe: Recipe, source: SampledSource) -> EarlyPlan:
    """Plan what a source must know of the samples that it goes on from.

    Args:
        recipe: whose filters and columns its conditions name.
        source: has a `parent`.

    Raises:
        InputError: a condition can't be known so early, or never holds.
    """
    return _planned(recipe, source.conditions, f"sources: {source.name}: where")


def plan_accepting(recipe: Recipe, source: SampledSource) -> EarlyPlan:
    """Plan what a source must know of its samples to tell whether they are enough.

    Args:
        recipe: whose filters it names.
        source: is `adaptive`.

    Raises:
        InputError: a filter is not there, or can't tell so early.
    """
    where = f"sources: {source.name}: samples.until"
    assert source.adaptive is not None
    until = source.adaptive.until
    names = until.by
    if until.correct is not None:
        if recipe.judge_of_answers is None:
            raise InputError(
                "no filter of the recipe tells right from wrong; add `- use: correctness` to "
                "filters, or say kept: and by:",
                where,
            )
        names = (recipe.judge_of_answers,)
    filters = [each.name for each in recipe.filters]
    for name in names:
        if name not in filters:
            raise InputError(f"no filter is called {name!r}; {did_you_mean(name, filters)}", where)
    return _planned(recipe, dict.fromkeys(names, "kept"), where)


def plan_judging(recipe: Recipe, source: SampledSource) -> EarlyPlan:
    """Plan how samples are told right from wrong; no filter is asked where none tells.

    Raises:
        InputError: the filter that does can't tell so early.
    """
    judge = recipe.judge_of_answers
    conditions = {judge: "kept"} if judge else {}
    return _planned(recipe, conditions, f"sources: {source.name}: role")


def plan_answers(recipe: Recipe, source: SampledSource) -> EarlyPlan:
    """Plan how the answers of samples are found."""
    return _planned(recipe, {}, f"sources: {source.name}")


def _planned(recipe: Recipe, conditions: Mapping[str, Condition], where: str) -> EarlyPlan:
    filters = {each.name: each for each in recipe.filters}
    named = [filters[name] for name in conditions if name in filters]
    for filter_ in named:
        _refuse_late_filter(filter_, where)
        _refuse_unknown_words(filter_, conditions[filter_.name], where)
    columns = [name for name in conditions if name not in filters]
    present = {*GLOSSARY, *known_columns(), *recipe.brought}
    if late := [name for name in columns if name in recipe.facts]:
        raise InputError(
            f"{late[0]!r} ({recipe.facts[late[0]].meaning}) is known only once all samples are "
            "there; let a filter `band` go by it, behind the sources",
            where,
        )
    for name in columns:
        _refuse_unknown(name, filters, present, where)
    measures = _measures(recipe, named, columns, where)
    glossary = GLOSSARY.plus(recipe.brought.values())
    for step in measures:
        glossary = glossary.plus(each for each in step.writes.values() if each.name not in glossary)
    for name in columns:
        refuse_other_types(glossary[name], conditions[name], where)
    return EarlyPlan(measures, tuple(named), tuple(columns), tuple(conditions.items()))


def _measures(
    recipe: Recipe, filters: Sequence[Filter], columns: Sequence[str], where: str
) -> tuple[MeasureStep, ...]:
    """List the measures that write what is read, and refuse those that come too late."""
    steps = StepList(recipe)
    readers: list[tuple[str, Iterable[str]]] = [
        (f"filter {each.name!r}", Contract.of(each).reads) for each in filters
    ]
    for reader, reads in [*readers, ("where", columns)]:
        steps.need(reads, reader, where, None)
    measures = tuple(step for step in steps.steps if isinstance(step, MeasureStep))
    late = {*recipe.facts, *TOKEN_COLUMNS, *PARENT_COLUMNS}
    for reader, reads in [*readers, *((f"measure {s.measure!r}", s.reads) for s in measures)]:
        if name := next((name for name in reads if name in late), None):
            raise InputError(
                f"{reader} reads {name!r}, which is known only once all samples are there; go by "
                "what one sample says alone, such as correctness or rationale_words",
                where,
            )
    for step in measures:
        kind = step.kind
        if needs := kind.needs:
            raise InputError(
                f"{step.needed_by} wants measure {kind.name!r}, which asks the "
                f"{' and the '.join(needs)} once all samples are there; go by what no model "
                "says, such as correctness or rationale_words",
                where,
            )
        if issubclass(kind, DerivedMeasure) and kind.scope != "sample":
            raise InputError(
                f"{step.needed_by} wants measure {kind.name!r}, which compares samples, and they "
                "are not all there yet; go by what one sample says alone",
                where,
            )
    return measures


def _refuse_late_filter(filter_: Filter, where: str) -> None:
    """Refuse a filter whose verdict may be another one once all samples are there."""
    reads = [name for name in Contract.of(filter_).reads if name.startswith(VERDICT_PREFIX)]
    why = None
    if filter_.compared_scope() != "sample":
        why = "compares a sample with others, and they are not all there yet"
    elif filter_.pool_columns():
        why = "sets its threshold by all samples, and they are not all there yet"
    elif reads:
        why = f"rests on the verdicts of {reads[0].removeprefix(VERDICT_PREFIX)!r} before it"
    if why:
        raise InputError(
            f"filter {filter_.name!r} {why}; go by one that looks at one sample alone, such as "
            "correctness",
            where,
        )


def _refuse_unknown_words(filter_: Filter, condition: Condition, where: str) -> None:
    words = [*OUTCOMES, *filter_.reasons]
    if isinstance(condition, Range):
        raise InputError(
            f"{filter_.name!r} is a filter, whose verdict is no number; wanted one of "
            f"{', '.join(words)}",
            where,
        )
    for word in words_of(condition):
        if word not in words:
            raise InputError(
                f"filter {filter_.name!r} never gives {word!r}; {did_you_mean(str(word), words)}",
                where,
            )


def _refuse_unknown(name: str, filters: Iterable[str], columns: Iterable[str], where: str) -> None:
    if name not in columns:
        hint = did_you_mean(name, [*filters, *columns])
        raise InputError(f"no filter and no column is called {name!r}; {hint}", where)
