"""Turn questions with known answers into a small, well-chosen dataset of rationales.

::

    from curate import plan, read_recipe, run

    result = run(read_recipe("recipe.yaml"))
    result.dataset, result.audit, result.funnel
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.engine.run import RunOptions, RunResult, run
    from curate.recipe.files import read_recipe
    from curate.recipe.model import Recipe
    from curate.recipe.plan import make_plan as plan

__all__ = ["Recipe", "RunOptions", "RunResult", "plan", "read_recipe", "run"]

_HOMES = {
    "Recipe": ("curate.recipe.model", "Recipe"),
    "RunOptions": ("curate.engine.run", "RunOptions"),
    "RunResult": ("curate.engine.run", "RunResult"),
    "plan": ("curate.recipe.plan", "make_plan"),
    "read_recipe": ("curate.recipe.files", "read_recipe"),
    "run": ("curate.engine.run", "run"),
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``import curate`` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'curate' has no attribute {name!r}")
    import importlib

    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)
