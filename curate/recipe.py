"""The recipe: what shall be made, as frozen pydantic models; the config is the object.

Everything here decides *what* comes out and is part of some key, except `runtime`, which says *how*
and is part of none.
"""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self, Union, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from curate.backends.servers import StudentServer
from curate.backends.teachers import BackendOptions, VllmOptions
from curate.errors import InputError
from curate.executors import Where
from curate.measures.embed import EmbedOptions
from curate.measures.parse import ParseOptions
from curate.measures.score_options import ScoreOptions
from curate.questions import QuestionsOptions
from curate.select import Arm, SelectOptions
from curate.sources.generate import GenerateSource
from curate.sources.gold import GoldSource
from curate.sources.import_ import ImportSource
from curate.strict import did_you_mean, interpolate, override, parse_yaml, validate
from filters import FILTERS
from filters.contract import Filter

NAME = r"^[a-z0-9][a-z0-9._-]*$"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Text(ParseOptions):
    """What every source says about its text.

    Attributes:
        terms: the licence or terms under which the teacher's text may be used, as the card states
            them; never guessed.
    """

    terms: str | None = None

    def reading(self) -> ParseOptions:
        """Give the part that says how this text is read."""
        return ParseOptions.model_validate(self.model_dump(include=set(ParseOptions.model_fields)))


class Generate(GenerateSource, _Text):
    """Rows sampled from a teacher."""


class Import(ImportSource, _Text):
    """Rows other teachers wrote."""


class Gold(GoldSource, _Text):
    """The rationales the questions came with."""


Source = Annotated[Generate | Import | Gold, Field(discriminator="use")]


class Measures(_Section):
    """Options of what the filters need; nothing runs unless something reads its columns."""

    embed: EmbedOptions | None = None
    score: ScoreOptions | None = None


class Splits(_Section):
    """Shares of the groups of questions, by hash."""

    validation: float = Field(default=0.0, ge=0, lt=1)


class Runtime(_Section):
    """How a run is carried out; in no key.

    Attributes:
        executor: where shards are judged; ``ray`` uses the cluster that ``RAY_ADDRESS`` names, that
            runs on this machine, or a new one here. All its nodes must see the store.
        workers: shards judged at a time; by default one, in the run's own process, and with
            ``ray`` as many as the cluster has cores.
        sources: how each generating source is reached, by its name; `vllm` where left out.
        student: where the student of ``dtype: served`` is.
    """

    executor: Where = "local"
    workers: int | None = Field(default=None, ge=1)
    sources: dict[str, BackendOptions] = Field(default_factory=dict)
    student: StudentServer | None = None


@cache
def known_filters() -> tuple[type[Filter], ...]:
    """List the shipped filters and those of installed plug-ins (entry point ``curate.filters``)."""
    plugged = [point.load() for point in entry_points(group="curate.filters")]
    return (*FILTERS, *plugged)


def _any_filter() -> Any:
    union: Any = Union
    return Annotated[union[known_filters()], Field(discriminator="use")]


