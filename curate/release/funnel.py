"""The funnel: where samples and questions went, counted filter by filter.

Both tables are counted, so that questions never leave silently: after every filter stands how many
still have a live sample ("covered"), and in what share of the questions the filter had a choice,
that is kept one sample and dropped another. A filter without a choice selects questions, not
rationales. Counts of shards add up, whatever the grouping.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, Final, Self, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from curate.errors import count_of
from filters.columns import ARM_PREFIX, VERDICT_PREFIX

TOP_REASONS: Final = 5
"""Reasons shown in a line; the rest are added up."""


class ConservationError(RuntimeError):
    """Rows were lost or made between two counts: a defect of this program, never of the input."""


class _Counts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class QuestionCount(_Counts):
    """What became of the input rows of the questions table."""

    read: int
    """Input rows."""
    merged: int = 0
    """Rows that repeated a question with the same gold."""
    quarantined: dict[str, int] = {}
    """Questions by reason; they stay in the table."""
    in_use: int
    """Questions that samples are drawn for."""


class EnoughCount(_Counts):
    """What became of drawing until there was enough."""

    questions: int
    """Questions drawn of."""
    reached: int
    """Of these, questions with as many accepted samples as were wanted."""
    accepted: int
    """Samples that were accepted."""
    samples: int
    """Samples drawn."""
    tokens: int
    """Their completion tokens, as far as they are known."""

    def __add__(self, other: Self) -> Self:
        """Add another shard's."""
        ours, others = self.model_dump(), other.model_dump()
        return self.model_copy(update={name: ours[name] + others[name] for name in ours})

    def __str__(self) -> str:
        """Say it in a clause."""
        whole = f"{self.reached:,} of {count_of(self.questions, 'question')} have enough"
        if not self.accepted:
            return f"{whole}, no sample was accepted"
        each = f"{self.samples / self.accepted:.3g} samples"
        each += f" and {self.tokens / self.accepted:,.0f} tokens" if self.tokens else ""
        return f"{whole}, {each} drawn for each of {self.accepted:,} accepted"


class SourceCount(_Counts):
    """What one source gave."""

    name: str
    rows: int
    """Samples made, failed ones included."""
    unmatched: int = 0
    """Input rows that joined no question."""
    errors: int = 0
    """Samples whose draw failed for good."""
    excluded: int = 0
    """Rows of teachers that the recipe excludes; no samples were made of them."""
    posed: dict[str, int] = Field(default={}, exclude_if=lambda value: not value)
    """What became of samples that were to pose questions, by outcome."""
    rollouts: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether they are of the student, and so no rows."""
    enough: EnoughCount | None = Field(default=None, exclude_if=lambda value: value is None)
    """Where samples were drawn until there was enough."""

    def __add__(self, other: Self) -> Self:
        """Add another shard's count of the same source."""
        both = [each.enough for each in (self, other) if each.enough is not None]
        return self.model_copy(
            update={
                "rows": self.rows + other.rows,
                "unmatched": self.unmatched + other.unmatched,
                "errors": self.errors + other.errors,
                "excluded": self.excluded + other.excluded,
                "posed": _reasons_added(self.posed, other.posed),
                "enough": reduce(add, both) if both else None,
            }
        )


class FilterCount(_Counts):
    """What one filter did."""

    name: str
    rows: int
    """All samples, live or not."""
    kept: int
    """Live samples kept."""
    dropped: dict[str, int]
    """Live samples dropped, by reason."""
    abstained: dict[str, int]
    """Live samples about which nothing could be said, by reason."""
    skipped: int
    """Samples that an earlier filter had dropped."""
    live: int
    """Samples live afterwards: kept, and abstained where the filter keeps those."""
    covered_before: int
    """Questions with a live sample before."""
    covered: int
    """Questions with a live sample afterwards."""
    choice: int
    """Questions of which a sample was kept and another dropped."""

    @property
    def choice_share(self) -> float:
        """Share of the questions covered before in which the filter had a choice."""
        return self.choice / self.covered_before if self.covered_before else 0.0

    def __add__(self, other: Self) -> Self:
        """Add another shard's count of the same filter."""
        if self.name != other.name:
            raise ConservationError(f"counts of {self.name!r} and {other.name!r} do not add up")
        numbers = ("rows", "kept", "skipped", "live", "covered_before", "covered", "choice")
        total: dict[str, Any] = {n: getattr(self, n) + getattr(other, n) for n in numbers}
        return self.model_copy(
            update={
                **total,
                "dropped": _reasons_added(self.dropped, other.dropped),
                "abstained": _reasons_added(self.abstained, other.abstained),
            }
        )

    def check(self) -> None:
        """Hold that no row was lost or made.

        Raises:
            ConservationError: kept + dropped + abstained + skipped is not the number of rows.
        """
        dropped, abstained = sum(self.dropped.values()), sum(self.abstained.values())
        if self.kept + dropped + abstained + self.skipped != self.rows:
            raise ConservationError(
                f"filter {self.name!r}: {self.kept} kept + {dropped} dropped + {abstained} "
                f"abstained + {self.skipped} skipped is not {count_of(self.rows, 'row')}; "
                "please report this"
            )
        if self.live not in {self.kept, self.kept + abstained}:
            raise ConservationError(
                f"filter {self.name!r}: live {self.live}, but {self.kept} were kept and "
                f"{abstained} abstained; please report this"
            )


