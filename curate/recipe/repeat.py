"""Repeating a release: its recipe, its overrides, its lock file and its limit, read with care.

A recipe that came with a release may be somebody else's. Unless it is allowed to, it reads no
variable of the environment and no file beside those that came with it, reaches no server it names
(its prompts, and a key, would go there), uses no plug-in and pushes nowhere. No recipe ever runs
code that a model's repository brings.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, Literal, cast

from curate.errors import InputError
from curate.errors.strict import override, target
from curate.measures import MEASURES
from curate.recipe.files import (
    RecipeFile,
    excluding,
    interpolated,
    path_holders,
    read_recipe,
    shipped_recipes,
)
from curate.recipe.lock import lock_problem
from curate.recipe.model import is_beside
from curate.recipe.named import leaves, registry_at
from curate.recipe.pool import PoolOptions, is_pool, pool_recipe
from curate.release.read import Release
from curate.release.repositories.hub import HubRepository
from curate.sources.tables import find, is_from_memory, is_here
from curate.store.home import path_of

Allowed = Literal["environment", "files", "runtime", "plug-ins", "push"]
NO_POOL: Final = PoolOptions()
ALLOWED: Final[tuple[Allowed, ...]] = ("environment", "files", "runtime", "plug-ins", "push")
LOCK: Final = "recipe.lock.json"
WANTED: Final = ("recipe.yaml", LOCK, "manifest.json")

_HUB: Final = re.compile(r"hf://(?:datasets/)?([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?")
_DATASET: Final = re.compile(r"hf://datasets/[\w.-]+/[\w.-]+(/[^:]*)?")


def open_recipe(
    reference: str,
    overrides: Sequence[str] = (),
    exclude: Sequence[str] = (),
    allow: Collection[str] = (),
    *,
    present: bool = False,
    pool: PoolOptions = NO_POOL,
) -> RecipeFile:
    """Read a recipe, wherever it is, or make one for a pool of rationales.

    Args:
        reference: a file, the name of a shipped recipe, a release or run folder,
            ``hf://owner/name@v1.2.0``, without a version the newest, or a pool.
        overrides: ``key=value`` assignments, applied in order, after those of the release.
        exclude: teachers to leave out.
        allow: of `ALLOWED`, what a recipe that came with a release may do.
        present: hold that the files which such a recipe reads are there.
        pool: what the columns of a pool hold.

    Raises:
        InputError: there is no such recipe, it is wrong, does what is not allowed, or lacks a file.
    """
    if unknown := sorted(set(allow) - set(ALLOWED)):
        raise InputError(
            f"got {unknown[0]!r}; a recipe can be allowed {', '.join(ALLOWED)}", "--allow"
        )
    folder = Path(reference)
    if pool != NO_POOL or (is_pool(reference) and not reference.startswith("hf://")):
        exclusions = [f"exclude_teachers={json.dumps(list(exclude))}"] if exclude else []
        return pool_recipe(folder, **dict(pool), overrides=(*overrides, *exclusions))
    if reference.startswith("hf://"):
        folder = _fetched(reference)
    elif not folder.is_dir() or reference in shipped_recipes():
        return read_recipe(reference, overrides, exclude=exclude)
    release = Release.open(folder)
    try:
        file = _of_release(release, overrides, exclude, allow)
        if present:
            _hold_that_inputs_are_there(file)
    except InputError as error:
        raise InputError(f"the recipe of {release.title}: {error}") from error
    return file


def _fetched(reference: str) -> Path:
    """Download what belongs to a release's recipe, and none of its rows."""
    match = _HUB.fullmatch(reference)
    if match is None:
        raise InputError(
            f"{reference!r} names no release; wanted hf://owner/name@v1.2.0, or hf://owner/name "
            "for the newest"
        )
    repository = HubRepository(match[1], reading=True)
    version = match[2]
    if version is None:
        versions = repository.versions()
        if not versions:
            raise InputError(f"{match[1]!r} has no version; name a branch or commit behind an @")
        version = versions[-1]
    folder = repository.fetch(version, without="data/")
    if lacking := [name for name in WANTED if not (folder / name).is_file()]:
        raise InputError(
            f"{reference!r} is no release of this tool: it has no {lacking[0]}; name another "
            "version or repository"
        )
    return folder


def _of_release(
    release: Release, overrides: Sequence[str], exclude: Sequence[str], allow: Collection[str]
) -> RecipeFile:
    folder, manifest = release.folder, release.manifest
    text, lock = (release.files.text(name) for name in ("recipe.yaml", LOCK))
    theirs = release.recipe()
    if problem := lock_problem(lock):
        raise release.files.damage(LOCK, f"is no lock file ({problem})")
    assignments = list(manifest.get("overrides", []))
    # Whatever the overrides did is theirs, too.
    if "runtime" not in allow:
        theirs.pop("runtime", None)
        assignments = [one for one in assignments if target(one)[0] != "runtime"]
    if "push" not in allow and isinstance(theirs.get("publish"), dict):
        for name in ("repo", "private"):
            theirs["publish"].pop(name, None)
    data, before = deepcopy(theirs), dict(leaves(theirs))
    for assignment in overrides:
        override(data, assignment)
    _refuse(data, before, allow)
    here = _from_here(data, before)
    recipe, written = interpolated(data)
    changes = list(overrides)
    if exclude:
        changes.append(excluding(recipe, exclude))
        override(data, changes[-1])
        recipe, written = interpolated(data)
    return RecipeFile(
        recipe=recipe,
        text=text,
        overrides=(*assignments, *changes),
        folder=folder.resolve(),
        lock=Path("runs") / recipe.name / f"{_title(release)}.lock.json",
        lock_text=lock,
        limit=_limit(release, theirs, overrides),
        written={**here, **written},
    )


