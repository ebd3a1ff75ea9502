"""From a recipe to the ordered steps of a run."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from curate.errors import InputError
from curate.recipe.early import refuse_late
from curate.recipe.fitting import refuse_other_types
from curate.recipe.model import Recipe
from curate.recipe.step_list import StepList
from curate.recipe.steps import Plan
from curate.select.arms import Arm
from curate.select.options import weighing
from curate.select.orders import columns_of
from curate.select.select import MADE, needed_columns
from curate.sources import SampledSource
from filters.columns import GLOSSARY, PARENT_COLUMNS, VERDICT_PREFIX
from filters.conditions import fits
from filters.contract import Contract


def make_plan(recipe: Recipe) -> Plan:
    """Order the steps of a recipe.

    Raises:
        InputError: a filter, `select` or an arm reads a column that nobody writes, or a source
            goes by what is not known before all samples are there.
    """
    refuse_late(recipe)
    steps = StepList(recipe)
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
    _selects_by_own_columns(plan)
    _orders_by_numbers(plan)
    _compares_what_fits(plan)
    _mixes_by_values(plan)
    if recipe.faults and not plan.tested:
        raise InputError(
            "faults are planted to see which scores notice, and this recipe has no score of a "
            "rationale; order by one, as in select: {order_by: [rd_masked]}, or drop this",
            "calibrate.faults",
        )
    return plan


def _orders_by_numbers(plan: Plan) -> None:
    """Refuse an order by what has no lowest and no highest, and a filter that goes by it.

    Raises:
        InputError: a column holds text, a list or a verdict.
    """
    columns = plan.glossary
    keys = [("select.order_by", key) for key in plan.recipe.select.order_by]
    options = plan.recipe.select
    keys += [("select.questions_by", key) for key in options.questions_by]
    keys += [("select.stages", key) for key in (options.stages.by if options.stages else ())]
    keys += [(f"arm {arm.text!r}", key) for arm in plan.arms for key in arm.order_by]
    keys += [(f"filter {f.name!r}", column) for f in plan.filters if (column := f.compares())]
    for where, name in ((where, name) for where, key in keys for name in columns_of(key)):
        kind = columns[name].dtype if name in columns else None
        if name in MADE or (kind and (kind.is_numeric() or kind == pl.Boolean)):
            continue
        what = "text" if kind == pl.String else "a list" if kind == pl.List else "no single number"
        about = f" ({columns[name].meaning})" if name in columns else ""
        raise InputError(
            f"{name!r}{about} holds {what}, and only a number or a flag has a lower and a higher; "
            "name a score or a length, such as rationale_words",
            where,
        )


def _selects_by_own_columns(plan: Plan) -> None:
    """Refuse to select by what is looked up in another sample, and is kept nowhere.

    Raises:
        InputError: `select` or an arm does.
    """
    for arms, where in (((), "select"), *(((arm,), "arms") for arm in plan.arms)):
        for name in _ranked(plan.recipe, arms):
            if name in PARENT_COLUMNS:
                raise InputError(
                    f"{name!r} ({GLOSSARY[name].meaning}) is for measures and filters to compare "
                    "with; name a column of the sample itself, such as length_to_parent",
                    where,
                )


def _compares_what_fits(plan: Plan) -> None:
    """Hold the columns that filters have conditions on to their types.

    Raises:
        InputError: a column never is what a filter wants of it.
    """
    prompts = _prompts(plan.recipe)
    columns = plan.glossary.plus(GLOSSARY.among(PARENT_COLUMNS).values())
    for number, each in enumerate(plan.filters):
        for name, condition in each.conditions():
            if name in columns:
                refuse_other_types(columns[name], condition, f"filters[{number}]")
        for pattern in each.prompts():
            if prompts and not any(fits(pattern, prompt) for prompt in prompts):
                raise InputError(
                    f"no prompt of this recipe is called {pattern!r}; there are "
                    f"{', '.join(sorted(prompts))}, and * is any text",
                    f"filters[{number}]",
                )


def _prompts(recipe: Recipe) -> set[str]:
    """Name the prompts that samples answer; none where files bring samples, of any prompt."""
    names: set[str] = set()
    for source in recipe.used_sources:
        if not isinstance(source, SampledSource):
            return set()
        prompt = source.prompt
        names.add(prompt if isinstance(prompt, str) else Path(prompt.file).stem)
    return names


def _mixes_by_values(plan: Plan) -> None:
    """Refuse a quota, or a weight, of columns that hold no such thing.

    Raises:
        InputError: they do not.
    """
    options, columns = plan.recipe.select, plan.glossary
    if (quota := options.quota) is not None and quota.by in columns:
        column = columns[quota.by]
        number = column.dtype.is_numeric()
        if column.dtype.is_nested() or (number and not quota.cuts) or (quota.cuts and not number):
            wanted = "cuts, as in cuts: [200, 600]" if number else "a column of text or flags"
            raise InputError(
                f"{quota.by!r} ({column.meaning}) holds {column.dtype}; wanted {wanted}",
                "select.quota",
            )
    if options.weight is not None:
        weight = weighing(options.weight)
        names = weight.meta.root_names()
        empty = {name: columns[name].dtype for name in names if name in columns}
        two = pl.DataFrame({name: [None, None] for name in empty}, schema=empty)
        try:
            fits = two.select(weight.cast(pl.Float64)).height == two.height
        except pl.exceptions.PolarsError as error:
            raise InputError(f"{options.weight!r} is no number: {error}", "select.weight") from None
        if not fits:
            raise InputError(
                f"{options.weight!r} gives one number for all rows; wanted one for each, without "
                "min, max, sum or mean",
                "select.weight",
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