class PickCount(_Counts):
    """How much the selection or an arm took."""

    name: str
    rows: int
    questions: int
    tokens: int
    """Sum of the samples' tokens: the student's, or the teacher's where those were not counted."""
    words: int = 0
    """Sum of the words of samples whose tokens nobody counted."""
    choice: float | None = None
    """Share of its questions with more live samples than were taken; None for arms."""

    @property
    def lengths(self) -> tuple[tuple[int, str], ...]:
        """Give how much text it is: numbers with their units, of which there are mostly one."""
        lengths = (self.tokens, "token"), (self.words, "word")
        return tuple(length for length in lengths if length[0]) or lengths[:1]

    @property
    def length(self) -> str:
        """Say how much text it is."""
        return " and ".join(count_of(*length) for length in self.lengths)


class SweepCount(PickCount):
    """How much an arm of a sweep took, and what of."""

    key: str
    """What ordered the samples."""
    direction: str
    """Which end of it came first."""
    budget: str
    """How much was to be taken."""
    right: float | None
    """Share of its samples with a right answer, of those that were judged."""
    mean: float | None
    """Of what the key compares; the geometric one of a ratio."""
    overlap: float | None
    """Share of its samples that the selection has too."""

    @property
    def facts(self) -> tuple[str, str, str]:
        """Say what it holds: right answers, mean of the key, what the selection has too."""
        right, overlap = (
            "none" if share is None else percent(share, 1) for share in (self.right, self.overlap)
        )
        return right, "none" if self.mean is None else f"{self.mean:.4g}", overlap


class Funnel(_Counts):
    """Both tables counted from the first row read to the last one taken."""

    model_config = ConfigDict(
        serialize_by_alias=True, validate_by_alias=True, validate_by_name=True
    )

    questions: QuestionCount | None = None
    """The questions table's line."""
    sources: tuple[SourceCount, ...] = ()
    """One line a source."""
    samples: int = 0
    """Rows of the samples table."""
    quarantined: int = 0
    """Samples of quarantined questions among them, never live."""
    covered: int = 0
    """Questions with a sample."""
    filters: tuple[FilterCount, ...] = Field(
        default=(), validation_alias="gates", serialization_alias="gates"
    )
    """The filters in the order of the chain; manifests call them ``gates``."""
    picks: tuple[PickCount, ...] = ()
    """The selection, then the control arms."""
    sweep: tuple[SweepCount, ...] = ()
    """Those of the arms that the recipe sweeps, with what they hold."""
    notes: tuple[str, ...] = ()
    """Sentences the reader of the funnel must not miss."""

    def __add__(self, other: Self) -> Self:
        """Add another shard's funnel; lines of the same name are added, others stand in order."""
        return self.model_copy(
            update={
                "questions": self.questions or other.questions,
                "sources": _added(self.sources, other.sources),
                "samples": self.samples + other.samples,
                "quarantined": self.quarantined + other.quarantined,
                "covered": self.covered + other.covered,
                "filters": _added(self.filters, other.filters),
                "picks": (*self.picks, *other.picks),
                "sweep": (*self.sweep, *other.sweep),
                "notes": tuple(dict.fromkeys((*self.notes, *other.notes))),
            }
        )

    @property
    def named(self) -> tuple[PickCount, ...]:
        """The selection and the arms named one by one; those of a sweep have a table."""
        swept = {line.name for line in self.sweep}
        return tuple(pick for pick in self.picks if pick.name not in swept)

    def check(self) -> None:
        """Hold that every filter got what the one before left.

        Raises:
            ConservationError: rows were lost or made in a filter or between two.
        """
        live, before = self.samples - self.quarantined, "the sources"
        for line in self.filters:
            line.check()
            if line.rows != self.samples or line.rows - line.skipped != live:
                raise ConservationError(
                    f"filter {line.name!r} saw {line.rows - line.skipped} live of {line.rows} "
                    f"rows, but {before} left {live} of {self.samples}; please report this"
                )
            live, before = line.live, f"filter {line.name!r}"


