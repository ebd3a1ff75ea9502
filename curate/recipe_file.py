"""Reading recipes: a file, a shipped recipe by its name, or one that came with a release."""

import json
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from curate.errors import InputError
from curate.recipe import Recipe
from curate.strict import did_you_mean, interpolate, override, parse_yaml, validate


class RecipeFile(BaseModel):
    """A recipe and where it stands.

    Attributes:
        recipe: what was read, overrides applied.
        text: the file as written, without overrides or interpolated values.
        overrides: the command line's ``key=value``.
        folder: what relative paths in the recipe are relative to.
        lock: the lock file that belongs to it.
        lock_text: what to begin with where there is no such file yet.
        limit: of questions, unless the run names another.
        foreign: it came with a release, and so maybe from somebody else.
    """

    model_config = ConfigDict(frozen=True)

    recipe: Recipe
    text: str
    overrides: tuple[str, ...]
    folder: Path
    lock: Path
    lock_text: str = ""
    limit: int | None = None
    foreign: bool = False


def shipped_recipes() -> dict[str, Path]:
    """List the recipes that come with the package, by name."""
    folder = Path(str(files("curate.shipped")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


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
        lock: where the lock file lies, if not beside the recipe. A shipped recipe's lies in
            ``runs/<name>``, since the package's folder is not ours to write.
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
    text = path.read_text(encoding="utf-8")
    try:
        recipe = parse_recipe(text, overrides)
        if exclude:
            overrides = (*overrides, excluding(recipe, exclude))
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
    return validate(Recipe, interpolated(cast("dict[str, Any]", data)))


def excluding(recipe: Recipe, teachers: Sequence[str]) -> str:
    """Give the override that leaves more teachers out."""
    return f"exclude_teachers={json.dumps([*recipe.exclude_teachers, *teachers])}"


def of_runtime(assignment: str) -> bool:
    """Tell whether an override says how, not what."""
    return re.split(r"[.=\[]", assignment, maxsplit=1)[0] == "runtime"


def interpolated(data: dict[str, Any]) -> dict[str, Any]:
    """Read variables in `runtime` and in paths only, so that no secret can enter a release."""
    result = dict(data)
    if "runtime" in result:
        result["runtime"] = interpolate(result["runtime"], "runtime")
    for where, holder, key in path_holders(result):
        holder[key] = interpolate(holder[key], where)
    return result


def path_holders(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Give every place for a path or a model: what it is called, what holds it, under which key."""
    questions = data.get("questions")
    if isinstance(questions, dict) and "path" in questions:
        yield "questions.path", cast("dict[str, Any]", questions), "path"
    for section, keys in (("sources", ("path", "model")), ("filters", ("file",))):
        items = data.get(section)
        for index, item in enumerate(cast("list[Any]", items) if isinstance(items, list) else []):
            for key in keys:
                if isinstance(item, dict) and isinstance(item.get(key), str):  # pyright: ignore[reportUnknownMemberType]
                    yield f"{section}[{index}].{key}", cast("dict[str, Any]", item), key


def slug(text: str) -> str:
    """Make a valid recipe name of any text."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.") or "run"
