"""Describe the filters to a person at a terminal, from their own docstrings and fields."""

import inspect
import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple, cast

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from curate.errors import InputError, did_you_mean
from curate.report.meanings import shown
from filters import FILTERS
from filters.contract import Filter


class Worked(NamedTuple):
    """A filter's example, judged, as text.

    Attributes:
        parameters: under which, as YAML writes them; empty for the defaults.
        headings: of the columns.
        rows: one a row judged: its letter, what it holds, the verdict, the score.
    """

    parameters: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]


def work(kind: type[Filter]) -> Worked:
    """Judge the rows on which a filter is shown; a plug-in need not bring any."""
    if not kind.example.rows:
        return Worked("", (), [])
    _, frame, judged = kind.work_example()
    parameters = ", ".join(f"{k}: {shown(value)}" for k, value in kind.example.parameters.items())
    ids = {"sample_id", "question_id"}
    columns = [name for name in frame.columns if name not in ids and frame[name].count()]
    rows: list[tuple[str, ...]] = []
    for row, verdict in zip(frame.iter_rows(named=True), judged.iter_rows(named=True), strict=True):
        outcome = {True: "kept", False: "dropped", None: "abstained"}[verdict["keep"]]
        reason = f": {verdict['reason']}" if verdict["reason"] else ""
        score = "" if verdict["score"] is None else f"{verdict['score']:.3g}"
        cells = [_short(row[name]) for name in columns]
        rows.append((row["sample_id"], *cells, outcome + reason, score))
    return Worked(parameters, ("row", *columns, "verdict", "score"), rows)


def list_filters() -> RenderableType:
    """Give every filter with the first sentence of its docstring."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for kind in FILTERS:
        table.add_row(FILTERS.name_of(kind), (inspect.getdoc(kind) or "").partition("\n")[0])
    return table


def describe_filter(name: str) -> RenderableType:
    """Give one filter: what it does, its parameters with defaults, its reasons, what it reads.

    Raises:
        InputError: no filter is called so.
    """
    kind = FILTERS.get(name)
    if kind is None:
        raise InputError(f"no filter is called {name!r}; {did_you_mean(name, FILTERS.names)}")
    return Group(
        Text(name, "bold"),
        Padding(Text(inspect.getdoc(kind) or ""), (0, 0, 1, 2)),
        _section("parameters", _parameters(kind)),
        _section("reasons", kind.reasons.items()),
        _example(kind),
        _section("evidence", ((field, str(dtype)) for field, dtype in kind.evidence.items())),
        Text(f"scope {kind.scope}, sees {kind.sees} rows, version {kind.version}", "dim"),
    )


def _parameters(kind: type[Filter]) -> Iterator[tuple[str, str]]:
    for name, field in kind.model_fields.items():
        if name not in {"use", "name"}:
            default = "required" if field.is_required() else f"default {field.default!r}"
            meaning = " ".join((field.description or "").split())
            yield name, f"{default}. {meaning}" if meaning else default


def _example(kind: type[Filter]) -> RenderableType:
    parameters, headings, rows = work(kind)
    if not rows:
        return Text()
    table = Table(box=None, padding=(0, 2, 0, 2), show_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    title = f"for example, {parameters}" if parameters else "for example"
    return Group(Text(title, "bold"), table, Text())


def _short(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(f"{one:.3g}" for one in cast("list[float]", value))
    if isinstance(value, bool | dict):
        return json.dumps(value)
    return "" if value is None else str(value).strip()


def _section(title: str, rows: Iterable[tuple[str, str]]) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    for name, text in rows:
        table.add_row(name, text)
    return Group(Text(title, "bold"), table, Text())
