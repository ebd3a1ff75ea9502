"""``curate why``: what one sample of a run went through."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import polars as pl
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from curate.errors import CONTROLS, InputError, count_of
from curate.release.runs import Absent, Run
from curate.report.funnel import pairs
from curate.report.rich_view import RichView
from curate.select.ranking import may_be_taken
from filters.columns import ARM_PREFIX, GLOSSARY, VERDICT_PREFIX, Glossary
from filters.contract import Filter

LONGEST_TEXT: Final = 600


@dataclass(frozen=True, slots=True, repr=False)
class Explanation(RichView):
    """One sample's way through the chain; shows itself.

    Attributes:
        row: of the audit.
        filters: the run's.
        glossary: what its columns mean.
        siblings: rows of the question's other samples, without their verdicts, by rank.
        select: the recipe's ``select`` section.
    """

    row: dict[str, Any]
    filters: tuple[Filter, ...]
    glossary: Glossary
    siblings: tuple[dict[str, Any], ...] = ()
    select: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for a terminal."""
        yield why(self.row, self.filters, self.siblings, self.select, self.glossary)

    def as_json(self) -> str:
        """Give the audit row as JSON."""
        return orjson.dumps(self.row, option=orjson.OPT_INDENT_2, default=str).decode()


def explain(reference: Path, sample: str) -> Explanation:
    """Look one sample up in a run's audit.

    Args:
        reference: as for `find_run`.
        sample: the sample's id, or enough of its start.

    Raises:
        InputError: no sample, or more than one, has an id that starts so.
    """
    run = Run.open(reference)
    samples = run.samples()
    rows = samples.filter(pl.col("sample_id").str.starts_with(sample)).collect()
    if rows.height != 1:
        subject = f"{count_of(rows.height, 'id')} start with" if rows.height else "no sample is"
        raise InputError(
            f"{subject} {sample!r} in {run.folder}; ids are in the column sample_id of "
            f"{run.folder / 'audit'}"
        )
    row = rows.row(0, named=True)
    verdicts = [name for name in row if name.startswith(VERDICT_PREFIX)]
    siblings = (
        samples.drop(verdicts)
        .filter(question_id=row["question_id"])
        .filter(pl.col("sample_id") != row["sample_id"])
        .sort("selection_rank", "sample_id", nulls_last=True)
        .collect()
    )
    select: Mapping[str, Any] = run.manifest["select"]
    return Explanation(row, run.filters, run.glossary, tuple(siblings.to_dicts()), select)


def why(
    row: Mapping[str, Any],
    filters: Sequence[Filter],
    siblings: Sequence[Mapping[str, Any]] = (),
    select: Mapping[str, Any] | None = None,
    glossary: Glossary = GLOSSARY,
) -> RenderableType:
    """Show one sample's way through the chain: every verdict with reason, score and evidence.

    What would have let it pass is named as the command line takes it.

    Args:
        row: a row of the audit table, structs as dicts.
        filters: the run's, in order, with their parameters.
        siblings: the other rows of its question.
        select: the recipe's ``select`` section.
        glossary: of the run, whose scores are told.
    """
    facts = pairs(_facts(row, glossary))
    chain = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    for heading in ("filter", "verdict", "why"):
        chain.add_column(heading, overflow="fold", no_wrap=heading != "why")
    dropped_by: str | None = None
    for each in filters:
        verdict = row.get(f"{VERDICT_PREFIX}{each.name}")
        outcome = _outcome(verdict, dropped_by)
        chain.add_row(
            each.name, outcome, Text(_grounds(each, verdict, dropped_by).translate(CONTROLS))
        )
        if dropped_by is None and each.stops_row(verdict):
            dropped_by = each.name
    end = [Text(_end(row, dropped_by), "bold")]
    if not dropped_by and row.get("live") and not row.get("selected"):
        end.append(Text(_instead(row, siblings, select or {})))
    return Group(facts, Text(), Padding(chain, 0), Text(), *end)


def _facts(row: Mapping[str, Any], glossary: Glossary) -> Iterator[tuple[str, str]]:
    origin = ", ".join(str(row[k]) for k in ("source", "teacher", "prompt_id") if row.get(k))
    yield "sample", f"{row['sample_id']} of question {row['question_id']}"
    if origin:
        yield "from", origin
    names = [
        "question",
        "gold",
        "answer",
        "rationale",
        *(["solution"] if row.get("solution") else []),
    ]
    for name in names:
        text = row.get(name)
        if text is None:
            yield name, "(none)"
        else:
            more = "" if len(str(text)) <= LONGEST_TEXT else " …"
            yield name, f"{str(text)[:LONGEST_TEXT]}{more}"
    numbers = [name for name in (*glossary.scores, *glossary.lengths) if row.get(name) is not None]
    if numbers:
        yield "scores", ", ".join(f"{name} {_short(row[name])}" for name in numbers)


