"""Teacher signals: how likely a rationale was to the teacher that wrote it, and to the student.

A sentence is the teacher's where its probability is much larger under the teacher than under the
student; the share of such sentences is what DAS selects by (arXiv 2512.20908). Two tokenizers cut a
sentence into different tokens, so the probabilities compared are geometric means, each over the
tokens of its own tokenizer. A token belongs to the sentence in which its last character stands.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, Field

from curate.measures.base import ColumnOptions, DerivedMeasure, Setup
from curate.measures.steps import SPLIT_AT, Delimiters, split_steps
from filters.columns import Column, Glossary

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class TeacherSignalsOptions(ColumnOptions):
    """When a sentence counts as the teacher's."""

    ratio: float = Field(default=2.0, ge=1)
    """How many times as likely a token of the sentence is under the teacher, in the geometric mean,
    as one under the student.
    """
    split_at: Delimiters = SPLIT_AT
    """Behind what a sentence ends."""


class Row(NamedTuple):
    """What is read of a row."""

    rationale: str | None
    raw_output: str | None
    reasoning_field: str | None
    teacher_token_ends: Sequence[int] | None
    teacher_logprobs: Sequence[float] | None
    rationale_token_ends: Sequence[int] | None
    rationale_logprobs: Sequence[float] | None


class Logs(NamedTuple):
    """Tokens of one tokenizer.

    Attributes:
        ends: characters of the rationale up to each token's end.
        values: log-probability of each, in nats.
    """

    ends: Ints
    values: Floats


class TeacherSignals(DerivedMeasure):
    """Compares the teacher's own log-probabilities with the student's.

    Both columns are null where the teacher's tokens are not known (imported text, or a server that
    did not tell them), where the thought came in a field of its own, and where the rationale does
    not stand in the output exactly once as it was written.

    Args:
        options: as the recipe gives them.
        demand: columns to write.
    """

    name: ClassVar[str] = "teacher_signals"
    reads = Row._fields
    writes = Glossary(
        [
            Column(
                "teacher_nll",
                pl.Float64(),
                "mean nats a token of the rationale under the teacher that wrote it",
                published=True,
                score="none",
            ),
            Column(
                "teacher_share",
                pl.Float64(),
                "share of the rationale's sentences that are much likelier under the teacher than "
                "under the student (DAS)",
                published=True,
                score="higher",
            ),
        ]
    )
    section: ClassVar[type[BaseModel] | None] = TeacherSignalsOptions
    on_request: ClassVar[bool] = True

    def __init__(self, options: TeacherSignalsOptions, demand: Collection[str]) -> None:
        self._options = options
        self.writes = self.columns(options, demand)
        self.reads = self.reads_for(demand)

    @classmethod
    def reads_for(cls, demand: Collection[str]) -> tuple[str, ...]:
        """Leave the student out where only the teacher is asked about."""
        if "teacher_share" in demand:
            return cls.reads
        return tuple(name for name in cls.reads if not name.startswith("rationale_"))

    @classmethod
    def open(cls, setup: Setup) -> Self:
        """Compare as the recipe says."""
        assert isinstance(setup.options, TeacherSignalsOptions)
        return cls(setup.options, setup.demand)

    def instrument(self) -> Mapping[str, Any]:
        """Identify the options."""
        return self._options.model_dump(mode="json", exclude=set(ColumnOptions.model_fields))

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Compare row by row."""
        lacking = [pl.lit(None).alias(name) for name in Row._fields if name not in self.reads]
        rows = frame.select(self.reads).with_columns(lacking).select(Row._fields)
        signals = [self._signals(Row(*row)) for row in rows.iter_rows()]
        both = pl.DataFrame(signals, schema=type(self).writes.types, orient="row")
        return both.select(list(self.writes))

    def _signals(self, row: Row) -> tuple[float | None, float | None]:
        """Give a rationale's NLL under its teacher, and its share of the teacher's sentences."""
        text = row.rationale or ""
        apart = (row.reasoning_field or "").strip()
        begin = None if apart else place_of(text, row.raw_output or "")
        teacher = _logs(row.teacher_token_ends, row.teacher_logprobs)
        if begin is None or teacher is None:
            return None, None
        teacher = _within(Logs(teacher.ends - begin, teacher.values), len(text))
        if not len(teacher.values):
            return None, None
        student = _logs(row.rationale_token_ends, row.rationale_logprobs)
        share = None if student is None else self._share(text, teacher, student)
        return -float(teacher.values.mean()), share

    def _share(self, text: str, teacher: Logs, student: Logs) -> float | None:
        """Count sentences; those without a token of either are left out, and may be all."""
        steps = split_steps(text, self._options.split_at)
        if not steps:
            return None
        stops = np.array([stop for _, stop in steps], dtype=np.int64)
        gaps = means(teacher, stops) - means(_within(student, len(text)), stops)
        gaps = gaps[~np.isnan(gaps)]
        return float((gaps >= math.log(self._options.ratio)).mean()) if len(gaps) else None


def place_of(rationale: str, raw: str) -> int | None:
    """Find where a rationale stands in an output; None where nowhere, or in two places."""
    at = raw.find(rationale) if rationale else -1
    return None if at < 0 or raw.find(rationale, at + 1) >= 0 else at


def means(logs: Logs, stops: Ints) -> Floats:
    """Give the mean of each sentence's tokens.

    Args:
        logs: of tokens that end inside the text.
        stops: where each sentence ends, which is where the next begins.

    Returns:
        In nats; NaN for a sentence in which no token ends.
    """
    sentences = np.searchsorted(stops, logs.ends)
    sums = np.bincount(sentences, weights=logs.values, minlength=len(stops))
    counts = np.bincount(sentences, minlength=len(stops))
    return np.divide(sums, counts, out=np.full(len(stops), np.nan), where=counts > 0)


def _within(logs: Logs, length: int) -> Logs:
    """Keep the tokens whose last character stands in a text of this length."""
    inside = (logs.ends > 0) & (logs.ends <= length)
    return Logs(logs.ends[inside], logs.values[inside])


def _logs(ends: Sequence[int] | None, values: Sequence[float] | None) -> Logs | None:
    """Read two columns of lists; None where one is missing or has a gap."""
    if ends is None or values is None or len(ends) != len(values):
        return None
    if None in ends or None in values:
        return None
    return Logs(np.array(ends, dtype=np.int64), np.array(values, dtype=np.float64))
