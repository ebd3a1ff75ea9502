"""Turn questions with known answers into a small, well-chosen dataset of rationales.

::

    from curate import plan, read_recipe, run

    result = run(read_recipe("recipe.yaml"))
    result.dataset, result.audit, result.funnel
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.engine import RunOptions, RunResult, run
    from curate.plan import make_plan as plan
    from curate.recipe import Recipe
    from curate.recipe_file import read_recipe

__all__ = ["Recipe", "RunOptions", "RunResult", "plan", "read_recipe", "run"]

_HOMES = {
    "Recipe": ("curate.recipe", "Recipe"),
    "RunOptions": ("curate.engine", "RunOptions"),
    "RunResult": ("curate.engine", "RunResult"),
    "plan": ("curate.plan", "make_plan"),
    "read_recipe": ("curate.recipe_file", "read_recipe"),
    "run": ("curate.engine", "run"),
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``import curate`` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'curate' has no attribute {name!r}")
    import importlib

    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)
