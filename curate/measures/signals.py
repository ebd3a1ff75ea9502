"""Signals: published scores over what the student says of every token.

All of them read one pass, the one that `score` makes: log-probability, rank and entropy of each
token of the rationale given the question, and the log-probabilities of the answer's tokens with the
rationale and without. They contradict each other: some prefer likely tokens, some uncertain ones,
some unlikely ones of high rank; which of them sees anything in a pool is for the pool to say.

    rsr                     sum of min(rank, 100) / sum of NLL       arXiv 2601.14249
    nll_rationale_no_heads  ASLEC-DROP                               arXiv 2604.06834
    hes                     high-entropy sum                         arXiv 2605.22389
    low_prob_share          after                                    arXiv 2509.22230
    answer_gain             after RLPR                               arXiv 2506.18254
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from curate.measures.base import ColumnOptions, DerivedMeasure, Setup
from curate.measures.steps import SPLIT_AT, Delimiters, split_steps
from filters.columns import Column, Glossary, Score

Floats = NDArray[np.float64]

_RATIO: Final = pl.Float64()
_LOGS: Final = "rationale_logprobs"
_ENDS: Final = "rationale_token_ends"
_RANKS: Final = "rationale_ranks"
_ENTROPIES: Final = "rationale_entropies"
_WITH: Final = "answer_logprobs_with_rationale"
_WITHOUT: Final = "answer_logprobs_without_rationale"
_LISTS: Final = (_LOGS, _ENDS, _RANKS, _ENTROPIES, _WITH, _WITHOUT)


class SignalOptions(ColumnOptions):
    """Scores over single tokens of the student's."""

    split_at: Delimiters = SPLIT_AT
    """What a step of a rationale ends with; ASLEC's own are ``[". ", "? "]``."""
    head_tokens: int = Field(default=1, ge=1)
    """How many first tokens of each step are its head: 1 in ASLEC's paper, 2 in its code."""
    hes_share: float = Field(default=0.005, gt=0, le=1)
    """Share of the most uncertain tokens whose entropies `hes` adds up; one token at least."""
    low_prob: float = Field(default=0.01, gt=0, lt=1)
    """Probability below which `low_prob_share` counts a token."""


class Tokens:
    """One rationale as the student reads it.

    Args:
        row: values by column; lists that nobody reads are left out.
        options: where steps end, and what their heads are.

    Attributes:
        logs: log-probability of each token in nats (n).
        ranks: 1 to 100 (n).
        entropies: in nats (n).
    """

    def __init__(self, row: Mapping[str, Any], options: SignalOptions) -> None:
        self.options = options
        self._text: str = row["rationale"]
        self.logs, ends, self.ranks, self.entropies, self._with, self._without = (
            np.array(row.get(name) or (), dtype=np.float64) for name in _LISTS
        )
        self._ends = ends

    @cached_property
    def steps(self) -> list[tuple[int, int]]:
        """Characters of each step, of the whole rationale."""
        return split_steps(self._text, self.options.split_at)

    @cached_property
    def step_of(self) -> NDArray[np.int64]:
        """The step in which each token ends, from 0 (n)."""
        starts = [start for start, _ in self.steps]
        return np.searchsorted(starts, self._ends - 1, side="right") - 1

    @cached_property
    def heads(self) -> NDArray[np.bool_]:
        """Whether each token is among the first of its step (n)."""
        steps = self.step_of
        return np.arange(len(steps)) - np.searchsorted(steps, steps) < self.options.head_tokens

    @cached_property
    def step_means(self) -> dict[int, float]:
        """Mean nats a token of each step in which one ends, by the step's number from 0."""
        numbers, steps, sizes = np.unique(self.step_of, return_inverse=True, return_counts=True)
        means = np.bincount(steps, weights=-self.logs) / sizes
        return dict(zip(numbers.tolist(), means.tolist(), strict=True))

    @property
    def gains(self) -> Floats:
        """How much likelier the rationale makes each token of the answer; see `answer_gains`."""
        return answer_gains(self._with, self._without)


def answer_gains(behind: Floats, alone: Floats) -> Floats:
    """Subtract probabilities of the answer's tokens without a rationale from those with it.

    Args:
        behind: log-probabilities behind the rationale, in nats (n).
        alone: given the question alone (n).

    Returns:
        Differences (n); none where the answer's tokens are not the same behind both.
    """
    return np.exp(behind) - np.exp(alone) if len(behind) == len(alone) else np.zeros(0)


def _rsr(tokens: Tokens) -> float | None:
    surprisal = -float(tokens.logs.sum())
    return float(tokens.ranks.sum()) / surprisal if surprisal > 0 else None


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _hes(tokens: Tokens) -> float:
    count = max(1, int(tokens.options.hes_share * len(tokens.entropies)))
    return float(np.sort(tokens.entropies)[-count:].sum())


