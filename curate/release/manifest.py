"""What ``manifest.json``, ``run.json`` and a recipe must hold for a release or run to be read.

All may hold more, written by later versions or for people. What is named here is what is read, so
that a file which is damaged, or another one, is told by the key that is wrong.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from curate.release.funnel import Funnel
from curate.release.options import PublishOptions


class _Section(BaseModel):
    model_config = ConfigDict(extra="allow")


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


class Written(_Section):
    """What tells a manifest from any other file, of whatever version."""

    format: int


class Config(_Section):
    """One config of a release."""

    splits: dict[str, int]
    dataset_hash: str
    sources: dict[str, int] = {}


class Parameters(_Section):
    """Of a filter or a source."""

    use: str


class Judge(_Section):
    """A filter as it judged."""

    name: str
    on_abstain: str
    parameters: Parameters


class Meaning(_Section):
    """A column as the glossary has it."""

    name: str
    type: str
    meaning: str
    of: str


class Measure(_Section):
    """A measure as it was taken."""

    instrument: dict[str, Any]


class Teacher(_Section):
    """A model that wrote, or whoever else did."""

    model: str
    revision: str | None


class Model(_Section):
    """A model that measured."""

    name: str
    revision: str | None
    how: str


class Pins(_Section):
    """What of the lock file the release was made with."""

    data: dict[str, str]
    templates: dict[str, str]
    libraries: dict[str, str]
    dtypes: dict[str, str]


class Fault(_Section):
    """A fault that was planted."""

    name: str
    meaning: str
    copies: int


class Share(_Section):
    """In how many pairs a score prefers a rationale to its copy with a fault."""

    value: float | None
    low: float | None
    high: float | None
    questions: int


class Faults(_Section):
    """Which planted faults the scores see."""

    rationales: int
    faults: list[Fault]
    scores: dict[str, dict[str, Share]]


class Manifest(_Section):
    """What a release says of itself."""

    name: str
    release: str
    dataset_hash: str
    configs: dict[str, Config]
    columns: dict[str, str]
    funnel: dict[str, Any]
    calibration: dict[str, Any] | None = None
    planted_faults: Faults | None = None
    glossary: list[Meaning] = []
    overrides: list[str] = []
    teachers: dict[str, Teacher] = {}
    terms: dict[str, str | None] = {}
    models: dict[str, Model] = {}
    measures: dict[str, Measure] = {}
    filters: list[Judge] = []
    select: dict[str, Any] = {}
    files: list[str] = []
    digests: dict[str, str] = {}


class RunManifest(Manifest):
    """The same beside the run that made it; a report shows all of it."""

    funnel: Funnel = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    overrides: list[str] = Field()
    teachers: dict[str, Teacher] = Field()
    models: dict[str, Model] = Field()
    measures: dict[str, Measure] = Field()
    filters: list[Judge] = Field()
    select: dict[str, Any] = Field()
    lock: Pins
    recipe_digest: str
    limit: int | None


class Tally(_Section):
    """What a run asked of models."""

    sampled: int
    reused: int


class Account(_Section):
    """What is true of one run."""

    finished: Annotated[str, AfterValidator(_moment)]
    tally: Tally
    publish: PublishOptions = PublishOptions()
    digests: dict[str, str] = {}


class Publish(_Section):
    """A recipe's ``publish`` section."""

    formats: list[str] | None = None


class Recipe(_Section):
    """A recipe, as far as what it was made with is read from it; whether it can be run is not."""

    sources: list[Parameters] | None = None
    arms: list[str] | None = None
    publish: Publish | None = None


def as_bytes(manifest: Mapping[str, Any]) -> bytes:
    """Write a manifest as its file holds it."""
    style = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(manifest, option=style)
