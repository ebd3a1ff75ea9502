"""Repeating a release: its recipe, its overrides, its lock file and its limit, read with care.

A recipe that came with a release may be somebody else's. Unless it is allowed to, it reads no
variable of the environment, reaches no server it names (its prompts, and a key, would go there),
loads no plug-in and pushes nowhere. No recipe ever runs code that a model's repository brings.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, cast

from curate.errors import InputError
from curate.hub_repository import HubRepository
from curate.recipe import Recipe
from curate.recipe_file import (
    RecipeFile,
    excluding,
    interpolated,
    of_runtime,
    path_holders,
    read_recipe,
)
from curate.releases import Release
from curate.runs import is_run
from curate.strict import override, parse_yaml, validate
from filters import FILTERS

Allowed = Literal["environment", "runtime", "plug-ins", "push"]
ALLOWED: Final[tuple[Allowed, ...]] = ("environment", "runtime", "plug-ins", "push")
WANTED: Final = ("recipe.yaml", "recipe.lock.json", "manifest.json")

_HUB: Final = re.compile(r"hf://(?:datasets/)?([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?")


def open_recipe(
    reference: str,
    overrides: Sequence[str] = (),
    exclude: Sequence[str] = (),
    allow: Collection[str] = (),
) -> RecipeFile:
    """Read a recipe, wherever it is.

    Args:
        reference: a file, the name of a shipped recipe, a release or run folder, or
            ``hf://owner/name@v1.2.0``; without a version the newest.
        overrides: ``key=value`` assignments, applied in order, after those of the release.
        exclude: teachers to leave out.
        allow: of `ALLOWED`, what a recipe that came with a release may do.

    Raises:
        InputError: there is no such recipe, it is wrong, or does what is not allowed.
    """
    if unknown := sorted(set(allow) - set(ALLOWED)):
        raise InputError(
            f"got {unknown[0]!r}; a recipe can be allowed {', '.join(ALLOWED)}", "--allow"
        )
    folder = Path(reference)
    if reference.startswith("hf://"):
        folder = _fetched(reference)
    elif not folder.is_dir() or not ((folder / "manifest.json").is_file() or is_run(folder)):
        return read_recipe(reference, overrides, exclude=exclude)
    return _of_release(Release.open(folder), overrides, exclude, allow)


def _fetched(reference: str) -> Path:
    """Download what belongs to a release's recipe, and none of its rows."""
    match = _HUB.fullmatch(reference)
    if match is None:
        raise InputError(
            f"{reference!r} names no release; wanted hf://owner/name@v1.2.0, or hf://owner/name "
            "for the newest"
        )
    repository = HubRepository(match[1])
    version = match[2]
    if version is None:
        there = repository.versions()
        if not there:
            raise InputError(f"{match[1]!r} has no version; name a branch or commit behind an @")
        version = there[-1]
    folder = repository.fetch(version, without="data/")
    if lacking := [name for name in WANTED if not (folder / name).is_file()]:
        raise InputError(f"{reference!r} is no release of this tool: it has no {lacking[0]}")
    return folder


def _of_release(
    release: Release, overrides: Sequence[str], exclude: Sequence[str], allow: Collection[str]
) -> RecipeFile:
    folder, manifest = release.folder, release.manifest
    text = (folder / "recipe.yaml").read_text(encoding="utf-8")
    recorded = [one for one in manifest.get("overrides", []) if isinstance(one, str)]
    data = cast("dict[str, Any]", parse_yaml(text))
    if "runtime" not in allow:
        data.pop("runtime", None)
        recorded = [one for one in recorded if not of_runtime(one)]
    for assignment in recorded:
        override(data, assignment)
    theirs = dict(_variables(data))
    if "plug-ins" not in allow:
        _refuse_plug_ins(data)
    for assignment in overrides:
        override(data, assignment)
    if "environment" not in allow:
        for where, value in _variables(data):
            if theirs.get(where) == value:
                raise InputError(
                    f"{value!r} reads your environment, and the recipe came with {release.title}; "
                    f"set it yourself ({where}=...), or add --allow environment",
                    where,
                )
    try:
        recipe = validate(Recipe, interpolated(data))
        if exclude:
            recorded.append(excluding(recipe, exclude))
            override(data, recorded[-1])
            recipe = validate(Recipe, interpolated(data))
    except InputError as error:
        raise InputError(f"the recipe of {release.title}: {error}") from error
    lock = folder / "recipe.lock.json"
    return RecipeFile(
        recipe=recipe,
        text=text,
        overrides=(*recorded, *overrides),
        folder=folder.resolve(),
        lock=Path("runs") / recipe.name / f"{recipe.name}-{recipe.release}.lock.json",
        lock_text=lock.read_text(encoding="utf-8") if lock.is_file() else "",
        limit=manifest.get("limit"),
        foreign=True,
    )


def _variables(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give every place where the environment would be read, and what stands there."""
    for where, holder, key in path_holders(data):
        if "${" in str(holder[key]):
            yield where, str(holder[key])
    if "${" in str(data.get("runtime", "")):
        yield "runtime", str(data["runtime"])


def _refuse_plug_ins(data: dict[str, Any]) -> None:
    shipped = {kind.model_fields["use"].default for kind in FILTERS}
    for gate in data.get("filters") or ():
        name = gate.get("use") if isinstance(gate, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        if isinstance(name, str) and name not in shipped:
            raise InputError(
                f"{name!r} is no filter of curate itself; where you trust the plug-in that brings "
                "it, add --allow plug-ins",
                "filters",
            )
