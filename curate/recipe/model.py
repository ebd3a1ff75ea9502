"""The recipe: what shall be made, as frozen pydantic models; the config is the object.

Everything here decides *what* comes out and is part of some key, except `runtime`, which says *how*
and is part of none, but for the kind of a source's backend (see `curate.models.teachers.options`).
"""

import inspect
import json
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, Self, Union, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo

from curate.measures import MEASURES
from curate.measures.embed import EmbedOptions
from curate.measures.score_options import ScoreOptions
from curate.models.servers.servers import StudentServer
from curate.models.teachers.open import TEACHERS
from curate.models.teachers.options import Backend, VllmOptions
from curate.recipe.effect import EffectOptions
from curate.recipe.misfits import refuse_misfits
from curate.recipe.source_columns import columns_of_sources
from curate.release.formats import FORMATS
from curate.release.licences import refuse_unknown
from curate.release.options import PublishOptions
from curate.select.options import SelectOptions
from curate.select.sweep import Point, Sweep
from curate.sources import SOURCES, SampledSource, Source
from curate.sources.questions import QuestionsOptions
from filters import FILTERS
from filters.columns import Glossary
from filters.contract import Filter

NAME = r"^[a-z0-9][a-z0-9._-]*$"


Where = Literal["local", "ray"]
"""Where shards are judged."""
QUESTIONS_PER_SHARD: Final = 1024


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Measures(_Section):
    """Options of what the filters need; nothing runs unless something reads it.

    A section may ask for `columns`, and `gradient` runs where it has one. There is one for every
    measure that takes options, under the measure's name.
    """

    def of(self, measure: str) -> Any:
        """Give the section of a measure, by its name; None where the recipe has none."""
        return getattr(self, measure, None)

    @model_serializer(mode="wrap")
    def _without_what_nobody_wrote(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave sections out that the recipe does not have.

        But for the two that were always there: digests of recipes made before count them.
        """
        written: dict[str, Any] = write(self)
        always = {"embed", "score"}
        return {k: v for k, v in written.items() if k in always or v is not None}


class Splits(_Section):
    """How questions are split."""

    validation: float = Field(default=0.0, ge=0, lt=1)
    """Share of the groups of questions, by hash."""


class Calibrate(_Section):
    """Tests of the scores themselves, on the run's own pool."""

    faults: int = Field(default=0, ge=0)
    """Right rationales, one a question, of which copies with a planted fault are scored too: a
    number changed, an operator turned round, a step left out, two swapped, one said twice, another
    question's steps. How often each score prefers the original stands in manifest, card and report.
    Costs up to seven texts a rationale.
    """


class Runtime(_Section):
    """How a run is carried out; in no key, but for whether vLLM or a server samples."""

    executor: Where = "local"
    """Where shards are judged: ``local``, on this machine, or ``ray``: on the cluster that
    ``RAY_ADDRESS`` names, that runs here, or a new one. All nodes must see the store.
    """
    workers: int | None = Field(default=None, ge=1)
    """Shards judged at a time; by default one, in the run's own process, and with ``ray`` as many
    as the cluster has cores.
    """
    questions_per_shard: int = Field(default=QUESTIONS_PER_SHARD, ge=1)
    """Mean number of questions judged together. Smaller shards give more workers something to do
    and take less memory each; what comes out is the same.
    """
    sources: dict[str, Backend] = Field(default_factory=dict)
    """How each generating source is reached, by its name: ``{NAME: {backend: vllm}}``, which is how
    one left out is reached too, or ``{NAME: {backend: openai, url: ...}}``.
    """
    student: StudentServer | None = None
    """Where ``vllm serve`` has the student of ``dtype: served``: ``url`` and what else is said
    below of a server.
    """
    max_tokens_total: int | None = Field(default=None, ge=1)
    """Most prompt and completion tokens that one run draws. A limit reached stops it cleanly: what
    is on its way is recorded, and a run after it goes on.
    """
    max_cost: float | None = Field(default=None, gt=0)
    """Most money one run spends on servers with a `price`, in their currency."""
    max_hours: float | None = Field(default=None, gt=0)
    """Longest one run samples and measures."""


class OtherLicence(_Section):
    """A licence for which the Hub has no id."""

    name: str = Field(pattern=NAME)
    """What the card calls it."""
    link: str | None = None
    """Where its text is to be read."""


class Recipe(_Section):
    """A whole recipe; see ``recipes/README.md`` for each key."""

    name: str = Field(pattern=NAME)
    """Of the runs and of the release."""
    release: str = Field(default="0.1.0", pattern=r"^\d+\.\d+\.\d+$")
    """Version of the data."""
    description: str = ""
    """One paragraph for the card."""
    questions: QuestionsOptions
    """Where questions and known answers come from."""
    sources: tuple[Source, ...] = Field(min_length=1)
    """Who writes the rationales."""
    measures: Measures = Field(default_factory=Measures)
    """Encoder and student; nothing runs unless a filter or an order reads it, or its section asks
    for `columns`; but for `gradient`, which runs where it is named.
    """
    filters: tuple[Filter, ...] = ()
    """The chain, in order; each sees what is still live. ``curate filters`` lists them, ``curate
    filters NAME`` explains one.
    """
    select: SelectOptions = SelectOptions()
    """Order and budget."""
    arms: tuple[str, ...] = ()
    """Control arms, released beside the selection."""
    calibrate: Calibrate | None = Field(default=None, exclude_if=lambda value: value is None)
    """What the scores are tested on beside the samples."""
    sweep: Sweep | None = None
    """More of them: what the selection would be by other keys, from either end, within other
    budgets.
    """
    exclude_teachers: tuple[str, ...] = ()
    """Sources, or teachers of imported rows, of which nothing is used; ``run --exclude-teacher
    NAME`` adds one.
    """
    splits: Splits = Splits()
    """Shares that are kept apart from the training rows."""
    effect: EffectOptions | None = Field(default=None, exclude_if=lambda value: value is None)
    """Students trained on its arms and asked a test, by ``curate effect``; the run itself trains
    none.
    """
    publish: PublishOptions = PublishOptions()
    """What the release holds, and where it goes."""
    licence: str | OtherLicence | None = None
    """Of the released data, as the card states it: an id of the Hub's (``apache-2.0``, ``mit``,
    ``cc-by-4.0`` ...), or ``{name: my-licence-1.0, link: https://...}`` for one that has none.
    """
    language: str | None = None
    """Of the text, as the card states it."""
    runtime: Runtime = Runtime()
    """How, never what. Changing it repeats nothing, but for samples where the backend of a source
    is another: a server does not say its precision.
    """

    def __init__(self, /, **data: Any) -> None:
        """Make a recipe; the class of a filter or source handed over is registered by that."""
        for key, base, registry in (("filters", Filter, FILTERS), ("sources", Source, SOURCES)):
            items = data.get(key)
            for item in cast("list[object]", items) if isinstance(items, list | tuple) else ():
                if isinstance(item, base):
                    registry.register(type(item))  # pyright: ignore[reportArgumentType]
        super().__init__(**data)

    @field_validator("licence")
    @classmethod
    def _hub_knows_the_licence(
        cls, licence: str | OtherLicence | None
    ) -> str | OtherLicence | None:
        if isinstance(licence, str):
            refuse_unknown(licence)
        return licence

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse_misfits(self)
        return self

    @model_serializer(mode="wrap")
    def _without_a_sweep_nobody_wrote(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a sweep that is not there: digests of recipes made before know no such key."""
        written: dict[str, Any] = write(self)
        return {key: value for key, value in written.items() if key != "sweep" or value is not None}

    @property
    def token_budget(self) -> str | None:
        """Name the key whose budget is in tokens; None where there is none."""
        budgets = [("select.budget", self.select.budget)]
        swept = self.sweep.budget if self.sweep else ()
        budgets += [(f"sweep.budget[{place}]", one) for place, one in enumerate(swept)]
        return next((where for where, one in budgets if one and one.tokens is not None), None)

    @property
    def points(self) -> tuple[Point, ...]:
        """Where its sweep stands; none without one."""
        return self.sweep.points if self.sweep else ()

    @property
    def writers(self) -> set[str]:
        """The sources, and those of whom the recipe says that they wrote all of one."""
        return {name for source in self.sources for name in (source.name, source.writer)}

    @property
    def used_sources(self) -> tuple[Source, ...]:
        """The sources that are not excluded as a whole."""
        excluded = set(self.exclude_teachers)
        return tuple(
            source for source in self.sources if not excluded & {source.name, source.writer}
        )

    @property
    def brought(self) -> Glossary:
        """The columns that its sources bring beside those that all have."""
        return columns_of_sources(self.used_sources)

    @property
    def carried(self) -> Glossary:
        """Those of them that their rows have from the beginning."""
        return Glossary(c for source in self.used_sources for c in source.writes.values())

    @property
    def facts(self) -> Glossary:
        """Those of them that are known only once all samples of a source are there."""
        return Glossary(c for source in self.used_sources for c in source.gives.values())

    def shows(self, source: Source) -> bool:
        """Tell whether what a source wrote may be in a release: as rows, questions, or reworded."""
        parents = {s.parent for s in self.used_sources if isinstance(s, SampledSource)}
        return source.makes != "facts" or source.name in parents

    @property
    def inputs(self) -> tuple[tuple[str, str], ...]:
        """What is read (files, data sets, tables from memory), each behind the key naming it."""
        sources = ((each.name, path) for each in self.used_sources for path in each.inputs())
        return (
            ("questions.path", self.questions.path),
            *((f"sources.{name}.path", path) for name, path in sources),
        )

    @property
    def score(self) -> ScoreOptions | None:
        """The student and how it is asked; None where the recipe names none."""
        return self.measures.of("score")

    @property
    def faults(self) -> int:
        """Give the rationales in which faults are planted."""
        return self.calibrate.faults if self.calibrate else 0

    @property
    def encoder(self) -> EmbedOptions:
        """The sentence encoder: the recipe's, or the default one."""
        return self.measures.of("embed") or EmbedOptions()

    @property
    def verdicts_file(self) -> str | None:
        """Name the file beside the recipe that has a person's verdicts."""
        named = (file for each in self.filters for file in each.files())
        return next((name for name in named if is_beside(name)), None)

    @property
    def judge_of_answers(self) -> str | None:
        """Name the filter that tells right from wrong; None where there is none."""
        return next((each.name for each in self.filters if each.tells_right), None)

    def backend(self, source: str) -> Backend:
        """Tell how the teacher of a source is reached."""
        return self.runtime.sources.get(source) or VllmOptions()


_OWN: Final = ("data", "README.md", "manifest.json", "recipe.yaml", "recipe.lock.json")
"""What a release has beside its recipe."""


def is_beside(name: str) -> bool:
    """Tell whether a path leads to a file beside the recipe, and can do so beside a release's."""
    path = PurePosixPath(name)
    first = path.parts[0] if path.parts else ""
    return not (path.is_absolute() or ".." in path.parts or first in _OWN or first[:1] == "~")


def _connect() -> None:
    """Let sections hold what the registries know: pydantic is told anew of every choice."""
    union: Any = Union
    kinds = [kind.options for kind in TEACHERS]
    choices = {
        (Runtime, "sources"): dict[str, _one_of(union[tuple(kinds)], "backend")],
        (Recipe, "sources"): tuple[_one_of(union[tuple(SOURCES)], "use"), ...],
        (Recipe, "filters"): tuple[_one_of(union[tuple(FILTERS)], "use"), ...],
    }
    for (section, name), annotation in choices.items():
        section.model_fields[name].annotation = annotation
    Measures.model_fields.clear()
    for kind in MEASURES:
        if kind.section is not None:
            summary = (inspect.getdoc(kind.section) or "").partition("\n\n")[0]
            optional = cast("Any", kind.section | None)
            field = FieldInfo(annotation=optional, default=None, description=summary)
            Measures.model_fields[kind.name] = field
    for section in (Measures, Runtime, Recipe):
        section.model_rebuild(force=True)


def _one_of(union: Any, field: str) -> Any:
    return Annotated[union, Field(discriminator=field)]


for _registry in (TEACHERS, SOURCES, FILTERS, MEASURES, FORMATS):
    _registry.watch(_connect)
_connect()


def recipe_schema() -> str:
    """Give the recipe's JSON Schema, for editors and for checks outside Python."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Recipe.model_json_schema(),
    }
    _describe(schema)
    return json.dumps(schema, indent=2, sort_keys=True)


def _describe(node: Any) -> None:
    """Bring every description into the form that editors show, and say what chooses a kind."""
    if isinstance(node, list):
        for part in cast("list[Any]", node):
            _describe(part)
    if not isinstance(node, dict):
        return
    here = cast("dict[str, Any]", node)
    if isinstance(text := here.get("description"), str):
        here["description"] = " ".join(text.replace("``", "`").split())
    for name, field in cast("dict[str, Any]", here.get("properties") or {}).items():
        if isinstance(field, dict) and "const" in field and "description" not in field:
            field["description"] = (
                f"The word that chooses this kind, as in `{name}: {field['const']}`."
            )
    for part in here.values():
        _describe(part)