Value = float | list[float | None] | None
Signal = tuple[Column, tuple[str, ...], Callable[[Tokens], Value]]


def _signal(
    name: str,
    better: Score | None,
    meaning: str,
    reads: Sequence[str],
    of: Callable[[Tokens], Value],
    dtype: pl.DataType = _RATIO,
) -> Signal:
    return Column(name, dtype, meaning, published=True, score=better), tuple(reads), of


_BY_STEP: Final = (_LOGS, _ENDS)
_SIGNALS: Final[tuple[Signal, ...]] = (
    _signal("rsr", "lower", "rank-surprisal ratio: sum of the tokens' ranks, 100 at most, over the "
            "sum of their NLL", (_LOGS, _RANKS), _rsr),
    _signal("rank_mean", "lower", "mean rank of the rationale's tokens, each 100 at most",
            (_RANKS,), lambda t: _mean(t.ranks)),
    _signal("nll_rationale_no_heads", "lower", "mean nats a token of the rationale without the "
            "first tokens of each step (ASLEC-DROP)", _BY_STEP, lambda t: _mean(-t.logs[~t.heads])),
    _signal("nll_heads", "none", "mean nats a token of the first tokens of each step", _BY_STEP,
            lambda t: _mean(-t.logs[t.heads])),
    _signal("head_share", "none", "share of the rationale's tokens that are the first of a step",
            _BY_STEP, lambda t: _mean(t.heads.astype(np.float64))),
    _signal("steps", "none", "number of steps of the rationale", (), lambda t: len(t.steps) or None,
            pl.Int32()),
    _signal("tokens_per_step", "none", "mean tokens a step, of the student's", _BY_STEP,
            lambda t: len(t.logs) / len(t.step_means)),
    _signal("step_nll", None, "mean nats a token of each step", _BY_STEP,
            lambda t: [t.step_means.get(number) for number in range(len(t.steps))],
            pl.List(_RATIO)),
    _signal("nll_step_max", "lower", "mean nats a token of the step the student finds hardest",
            _BY_STEP, lambda t: max(t.step_means.values())),
    _signal("entropy_mean", "none", "mean entropy of the distributions the rationale's tokens were "
            "predicted from", (_ENTROPIES,), lambda t: _mean(t.entropies)),
    _signal("hes", "higher", "high-entropy sum: entropies of the most uncertain tokens of the "
            "rationale, added up", (_ENTROPIES,), _hes),
    _signal("low_prob_share", "lower", "share of the rationale's tokens that the student finds "
            "improbable", (_LOGS,),
            lambda t: _mean((t.logs < np.log(t.options.low_prob)).astype(np.float64))),
    _signal("min_logprob", "higher", "log-probability of the rationale's least likely token",
            (_LOGS,), lambda t: float(t.logs.min())),
    _signal("answer_gain", "higher", "mean rise of the probability of the answer's tokens by the "
            "rationale", (_WITH, _WITHOUT), lambda t: _mean(t.gains)),
)  # fmt: skip


class Signals(DerivedMeasure):
    """Writes those columns that somebody reads; null where the rationale was not scored.

    Args:
        options: as the recipe gives them.
        demand: columns to write.
    """

    name: ClassVar[str] = "signals"
    reads = ("rationale", *_LISTS)
    writes = Glossary([column for column, _, _ in _SIGNALS])
    section: ClassVar[type[BaseModel] | None] = SignalOptions
    on_request: ClassVar[bool] = True

    def __init__(self, options: SignalOptions, demand: Collection[str]) -> None:
        self._options = options
        self.writes = self.columns(options, demand)
        self.reads = self.reads_for(demand)

    @classmethod
    def reads_for(cls, demand: Collection[str]) -> tuple[str, ...]:
        """Give the rationale, and of its tokens what the columns asked for are made of."""
        reads = [name for column, names, _ in _SIGNALS if column.name in demand for name in names]
        return ("rationale", *dict.fromkeys(reads))

    @classmethod
    def open(cls, setup: Setup) -> Self:
        """Write the columns that somebody reads."""
        assert isinstance(setup.options, SignalOptions)
        return cls(setup.options, setup.demand)

    def instrument(self) -> Mapping[str, Any]:
        """Identify where steps end, and the thresholds."""
        return self._options.model_dump(mode="json", exclude=set(ColumnOptions.model_fields))

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Go over every row's tokens."""
        signals = [(c.name, names, of) for c, names, of in _SIGNALS if c.name in self.writes]
        values: dict[str, list[Value]] = {name: [] for name, _, _ in signals}
        for row in frame.select(self.reads).iter_rows(named=True):
            tokens = Tokens(row, self._options) if (row["rationale"] or "").strip() else None
            for name, reads, of in signals:
                complete = all(row[read] for read in reads)
                values[name].append(of(tokens) if tokens is not None and complete else None)
        return pl.DataFrame(
            [pl.Series(name, values[name], dtype=of) for name, of in self.writes.types.items()]
        )
