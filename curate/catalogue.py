"""Describe the filters to a person, from their own docstrings and fields."""

import inspect
from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from curate.errors import InputError
from curate.recipe import known_filters
from curate.strict import did_you_mean
from filters.contract import Filter


def list_filters() -> RenderableType:
    """Give every filter with the first sentence of its docstring."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for kind in known_filters():
        table.add_row(_use(kind), (inspect.getdoc(kind) or "").partition("\n")[0])
    return table


def describe_filter(name: str) -> RenderableType:
    """Give one filter: what it does, its parameters with defaults, its reasons, what it reads.

    Raises:
        InputError: no filter is called so.
    """
    kinds = {_use(kind): kind for kind in known_filters()}
    if name not in kinds:
        raise InputError(f"no filter is called {name!r}; {did_you_mean(name, list(kinds))}")
    kind = kinds[name]
    return Group(
        Text(name, "bold"),
        Padding(Text(inspect.getdoc(kind) or ""), (0, 0, 1, 2)),
        _section("parameters", _parameters(kind)),
        _section("reasons", kind.reasons.items()),
        _section("evidence", ((field, str(dtype)) for field, dtype in kind.evidence.items())),
        Text(f"scope {kind.scope}, sees {kind.sees} rows, version {kind.version}", "dim"),
    )


def _use(kind: type[Filter]) -> str:
    return str(kind.model_fields["use"].default)


def _parameters(kind: type[Filter]) -> Iterator[tuple[str, str]]:
    for name, field in kind.model_fields.items():
        if name not in {"use", "name"}:
            default = "required" if field.is_required() else f"default {field.default!r}"
            yield name, default


def _section(title: str, rows: Iterable[tuple[str, str]]) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    for name, said in rows:
        table.add_row(name, said)
    return Group(Text(title, "bold"), table, Text())
