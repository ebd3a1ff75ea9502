"""From question and rationale to NLLs: rendered, fitted to the context, tokenised, scored."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from curate.models.rendering import Layout, Rendered, render, render_rationale
from curate.models.students.packing import Summed, Target
from curate.models.students.proofs import prove_comparable
from curate.models.students.tokenizing import encode, load_tokenizer, token_ends

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_NO_LIMIT = 1_000_000


class Pair(NamedTuple):
    """One question and rationale, as the student will see them.

    Attributes:
        question: with its options.
        answer: the gold, as the student is to print it.
        rationale: empty for the question alone.
        masked: the rationale without its own final value.
    """

    question: str
    answer: str
    rationale: str = ""
    masked: str = ""

    def alone(self) -> "Pair":
        """Give the question without a rationale."""
        return Pair(self.question, self.answer)


class SpanScorer(Protocol):
    """What reads pairs: a loaded student or a served one."""

    @property
    def context(self) -> int | None:
        """Give the most tokens it can read; None where that is not known."""
        ...

    @property
    def window(self) -> int:
        """Say how many pairs are best given together; they are lost together, too."""
        ...

    def score(self, targets: Sequence[Target]) -> list[list[Summed]]:
        """Score every span of every target; see `curate.models.students.scorer.Scorer.score`."""
        ...

    def close(self) -> None:
        """Free it."""
        ...


def context_limit(tokenizer: Any, scorer: SpanScorer) -> int:
    """Give the most tokens that student and tokenizer say they read."""
    limits = (scorer.context, tokenizer.model_max_length)
    return min([n for n in limits if n and n < _NO_LIMIT], default=_NO_LIMIT)


class _Fitted(NamedTuple):
    """The targets of one pair.

    Attributes:
        paper: one a template; spans are the answer and, in the first, the rationale.
        masked: one a template, none where masking changed nothing.
        rationale: the rationale as an encoder-decoder's output, else none.
        cut: characters cut from the rationale's beginning.
        ends: where in the whole rationale each of its tokens ends; empty where nobody asks.
    """

    paper: list[Target]
    masked: list[Target]
    rationale: list[Target]
    cut: int
    ends: list[int]


class PairReader:
    """A student that reads pairs.

    Args:
        tokenizer: the student's, a fast one.
        scorer: the student.
        layout: how it is asked.
        templates: target lines.
        per_token: whether values of single tokens are wanted, too.

    Attributes:
        window: how many pairs are best read together; they are lost together, too.

    Raises:
        ModelError: see `prove_comparable`.
    """

    def __init__(
        self,
        tokenizer: Any,
        scorer: SpanScorer,
        layout: Layout,
        templates: Sequence[str],
        *,
        per_token: bool = False,
    ) -> None:
        prove_comparable(tokenizer, layout, templates)
        self._tokenizer = tokenizer
        self._scorer = scorer
        self.window = scorer.window
        self._layout: Layout = layout
        self._templates = templates
        self._per_token = per_token
        self._limit = context_limit(tokenizer, scorer)

    @classmethod
    def load(
        cls,
        folder: Path,
        open_scorer: Callable[[], SpanScorer],
        layout: Layout,
        templates: Sequence[str],
        *,
        per_token: bool = False,
    ) -> "PairReader":
        """Load a student, its tokenizer first, so that a template is refused before the weights.

        Args:
            folder: the model's, for its tokenizer.
            open_scorer: loads the student itself, or reaches it.
            layout: how it is asked.
            templates: target lines.
            per_token: whether values of single tokens are wanted, too.

        Raises:
            ModelError: the tokenizer can't be loaded; or see `prove_comparable`.
        """
        tokenizer = load_tokenizer(folder)
        prove_comparable(tokenizer, layout, templates)
        return cls(tokenizer, open_scorer(), layout, templates, per_token=per_token)

    def read(self, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
        """Score pairs.

        Returns:
            For each pair a value for the record. With a rationale: ``paper`` and ``masked``, a
            ``{nats, tokens}`` for each template; ``rationale``, its own ``{nats, tokens}``;
            ``truncated``. Without: ``answer``, one a template. NLL is nats / tokens. Where the
            question alone exceeds the student's context: ``too_long``.

            Where values of single tokens are wanted, ``per_token``, under the first template and
            not masked: ``answer``, the log-probability of each of the answer's tokens in nats;
            and for the rationale's own tokens ``ends`` (characters of the rationale up to each
            token's end), ``rationale`` (log-probabilities) and ``entropies``. Beside it stand
            their ``ranks``, of which older records have none.
        """
        fitted = [self._fit(pair) for pair in pairs]
        targets = [
            target
            for one in fitted
            if one is not None
            for target in (*one.paper, *one.masked, *one.rationale)
        ]
        unique = list(dict.fromkeys(targets))
        scores = dict(zip(unique, self._scorer.score(unique), strict=True))
        return [
            _value(pair, one, scores) | (_single(one, scores) if self._per_token else {})
            for pair, one in zip(pairs, fitted, strict=True)
        ]

    def close(self) -> None:
        """Free the student."""
        self._scorer.close()

    def _fit(self, pair: Pair) -> _Fitted | None:
        """Tokenise a pair, cutting the rationale's first sentences until all of it fits."""
        rationale, masked = pair.rationale, pair.masked
        while True:
            fitted = self._targets(pair, rationale, masked)
            longest = max(
                max(len(target.ids), len(target.source))
                for target in (*fitted.paper, *fitted.masked, *fitted.rationale)
            )
            if longest <= self._limit:
                return fitted
            if not rationale:
                return None
            # Cutting by share of characters first spares tokenising once a sentence.
            share = max(0.0, 1 - self._limit / longest) / 2
            rationale, masked = _cut(rationale, share), _cut(masked, share)

    def _targets(self, pair: Pair, rationale: str, masked: str) -> _Fitted:
        """Tokenise every text of a pair."""
        # Rendering strips what a cut left in front.
        cut = len(pair.rationale) - len(rationale.lstrip())
        paper: list[Target] = []
        ends: list[int] = []
        for number, template in enumerate(self._templates):
            text = self._render(pair, rationale, template)
            with_own = number == 0 and bool(rationale) and self._layout != "encoder"
            spans = [text.answer, text.rationale] if with_own else [text.answer]
            paper.append(self._encode(text, spans, per_token=self._per_token and number == 0))
            if with_own:
                ends = self._ends(text, cut)
        hidden: list[Target] = []
        if masked != rationale:
            texts = [self._render(pair, masked, template) for template in self._templates]
            hidden = [self._encode(text, [text.answer]) for text in texts]
        own: list[Target] = []
        if self._layout == "encoder" and rationale:
            text = render_rationale(pair.question, rationale, self._tokenizer)
            own = [self._encode(text, [text.rationale], per_token=self._per_token)]
            ends = self._ends(text, cut)
        return _Fitted(paper, hidden, own, cut, ends)

    def _ends(self, text: Rendered, cut: int) -> list[int]:
        """Say where in the whole rationale each of its tokens ends, where anybody asks."""
        if not self._per_token:
            return []
        begin = self._layout == "plain"
        ends = token_ends(self._tokenizer, text.text, text.rationale, begin=begin)
        return [cut + end for end in ends]

    def _render(self, pair: Pair, rationale: str, template: str) -> Rendered:
        return render(
            pair.question, rationale, template, pair.answer, self._tokenizer, self._layout
        )

    def _encode(
        self, text: Rendered, spans: Sequence[tuple[int, int]], *, per_token: bool = False
    ) -> Target:
        begin = self._layout == "plain"
        target = encode(self._tokenizer, text.text, spans, text.source, begin=begin)
        return target._replace(per_token=per_token)


