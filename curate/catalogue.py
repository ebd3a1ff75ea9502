"""Describe the filters to a person, from their own docstrings and fields."""

import inspect
import json
from collections.abc import Iterable, Iterator
from typing import cast

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
        _example(kind),
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


def _example(kind: type[Filter]) -> RenderableType:
    """Show what the filter says of a few rows; a plug-in need not bring any."""
    if not kind.example.rows:
        return Text()
    gate, frame, judged = kind.work_example()
    given = gate.model_dump(mode="json", include=set(kind.example.parameters))
    parameters = ", ".join(f"{name}: {json.dumps(value)}" for name, value in given.items())
    shown = [
        name
        for name in frame.columns
        if name not in {"sample_id", "question_id"} and frame[name].count()
    ]
    table = Table(box=None, padding=(0, 2, 0, 2), show_edge=False, header_style="dim")
    for heading in ("row", *shown, "verdict", "score"):
        table.add_column(heading, overflow="fold")
    for row, verdict in zip(frame.iter_rows(named=True), judged.iter_rows(named=True), strict=True):
        outcome = {True: "kept", False: "dropped", None: "abstained"}[verdict["keep"]]
        reason = f": {verdict['reason']}" if verdict["reason"] else ""
        score = "" if verdict["score"] is None else f"{verdict['score']:.3g}"
        values = [Text(_short(row[name])) for name in shown]
        table.add_row(row["sample_id"], *values, Text(outcome + reason), score)
    title = f"for example, {parameters}" if parameters else "for example"
    return Group(Text(title, "bold"), table, Text())


def _short(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(f"{one:.3g}" for one in cast("list[float]", value))
    if isinstance(value, dict):
        return json.dumps(value)
    return "" if value is None else str(value).strip()


def _section(title: str, rows: Iterable[tuple[str, str]]) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    for name, said in rows:
        table.add_row(name, said)
    return Group(Text(title, "bold"), table, Text())
