"""Nested facts as rows: what a card, a page and a diff list one by one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

_NAMES = ("name", "use", "model")


def flat(value: object, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give each leaf with its path (``score.student``); nothing for what is not set.

    A list of sections gives each by its name, as a recipe names what has no name: a generating
    source after its model. Any other list is a leaf, and mappings in it are written in a line
    (`one_line`).

    Args:
        value: mappings, lists and scalars.
        path: of the value itself.
    """
    if isinstance(value, Mapping):
        for key, part in cast("Mapping[str, object]", value).items():
            yield from flat(part, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value and all(map(_is_section, cast("list[Any]", value))):
        names: list[str] = []
        for part in cast("Sequence[Mapping[str, Any]]", value):
            model = str(part.get("model", "")).rpartition("/")[2]
            name = str(part.get("name") or model or part["use"])
            names.append(name)
            number = names.count(name)
            yield from flat(part, f"{path}.{name}" + (f".{number}" if number > 1 else ""))
    elif isinstance(value, list):
        parts = cast("list[object]", value)
        yield path, [part if _is_plain(part) else one_line(part) for part in parts]
    elif value is not None:
        yield path, value


def one_line(value: object) -> str:
    """Write a value in a line, ``rank_fusion(rd_masked, -rsr; k=60)`` for a word and its options.

    What a word is about stands first and without a name: its first option that is no number.
    """
    if isinstance(value, list):
        return ", ".join(map(one_line, cast("list[object]", value)))
    if not isinstance(value, Mapping):
        return f"{value:g}" if isinstance(value, float) else str(value)
    options = cast("Mapping[str, object]", value)
    word, first = next(iter(options.items()), ("", None))
    if len(options) == 1 and isinstance(first, Mapping) and first:
        inner = cast("Mapping[str, object]", first).items()
        about, *more = sorted(inner, key=lambda item: isinstance(item[1], int | float))
        rest = [f"; {name}={one_line(option)}" for name, option in more]
        return f"{word}({one_line(about[1])}{''.join(rest)})"
    return ", ".join(f"{name}: {one_line(option)}" for name, option in options.items())


def _is_plain(part: object) -> bool:
    return not isinstance(part, Mapping)


def _is_section(part: object) -> bool:
    return isinstance(part, Mapping) and any(name in part for name in _NAMES)