def _from_here(data: dict[str, Any], before: Mapping[str, Any]) -> dict[str, str]:
    """Let relative paths that the reader sets begin where the reader is, not at the release.

    Returns:
        What was written by what it became.
    """
    texts: dict[str, str] = {}
    for where, holder, name in path_holders(data):
        text = holder[name]
        change = _is_file(where) and before.get(where) != text and isinstance(text, str)
        if change and "://" not in text and "${" not in text and not Path(text).is_absolute():
            holder[name] = str(Path.cwd() / path_of(text))
            texts[holder[name]] = text
    return texts


def _hold_that_inputs_are_there(file: RecipeFile) -> None:
    """Hold that what the recipe reads is there: a release comes without its inputs.

    Raises:
        InputError: something is not.
    """
    for where, path in file.recipe.inputs:
        try:
            if is_here(path):
                find(path, file.folder)
        except InputError as error:
            missing = (
                f"{path!r} is not there, since a release comes without its inputs; name your copy"
            )
            if is_from_memory(path):
                missing = (
                    f"its rows came from memory ({path}), so the recipe alone can't repeat it; "
                    "name a file of the same rows"
                )
            raise InputError(f"{missing}: {where}=...", where) from error


def _title(release: Release) -> str:
    """Name a release so that no two share the name, whoever published them."""
    manifest = release.manifest
    name = re.sub(r"[^\w.-]", "-", f"{manifest['name']}-{manifest['release']}")
    return f"{name}-{str(manifest['dataset_hash'])[:8]}"


def _limit(release: Release, theirs: Mapping[str, Any], overrides: Sequence[str]) -> int | None:
    """Give the limit that was set beside the recipe, unless its reader sets one."""
    limit, questions = release.manifest.get("limit"), theirs.get("questions")
    own = cast("dict[str, Any]", questions).get("limit") if isinstance(questions, dict) else None
    set_here = any(target(one)[:2] == ["questions", "limit"] for one in overrides)
    if limit == own or set_here:
        return None
    if not isinstance(limit, int):
        raise InputError(f"its manifest has the limit {limit!r}; a number is wanted")
    return limit


def _refuse(data: dict[str, Any], before: Mapping[str, Any], allow: Collection[str]) -> None:
    """Refuse what is not allowed and was not set by the reader.

    Args:
        data: the recipe with the reader's overrides.
        before: every value of it before, by its place.
        allow: what it may do.

    Raises:
        InputError: it does something else.
    """
    places = {where for where, _, _ in path_holders(data)}
    for where, value in leaves(data):
        if not isinstance(value, str) or before.get(where) != value:
            continue
        last = where.rpartition(".")[2]
        if "environment" not in allow and (
            (last == "api_key_env" and where.startswith("runtime"))
            or ("${" in value and (where in places or where.startswith("runtime")))
        ):
            raise InputError(
                f"{value!r} reads your environment; set {where}=..., or add --allow environment",
                where,
            )
        if "files" not in allow and _is_file(where) and not _came_along(value):
            raise InputError(
                f"{value!r} is none of the files that came with it; set {where}=..., or add "
                "--allow files",
                where,
            )
        if "plug-ins" not in allow and (kind := _plugged(where, value)):
            raise InputError(
                f"{value!r} is no {kind} of curate itself; where you trust the plug-in that brings "
                "it, add --allow plug-ins",
                where,
            )


def _plugged(where: str, value: str) -> str | None:
    """Say what a value is that this project does not bring: a filter, a source, a column ..."""
    registry = registry_at(where)
    if registry and value.partition(":")[0] not in registry.shipped_names:
        return registry.kind
    if where.startswith(("filters", "select", "arms", "sweep")):
        words = re.findall(r"\w+", value)
        writers = [kind for kind in MEASURES if any(word in kind.writes for word in words)]
        return "column" if any(kind not in MEASURES.shipped for kind in writers) else None
    return None


def _is_file(where: str) -> bool:
    """Tell whether a place holds the path of a file; a teacher's ``file`` is a pattern."""
    return where.endswith((".path", ".prompt.file")) or bool(
        re.fullmatch(r"filters\[\d+\]\.file", where)
    )


def _came_along(path: str) -> bool:
    """Tell whether a path leads to a data set of the Hub, or beside the recipe."""
    if is_from_memory(path):
        return True
    if "://" in path:
        return _DATASET.fullmatch(path) is not None
    return "${" not in path and is_beside(path)
