"""What a person sees: the funnel of a run, and the way of one sample through the chain.

The funnel is the first thing a run shows, so it is laid out by hand for 80 columns: counts line up
on the right, a bar shows what is left, and why samples went stands right under the gate they
stopped at. `curate.release.funnel` counts and says the same in plain lines and in markdown.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from curate.errors import CONTROLS
from curate.release.funnel import Funnel, losses, percent, preamble
from filters.columns import VERDICT_PREFIX
from filters.contract import Filter

WIDEST: Final = 100
LONGEST_TEXT: Final = 600
LEGEND: Final = "choice: share of the questions of which one sample was kept and another dropped"
GAP: Final = "  "


def render(funnel: Funnel) -> RenderableType:
    """Make the funnel printable by rich, at any width from 60 columns."""
    return _FunnelView(funnel)


class _FunnelView:
    def __init__(self, funnel: Funnel) -> None:
        self.funnel = funnel
        names = ["all samples", *(g.name for g in funnel.gates), *(p.name for p in funnel.picks)]
        numbers = [funnel.samples, funnel.covered, *(p.tokens for p in funnel.picks)]
        self.name_width = min(max(map(len, names)), 26)
        self.live_width = max(7, len(f"{numbers[0]:,}"))
        self.question_width = max(9, len(f"{numbers[1]:,}"))
        self.last_width = max(6, *(len(f"{number:,}") for number in numbers[2:]), 0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fixed = self.name_width + self.live_width + 4 + self.question_width + self.last_width
        bar = min(options.max_width, WIDEST) - fixed - 5 * len(GAP)
        block = "#" if options.ascii_only else "█"
        yield from self._lines(max(bar, 4), block)

    def _lines(self, bar: int, block: str) -> Iterator[RenderableType]:
        funnel = self.funnel
        if said := preamble(funnel):
            yield _pairs(said)
            yield Text()
        yield self._row("", "samples", bar * " ", "", "questions", "choice", style="dim")
        yield self._counts("all samples", funnel.samples, funnel.covered, "", bar, block)
        for gate in funnel.gates:
            choice = percent(gate.choice, gate.covered_before)
            yield self._counts(gate.name, gate.live, gate.covered, choice, bar, block)
            for loss in losses(gate):
                yield Padding(Text(loss, "dim"), (0, 0, 0, 4))
        if funnel.picks:
            yield Text()
            yield self._row("", "samples", bar * " ", "", "questions", "tokens", style="dim")
        for pick in funnel.picks:
            yield self._counts(pick.name, pick.rows, pick.questions, f"{pick.tokens:,}", bar, block)
            if pick.choice is not None:
                share = percent(pick.choice, 1)
                yield Text(f"    more live samples than taken in {share} of these questions", "dim")
        yield Text()
        if funnel.notes:
            yield _pairs([("note", note) for note in funnel.notes], "yellow")
        yield Text(LEGEND, style="dim")

    def _counts(
        self, name: str, live: int, questions: int, last: str, bar: int, block: str
    ) -> Text:
        whole = self.funnel.samples
        filled = round(bar * live / whole) if whole else 0
        if live and not filled:
            filled = 1
        return self._row(
            name, f"{live:,}", (block * filled).ljust(bar), percent(live, whole), f"{questions:,}",
            last,
        )  # fmt: skip

    def _row(
        self, name: str, live: str, bar: str, share: str, questions: str, last: str, style: str = ""
    ) -> Text:
        if len(name) > self.name_width:
            name = f"{name[: self.name_width - 1]}…"
        text = Text(f"{name:<{self.name_width}}{GAP}{live:>{self.live_width}}{GAP}", style=style)
        text.append(bar, style="green")
        text.append(
            f"{GAP}{share:>4}{GAP}{questions:>{self.question_width}}{GAP}{last:>{self.last_width}}"
        )
        text.rstrip()
        return text


def why(
    row: Mapping[str, Any],
    gates: Sequence[Filter],
    siblings: Sequence[Mapping[str, Any]] = (),
    select: Mapping[str, Any] | None = None,
) -> RenderableType:
    """Show one sample's way through the chain: every verdict with reason, score and evidence.

    What would have let it pass is named as the command line takes it.

    Args:
        row: a row of the audit table, structs as dicts.
        gates: the recipe's filters, in order, with their parameters.
        siblings: the other rows of its question.
        select: the recipe's ``select`` section.
    """
    facts = _pairs(_facts(row))
    chain = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    for heading in ("gate", "verdict", "why"):
        chain.add_column(heading, overflow="fold", no_wrap=heading != "why")
    dropped_by: str | None = None
    for gate in gates:
        verdict = row.get(f"{VERDICT_PREFIX}{gate.name}")
        outcome = _outcome(verdict, dropped_by)
        chain.add_row(
            gate.name, outcome, Text(_grounds(gate, verdict, dropped_by).translate(CONTROLS))
        )
        if dropped_by is None and _stops(gate, verdict):
            dropped_by = gate.name
    end = [Text(_end(row, dropped_by), "bold")]
    if not dropped_by and row.get("live") and not row.get("selected"):
        end.append(Text(_instead(row, siblings, select or {})))
    return Group(facts, Text(), Padding(chain, 0), Text(), *end)


def _pairs(pairs: Iterable[tuple[str, str]], style: str = "") -> Table:
    """Lay out names and what is said about them, long texts under themselves."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(style=style, overflow="fold")
    for name, said in pairs:
        grid.add_row(name, Text(said.translate(CONTROLS)))
    return grid


