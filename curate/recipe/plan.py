"""From a recipe to the ordered steps of a run.

A filter names the columns it reads; the plan inserts the measure that writes them just before the
first filter that needs them, so that dear measures see only rows still live.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from curate.errors import InputError, did_you_mean
from curate.measures import score_options
from curate.measures.embed import EmbedOptions
from curate.recipe.model import Recipe
from curate.select.select import Arm, needed_columns
from filters.columns import (
    COLUMNS,
    FILTER_COLUMNS,
    QUESTION_COLUMNS,
    SOURCE_COLUMNS,
    VERDICT_PREFIX,
)
from filters.contract import Contract, Filter

WRITTEN_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "parse": ("reasoning", "rationale", "answer", "answer_form", "rationale_words"),
    "tokens": ("rationale_tokens",),
    "verify": ("verify_outcome",),
    "embed": ("embedding",),
    "overrides": ("override_keep", "override_reason"),
    "score": score_options.COLUMNS,
}
"""Which measure writes which columns."""

DEFAULT_ENCODER: Final = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(frozen=True, slots=True)
class MeasureStep:
    """Write columns about live rows.

    Attributes:
        measure: key of `WRITTEN_BY`.
        needed_by: what reads its columns first: ``filter diversity``, ``select`` or ``arms``.
        writes: the columns.
        gate: the filter it serves, for a measure that takes the filter's own parameters.
    """

    measure: str
    needed_by: str
    writes: tuple[str, ...]
    gate: Filter | None = None


@dataclass(frozen=True, slots=True)
class FilterStep:
    """Judge live rows."""

    gate: Filter


Step = MeasureStep | FilterStep


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps after the sources, in order."""

    recipe: Recipe
    steps: tuple[Step, ...]
    arms: tuple[Arm, ...] = ()
    columns: tuple[str, ...] = field(default=())

    @property
    def gates(self) -> list[Filter]:
        """The filters, in order."""
        return [step.gate for step in self.steps if isinstance(step, FilterStep)]

    def describe(self) -> Iterator[str]:
        """Say each step in one line."""
        recipe = self.recipe
        yield f"load questions from {recipe.questions.path}"
        for source in recipe.sources:
            yield f"{source.use} samples: {source.name}"
        for step in self.steps:
            if isinstance(step, MeasureStep):
                yield f"measure {step.measure} (for {step.needed_by})"
            else:
                yield f"filter {step.gate.name}"
        yield f"select by {', '.join(recipe.select.order_by) or 'seeded hash'}"
        for arm in self.arms:
            yield f"arm {arm.text}: {arm.adds}"
        yield f"release {recipe.name} {recipe.release}"


class _Steps:
    """Collects steps, inserting measures when something reads what nobody has written yet."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.steps: list[Step] = []
        self.columns: dict[str, str] = dict.fromkeys((*QUESTION_COLUMNS, *SOURCE_COLUMNS), "source")
        self.add_measure("parse", "every filter", None)

    def need(self, names: Iterable[str], reader: str, where: str, gate: Filter | None) -> None:
        """Make sure that somebody writes each column."""
        for name in names:
            if name in self.columns:
                continue
            measure = next((m for m in WRITTEN_BY if name in self._written(m)), None)
            if measure is None:
                raise InputError(self._nobody_writes(name, reader), where)
            self._check_options(measure, name, reader, where)
            self.add_measure(measure, reader, gate)

    def add_measure(self, measure: str, reader: str, gate: Filter | None) -> None:
        """Append a measure and note its columns."""
        writes = self._written(measure)
        self.steps.append(MeasureStep(measure, reader, writes, gate))
        self.columns.update(dict.fromkeys(writes, measure))

    def _written(self, measure: str) -> tuple[str, ...]:
        """List the columns that a measure writes under this recipe."""
        score = self.recipe.measures.score
        return score.columns if score and measure == "score" else WRITTEN_BY[measure]

    def add_filter(self, gate: Filter) -> None:
        """Append a filter and note its columns."""
        self.steps.append(FilterStep(gate))
        self.columns[f"{VERDICT_PREFIX}{gate.name}"] = gate.name
        self.columns.update(dict.fromkeys(gate.writes, gate.name))

    def _check_options(self, measure: str, name: str, reader: str, where: str) -> None:
        if measure in {"score", "tokens"} and self.recipe.measures.score is None:
            raise InputError(
                f"{reader} reads {name!r}, which measure {measure!r} writes with the student's "
                "model; name one under measures: {score: {student: ...}}",
                where,
            )

    def _nobody_writes(self, name: str, reader: str) -> str:
        if name.startswith(VERDICT_PREFIX):
            earlier = [known for known in self.columns if known.startswith(VERDICT_PREFIX)]
            gate = name.removeprefix(VERDICT_PREFIX)
            return (
                f"{reader} reads the verdicts of a filter {gate!r} that does not stand before it; "
                f"put one there ({did_you_mean(name, earlier) if earlier else 'there is none yet'})"
            )
        if name in FILTER_COLUMNS:
            return (
                f"{reader} reads column {name!r}, which no filter of this recipe writes; "
                "add `- use: diversity` to filters"
            )
        if name in score_options.PER_TOKEN:
            return (
                f"{reader} reads column {name!r}, which is written on demand only; add "
                "`per_token: true` under measures.score"
            )
        hint = did_you_mean(name, list(COLUMNS))
        return f"{reader} reads column {name!r}, which nobody writes; {hint}"


def make_plan(recipe: Recipe) -> Plan:
    """Order the steps of a recipe.

    Raises:
        InputError: a filter, `select` or an arm reads a column that nobody writes.
    """
    steps = _Steps(recipe)
    for index, gate in enumerate(recipe.gates):
        reads = Contract.of(gate).reads
        steps.need(reads, f"filter {gate.name!r}", f"filters[{index}]", gate)
        steps.add_filter(gate)
    arms = tuple(Arm.parse(text) for text in recipe.arms)
    steps.need(_ranked(recipe, ()), "select", "select", None)
    for arm in arms:
        steps.need(_ranked(recipe, [arm]), f"arm {arm.text!r}", "arms", None)
    return Plan(recipe, tuple(steps.steps), arms, tuple(steps.columns))


def _ranked(recipe: Recipe, arms: Sequence[Arm]) -> list[str]:
    """List the columns select orders by, without the pools and sizes the engine makes itself."""
    made = {"live", "tokens", "live_correct", "nonempty"}
    return [
        name
        for name in needed_columns(recipe.select, arms)
        if name not in made
        and not name.startswith("live_without_")
        and name not in {"rd_spread", "student_follows"}
    ]


def encoder(recipe: Recipe) -> EmbedOptions:
    """Give the encoder's options: the recipe's, or the default model."""
    return recipe.measures.embed or EmbedOptions(model=DEFAULT_ENCODER)
