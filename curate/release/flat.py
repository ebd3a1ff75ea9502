"""Nested facts as rows: what a card, a page and a diff list one by one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast


def flat(value: object, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give each leaf with its path (``score.student``); nothing for what is not set.

    A list of sections gives each by its name, as a recipe names what has no name: a generating
    source after its model. Any other list is a leaf.

    Args:
        value: mappings, lists and scalars.
        path: of the value itself.
    """
    if isinstance(value, Mapping):
        for key, part in cast("Mapping[str, object]", value).items():
            yield from flat(part, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(p, Mapping) for p in cast("list[Any]", value)):
        names: list[str] = []
        for part in cast("Sequence[Mapping[str, Any]]", value):
            model = str(part.get("model", "")).rpartition("/")[2]
            name = str(part.get("name") or model or part.get("use") or "item")
            names.append(name)
            number = names.count(name)
            yield from flat(part, f"{path}.{name}" + (f".{number}" if number > 1 else ""))
    elif value is not None:
        yield path, value
