"""Turn questions with known answers into a small, well-chosen dataset of rationales.

::

    from curate import read_recipe, run

    result = run(read_recipe("recipe.yaml"))  # shows itself at a prompt and in a notebook
    result.dataset, result.audit, result.why("3fa9"), result.report()
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from curate.engine.progress.progress import Progress
    from curate.engine.run import RunOptions
    from curate.recipe.files import RecipeFile, read_recipe
    from curate.recipe.model import Recipe
    from curate.recipe.plan import make_plan as plan
    from curate.recipe.pool import pool_recipe
    from curate.report.result import Result

__all__ = ["Recipe", "Result", "RunOptions", "plan", "pool_recipe", "read_recipe", "run"]

_HOMES = {
    "Recipe": ("curate.recipe.model", "Recipe"),
    "Result": ("curate.report.result", "Result"),
    "RunOptions": ("curate.engine.run", "RunOptions"),
    "plan": ("curate.recipe.plan", "make_plan"),
    "pool_recipe": ("curate.recipe.pool", "pool_recipe"),
    "read_recipe": ("curate.recipe.files", "read_recipe"),
}
_HERE: Final = Path(__file__).parents[1]
_FILTERS: Final = "filters"


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``import curate`` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'curate' has no attribute {name!r}")
    import importlib

    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)


def run(
    recipe: "RecipeFile | Recipe",
    options: "RunOptions | None" = None,
    progress: "Progress | None" = None,
) -> "Result":
    """Run a recipe to a release folder, and give what is to be seen of it.

    Args:
        recipe: as `read_recipe` gives it, or made here; its relative paths then begin in the
            working folder.
        options: how this run is done.
        progress: where to report; standard error by default.

    Raises:
        InputError: the recipe or its input is wrong; nothing was written.
        CurateError: a model, a server or the record failed; what was recorded is kept.
    """
    # Here, since the engine knows nothing of reports, nor they of it.
    from curate.engine.run import run as carry_out
    from curate.report.result import Result

    return Result.open(carry_out(recipe, options, progress).folder)


class _FiltersBesideUs:
    """Finds the package ``filters`` beside this one, whatever else has that name.

    A folder ``filters`` where a script stands or a notebook works comes first on the path and would
    hide it. What such folders hold is found after ours, as ``filters.NAME``.
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find ours; None for any other name, which others then find."""
        del path, target
        if name != _FILTERS:
            return None
        from pkgutil import extend_path

        spec = PathFinder.find_spec(name, [str(_HERE)])
        if spec is not None and spec.submodule_search_locations is not None:
            spec.submodule_search_locations = extend_path(spec.submodule_search_locations, name)
        return spec


def _claim_filters() -> None:
    """Have ``import filters`` give ours from now on.

    Raises:
        ImportError: somebody else's was imported before.
    """
    module = sys.modules.get(_FILTERS)
    places = [Path(place).resolve() for place in getattr(module, "__path__", ())]
    if module is not None and (_HERE / _FILTERS).resolve() not in places:
        place = getattr(module, "__file__", None) or next(iter(places), "")
        raise ImportError(
            f"{str(place)!r} was imported as `filters`, which is the name of a package of curate; "
            "import curate before it, or give it another name"
        )
    sys.meta_path.insert(0, _FiltersBesideUs)


_claim_filters()
