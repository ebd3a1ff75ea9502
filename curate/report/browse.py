"""``curate show``: rows of a run's audit, chosen and sorted; or one question's samples together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import orjson
import polars as pl
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from curate.errors import CONTROLS, InputError, count_of, did_you_mean
from curate.release.runs import Run

Verdict = Literal["selected", "live", "dropped"]

_LONG: Final = ("raw_output", "reasoning", "reasoning_field", "solution")
"""Texts that say what the rationale says, and more."""
_LONGEST_ANSWER: Final = 16
"""Characters of an answer in a list."""
_HEADING: Final = 10
"""Characters of a heading that is longer than what stands under it."""
_QUESTION: Final = 16
"""Characters of a question for which a score is left out."""
_PANEL: Final = 46
"""Least characters of a sample beside its siblings."""


class BrowseOptions(BaseModel):
    """Which rows are shown, and in what order."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    verdict: Verdict | None = None
    """``selected``, ``live`` (selected or not) or ``dropped``."""
    filter: str | None = None
    """Name of the filter that stopped them."""
    reason: str | None = None
    """Why it did."""
    teacher: str | None = None
    """Who wrote them, or their source."""
    question: str | None = None
    """Part of the question's text, or the start of its id. Where that is one question, its samples
    are shown together.
    """
    between: tuple[str, ...] = ()
    """Ranges of columns, ``rd_masked=0.5:0.9``; either end may be left out."""
    sort: str | None = None
    """Column, ``-column`` for descending; by default as they were ranked, then by id."""
    page: int = Field(default=1, ge=1)
    """From 1."""
    rows: int = Field(default=20, ge=1)
    """A page."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a run; prints itself.

    Attributes:
        rows: with every column that has one value a row.
        scores: names of what stands over a rationale: scores, by which the run decided first, then
            lengths.
        total: rows on all pages.
        page: this one, from 1.
        pages: how many there are.
        together: the rows are one question's.
    """

    rows: list[dict[str, Any]]
    scores: list[str]
    total: int
    page: int
    pages: int
    together: bool

    def as_json(self) -> str:
        """Give the rows and where they stand as JSON."""
        facts = {"total": self.total, "page": self.page, "pages": self.pages, "rows": self.rows}
        return orjson.dumps(facts, option=orjson.OPT_INDENT_2).decode()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for a terminal."""
        if not self.rows:
            yield Text("no sample is like that")
            return
        yield (
            _together(self.rows, self.scores, options.max_width)
            if self.together
            else _listed(self.rows, self.scores, options.max_width)
        )
        more = f"; --page {self.page + 1} for more" if self.page < self.pages else ""
        place = f"page {self.page} of {self.pages}{more}"
        yield Text(f"{count_of(self.total, 'sample')}, {place}", "dim")


def browse(reference: Path, options: BrowseOptions) -> Page:
    """Choose rows of a run.

    Args:
        reference: a run folder, or ``runs/<name>``.
        options: which.

    Raises:
        InputError: no such run, filter, reason, teacher or column.
    """
    run = Run.open(reference)
    scan = run.samples()
    glossary = run.glossary.where(lambda column: column.shown)
    schema = scan.collect_schema()
    names = [name for name in glossary if name in schema.names() and name not in _LONG]
    keys = [_column(one.partition("=")[0], schema, "--between") for one in options.between]
    by = options.sort.removeprefix("-") if options.sort else None
    keys += [_column(by, schema, "--sort")] if by else []
    # The columns of verdicts are as wide as all others together, and not looked at any more.
    rows = scan.select(*dict.fromkeys((*names, *keys))).collect()
    matches = rows.filter(*_conditions(rows, options, [each.name for each in run.filters]))
    if by:
        descending = [(options.sort or "").startswith("-"), False]
        matches = matches.sort(by, "sample_id", descending=descending, nulls_last=True)
    else:
        matches = matches.sort("selection_rank", "sample_id", nulls_last=True)
    together = options.question is not None and matches["question_id"].n_unique() == 1
    pages = max(-(-matches.height // options.rows), 1)
    part = matches.slice((options.page - 1) * options.rows, options.rows).select(names)
    scores = [*glossary.scores, *glossary.lengths]
    return Page(part.to_dicts(), scores, matches.height, options.page, pages, together)


def _column(name: str, schema: Mapping[str, Any], where: str) -> str:
    plain = [one for one, kind in schema.items() if not isinstance(kind, pl.Struct | pl.List)]
    if name not in plain:
        raise InputError(f"no column {name!r} to go by; {did_you_mean(name, plain)}", where)
    return name


def _conditions(rows: pl.DataFrame, options: BrowseOptions, filters: list[str]) -> list[pl.Expr]:
    """Turn the options into conditions.

    Raises:
        InputError: one can't hold for any row of the run.
    """
    conditions: list[pl.Expr] = []
    match options.verdict:
        case "selected":
            conditions.append(pl.col("selected"))
        case "live":
            conditions.append(pl.col("live"))
        case "dropped":
            conditions.append(~pl.col("live"))
        case None:
            pass
    if options.filter is not None:
        conditions.append(
            pl.col("rejected_by") == _one_of(options.filter, filters, "filter", "--filter")
        )
    if options.reason is not None:
        reasons = rows["rejected_reason"].drop_nulls().unique().sort().to_list()
        _one_of(options.reason, reasons, "reason of this run", "--reason")
        conditions.append(pl.col("rejected_reason") == options.reason)
    if options.teacher is not None:
        writers = {*rows["teacher"].drop_nulls(), *rows["source"].drop_nulls()}
        _one_of(options.teacher, sorted(writers), "teacher or source", "--teacher")
        conditions.append(
            (pl.col("teacher") == options.teacher) | (pl.col("source") == options.teacher)
        )
    if options.question is not None:
        text = pl.col("question").str.to_lowercase()
        conditions.append(
            pl.col("question_id").str.starts_with(options.question)
            | text.str.contains(options.question.lower(), literal=True)
        )
    conditions += [_between(one) for one in options.between]
    return conditions


def _one_of(name: str, names: list[str], what: str, where: str) -> str:
    if name not in names:
        raise InputError(f"no {what} is called {name!r}; {did_you_mean(name, names)}", where)
    return name


def _between(text: str) -> pl.Expr:
    name, _, span = text.partition("=")
    low, colon, high = span.partition(":")
    try:
        ends = [float(end) if end.strip() else None for end in (low, high)]
    except ValueError:
        ends = [None, None]
    if not colon or ends == [None, None]:
        raise InputError(f"got {text!r}; wanted COLUMN=LOW:HIGH, as in rd_masked=0.5:0.9 or =:1")
    column = pl.col(name)
    conditions = [column >= ends[0]] if ends[0] is not None else []
    conditions += [column <= ends[1]] if ends[1] is not None else []
    return pl.all_horizontal(conditions)


def _outcome(row: Mapping[str, Any]) -> Text:
    """Say where a sample ended."""
    rank = row.get("selection_rank")
    if row["selected"]:
        return Text(f"selected, rank {rank}", "green")
    if row["live"]:
        return Text(f"live, rank {rank}" if rank else "live, not ranked", "cyan")
    if row["rejected_by"]:
        return Text(f"{row['rejected_by']}: {row['rejected_reason']}", "red")
    return Text("quarantined", "yellow")


def _text(value: object) -> str:
    """Show text of models on one line, its terminal sequences spelt out."""
    return " ".join(str("" if value is None else value).split()).translate(CONTROLS)


def _listed(rows: list[dict[str, Any]], scores: list[str], width: int) -> RenderableType:
    """List samples, one a line; on a narrow terminal scores, then the question give way."""
    scores = [name for name in scores if any(row.get(name) is not None for row in rows)]
    facts = {name: [Text(_text(row.get(name))) for row in rows] for name in ("answer", "gold")}
    columns = {
        "sample": [Text(row["sample_id"]) for row in rows],
        "outcome": [_outcome(row) for row in rows],
        **facts,
        **{name: [Text(_number(row.get(name))) for row in rows] for name in scores},
    }
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    cells: list[list[Text]] = []
    for name, values in columns.items():
        widest = max(map(len, values))
        widest = min(widest, _LONGEST_ANSWER) if name in facts else widest
        size = max(widest, min(len(name), _HEADING))
        if name in scores and width - size < _QUESTION:
            break
        side = "right" if name in scores else "left"
        table.add_column(name, width=size, no_wrap=True, overflow="ellipsis", justify=side)
        cells.append(values)
        width -= size + 2
    table.add_column("question", width=max(width - 2, 1), no_wrap=True, overflow="ellipsis")
    cells.append([Text(_text(row.get("question"))) for row in rows])
    for row in zip(*cells, strict=True):
        table.add_row(*row)
    return table


def _together(rows: list[dict[str, Any]], scores: list[str], width: int) -> RenderableType:
    """Lay one question's samples side by side, as many as fit."""
    first = rows[0]
    head = Text.assemble(
        (f"{first['question_id']}  ", "dim"), _text(first["question"]), "\n",
        ("gold  ", "dim"), _text(first["gold"]),
    )  # fmt: skip
    side_by_side = max(min(width // _PANEL, len(rows)), 1)
    grid = Table.grid(expand=True)
    for _ in range(side_by_side):
        grid.add_column(ratio=1)
    for start in range(0, len(rows), side_by_side):
        panels = [_panel(row, scores) for row in rows[start : start + side_by_side]]
        grid.add_row(*panels)
    return Group(head, grid)


def _panel(row: Mapping[str, Any], numbers: list[str]) -> RenderableType:
    scores = "  ".join(
        # a cluster is a number within its question
        f"{name} {_number(row[name])}"
        for name in ("cluster", *numbers)
        if row.get(name) is not None
    )
    who = ", ".join(_text(row[name]) for name in ("teacher", "prompt_id") if row.get(name))
    text = str(row.get("rationale") or "(no rationale)").translate(CONTROLS)
    if row.get("solution"):
        text += f"\n\n{_text(row['solution'])}"
    body = Text.assemble(
        _outcome(row), "\n", (who, "dim"), "\n" if who else "", (scores, "dim"),
        "\n" if scores else "", "\n", text, "\n\n", ("answer  ", "dim"), _text(row.get("answer")),
    )  # fmt: skip
    return Panel(body, title=Text(cast("str", row["sample_id"])), title_align="left")


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else _text(value)