def _cut(text: str, share: float) -> str:
    """Drop the first sentences of a text: at least one, and at least a share of its characters."""
    for end in _SENTENCE_END.finditer(text, int(len(text) * share)):
        return text[end.end() :]
    return ""


Scores = dict[Target, list[Summed]]


def _value(pair: Pair, fitted: _Fitted | None, scores: Scores) -> dict[str, Any]:
    """Turn log-probabilities into what the record keeps."""
    if fitted is None:
        return {"too_long": True}
    answers = [_nll(scores[target][0]) for target in fitted.paper]
    if not pair.rationale:
        return {"answer": answers}
    own = scores[fitted.rationale[0]][0] if fitted.rationale else scores[fitted.paper[0]][-1]
    if len(fitted.paper[0].spans) == 1 and not fitted.rationale:
        return {"too_long": True}
    masked = [_nll(scores[target][0]) for target in fitted.masked]
    return {
        "paper": answers,
        "masked": masked or answers,
        "rationale": _nll(own),
        "truncated": bool(fitted.cut),
    }


def _single(fitted: _Fitted | None, scores: Scores) -> dict[str, Any]:
    """Give the values of single tokens, for the record."""
    if fitted is None:
        return {"per_token": {}, "ranks": ()}
    answer, *own = scores[fitted.paper[0]]
    if fitted.rationale:
        own = scores[fitted.rationale[0]]
    if not own:
        return {"per_token": {"answer": answer.logs}, "ranks": ()}
    return {
        "per_token": {
            "answer": answer.logs,
            "ends": fitted.ends,
            "rationale": own[0].logs,
            "entropies": own[0].entropies,
        },
        "ranks": own[0].ranks,
    }


def _nll(summed: Summed) -> dict[str, float | int]:
    return {"nats": -summed.total, "tokens": summed.tokens}
