"""Strict reading of YAML into pydantic models, with messages a person can act on.

PyYAML keeps the last of two equal keys silently and reads ``1e-6`` as a string; both are mended
here. Every problem of a file is reported at once, each with the key's path, the value got, what is
wanted and, where a name was mistyped, the nearest one there is.
"""

import os
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, cast, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from curate.errors import InputError, did_you_mean

Model = TypeVar("Model", bound=BaseModel)


DEEPEST: Final = 40
"""Lists and mappings that a recipe may hold within each other."""
MOST_VALUES: Final = 20_000
"""Values that a recipe may hold."""


LONGEST_PROBLEM: Final = 500
"""Characters said of one problem, whatever it quotes."""
MOST_PROBLEMS: Final = 20
"""Problems of a recipe that are said at once."""
WIDEST: Final = 2**63
"""Beyond this no number is counted with, here or in the tables."""
_HALF: Final = re.compile("[\ud800-\udfff]")


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses duplicate keys and knows floats without a dot."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping, refusing a key given twice."""
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            name = self.construct_object(key_node, deep=True)
            line = f"line {key_node.start_mark.line + 1}"
            if not isinstance(name, Hashable):
                raise InputError(f"got the key {_quote(name)}; a word is wanted", where=line)
            if name in seen:
                raise InputError(f"key {_quote(name)} is given twice; keep one of them", where=line)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d[\d_]*)(?:\.[\d_]*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def parse_yaml(text: str) -> Any:
    """Parse one YAML document strictly.

    Raises:
        InputError: not YAML, a key given twice, or more than any recipe holds; the message names
            the line where there is one.
    """
    try:
        value = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader subclass
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(
            f"not YAML: {error.problem or error}; check indentation, colons and quotes",
            where=f"line {line}",
        ) from error
    except RecursionError as error:
        raise InputError(f"not a recipe: lists or mappings within more than {DEEPEST}") from error
    except yaml.reader.ReaderError as error:
        raise InputError(f"not YAML: {error.reason} at character {error.position}") from error
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        # What PyYAML's constructors raise at tags and values that contradict each other.
        reason = str(error).partition("\n")[0][:80]
        raise InputError(f"not YAML: a value is not what its tag says ({reason})") from error
    _measure(value)
    return value


def _measure(value: object) -> None:
    """Refuse what a few lines of anchors or brackets can grow to.

    Raises:
        InputError: it is deeper or larger than any recipe, or holds itself.
    """
    waiting: list[tuple[object, int]] = [(value, 0)]
    count = 0
    while waiting:
        item, depth = waiting.pop()
        count += 1
        if depth > DEEPEST:
            raise InputError(f"not a recipe: lists or mappings within more than {DEEPEST}")
        if count > MOST_VALUES:
            raise InputError(f"not a recipe: more than {MOST_VALUES:,} values, anchors followed")
        if isinstance(item, dict):
            inner = cast("dict[object, object]", item).values()
            waiting += [(one, depth + 1) for one in inner]
        elif isinstance(item, list | set | tuple):
            waiting += [(one, depth + 1) for one in cast("Iterable[object]", item)]


def validate(model: type[Model], data: object) -> Model:
    """Check data against a model.

    Raises:
        InputError: one line for each problem.
    """
    if not isinstance(data, dict):
        raise InputError(f"got {_quote(data)}; a mapping of keys to values is wanted")
    keys = cast("dict[object, Any]", data)
    if wrong := [key for key in keys if not isinstance(key, str)]:
        raise InputError(
            f"got the key {_quote(wrong[0])}; a word is wanted (of which YAML takes on, off, yes "
            "and no for true and false)"
        )
    fields = cast("dict[str, Any]", data)
    if lines := list(_not_held(fields)):
        raise InputError(_listed(lines))
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        lines = [_explain(model, fields, p) for p in problems if not _follows_from(p, problems)]
        raise InputError(_listed(lines)) from error


def _listed(lines: Sequence[str]) -> str:
    """Put problems below each other, each once and none of them long."""
    different = list(dict.fromkeys(map(_clipped, lines)))
    more = len(different) - MOST_PROBLEMS
    return "\n".join([*different[:MOST_PROBLEMS], *([f"and {more} more"] if more > 0 else [])])


def _not_held(value: object, path: str = "") -> Iterator[str]:
    """Say of numbers too large to be counted with, and of half characters, where they stand."""
    if isinstance(value, dict):
        for name, item in cast("dict[object, object]", value).items():
            yield from _not_held(name, path)
            yield from _not_held(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(cast("Sequence[object]", value)):
            yield from _not_held(item, f"{path}[{index}]")
    elif isinstance(value, int) and not -WIDEST <= value < WIDEST:
        yield f"{path}: got {_quote(value)}; numbers of at most 18 digits are read"
    elif isinstance(value, str) and _HALF.search(value):
        yield f"{path or 'recipe'}: got {_quote(value)}, of which a character is only half there"


def override(data: Any, assignment: str) -> None:
    """Apply one ``key=value`` of the command line in place.

    Args:
        data: the recipe as read.
        assignment: a dotted path; an item of a list is addressed by its place (``filters.2.max``),
            or by its `name`, `use` or the last part of its `model` (``sources.qwen7b.samples``).
            The value is YAML.

    Raises:
        InputError: no ``=``, or the path leads nowhere.
    """
    parts = target(assignment)
    path, _, text = assignment.partition("=")
    here = data
    for depth, part in enumerate(parts[:-1]):
        here = _descend(here, part, ".".join(parts[: depth + 1]))
    value = parse_yaml(text)
    if isinstance(here, list):
        items = cast("list[Any]", here)
        items[_position(items, parts[-1], path)] = value
    elif isinstance(here, dict):
        here[parts[-1]] = value
    else:
        raise InputError(f"override {path!r} leads into {_quote(here)}, which has no keys")


def target(assignment: str) -> list[str]:
    """Give the path that a ``key=value`` leads to, part by part.

    Raises:
        InputError: no ``=``.
    """
    path, mark, _ = assignment.partition("=")
    if not mark:
        raise InputError(
            f"override {assignment!r} has no '='; write key=value, as in select.seed=3"
        )
    return path.strip().replace("[", ".").replace("]", "").split(".")


def _descend(here: Any, part: str, path: str) -> Any:
    if isinstance(here, dict):
        mapping = cast("dict[str, Any]", here)
        if mapping.get(part) is None:
            mapping[part] = {}
        return mapping[part]
    if isinstance(here, list):
        items = cast("list[Any]", here)
        return items[_position(items, part, path)]
    raise InputError(f"override {path!r} leads into {_quote(here)}, which has no keys")


def _position(items: list[Any], part: str, path: str) -> int:
    if part.isdigit() and int(part) < len(items):
        return int(part)
    names = [_item_names(item) for item in items]
    for index, aliases in enumerate(names):
        if part in aliases:
            return index
    flat = sorted({name for aliases in names for name in aliases})
    raise InputError(f"override {path!r}: no item {part!r}; {did_you_mean(part, flat)}")


def _item_names(item: Any) -> list[str]:
    if not isinstance(item, dict):
        return []
    fields = cast("dict[str, Any]", item)
    names = [str(fields[key]) for key in ("name", "use") if fields.get(key)]
    return names + ([str(fields["model"]).rsplit("/", 1)[-1]] if fields.get("model") else [])


def interpolate(data: Any, where: str = "") -> Any:
    """Replace ``${NAME}`` by the environment's value in every string.

    Raises:
        InputError: a variable is not set.
    """
    if isinstance(data, str):
        return re.sub(r"\$\{(\w+)\}", lambda match: _variable(match[1], where), data)
    if isinstance(data, dict):
        mapping = cast("dict[str, Any]", data)
        return {key: interpolate(value, f"{where}.{key}") for key, value in mapping.items()}
    if isinstance(data, list):
        items = cast("list[Any]", data)
        return [interpolate(value, f"{where}[{index}]") for index, value in enumerate(items)]
    return data


def _variable(name: str, where: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise InputError(
            f"${{{name}}} is not set in the environment; `export {name}=...` first",
            where=where.lstrip("."),
        )
    return value


def _explain(model: type[BaseModel], data: object, problem: ErrorDetails) -> str:
    """Turn one of pydantic's problems into one line: path, value got, what is wanted."""
    path, owner = _locate(model, data, problem["loc"])
    value = _quote(problem["input"])
    match problem["type"]:
        case "extra_forbidden":
            names = [field.alias or name for name, field in owner.model_fields.items()]
            name = str(problem["loc"][-1])
            return f"{path}: unknown key with value {value}; {did_you_mean(name, names)}"
        case "missing":
            return f"{path}: missing; it must be given"
        case "union_tag_invalid":
            context = problem.get("ctx", {})
            tags = re.findall(r"'([^']+)'", str(context.get("expected_tags", "")))
            tag = str(context.get("tag"))
            key = str(context.get("discriminator", "use")).strip("'()")
            return f"{path}.{key}: got {tag!r}; {did_you_mean(tag, tags)}"
        case "union_tag_not_found":
            key = str(problem.get("ctx", {}).get("discriminator", "'use'")).strip("'()")
            return f"{path}: got {value}, which lacks the key {key!r} that says what it is"
        case "literal_error":
            choices = re.findall(r"'([^']+)'", str(problem.get("ctx", {}).get("expected", "")))
            return f"{path}: got {value}; {did_you_mean(str(problem['input']), choices)}"
        case "value_error":
            return f"{path}: got {value}; {problem['msg'].removeprefix('Value error, ')}"
        case _:
            return f"{path}: got {value}; {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _follows_from(problem: ErrorDetails, problems: Sequence[ErrorDetails]) -> bool:
    """Tell whether a problem only repeats one further down (a list too short of good items)."""
    path = problem["loc"]
    return any(len(p["loc"]) > len(path) and p["loc"][: len(path)] == path for p in problems)


def _locate(
    model: type[BaseModel], data: object, loc: tuple[int | str, ...]
) -> tuple[str, type[BaseModel]]:
    """Give the key's path as the user wrote it, and the model the last key belongs to.

    Pydantic puts union tags into locations; a part that is no key of the data is such a tag.
    """
    path, owner, here = "", model, data
    candidates: list[type[BaseModel]] = []
    for depth, part in enumerate(loc):
        if isinstance(part, int):
            path += f"[{part}]"
            here = cast("Sequence[Any]", here)[part] if isinstance(here, list | tuple) else None
            continue
        named = isinstance(here, Mapping) and part in here
        last = depth == len(loc) - 1
        if not named and not (last and part in owner.model_fields):
            owner = next((kind for kind in candidates if _tag(kind) == part), owner)
            continue
        path += f".{part}" if path else part
        here = cast("Mapping[str, Any]", here)[part] if named else None
        if not last and part in owner.model_fields:
            candidates = list(_models(owner.model_fields[part].annotation))
            owner = candidates[0] if candidates else owner
    return path or "recipe", owner


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Walk an annotation for the models in it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, UnionType, list, tuple, dict):
        for inner in get_args(annotation):
            yield from _models(inner)


def _tag(model: type[BaseModel]) -> str | None:
    """Give the literal by which a union knows this model."""
    for name in ("use", "backend"):
        if name in model.model_fields:
            literals = get_args(model.model_fields[name].annotation)
            return str(literals[0]) if literals else None
    return None


def _clipped(line: str) -> str:
    return line if len(line) <= LONGEST_PROBLEM else f"{line[:LONGEST_PROBLEM]} ..."


def _quote(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def mapping(text: str) -> dict[str, Any]:
    """Parse a recipe's text as far as its keys.

    Raises:
        InputError: it is not YAML, or has no keys.
    """
    data = parse_yaml(text)
    if not isinstance(data, dict):
        raise InputError("not a recipe: a mapping of keys to values is wanted at the top")
    return cast("dict[str, Any]", data)
