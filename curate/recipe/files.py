"""Reading recipes: a file, a shipped recipe by its name, or one that came with a release."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Self, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticSerializationError

from curate.errors import InputError, did_you_mean
from curate.errors.strict import interpolate, mapping, override, parse_yaml, target, validate
from curate.recipe.model import Recipe
from curate.recipe.named import refuse_broken
from curate.sources import Source
from curate.store.keys import key
from filters.contract import Filter

_ADDRESS: Final = ("repo", "private")
"""Keys of ``publish`` that say where a release goes, not what is in it."""


class RecipeFile(BaseModel):
    """A recipe and where it stands."""

    model_config = ConfigDict(frozen=True)

    recipe: Recipe
    """What was read, overrides applied."""
    text: str
    """The file as written, without overrides or interpolated values."""
    overrides: tuple[str, ...]
    """The command line's ``key=value``."""
    folder: Path
    """What relative paths in the recipe are relative to."""
    lock: Path
    """The lock file that belongs to it."""
    lock_text: str = ""
    """What to begin with where there is no such file yet."""
    limit: int | None = None
    """Of questions, unless the run names another."""
    notes: tuple[str, ...] = ()
    """What somebody who uses it must know first, a sentence each."""
    written: Mapping[str, str] = Field(default_factory=dict)
    """What stands in the recipe for a path or model, by what it was read as, where a variable of
    the environment is in it.
    """

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """Write a recipe that was made in Python down, as if it had been read here.

        What is as by default is left out, and so is `runtime`: it says how, and what Python reads
        from the environment must not come into a release.

        Raises:
            InputError: something in it is nothing that YAML holds.
        """
        try:
            entries = {
                key: [_entry(item) for item in items]
                for key, items in (("sources", recipe.sources), ("filters", recipe.filters))
            }
            rest = recipe.model_dump(mode="json", exclude_defaults=True, exclude={"runtime"})
        except PydanticSerializationError as error:
            raise InputError(
                f"this recipe can't be written down ({error}); have its filters and sources hold "
                "texts, numbers, and lists or mappings of them"
            ) from error
        return cls(
            recipe=recipe,
            text=yaml.safe_dump(rest | {k: v for k, v in entries.items() if v}, sort_keys=False),
            overrides=(),
            folder=Path.cwd(),
            lock=_lock_in_runs(recipe),
        )

    @property
    def digest(self) -> str:
        """Identify what shall be made.

        How, what comes afterwards, where it goes and what a variable holds are no part.
        """
        made = self.recipe.model_dump(mode="json", exclude={"runtime", "publish", "effect"})
        return key(_as_written(made, self.written))

    def limited_to(self, limit: int | None) -> int | None:
        """Give the limit of questions that counts: the run's, the release's, or the recipe's."""
        limits = (limit, self.limit, self.recipe.questions.limit)
        return next((one for one in limits if one is not None), None)

    def made_by(self, limit: int | None) -> dict[str, Any]:
        """Give what a manifest says of the recipe: digest, overrides, limit of questions."""
        return {
            "recipe_digest": self.digest,
            "overrides": self.recorded,
            "limit": self.limited_to(limit),
        }

    @property
    def recorded(self) -> list[str]:
        """Give the overrides that say what is made, in the order they were applied."""
        kept = (_without_address(one) for one in self.overrides if target(one)[0] != "runtime")
        return [one for one in kept if one is not None]


def shipped_recipes() -> dict[str, Path]:
    """List the recipes that come with the package, by name: those of systems too."""
    folder = Path(str(files("curate.shipped")))
    paths = (*sorted(folder.glob("*.yaml")), *sorted(folder.glob("systems/*.yaml")))
    return {path.stem: path for path in paths}


def shipped_file(name: str) -> str | None:
    """Find a file that comes with a shipped recipe; None where there is none of that name."""
    path = Path(str(files("curate.shipped"))) / name
    return str(path) if Path(name).name == name and path.is_file() else None


