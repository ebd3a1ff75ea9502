"""Where a recipe names what a package may have brought: a filter, a source, a format, an arm ..."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from curate.errors import InputError
from curate.models.teachers.open import TEACHERS
from curate.release.formats import FORMATS
from curate.select.arms import ARMS
from curate.sources import SOURCES
from filters import FILTERS
from filters.registry import Registry

_PLACES: Final[Mapping[str, Registry[Any]]] = {
    r"filters\[\d+\]\.use": FILTERS,
    r"sources\[\d+\]\.use": SOURCES,
    r"publish\.formats\[\d+\]": FORMATS,
    r"arms\[\d+\]": ARMS,
    r"runtime\.sources\..+\.backend": TEACHERS,
}


def registry_at(where: str) -> Registry[Any] | None:
    """Give the registry of what is named at a place of a recipe (``filters[2].use``)."""
    return next((each for place, each in _PLACES.items() if re.fullmatch(place, where)), None)


def leaves(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Give every value of a recipe with its place."""
    if isinstance(value, dict):
        for name, part in cast("dict[str, Any]", value).items():
            yield from leaves(part, f"{where}.{name}" if where else str(name))
    elif isinstance(value, list):
        for index, part in enumerate(cast("list[Any]", value)):
            yield from leaves(part, f"{where}[{index}]")
    else:
        yield where, value


def refuse_broken(data: Mapping[str, Any]) -> None:
    """Refuse a recipe that names what a package brings and can't be used.

    Raises:
        InputError: it does, with what is wrong with the package.
    """
    for where, value in leaves(data):
        registry = registry_at(where)
        if registry and (fault := registry.fault(str(value).partition(":")[0])):
            raise InputError(f"got {value!r}, and {fault}", where)
