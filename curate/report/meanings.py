"""What docstrings say of models and their fields, as Markdown: what the catalogues are made of.

A key is explained once, where it is declared. What was given up for that is prose that treats
several keys at a time; where it reads better, it stands by hand beside the tables.
"""

import inspect
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_PLAIN: Final = re.compile(r"[\w./*:-]+")
_CITED: Final = re.compile(r"\(([^()]*\barXiv \d[^()]*)\)")
_NUMBER: Final = re.compile(r"arXiv (\d{4}\.\d{4,5})")


class Key(NamedTuple):
    """One key of a recipe, or one parameter of a filter.

    Attributes:
        name: its path below the section, ``gold.type``.
        default: as YAML writes it; empty where there is none, None where it must be given.
        meaning: in Markdown.
    """

    name: str
    default: str | None
    meaning: str


def summary(kind: type) -> str:
    """Give the first sentence of a docstring, in Markdown."""
    return markdown((inspect.getdoc(kind) or "").partition("\n\n")[0])


def source(kind: type) -> str:
    """Give what a docstring cites behind its first sentence; empty where that is nothing."""
    _, _, more = (inspect.getdoc(kind) or "").partition("\n\n")
    return "; ".join(markdown(cited) for cited in _CITED.findall(" ".join(more.split())))


def keys(kind: type[BaseModel], skip: Collection[str] = (), below: str = "") -> Iterator[Key]:
    """List the fields of a model, those of a section it holds below that section's name.

    Args:
        kind: the model.
        skip: paths of keys that are explained elsewhere.
        below: path of the model itself, with a dot.

    Yields:
        Every key that has a docstring, and every one that holds no section.
    """
    texts = meanings(kind)
    for name, field in kind.model_fields.items():
        path = f"{below}{name}"
        if path in skip:
            continue
        inner = _section(field)
        if name in texts or inner is None:
            yield Key(path, _default(field), _with_choices(field, texts.get(name, "")))
        if inner is not None:
            yield from keys(inner, skip, f"{path}.")


def meanings(kind: type[BaseModel]) -> dict[str, str]:
    """Give what the docstring of each field says, in Markdown."""
    return {
        name: markdown(field.description)
        for name, field in kind.model_fields.items()
        if field.description
    }


def markdown(text: str) -> str:
    """Turn a docstring's words into Markdown on one line, safe in a table's cell."""
    line = " ".join(text.split()).replace("``", "`").replace("|", r"\|")
    return _NUMBER.sub(r"[arXiv \1](https://arxiv.org/abs/\1)", line)


def key_table(rows: Iterable[Key], heading: str = "key") -> str:
    """Write the table that explains keys."""
    return table(
        (heading, "default", "meaning"),
        [
            (
                f"`{key.name}`",
                "required" if key.default is None else f"`{key.default}`" if key.default else "",
                key.meaning.removesuffix("."),
            )
            for key in rows
        ],
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(re.sub(r"(?<=\|) +(?=\|)", " ", f"| {' | '.join(line)} |\n") for line in lines)


def shown(value: object) -> str:
    """Write a value as a recipe does; nothing for what a section or None stands for."""
    if value is None or value == "" or isinstance(value, BaseModel):
        return ""
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple | list):
        return f"[{', '.join(shown(each) for each in cast('Sequence[object]', value))}]"
    return json.dumps(value)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """Give the model that a field holds, where it can hold nothing else but a number."""
    kinds = [kind for kind in _alternatives(field.annotation) if isinstance(kind, type)]
    others = [kind for kind in kinds if kind not in {type(None), int}]
    only = others[0] if len(others) == 1 else None
    return only if only is not None and issubclass(only, BaseModel) else None


def _alternatives(annotation: Any) -> Sequence[Any]:
    """Take a union, or an annotated type, apart."""
    if not get_args(annotation) or get_origin(annotation) in {Literal, tuple, dict, list}:
        return (annotation,)
    return [kind for part in get_args(annotation) for kind in _alternatives(part)]


def _choices(annotation: Any) -> Iterator[str]:
    """List the words that an annotation allows, those of a list's items too."""
    if get_origin(annotation) is Literal:
        yield from (value for value in get_args(annotation) if isinstance(value, str))
    else:
        for part in get_args(annotation):
            yield from _choices(part)


def _with_choices(field: FieldInfo, meaning: str) -> str:
    """Put the values a key can have before its meaning, unless that names them all."""
    choices = [f"`{value}`" for value in _choices(field.annotation)]
    if all(choice in meaning for choice in choices):
        return meaning
    return f"{', '.join(choices[:-1])} or {choices[-1]}: {meaning[:1].lower()}{meaning[1:]}"


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    return shown(field.get_default(call_default_factory=True))
