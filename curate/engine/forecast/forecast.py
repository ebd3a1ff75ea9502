"""What a probe foresees of a run, and how it is told to a person.

Every number of a part that was not run is an 80 % interval, or a sentence why a probe can't tell.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from curate.engine.forecast.estimate import Interval
from curate.engine.progress.pace import duration
from curate.errors import count_of
from curate.models.rendering import Rendered


@dataclass(frozen=True, slots=True)
class FilterForecast:
    """What a filter will leave.

    Attributes:
        name: of the filter.
        rows: live samples afterwards; None where a probe can't tell.
        questions: questions with one.
        why: why it can't tell.
        most: rows that it leaves at most, where a probe can tell that alone.
    """

    name: str
    rows: Interval | None
    questions: Interval | None
    why: str | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """What a source will ask of its teacher.

    Attributes:
        wanted: samples in all; known but for a source that goes on from others.
        recorded: of these, drawn already, the probe's among them.
        prompt: tokens of all prompts; None where the backend did not say.
        completion: tokens of all completions; None likewise.
        cost: of what is still to be drawn, None where no price is known.
        gpus: that sample together, 0 where a server does.
    """

    wanted: Interval
    recorded: int
    prompt: Interval | None
    completion: Interval | None
    cost: Interval | None
    gpus: int


@dataclass(frozen=True, slots=True)
class SourceForecast:
    """What a source will give and take.

    Attributes:
        name: of the source.
        rows: samples that it will make.
        asking: what it asks of a teacher; None where it asks none.
    """

    name: str
    rows: Interval
    asking: Asking | None = None


@dataclass(frozen=True, slots=True)
class StageForecast:
    """How long sampling or measuring will take, at the probe's speed.

    Attributes:
        title: of the stage.
        seconds: None where the probe found nearly everything in the record, so that no speed is
            known.
        gpus: that it occupies.
    """

    title: str
    seconds: Interval | None
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What all questions will take, as far as a few can tell.

    Attributes:
        seen: questions of the probe.
        of: questions in use.
        samples: rows that the sources will make.
        filters: what each filter will leave, in order.
        selected: rows that will be selected; None where a probe can't tell.
        most: rows that will be selected at most, where a probe can tell that alone.
        sources: what each source will give and take.
        stages: how long each stage will take.
        disk: bytes that the record and the run will grow by.
        student: a text as the student reads it; None where nothing is scored.
    """

    seen: int
    of: int
    samples: Interval
    filters: tuple[FilterForecast, ...]
    selected: Interval | None
    sources: tuple[SourceForecast, ...]
    stages: tuple[StageForecast, ...]
    disk: Interval
    student: Rendered | None = None
    most: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Give all of it to a program; an interval is ``[low, middle, high]``."""
        facts = asdict(self)
        # Programs know the filters by this name.
        return {"gates" if name == "filters" else name: value for name, value in facts.items()}

    @property
    def seconds(self) -> Interval | None:
        """How long all stages take together, as far as their speed is known."""
        times = [stage.seconds for stage in self.stages if stage.seconds is not None]
        return Interval(*map(sum, zip(*times, strict=True))) if times else None

    @property
    def gpu_hours(self) -> Interval | None:
        """Hours times the GPUs that each stage occupies; None where none does."""
        hours = [s.seconds.scaled(s.gpus / 3600) for s in self.stages if s.seconds and s.gpus]
        return Interval(*map(sum, zip(*hours, strict=True))) if hours else None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for a terminal."""
        yield Text(
            f"probe of {self.seen:,} of {count_of(self.of, 'usable question')}: what all of them "
            "will give, in four cases of five between the two numbers",
            "bold",
        )
        yield Text()
        table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
        table.add_column("")
        for heading in ("samples", "questions"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("", style="dim", overflow="fold")
        table.add_row("all samples", span(self.samples), f"{self.of:,}", "")
        before: str | None = None
        for line in self.filters:
            questions = span(line.questions) if line.questions else ""
            why = f"not predictable from a probe: {line.why}" if line.why else ""
            reason = "likewise" if why and line.why == before else why
            table.add_row(line.name, _count(line.rows, line.most), questions, reason)
            before = line.why
        table.add_row("selected", _count(self.selected, self.most), "", "")
        yield table
        yield Text()
        yield _pairs(self._spending())

    def _spending(self) -> Iterator[tuple[str, str]]:
        for source in self.sources:
            if (asking := source.asking) is None:
                yield source.name, f"{span(source.rows)} samples, no teacher asked"
                continue
            parts = [f"{span(asking.wanted)} samples, {asking.recorded:,} of them recorded by now"]
            if asking.prompt is not None:
                parts.append(f"{span(asking.prompt)} prompt tokens")
            if asking.completion is not None:
                parts.append(f"{span(asking.completion)} completion tokens")
            if asking.cost is not None:
                parts.append(f"{_money(asking.cost)} still to pay")
            yield source.name, "; ".join(parts)
        for stage in self.stages:
            text = "all or nearly all found in the record, so its speed is not known"
            yield stage.title, lasting(stage.seconds) if stage.seconds else text
        if self.seconds is not None:
            yield "time", f"{lasting(self.seconds)}, at the speed of the probe"
        if self.gpu_hours is not None:
            low, _, high = self.gpu_hours
            yield "GPU-hours", f"{low:.2g} to {high:.2g}"
        yield "disk", f"{self.disk.low / 1e6:,.1f} to {self.disk.high / 1e6:,.1f} MB"


def span(interval: Interval) -> str:
    """Say an interval of whole numbers."""
    low, high = math.floor(interval.low), math.ceil(interval.high)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _count(interval: Interval | None, most: float | None) -> str:
    if interval is not None:
        return span(interval)
    return "not predictable" if most is None else f"at most {math.ceil(most):,}"


def lasting(seconds: Interval) -> str:
    """Say an interval of time."""
    low, high = duration(seconds.low), duration(seconds.high)
    return low if low == high else f"{low} to {high}"


def _money(cost: Interval) -> str:
    return f"{cost.low:.2f} to {cost.high:.2f}"


def _pairs(pairs: Iterator[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in pairs:
        grid.add_row(name, Text(text))
    return grid