def merge(funnels: Iterable[Funnel]) -> Funnel:
    """Add up the funnels of all shards; lines stand in the order in which they first appear."""
    return reduce(lambda total, part: total + part, funnels, Funnel())


def count(
    frame: pl.DataFrame,
    name: str,
    *,
    before: str = "live_before",
    after: str = "live_after",
) -> FilterCount:
    """Count what one filter did to one shard.

    Args:
        frame: whole questions: ``question_id``, the struct ``verdict_<name>`` and the two Booleans.
            Verdicts of rows that were not live before (a filter may see all) are not counted.
        name: the filter's.
        before: column that tells which rows were live when the filter came.
        after: column that tells which still are.

    Raises:
        ConservationError: a live row has no verdict, or one other than kept without a reason.
    """
    verdict = pl.col(f"{VERDICT_PREFIX}{name}")
    keep, reason = verdict.struct.field("keep"), verdict.struct.field("reason")
    judged = frame.filter(before).select(
        "question_id",
        outcome=pl.when(verdict.is_null()).then(pl.lit("none")).when(keep.is_null())
        .then(pl.lit("abstained")).when(keep).then(pl.lit("kept")).otherwise(pl.lit("dropped")),
        reason=reason,
        live=after,
    )  # fmt: skip
    tally = judged.drop_nulls("reason").group_by("outcome", "reason").len().sort("reason")
    by_reason: dict[str, dict[str, int]] = {"dropped": {}, "abstained": {}}
    for outcome, why, number in tally.iter_rows():
        if outcome in by_reason:
            by_reason[outcome][why] = number
    questions = judged.group_by("question_id").agg(
        live=pl.col("live").any(),
        choice=(pl.col("outcome") == "kept").any() & (pl.col("outcome") == "dropped").any(),
    )
    line = FilterCount(
        name=name,
        rows=frame.height,
        kept=int((judged["outcome"] == "kept").sum()),
        dropped=by_reason["dropped"],
        abstained=by_reason["abstained"],
        skipped=frame.height - judged.height,
        live=int(frame[after].sum()),
        covered_before=questions.height,
        covered=int(questions["live"].sum()),
        choice=int(questions["choice"].sum()),
    )
    line.check()
    return line


def count_picks(
    table: pl.DataFrame, selection: pl.DataFrame, choice: float | None = None
) -> tuple[PickCount, ...]:
    """Count what the selection and the arms took.

    Args:
        table: ``sample_id``, ``tokens`` and ``in_words``, whether these are words, of all samples.
        selection: what `select` returned.
        choice: the selection's share of questions with a choice.
    """
    columns = [
        name for name in selection.columns if name == "selected" or name.startswith(ARM_PREFIX)
    ]
    rows = selection.select("sample_id", "question_id", *columns).join(
        table.select("sample_id", "tokens", "in_words"), on="sample_id"
    )
    picks: list[PickCount] = []
    for name in columns:
        part = rows.filter(name)
        lengths = part["tokens"].cast(pl.Int64)
        picks.append(
            PickCount(
                name=name.removeprefix(ARM_PREFIX),
                rows=part.height,
                questions=part["question_id"].n_unique(),
                tokens=int(lengths.filter(~part["in_words"]).sum()),
                words=int(lengths.filter(part["in_words"]).sum()),
                choice=choice if name == "selected" else None,
            )
        )
    return tuple(picks)