class Recipe(_Section):
    """A whole recipe; see ``recipes/README.md`` for each key.

    Attributes:
        name: of the runs and the release.
        release: version of the data.
        description: one paragraph for the card.
        questions: where the questions come from.
        sources: who writes the rationales.
        measures: options of the instruments.
        filters: the chain, in order; each sees what is still live.
        select: order and budgets.
        arms: control arms released beside the selection.
        splits: validation share.
        licence: of the released data, as the card states it.
        language: of the text, as the card states it.
        runtime: how, never what.
    """

    name: str = Field(pattern=NAME)
    release: str = Field(default="0.1.0", pattern=r"^\d+\.\d+\.\d+$")
    description: str = ""
    questions: QuestionsOptions
    sources: tuple[Source, ...] = Field(min_length=1)
    measures: Measures = Measures()
    filters: tuple[_any_filter(), ...] = ()  # pyright: ignore[reportInvalidTypeForm]
    select: SelectOptions = SelectOptions()
    arms: tuple[str, ...] = ()
    splits: Splits = Splits()
    licence: str | None = None
    language: str | None = None
    runtime: Runtime = Runtime()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for key, names in (
            ("sources", [source.name for source in self.sources]),
            ("filters", [gate.name for gate in self.gates]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise InputError(
                    f"{twice[0]!r} is the name of two items; give one of them another `name`", key
                )
        known = [source.name for source in self.sources]
        for name in self.runtime.sources:
            if name not in known:
                raise InputError(
                    f"no source is called {name!r}; {did_you_mean(name, known)}", "runtime.sources"
                )
        self._student_is_where_it_is_said()
        for text in self.arms:
            arm = Arm.parse(text)
            names = [gate.name for gate in self.gates]
            if arm.kind == "without" and arm.operand not in names:
                raise InputError(
                    f"arm {text!r}: no filter is called {arm.operand!r}; "
                    f"{did_you_mean(arm.operand, names)}",
                    "arms",
                )
        return self

    def _student_is_where_it_is_said(self) -> None:
        score, server = self.measures.score, self.runtime.student
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
        if served and served.per_token:
            raise InputError(
                "no server gives entropies; drop this, or `dtype: served`, so that the student is "
                "loaded here",
                "measures.score.per_token",
            )

    @property
    def gates(self) -> tuple[Filter, ...]:
        """The filters, typed."""
        return cast("tuple[Filter, ...]", self.filters)

    def backend(self, source: str) -> BackendOptions:
        """Tell how a generating source is reached."""
        return self.runtime.sources.get(source) or VllmOptions()


class RecipeFile(BaseModel):
    """A recipe and where it stands.

    Attributes:
        recipe: what was read, overrides applied.
        text: the file as written, without overrides or interpolated values.
        overrides: the command line's ``key=value``.
        folder: what relative paths in the recipe are relative to.
        lock: the lock file that belongs to it.
    """

    model_config = ConfigDict(frozen=True)

    recipe: Recipe
    text: str
    overrides: tuple[str, ...]
    folder: Path
    lock: Path


def shipped_recipes() -> dict[str, Path]:
    """List the recipes that come with the package, by name."""
    folder = Path(str(files("curate.shipped")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read_recipe(
    reference: str, overrides: Sequence[str] = (), lock: Path | None = None
) -> RecipeFile:
    """Read a recipe.

    Args:
        reference: a file, or the name of a shipped recipe.
        overrides: ``key=value`` assignments, applied in order.
        lock: where the lock file lies, if not beside the recipe. A shipped recipe's lies in
            ``runs/<name>``, since the package's folder is not ours to write.

    Raises:
        InputError: no such recipe, or it is wrong; nothing was written.
    """
    path = Path(reference)
    shipped = shipped_recipes()
    if not path.is_file():
        if reference not in shipped:
            raise InputError(
                f"no recipe file {reference!r} here, and no shipped recipe of that name; "
                f"{did_you_mean(reference, list(shipped))}"
            )
        path = shipped[reference]
    text = path.read_text(encoding="utf-8")
    try:
        recipe = parse_recipe(text, overrides)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    default = path.with_suffix(".lock.json")
    if path in shipped.values():
        default = Path("runs") / recipe.name / f"{recipe.name}.lock.json"
    return RecipeFile(
        recipe=recipe,
        text=text,
        overrides=tuple(overrides),
        folder=path.parent.resolve(),
        lock=lock or default,
    )


def parse_recipe(text: str, overrides: Sequence[str] = ()) -> Recipe:
    """Parse a recipe's text, apply overrides, read ``${NAME}`` where it is allowed.

    Raises:
        InputError: one line for each problem.
    """
    data = parse_yaml(text)
    if not isinstance(data, dict):
        raise InputError("not a recipe: a mapping of keys to values is wanted at the top")
    for assignment in overrides:
        override(data, assignment)
    return validate(Recipe, _interpolated(cast("dict[str, Any]", data)))


def _interpolated(data: dict[str, Any]) -> dict[str, Any]:
    """Read variables in `runtime` and in paths only, so that no secret can enter a release."""
    result = dict(data)
    if "runtime" in result:
        result["runtime"] = interpolate(result["runtime"], "runtime")
    for where, holder, key in _path_holders(result):
        holder[key] = interpolate(holder[key], where)
    return result


def _path_holders(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    questions = data.get("questions")
    if isinstance(questions, dict) and "path" in questions:
        yield "questions.path", cast("dict[str, Any]", questions), "path"
    for section, keys in (("sources", ("path", "model")), ("filters", ("file",))):
        items = data.get(section)
        for index, item in enumerate(cast("list[Any]", items) if isinstance(items, list) else []):
            for key in keys:
                if isinstance(item, dict) and isinstance(item.get(key), str):  # pyright: ignore[reportUnknownMemberType]
                    yield f"{section}[{index}].{key}", cast("dict[str, Any]", item), key


def recipe_schema() -> str:
    """Give the recipe's JSON Schema, for editors and for checks outside Python."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Recipe.model_json_schema(),
    }
    return json.dumps(schema, indent=2, sort_keys=True)


def slug(text: str) -> str:
    """Make a valid recipe name of any text."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.") or "run"