def read_recipe(
    reference: str,
    overrides: Sequence[str] = (),
    lock: Path | None = None,
    exclude: Sequence[str] = (),
) -> RecipeFile:
    """Read a recipe.

    Args:
        reference: a file, or the name of a shipped recipe.
        overrides: ``key=value`` assignments, applied in order.
        lock: where the lock file lies, if not beside the recipe. It lies in ``runs/<name>`` where
            the recipe's folder can't be written, and for a shipped recipe, since the package's
            folder is not ours to write.
        exclude: teachers to leave out beside those that the recipe leaves out.

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
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path.name} is not UTF-8; save it as that, or convert it, say with iconv"
        ) from error
    try:
        recipe, written = _parse(text, overrides)
        if exclude:
            overrides = (*overrides, excluding(recipe, exclude))
            recipe, written = _parse(text, overrides)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    default, notes = path.with_suffix(".lock.json"), ()
    if path in shipped.values():
        default = _lock_in_runs(recipe)
    elif lock is None and not _writable(path.parent):
        default = _lock_in_runs(recipe)
        notes = (f"the folder of {path.name} can't be written, so its lock file is {default}",)
    return RecipeFile(
        recipe=recipe,
        text=text,
        overrides=tuple(overrides),
        folder=path.parent.resolve(),
        lock=lock or default,
        notes=notes,
        written=written,
    )


def _entry(item: Source | Filter) -> dict[str, Any]:
    """Write a source or filter as an item of a recipe, with the files that no manifest holds."""
    fields = type(item).model_fields
    places = {name: getattr(item, name) for name, field in fields.items() if field.exclude}
    entry = {"use": fields["use"].default, **places}
    entry |= item.model_dump(mode="json", exclude_defaults=True)
    if isinstance(item, Filter) and item.name == entry["use"]:
        del entry["name"]  # as it is called where it is not named
    return entry


def _writable(folder: Path) -> bool:
    """Tell whether a lock file can be written beside a recipe, which may lie in an image."""
    return os.access(folder, os.W_OK)


def _lock_in_runs(recipe: Recipe) -> Path:
    """Name the lock file of a recipe that has no place of its own to be written to."""
    return Path("runs") / recipe.name / f"{recipe.name}.lock.json"


def parse_recipe(text: str, overrides: Sequence[str] = ()) -> Recipe:
    """Parse a recipe's text, apply overrides, read ``${NAME}`` where it is allowed.

    Raises:
        InputError: one line for each problem.
    """
    return _parse(text, overrides)[0]


def _parse(text: str, overrides: Sequence[str]) -> tuple[Recipe, Mapping[str, str]]:
    data = mapping(text)
    for assignment in overrides:
        override(data, assignment)
    return interpolated(data)


def excluding(recipe: Recipe, teachers: Sequence[str]) -> str:
    """Give the override that leaves more teachers out."""
    return f"exclude_teachers={json.dumps([*recipe.exclude_teachers, *teachers])}"


def _without_address(assignment: str) -> str | None:
    """Leave out of an override where a release goes; None where it says nothing else."""
    path = target(assignment)
    if path[0] != "publish":
        return assignment
    if path[1:2] in (["repo"], ["private"]):
        return None
    value = parse_yaml(assignment.partition("=")[2])
    if len(path) > 1 or not isinstance(value, dict):
        return assignment
    rest = {k: v for k, v in cast("dict[str, Any]", value).items() if k not in _ADDRESS}
    return f"publish={json.dumps(rest)}"


def _as_written(value: Any, written: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return written.get(value, value)
    if isinstance(value, dict):
        return {k: _as_written(v, written) for k, v in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_as_written(one, written) for one in cast("list[Any]", value)]
    return value


def interpolated(data: Mapping[str, Any]) -> tuple[Recipe, Mapping[str, str]]:
    """Read variables in `runtime` and in paths only, so that no secret can enter a release.

    Returns:
        The recipe, and what stands in it by what that was read as.

    Raises:
        InputError: a variable is not set, or the recipe is wrong.
    """
    result = deepcopy(dict(data))
    if "runtime" in result:
        result["runtime"] = interpolate(result["runtime"], "runtime")
    written: dict[str, str] = {}
    for where, holder, name in path_holders(result):
        text = holder[name]
        _refuse_rows(text, where)
        if isinstance(text, str) and (value := interpolate(text, where)) != text:
            holder[name] = value
            written[value] = text
    refuse_broken(result)
    return validate(Recipe, result), written


def _refuse_rows(value: Any, where: str) -> None:
    """Refuse in a text what stands for a path in Python: the rows themselves."""
    items = cast("list[object]", value) if isinstance(value, list) else [""]
    if not any(isinstance(item, str) for item in items):
        raise InputError("got rows; write them into a file, and name that", where)


def path_holders(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Give every place for a path or a model: what it is called, what holds it, under which key."""
    questions = data.get("questions")
    if isinstance(questions, dict) and "path" in questions:
        yield "questions.path", cast("dict[str, Any]", questions), "path"
    for section, keys in (("sources", ("path", "model")), ("filters", ("file",))):
        items = data.get(section)
        for index, item in enumerate(cast("list[Any]", items) if isinstance(items, list) else []):
            for name in keys:
                if isinstance(item, dict) and item.get(name) is not None:  # pyright: ignore[reportUnknownMemberType]
                    yield f"{section}[{index}].{name}", cast("dict[str, Any]", item), name


def slug(text: str) -> str:
    """Make a valid recipe name of any text."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.") or "run"
