"""Make the instrument of each measure step, its models pinned by the lock file.

Making one loads nothing: a model is loaded when the first item is missing from the record.
"""

from collections.abc import Mapping
from typing import Any

from curate.errors import InputError
from curate.measures.base import Measure
from curate.measures.embed import Embed
from curate.measures.overrides import Overrides
from curate.measures.parse import Parse
from curate.measures.score import Score
from curate.measures.score_options import choose_layout
from curate.measures.tokens import Tokens
from curate.measures.verify import Verify
from curate.models.references import ResolvedModel
from curate.recipe.files import RecipeFile
from curate.recipe.lock import Lock
from curate.recipe.plan import MeasureStep, Plan, encoder
from filters.overrides import Overrides as OverridesFilter


class Instruments:
    """Opens the instruments of a recipe.

    Args:
        file: the recipe.
        lock: resolves the models; all that the plan needs are resolved here and now, so that one
            that cannot be found fails the run before anything is sampled.
        plan: says which measures will run.
    """

    def __init__(self, file: RecipeFile, lock: Lock, plan: Plan) -> None:
        self._file = file
        recipe = file.recipe
        needed = {step.measure for step in plan.steps if isinstance(step, MeasureStep)}
        self._encoder = encoder(recipe)
        self._models: dict[str, ResolvedModel] = {}
        if "embed" in needed:
            options = self._encoder
            self._models["encoder"] = lock.model(options.model, options.revision)
        if needed & {"score", "tokens"} and recipe.measures.score is not None:
            options = recipe.measures.score
            here = options.dtype != "served"
            student = lock.model(options.student, options.revision, weights=here)
            self._models["student"] = student
            publish = recipe.publish
            if publish.formats and publish.think == "field":
                _refuse_strings(choose_layout(options, student.path))

    def models(self) -> Mapping[str, Any]:
        """Name the models by their part, for the manifest."""
        return {
            part: {"name": model.name, "revision": model.revision, "how": model.how}
            for part, model in self._models.items()
        }

    def open(self, step: MeasureStep) -> Measure:
        """Make one step's instrument.

        Raises:
            InputError: its options, or a file they name, are wrong.
        """
        score = self._file.recipe.measures.score
        match step.measure:
            case "parse":
                sources = self._file.recipe.sources
                return Parse({source.name: source.reading() for source in sources})
            case "verify":
                return Verify()
            case "embed":
                return Embed(self._encoder, self._models["encoder"])
            case "overrides":
                assert isinstance(step.gate, OverridesFilter)
                return Overrides(self._file.folder / step.gate.file)
            case "tokens":
                return Tokens(self._models["student"])
            case "score":
                assert score is not None
                server = self._file.recipe.runtime.student
                return Score(score, self._models["student"], server)
            case _:
                raise AssertionError(f"no instrument for measure {step.measure!r}")


def _refuse_strings(layout: str) -> None:
    if layout != "chat":
        raise InputError(
            f"the student reads strings ({layout}), which have no reasoning field; use `think: "
            "inline` or `none`, or `layout: chat` under measures.score",
            "publish.think",
        )