def _facts(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    origin = ", ".join(str(row[k]) for k in ("source", "teacher", "prompt_id") if row.get(k))
    yield "sample", f"{row['sample_id']} of question {row['question_id']}"
    if origin:
        yield "from", origin
    for name in ("question", "gold", "answer", "rationale"):
        text = row.get(name)
        if text is None:
            yield name, "(none)"
        else:
            more = "" if len(str(text)) <= LONGEST_TEXT else " …"
            yield name, f"{str(text)[:LONGEST_TEXT]}{more}"


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


def _stops(gate: Filter, verdict: Mapping[str, Any] | None) -> bool:
    if verdict is None:
        return False
    return verdict["keep"] is False or (verdict["keep"] is None and gate.on_abstain == "drop")


def _grounds(gate: Filter, verdict: Mapping[str, Any] | None, dropped_by: str | None) -> str:
    """Say on what a verdict rests: reason and its meaning, score, evidence, parameters."""
    if verdict is None or dropped_by is not None:
        return f"{dropped_by} had stopped it" if dropped_by else "not reached"
    said: list[str] = []
    if verdict["reason"] is not None:
        meaning = gate.reasons.get(verdict["reason"])
        said.append(f"{verdict['reason']}: {meaning}" if meaning else verdict["reason"])
    found: dict[str, Any] = {"score": verdict.get("score"), **(verdict.get("evidence") or {})}
    facts = ", ".join(
        f"{name} {_short(value)}" for name, value in found.items() if value is not None
    )
    if facts:
        said.append(facts)
    parameters = gate.model_dump(mode="json", exclude={"name", "use", "on_abstain"})
    if parameters:
        said.append(", ".join(f"{name}: {_short(value)}" for name, value in parameters.items()))
    if verdict["reason"] is not None:
        said.append(_way_past(gate, verdict))
    return "\n".join(said)


def _way_past(gate: Filter, verdict: Mapping[str, Any]) -> str:
    """Say what would have let a row pass."""
    evidence: Mapping[str, Any] = verdict.get("evidence") or {}
    told = gate.would_pass(verdict["reason"], verdict.get("score"), evidence)
    if told is None:
        return "no parameter of this filter would let it pass"
    given = " ".join(f"filters.{gate.name}.{name}={json.dumps(told[name])}" for name in told)
    return f"would pass with {given}"


def _instead(
    row: Mapping[str, Any], siblings: Sequence[Mapping[str, Any]], select: Mapping[str, Any]
) -> str:
    """Say what stood in the way of a live row: a sibling, the number of them, or the budget."""
    taken = [one for one in siblings if one.get("selected")]
    column: str | None = select.get("one_per")
    most: int | None = select.get("per_question")
    value = row.get(column) if column else None
    same = [one for one in taken if column and value is not None and one.get(column) == value]
    if same:
        best = same[0]
        return (
            f"{best['sample_id']} (rank {best['selection_rank']}) was taken of its {column} "
            f"{value}; select.one_per=null takes both"
        )
    if most is not None and len(taken) >= most:
        ids = ", ".join(str(one["sample_id"]) for one in taken)
        more = f"select.per_question={most + 1} takes one more"
        return f"per_question {most} was reached by {ids}; {more}"
    return f"it stands beyond the budget {json.dumps(select.get('budget'))}"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _end(row: Mapping[str, Any], dropped_by: str | None) -> str:
    arms = [name.removeprefix("arm_") for name in row if name.startswith("arm_") and row[name]]
    also = f"; in the arms {', '.join(arms)}" if arms else ""
    if dropped_by:
        return f"not live: {dropped_by} stopped it{also}"
    place = f"rank {row['selection_rank']:,}" if row.get("selection_rank") else "not ranked"
    if row.get("selected"):
        return f"selected, {place}{also}"
    return f"live and not selected, {place}{also}"
