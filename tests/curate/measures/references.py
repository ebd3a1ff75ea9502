"""The scores as their papers define them, ten lines each, on a matrix of logits and plain loops.

`Reading` is what a student says of one pair, by one forward pass of transformers in full precision;
a reference takes nothing else. A mutant is a reference with one thing wrong that a reader of the
paper might get wrong, too: whatever agrees with it is not held to the definition.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from curate.models.rendering import render
from curate.models.students.tokenizing import encode

LINE: Final = " The answer is {answer}."


@dataclass(frozen=True)
class Reading:
    """One pair, token by token.

    Attributes:
        tokens: text of each token of the rationale, as the rationale spells it.
        rationale: distributions of the rationale's tokens, as lists of log-probabilities.
        ids: of the rationale's tokens.
        answer: log-probabilities of the answer's tokens given the rationale.
        alone: given the question alone.
        first_rank: of the likeliest token.
        kept_heads: whether the head of a step counts as its body.
    """

    tokens: list[str]
    rationale: list[list[float]]
    ids: list[int]
    answer: list[float]
    alone: list[float]
    first_rank: int = 1
    kept_heads: bool = False

    @property
    def logs(self) -> list[float]:
        return [row[token] for row, token in zip(self.rationale, self.ids, strict=True)]

    @property
    def ranks(self) -> list[int]:
        rows = zip(self.rationale, self.logs, strict=True)
        return [min(self.first_rank + sum(other > own for other in row), 100) for row, own in rows]

    @property
    def entropies(self) -> list[float]:
        return [-sum(math.exp(log) * log for log in row) for row in self.rationale]

    @property
    def by_step(self) -> list[list[float]]:
        """Log-probabilities step by step; a step ends with ". ", "? ", "! " or a line's end."""
        steps: list[list[float]] = [[]]
        text = ""
        for token, log in zip(self.tokens, self.logs, strict=True):
            text += token
            before = text[: -len(token.lstrip())] if token.strip() else text[:-1]
            if steps[-1] and before.endswith((". ", "? ", "! ", "\n")):
                steps.append([])
            steps[-1].append(log)
        return steps


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def bodies(of: Reading) -> list[float]:
    return [-log for step in of.by_step for log in step[0 if of.kept_heads else 1 :]]


def heads(of: Reading) -> list[float]:
    return [-step[0] for step in of.by_step]


REFERENCES: Final[dict[str, Callable[[Reading], float | list[float]]]] = {
    "rsr": lambda of: sum(of.ranks) / -sum(of.logs),
    "rank_mean": lambda of: mean([float(rank) for rank in of.ranks]),
    "nll_rationale_no_heads": lambda of: mean(bodies(of)),
    "nll_heads": lambda of: mean(heads(of)),
    "head_share": lambda of: len(heads(of)) / len(of.logs),
    "steps": lambda of: len(of.by_step),
    "tokens_per_step": lambda of: mean([float(len(step)) for step in of.by_step]),
    "step_nll": lambda of: [-mean(step) for step in of.by_step],
    "nll_step_max": lambda of: max(-mean(step) for step in of.by_step),
    "entropy_mean": lambda of: mean(of.entropies),
    "hes": lambda of: sum(sorted(of.entropies)[-max(1, len(of.entropies) // 200) :]),
    "low_prob_share": lambda of: mean([float(math.exp(log) < 0.01) for log in of.logs]),
    "min_logprob": lambda of: min(of.logs),
    "answer_gain": lambda of: mean(
        [math.exp(a) - math.exp(b) for a, b in zip(of.answer, of.alone, strict=True)]
    ),
}


def reflective(readings: list[Reading]) -> list[float]:
    """Weigh each token's gain by the variance of its probability across siblings."""
    odds = [[math.exp(log) for log in of.answer] for of in readings]
    columns = list(zip(*odds, strict=True))
    weights = [mean([(p - mean(list(column))) ** 2 for p in column]) for column in columns]
    alone = [math.exp(log) for log in readings[0].alone]
    return [
        sum(w * (p - q) for w, p, q in zip(weights, row, alone, strict=True)) / sum(weights)
        for row in odds
    ]


MUTANTS: Final[Mapping[str, tuple[tuple[str, ...], Callable[[Any], Reading]]]] = {
    "rank counted from 0": (
        ("rsr", "rank_mean"),
        lambda made: replace(made(), first_rank=0),
    ),
    "first token of a step kept": (
        ("nll_rationale_no_heads",),
        lambda made: replace(made(), kept_heads=True),
    ),
    "question token included": (
        ("rsr", "rank_mean", "nll_heads", "hes", "entropy_mean"),
        lambda made: made(before=1),
    ),
    "gold without its terminator": (
        ("answer_gain",),
        lambda made: made(terminated=False),
    ),
}
"""Which references each makes wrong, and how a reading is made under it."""


def read(
    model: Any,
    tokenizer: Any,
    layout: Any,
    pair: tuple[str, str, str],
    *,
    before: int = 0,
    terminated: bool = True,
) -> Reading:
    """Read a pair (question, rationale, gold).

    Args:
        model: of transformers, causal.
        tokenizer: its own.
        layout: ``chat`` or ``plain``.
        pair: what is read.
        before: tokens of the question that count as the rationale's.
        terminated: whether the answer's full stop is part of it.
    """
    question, rationale, gold = pair
    shown = [render(question, r, LINE, gold, tokenizer, layout) for r in (rationale, "")]
    targets = [
        encode(tokenizer, one.text, [one.answer, one.rationale], begin=layout == "plain")
        for one in shown
    ]
    with torch.no_grad():
        rows = [
            torch.log_softmax(model(torch.tensor([t.ids])).logits[0].double(), dim=-1)
            for t in targets
        ]
    (answer, own), (alone, _) = (target.spans for target in targets)
    span = range(own[0] - before, own[1])
    stop = 0 if terminated else 1

    def logs(which: int, part: tuple[int, int]) -> list[float]:
        ids = targets[which].ids
        return [float(rows[which][t - 1, ids[t]]) for t in range(part[0], part[1] - stop)]

    return Reading(
        tokens=[tokenizer.decode([targets[0].ids[t]]) for t in span],
        rationale=[rows[0][t - 1].tolist() for t in span],
        ids=[targets[0].ids[t] for t in span],
        answer=logs(0, answer),
        alone=logs(1, alone),
    )