def _reasons_added(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {
        reason: left.get(reason, 0) + right.get(reason, 0) for reason in sorted({*left, *right})
    }


_Line = TypeVar("_Line", SourceCount, FilterCount)


def _added(left: Sequence[_Line], right: Sequence[_Line]) -> tuple[_Line, ...]:
    total = {line.name: line for line in left}
    for line in right:
        total[line.name] = total[line.name] + line if line.name in total else line
    return tuple(total.values())


def percent(part: float, whole: float) -> str:
    """Say a share in at most four characters; what is not all never reads as 100%."""
    share = part / whole if whole else 0.0
    if 0 < share < 0.01:
        return "<1%"
    if 0.99 < share < 1:
        return ">99%"
    return f"{share:.0%}"


def reasons(counts: Mapping[str, int]) -> str:
    """List reasons, the most frequent first; a single one goes without its number."""
    if len(counts) == 1:
        return next(iter(counts))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{reason} {number:,}" for reason, number in ordered[:TOP_REASONS]]
    rest = ordered[TOP_REASONS:]
    if rest:
        parts.append(f"{len(rest)} more reasons {sum(number for _, number in rest):,}")
    return ", ".join(parts)


def losses(line: FilterCount) -> tuple[str, ...]:
    """Say what a filter dropped and where it abstained, a line each."""
    texts = [
        f"{sum(counts.values()):,} {verb}: {reasons(counts)}"
        for verb, counts in (("dropped", line.dropped), ("abstained", line.abstained))
        if counts
    ]
    return tuple(texts)


def filter_line(line: FilterCount) -> str:
    """Say in one line what a filter did."""
    head = (
        f"{line.name}: {line.live:,} live ({percent(line.live, line.rows)}), "
        f"{count_of(line.covered, 'question')}, "
        f"choice in {percent(line.choice, line.covered_before)}"
    )
    return "; ".join((head, *losses(line)))


def _given(source: SourceCount) -> Iterator[str]:
    """Say what a source gave, clause by clause."""
    yield count_of(source.rows, "sample")
    if source.errors:
        yield f"{source.errors:,} failed for good"
    if source.unmatched:
        yield f"{count_of(source.unmatched, 'more row')} matched no question"
    if source.excluded:
        yield f"{source.excluded:,} more of excluded teachers"
    if source.posed:
        yield f"to pose questions: {reasons(source.posed)}"
    if source.rollouts:
        yield "of the student, so no rows but a fact about each question"
    if source.enough:
        yield str(source.enough)


def preamble(funnel: Funnel) -> tuple[tuple[str, str], ...]:
    """Say what came in: pairs of a name (``questions``, a source) and what is known about it."""
    facts: list[tuple[str, str]] = []
    if (questions := funnel.questions) is not None:
        parts = [f"{questions.in_use:,} in use of {count_of(questions.read, 'row')}"]
        if questions.merged:
            parts.append(f"{questions.merged:,} merged")
        if questions.quarantined:
            total = sum(questions.quarantined.values())
            parts.append(f"{total:,} quarantined: {reasons(questions.quarantined)}")
        facts.append(("questions", "; ".join(parts)))
    facts += [(source.name, "; ".join(_given(source))) for source in funnel.sources]
    return tuple(facts)


def lines(funnel: Funnel) -> list[str]:
    """Say the funnel in plain lines, one a filter, for pipes and logs."""
    texts = [f"{name}: {text}" for name, text in preamble(funnel)]
    texts.append(
        f"all samples: {count_of(funnel.samples, 'sample')}, {count_of(funnel.covered, 'question')}"
    )
    texts += [filter_line(line) for line in funnel.filters]
    for pick in funnel.named:
        choice = "" if pick.choice is None else f", choice in {percent(pick.choice, 1)}"
        texts.append(
            f"{pick.name}: {count_of(pick.rows, 'sample')} ({percent(pick.rows, funnel.samples)}), "
            f"{count_of(pick.questions, 'question')}, {pick.length}{choice}"
        )
    for line in funnel.sweep:
        right, mean, overlap = line.facts
        texts.append(
            f"{line.name} (by {line.key}, {line.direction} first, {line.budget}): "
            f"{count_of(line.rows, 'sample')}, {count_of(line.questions, 'question')}, "
            f"{line.length}; right {right}, mean of the key {mean}, also selected {overlap}"
        )
    return [*texts, *(f"note: {note}" for note in funnel.notes)]


def markdown(funnel: Funnel) -> str:
    """Write the funnel as a table for the card."""
    rows = [
        "| filter | live | of all | questions | choice | dropped or abstained |",
        "| :--- | ---: | ---: | ---: | ---: | :--- |",
        f"| all samples | {funnel.samples:,} | {percent(1, 1)} | {funnel.covered:,} | | |",
    ]
    rows += [
        f"| `{line.name}` | {line.live:,} | {percent(line.live, funnel.samples)} "
        f"| {line.covered:,} | {percent(line.choice, line.covered_before)} "
        f"| {'; '.join(losses(line))} |"
        for line in funnel.filters
    ]
    rows += [
        f"| **{pick.name}** | {pick.rows:,} | {percent(pick.rows, funnel.samples)} "
        f"| {pick.questions:,} | {'' if pick.choice is None else percent(pick.choice, 1)} "
        f"| {pick.length} |"
        for pick in funnel.named
    ]
    return "\n".join(rows)


SWEEP_HEADINGS: Final = (
    "arm", "key", "direction", "budget", "rows", "questions", "length", "right", "mean of the key",
    "also selected",
)  # fmt: skip


def sweep_rows(funnel: Funnel) -> list[tuple[str, ...]]:
    """Give the table of the sweep: one arm a row, under `SWEEP_HEADINGS`."""
    return [
        (
            line.name, line.key, line.direction, line.budget, f"{line.rows:,}",
            f"{line.questions:,}", line.length, *line.facts,
        )
        for line in funnel.sweep
    ]  # fmt: skip