def _outcome(verdict: Mapping[str, Any] | None, dropped_by: str | None) -> Text:
    if verdict is None or dropped_by is not None:
        return Text("skipped", style="dim")
    match verdict["keep"]:
        case True:
            return Text("kept", style="green")
        case False:
            return Text("dropped", style="red")
        case _:
            return Text("abstained", style="yellow")


def _grounds(filter_: Filter, verdict: Mapping[str, Any] | None, dropped_by: str | None) -> str:
    """Say on what a verdict rests: reason and its meaning, score, evidence, parameters."""
    if verdict is None or dropped_by is not None:
        return f"{dropped_by} had stopped it" if dropped_by else "not reached"
    lines: list[str] = []
    if verdict["reason"] is not None:
        meaning = filter_.reasons.get(verdict["reason"])
        lines.append(f"{verdict['reason']}: {meaning}" if meaning else verdict["reason"])
    values: dict[str, Any] = {"score": verdict.get("score"), **(verdict.get("evidence") or {})}
    facts = ", ".join(
        f"{name} {_short(value)}" for name, value in values.items() if value is not None
    )
    if facts:
        lines.append(facts)
    parameters = filter_.model_dump(mode="json", exclude={"name", "use", "on_abstain"})
    if parameters:
        lines.append(", ".join(f"{name}: {_short(value)}" for name, value in parameters.items()))
    if verdict["reason"] is not None:
        lines.append(_way_past(filter_, verdict))
    return "\n".join(lines)


def _way_past(filter_: Filter, verdict: Mapping[str, Any]) -> str:
    """Say what would have let a row pass."""
    if isinstance(filter_, Absent):
        return (
            f"filter {filter_.use!r} is not installed here: it alone knows what would let it pass"
        )
    evidence: Mapping[str, Any] = verdict.get("evidence") or {}
    changes = filter_.would_pass(verdict["reason"], verdict.get("score"), evidence)
    if changes is None:
        return "its verdict names no parameter that would let it pass"
    settings = " ".join(
        f"filters.{filter_.name}.{name}={json.dumps(changes[name])}" for name in changes
    )
    return f"would pass with {settings}"


def _instead(
    row: Mapping[str, Any], siblings: Sequence[Mapping[str, Any]], select: Mapping[str, Any]
) -> str:
    """Say what stood in the way of a live row: a sibling, the number of them, or the budget."""
    column: str | None = select.get("one_per")
    most: int | None = select.get("per_question")
    if _allowed([*siblings, row], column, most)[row["sample_id"]]:
        if quota := select.get("quota"):
            return f"its part of the quota by {quota['by']} is full, or its value has none"
        return f"it stands beyond the budget {json.dumps(select.get('budget'))}"
    picks = [one for one in siblings if one.get("selected")]
    value = row.get(column) if column else None
    same = [one for one in picks if column and value is not None and one.get(column) == value]
    if same:
        best = same[0]
        return (
            f"{best['sample_id']} (rank {best['selection_rank']}) was taken of its {column} "
            f"{value}; select.one_per=null takes both"
        )
    ids = ", ".join(str(one["sample_id"]) for one in picks)
    more = f"select.per_question={(most or 0) + 1} takes one more"
    return f"per_question {most} was reached by {ids}; {more}"


def _allowed(
    rows: Sequence[Mapping[str, Any]], one_per: str | None, per_question: int | None
) -> dict[str, bool]:
    """Tell of each row of a question whether the selection might take it, by its id."""
    ranked = [row for row in rows if row.get("selection_rank") is not None]
    ranked = sorted(ranked, key=lambda row: row["selection_rank"])
    keys = ["sample_id", "question_id", *([one_per] if one_per else [])]
    frame = pl.DataFrame({key: [row.get(key) for row in ranked] for key in keys})
    allowed = may_be_taken("question_id", one_per, per_question)
    ids = frame.select("sample_id", allowed=allowed).iter_rows()
    return {str(row["sample_id"]): True for row in rows} | dict(ids)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _end(row: Mapping[str, Any], dropped_by: str | None) -> str:
    taken = [name for name in row if name.startswith(ARM_PREFIX) and row[name]]
    arms = [name.removeprefix(ARM_PREFIX) for name in taken]
    also = f"; in the arms {', '.join(arms)}" if arms else ""
    if dropped_by:
        return f"not live: {dropped_by} stopped it{also}"
    place = f"rank {row['selection_rank']:,}" if row.get("selection_rank") else "not ranked"
    if row.get("selected"):
        return f"selected, {place}{also}"
    return f"live and not selected, {place}{also}"
