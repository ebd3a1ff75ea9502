"""What published scores cost, beside the public way of getting one of them, in one run.

    python -m tests.bench.signals MODEL [KEY=VALUE ...]

Scores real rationales (KEY=VALUE are questions (10), k (10) rationales each, rounds (3)) four ways,
in alternation: ``score`` as a recipe has it that reads no token; ``per token`` with the columns of
single tokens; ``all`` with those and every signal, reflection and CASL made of them; ``public``,
one forward pass of transformers a pair with full logits, from which RSR alone is taken, as its
authors' script does. Each is timed after a warm-up; a pair is one (question, rationale). Then says
what the measures that read steps anew cost a pair. Needs CURATE_TEST_DATA.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import polars as pl
import torch

from curate.measures.asking import Asking
from curate.measures.base import MemoMeasure
from curate.measures.casl import Casl
from curate.measures.curve import Curve, CurveOptions
from curate.measures.importance import Importance, ImportanceOptions
from curate.measures.local import Local, LocalOptions
from curate.measures.reflection import Reflection
from curate.measures.score import Score
from curate.measures.score_options import ScoreOptions
from curate.measures.signals import SignalOptions, Signals
from curate.models.references import resolve
from curate.models.students.scorer import Scorer
from tests.bench.score import TEMPLATES, one_target, rationales, say

LISTS: Final = [column.name for column in Score.writes.values() if column.per_token]
Way = Callable[[], object]


def pool(questions: int, k: int) -> pl.DataFrame:
    """Make the table that measures read."""
    rows = [
        {
            "question_id": f"q{number}", "sample_id": f"s{number}-{place}", "question": question,
            "gold": gold, "gold_type": "number", "rationale": text, "answer": gold,
        }
        for number, (question, gold, texts) in enumerate(list(rationales(k))[:questions])
        for place, text in enumerate(texts)
    ]  # fmt: skip
    return pl.DataFrame(rows).with_columns(choices=pl.lit(None, pl.List(pl.String)))


class Loaded:
    """A student that stays loaded from one round to the next."""

    def __init__(self, model: str, frame: pl.DataFrame) -> None:
        self.options = ScoreOptions(student=model, calibrate=0)
        self.resolved = resolve(model)
        self.frame = frame
        self.open: Any = Asking(self.options, self.resolved).open()

    def values(self, measure: MemoMeasure) -> dict[str, Any]:
        """Measure all rows anew."""
        measure._asking.open = lambda: self.open  # pyright: ignore[reportAttributeAccessIssue]
        return dict(measure.compute(list(measure.items(self.frame))))

    def score(self, *demand: str) -> pl.DataFrame:
        measure = Score(self.options, self.resolved, demand=demand)
        return measure.assemble(self.frame, self.values(measure), {})

    def everything(self) -> pl.DataFrame:
        frame = pl.concat([self.frame, self.score(*LISTS)], how="horizontal")
        signals = Signals(SignalOptions(), tuple(Signals.writes)).derive(frame)
        frame = pl.concat([frame, signals], how="horizontal")
        made = Reflection().derive(frame), Casl().settle(frame).derive(frame)
        return pl.concat(made, how="horizontal")

    def public(self) -> list[float]:
        """Take RSR from one forward pass a pair, all logits of it."""
        scorer: Scorer = self.open
        found: list[float] = []
        for row in self.frame.iter_rows(named=True):
            target = one_target(
                self.tokenizer, row["question"], row["rationale"], TEMPLATES[0], row["gold"],
                own=True,
            )  # fmt: skip
            start, end = target.spans[1]
            with torch.inference_mode():
                logits = scorer.model(input_ids=torch.tensor([target.ids]), use_cache=False).logits
                rows = logits[0, start - 1 : end - 1].float()
                own = rows[range(end - start), target.ids[start:end]]
                ranks = 1 + (rows > own[:, None]).sum(dim=-1)
                nll = rows.logsumexp(dim=-1) - own
            found.append(float(ranks.clamp(max=100).sum() / nll.sum()))
        return found

    @property
    def tokenizer(self) -> Any:
        from curate.models.students.tokenizing import load_tokenizer

        if not hasattr(self, "_tokenizer"):
            self._tokenizer = load_tokenizer(self.resolved.path)
        return self._tokenizer

    def steps(self) -> dict[str, MemoMeasure]:
        asking = Asking(self.options, self.resolved)
        line = self.options.templates[0]
        return {
            "local": Local(LocalOptions(), asking, line, tuple(Local.writes)),
            "curve": Curve(CurveOptions(), asking, line, tuple(Curve.writes)),
            "importance": Importance(ImportanceOptions(), asking, line, tuple(Importance.writes)),
        }


def timed(ways: dict[str, Way], rounds: int) -> dict[str, list[float]]:
    """Time each way once a round, in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
            say(way=name, seconds=round(seconds[name][-1], 2))
    return seconds


def main(model: str, *arguments: str) -> None:
    given = {key: int(value) for key, _, value in (a.partition("=") for a in arguments)}
    frame = pool(given.get("questions", 10), given.get("k", 10))
    student = Loaded(model, frame)
    student.open.score(
        [one_target(student.tokenizer, "What is 3 + 4?", "3 + 4 = 7.", TEMPLATES[0], "7")]
    )
    ways: dict[str, Way] = {
        "score": student.score,
        "per token": lambda: student.score(*[name for name in LISTS if name != "rationale_ranks"]),
        "all": student.everything,
        "public": student.public,
    }
    for name, measure in student.steps().items():
        ways[name] = lambda measure=measure: student.values(measure)
    seconds = timed(ways, given.get("rounds", 3))

    def ratio(of: Sequence[float], to: Sequence[float]) -> list[float]:
        return sorted(round(a / b, 3) for a, b in zip(of, to, strict=True))

    say(
        model=model, pairs=frame.height,
        pairs_per_second={n: round(frame.height / statistics.median(s), 2)
                          for n, s in seconds.items()},
        times_score={n: ratio(s, seconds["score"]) for n, s in seconds.items()},
        times_per_token={n: ratio(s, seconds["per token"]) for n, s in seconds.items()},
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
