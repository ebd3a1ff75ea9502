"""Turn questions with known answers into a small, well-chosen dataset of rationales.

::

    from curate import read_recipe, run

    result = run(read_recipe("recipe.yaml"))  # shows itself at a prompt and in a notebook
    result.dataset, result.audit, result.why("3fa9"), result.report()
"""

from typing import TYPE_CHECKING, Any

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
