"""What parts of a recipe can't stand together, though each is fine alone."""

from collections import Counter
from typing import TYPE_CHECKING

from curate.errors import InputError, did_you_mean
from curate.recipe.source_columns import columns_of_sources
from curate.release.formats import format_of
from curate.select.arms import Arm
from curate.sources import SampledSource
from curate.sources.lineage import needs_of, parents_first, refuse_unanswered

if TYPE_CHECKING:
    from curate.recipe.model import Recipe


def refuse_misfits(recipe: "Recipe") -> None:
    """Refuse a recipe whose parts contradict each other.

    Raises:
        InputError: they do.
    """
    _names_are_told_apart(recipe)
    _student_is_where_it_is_said(recipe)
    _tokens_can_be_counted(recipe)
    _spending_can_be_told(recipe)
    parents_first(recipe.sources)
    refuse_unanswered(recipe.sources)
    _excluded_are_known(recipe)
    refuse_unanswered(recipe.used_sources)
    _student_is_one(recipe)
    _budgets_count(recipe)
    columns_of_sources(recipe.sources)
    _formats_can_be_made(recipe)
    _arms_are_told_apart(recipe)


def _names_are_told_apart(recipe: "Recipe") -> None:
    """Refuse two of one name, and a name of nobody."""
    for key, names in (
        ("sources", [source.name for source in recipe.sources]),
        ("filters", [each.name for each in recipe.filters]),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(
                f"{twice[0]!r} is the name of two items; give one of them another `name`", key
            )
    sources = [source.name for source in recipe.sources]
    for name in recipe.runtime.sources:
        if name not in sources:
            raise InputError(
                f"no source is called {name!r}; {did_you_mean(name, sources)}",
                "runtime.sources",
            )


def _formats_can_be_made(recipe: "Recipe") -> None:
    """Refuse formats of pass rates where nothing tells right from wrong."""
    formats = [name for name in recipe.publish.formats if format_of(name).of_questions]
    if formats and recipe.judge_of_answers is None:
        raise InputError(
            f"{formats[0]} has the pass rate of every question; add `- use: correctness` to "
            "filters",
            "publish.formats",
        )


def _tokens_can_be_counted(recipe: "Recipe") -> None:
    """Refuse a budget in a unit that nothing here counts in."""
    if recipe.token_budget and recipe.score is None:
        raise InputError(
            "tokens are counted by the student's tokenizer, and the recipe names no student; "
            "name one under measures: {score: {student: ...}}, or use budget: {rows: ...} or "
            "{share: ...}",
            f"{recipe.token_budget}.tokens",
        )


def _spending_can_be_told(recipe: "Recipe") -> None:
    """Refuse a limit on money that nothing would ever count against."""
    if recipe.runtime.max_cost is None:
        return
    backends = [
        recipe.backend(source.name)
        for source in recipe.sources
        if isinstance(source, SampledSource)
    ]
    servers = [backend for backend in backends if backend.remote]
    if not all(backend.tariff() for backend in servers):
        raise InputError(
            "a server has no price; give it one, as in sources: {NAME: {backend: openai, ..., "
            "price: {prompt: 0.15, completion: 0.6}}}, for a million tokens",
            "runtime.max_cost",
        )
    if not servers:
        raise InputError(
            "no source is drawn from a server with a price, so nothing would count; use "
            "max_hours or max_tokens_total",
            "runtime.max_cost",
        )


def _student_is_where_it_is_said(recipe: "Recipe") -> None:
    """Refuse a student that is served and not asked, or asked and not served."""
    score, server = recipe.score, recipe.runtime.student
    served = score if score and score.dtype == "served" else None
    if server and not served:
        raise InputError(
            "a student is served there, but nobody asks it; set `dtype: served` under "
            "measures.score, or drop this",
            "runtime.student",
        )
    if served and not server:
        raise InputError(
            "'served' wants a server; name it under runtime: {student: {url: ...}}",
            "measures.score.dtype",
        )


def _arms_are_told_apart(recipe: "Recipe") -> None:
    """Refuse arms that are named twice, or like each other, or leave out no filter there is."""
    for text, times in Counter(recipe.arms).items():
        if times > 1:
            raise InputError(f"arm {text!r} is named {times} times; name it once", "arms")
        arm = Arm.parse(text)
        alike = [other for other in recipe.arms if Arm.parse(other).name == arm.name]
        if len(alike) > 1:
            raise InputError(
                f"arms {' and '.join(map(repr, alike))} would both be called {arm.name!r}; "
                "leave one out",
                "arms",
            )
        names = [each.name for each in recipe.filters]
        if arm.kind.operand == "FILTER" and arm.operand not in names:
            raise InputError(
                f"arm {text!r}: no filter is called {arm.operand!r}; "
                f"{did_you_mean(arm.operand, names)}",
                "arms",
            )


def _budgets_count(recipe: "Recipe") -> None:
    """Refuse budgets of a sweep that a quota overrides."""
    if recipe.sweep and recipe.sweep.budget and recipe.select.quota and recipe.select.quota.count:
        raise InputError(
            "quota.count says how many rows every arm has, so budgets make no difference; give "
            "the quota a ratio",
            "sweep.budget",
        )


def _student_is_one(recipe: "Recipe") -> None:
    """Refuse what columns of one student would mix up, and a recipe that makes no rows."""
    students = [source.name for source in recipe.sources if source.makes == "facts"]
    if len(students) > 1:
        raise InputError(
            f"{' and '.join(students)} all have the role of the student, and there is one; "
            "give the others a recipe each",
            "sources",
        )
    if not any(source.makes == "rows" for source in recipe.used_sources):
        names = " and ".join(repr(source.name) for source in recipe.used_sources)
        raise InputError(
            f"{names} is all there is, and its samples are no rows; add a source that makes "
            "some, such as a `generate` one of the teacher's",
            "sources",
        )


def _excluded_are_known(recipe: "Recipe") -> None:
    """Refuse to exclude who is not there, as far as that can be known before files are read."""
    names = recipe.writers
    in_files = any(source.names_writers for source in recipe.sources)
    for name in recipe.exclude_teachers if not in_files else ():
        if name not in names:
            raise InputError(
                f"no source or teacher is called {name!r}; {did_you_mean(name, sorted(names))}",
                "exclude_teachers",
            )
    if not recipe.used_sources:
        raise InputError("no source is left", "exclude_teachers")
    used = {source.name for source in recipe.used_sources}
    for source in recipe.used_sources:
        needed = needs_of(source) if isinstance(source, SampledSource) else set[str]()
        if gone := sorted(needed - used):
            raise InputError(
                f"source {source.name!r} goes on from {gone[0]!r}, of which nothing is used; "
                "exclude it too",
                "exclude_teachers",
            )
