"""Open the measures of a plan, their models pinned by the lock file.

Opening one loads nothing: a model is loaded when the first item is missing from the record.
"""

from collections.abc import Mapping
from typing import Any

from curate.errors import InputError
from curate.measures import Measure, Setup
from curate.measures.base import Need
from curate.measures.score_options import choose_layout
from curate.models.references import ResolvedModel
from curate.recipe.files import RecipeFile
from curate.recipe.lock import Lock
from curate.recipe.steps import MeasureStep, Plan
from filters.answers.reading import TextOptions


class MeasureSetups:
    """Opens the measures of a recipe.

    Args:
        file: the recipe.
        lock: resolves the models; all that the plan needs are resolved here and now, so that one
            that cannot be found fails the run before anything is sampled.
        plan: says which measures will run.
    """

    def __init__(self, file: RecipeFile, lock: Lock, plan: Plan) -> None:
        self._file = file
        recipe = file.recipe
        needed = {need for step in plan.measures for need in step.kind.needs}
        self._models: dict[Need, ResolvedModel] = {}
        if "encoder" in needed:
            self._models["encoder"] = lock.model(recipe.encoder.model, recipe.encoder.revision)
        if "student" in needed and recipe.score is not None:
            here = recipe.score.dtype != "served"
            student = lock.model(recipe.score.student, recipe.score.revision, weights=here)
            self._models["student"] = student
            publish = recipe.publish
            if publish.formats and publish.think == "field":
                _refuse_strings(choose_layout(recipe.score, student.path))

    def models(self) -> Mapping[str, Any]:
        """Name the models by their part, for the manifest."""
        return {
            part: {"name": model.name, "revision": model.revision, "how": model.how}
            for part, model in self._models.items()
        }

    def open(self, step: MeasureStep) -> Measure:
        """Open the measure of one step.

        Raises:
            InputError: its options, or a file they name, are wrong.
        """
        recipe = self._file.recipe
        return step.kind.open(
            Setup(
                options=step.options,
                models={need: self._models[need] for need in step.kind.needs},
                folder=self._file.folder,
                texts={source.name: _reading(source) for source in recipe.sources},
                filter=step.filter,
                server=recipe.runtime.student,
                score=recipe.score,
                demand=step.demand,
            )
        )


def _reading(source: TextOptions) -> TextOptions:
    """Give the part of a source that says how its text is read."""
    return TextOptions.model_validate(source.model_dump(include=set(TextOptions.model_fields)))


def _refuse_strings(layout: str) -> None:
    if layout != "chat":
        raise InputError(
            f"the student reads strings ({layout}), which have no reasoning field; use `think: "
            "inline` or `none`, or `layout: chat` under measures.score",
            "publish.think",
        )
