"""Repetition: a teacher that fell into a loop."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal, NamedTuple

import polars as pl
from pydantic import Field

from filters.contract import Example, Filter, Threshold
from filters.shingles import words


class Repetition(Filter):
    """Drop rationales of which too much was said before.

    Two of the repetition measures of Gopher (Rae et al. 2021, arXiv 2112.11446, table A1), each a
    share of the text: characters in lines said before, and words inside n-grams said before. A
    rationale is short and repeats its quantities by nature, so Gopher's limits for web pages do
    not carry over: its 0.15 for 5-grams would drop 17 % of 15,391 SVAMP rationales of GPT-4o,
    Gemini and LLaMA, its 0.10 for 10-grams 4 %. The defaults drop 4 of these, 0 of 29,736 on
    OpenBookQA and 4 of 5,276 GSM8K solutions of GPT-3; of these eight some loop, others restate
    their definitions or enumerate. A loop of more than a few turns scores near 1. Of a model that
    thinks apart the thought is looked at, not the solution.
    """

    version: ClassVar[int] = 2
    reasons: ClassVar[Mapping[str, str]] = {
        "looping_lines": "too much of it stands in lines that repeat an earlier line",
        "looping_ngrams": "too many of its words stand in n-grams said before",
        "not_measured": "it has no rationale to look at",
    }
    abstains: ClassVar[Collection[str]] = ("not_measured",)
    evidence: ClassVar[Mapping[str, pl.DataType]] = {
        "line_share": pl.Float64(),
        "ngram_share": pl.Float64(),
        "loop": pl.String(),  # the line or n-gram said most often, null where nothing repeats
    }

    example: ClassVar[Example] = Example(
        ({"rationale": "3 + 4 = 7."}, {"rationale": "So it is 7.\n" * 4})
    )

    use: Literal["repetition"] = "repetition"
    max_line_share: float = Field(default=0.3, ge=0, le=1)
    """Largest share of characters in lines that repeat an earlier line."""
    max_ngram_share: float = Field(default=0.5, ge=0, le=1)
    """Largest share of words inside an n-gram that was said before."""
    ngram: int = Field(default=10, ge=2)
    """Words of an n-gram."""

    def reads(self) -> Sequence[str]:
        """Name the column needed."""
        return ("rationale",)

    def thresholds(self) -> Sequence[Threshold]:
        """Both shares."""
        return (
            Threshold("max_line_share", "max", "looping_lines", "line_share"),
            Threshold("max_ngram_share", "max", "looping_ngrams", "ngram_share"),
        )

    def would_pass(
        self, reason: str, score: float | None, evidence: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Raise the share to its own."""
        del score
        share = {"looping_lines": "line_share", "looping_ngrams": "ngram_share"}.get(reason)
        return None if share is None else {f"max_{share}": evidence[share]}

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Measure both shares; the score is the one that dropped the row, else the n-grams'."""
        schema = {"line_share": pl.Float64(), "ngram_share": pl.Float64(), "loop": pl.String()}
        texts: list[str | None] = frame["rationale"].to_list()
        measured = pl.DataFrame(
            [(None, None, None) if text is None else self._measure(text) for text in texts],
            schema=schema,
            orient="row",
        )
        lines = pl.col("line_share") > self.max_line_share
        judged = measured.select(
            keep=~lines & (pl.col("ngram_share") <= self.max_ngram_share),
            reason=pl.when(pl.col("line_share").is_null())
            .then(pl.lit("not_measured"))
            .when(lines)
            .then(pl.lit("looping_lines"))
            .when(pl.col("ngram_share") > self.max_ngram_share)
            .then(pl.lit("looping_ngrams")),
            score=pl.when(lines).then("line_share").otherwise("ngram_share"),
        )
        return self.verdicts(
            judged["keep"],
            judged["reason"],
            score=judged["score"],
            evidence={name: measured[name] for name in schema},
        )

    def _measure(self, text: str) -> tuple[float, float, str | None]:
        """Give both shares, and what is said most often."""
        lines = _line_share([line for line in map(str.strip, text.split("\n")) if line])
        tokens = words(text)
        ngrams = _ngram_share(tokens, self.ngram)
        loop = lines.most if lines.share > self.max_line_share else ngrams.most or lines.most
        return lines.share, ngrams.share, loop


class _Repeated(NamedTuple):
    """A share of the text, and what repeats most often in it."""

    share: float
    most: str | None


def _line_share(lines: Sequence[str]) -> _Repeated:
    """Weigh the lines that repeat an earlier one."""
    counts = Counter(lines)
    again = sum((count - 1) * len(line) for line, count in counts.items())
    return _Repeated(again / sum(map(len, lines)) if lines else 0.0, _most(counts))


def _ngram_share(tokens: Sequence[str], size: int) -> _Repeated:
    """Weigh the words inside n-grams that repeat an earlier one."""
    grams = [" ".join(tokens[start : start + size]) for start in range(len(tokens) - size + 1)]
    seen: set[str] = set()
    starts: list[int] = []
    for start, gram in enumerate(grams):
        if gram in seen:
            starts.append(start)
        seen.add(gram)
    covered = sum(min(size, after - start) for start, after in pairwise([*starts, len(tokens)]))
    return _Repeated(covered / len(tokens) if tokens else 0.0, _most(Counter(grams)))


def _most(counts: Counter[str]) -> str | None:
    """Give what is counted most often, the first such, if it is counted twice."""
    [(text, count)] = counts.most_common(1) or [("", 0)]
    return text if count > 1 else None
