"""What made a run and is not installed here: what it left is shown, and can't be made again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curate.errors import InputError
from curate.measures import MEASURES
from curate.release.formats import FORMATS
from curate.release.read import Release
from curate.select.arms import ARMS
from curate.sources import SOURCES
from filters import FILTERS
from filters.registry import Registry


def absent(reference: Path) -> str | None:
    """Name all that made a run or release and is not installed here; None where nothing is missing.

    Where its recipe is damaged, that is said: it alone names some of them.

    Args:
        reference: a run folder, ``runs/<name>``, or a release folder.

    Raises:
        InputError: it is none.
    """
    release = Release.open(reference)
    try:
        makers = list(_makers(release))
    except InputError as error:
        return str(error)
    missing = [f"{registry.kind} {name!r}" for registry, name in makers if not registry.get(name)]
    if not missing:
        return None
    return (
        f"not installed here: {', '.join(dict.fromkeys(missing))}; what was made with it is shown "
        f"as {release.title} holds it, and takes the package that brings it to be made again"
    )


def _makers(release: Release) -> Iterator[tuple[Registry[Any], str]]:
    """Give what a release was made with, each with the registry that would know it."""
    recipe, manifest = release.recipe(), release.manifest
    for source in recipe.get("sources") or ():
        yield SOURCES, str(source["use"])
    for measure in manifest.get("measures") or ():
        yield MEASURES, str(measure)
    for each in manifest.get("filters") or ():
        yield FILTERS, str(each["parameters"]["use"])
    for arm in recipe.get("arms") or ():
        yield ARMS, str(arm).partition(":")[0]
    publish: dict[str, Any] = recipe.get("publish") or {}
    for name in publish.get("formats") or ():
        yield FORMATS, str(name)
