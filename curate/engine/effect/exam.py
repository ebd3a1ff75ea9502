"""The questions that students are asked after a training, and whether their answers are right."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import polars as pl

from curate.errors import InputError, count_of
from curate.measures.parse import Parse
from curate.measures.verify import Verify
from curate.models.rendering import answer_text, question_text
from curate.models.students.variants import Variant
from curate.recipe.effect import Overlap
from curate.release.effect.facts import ExamFacts
from curate.release.formats.wording import Wording, prompt
from curate.sources.questions.load import load_questions
from curate.sources.questions.options import QuestionsOptions
from curate.store.keys import key
from filters.answers import options_of
from filters.contract import Filter
from filters.correctness import Correctness
from filters.shingles import jaccard, shingles, words

LIKE: Final = 0.7
"""Jaccard similarity of word trigrams from which two questions are nearly the same."""


@dataclass(frozen=True)
class Exam:
    """Questions with known answers that no arm was made of.

    Attributes:
        name: of its file.
        questions: `QUESTION_COLUMNS`, a row each.
        wording: how the student is asked.
        judge: the filter that told right from wrong in the run.
        dropped: questions that were left out, since the pool has them, or nearly.
    """

    name: str
    questions: pl.DataFrame
    wording: Wording
    judge: Filter
    dropped: int

    @classmethod
    def read(
        cls,
        options: QuestionsOptions,
        folder: Path,
        pool: pl.Series,
        wording: Wording,
        judge: Filter | None,
        overlap: Overlap = "refuse",
    ) -> Self:
        """Read the questions.

        Args:
            options: as a recipe's ``questions``.
            folder: that relative paths start from.
            pool: texts of the questions that arms are made of.
            wording: how the student is asked.
            judge: of the run; None where it had none, and answers are compared by their type.
            overlap: what is done where the pool has a question, or nearly: ``refuse`` or ``drop``.

        Raises:
            InputError: none is usable, or some stand in the pool.
        """
        table = load_questions(options, folder, options.limit)
        questions = table.frame.filter(pl.col("status") == "ok")
        shared = near(questions["question"], pool)
        if shared and overlap == "refuse":
            number, other = next(iter(shared.items()))
            raise InputError(
                f"{count_of(len(shared), 'test question')} of {questions.height:,} stand in the "
                "pool too, or nearly, so answers to them would show what was learned by heart: "
                f"{questions['question'][number]!r} is like {other!r}. Take other questions, or "
                "leave these out with `overlap: drop`",
                "effect.test",
            )
        numbers = [number for number in range(questions.height) if number not in shared]
        if not numbers:
            raise InputError("the pool has every test question; take others", "effect.test")
        name = Path(options.path).name
        return cls(name, questions[numbers], wording, judge or Correctness(), len(shared))

    def prompts(self) -> list[Any]:
        """Word the questions as the student is asked them."""
        return [prompt(row, self.wording) for row in self.questions.iter_rows(named=True)]

    @property
    def digest(self) -> str:
        """Identify the questions, with their answers."""
        return key(self.questions.select("question", "gold", "gold_type").rows())

    def facts(self, unread: int) -> ExamFacts:
        """Say what was asked.

        Args:
            unread: questions behind whose answers the gold could not be read.
        """
        return ExamFacts(
            name=self.name, digest=self.digest, questions=self.questions.height,
            dropped=self.dropped, unread=unread,
        )  # fmt: skip

    def right(self, texts: Sequence[str]) -> list[bool]:
        """Judge answers, in the order of the questions, as the run judged its samples.

        Args:
            texts: what a student said.

        Returns:
            Whether each is right; one of which the judge can't tell is not.
        """
        frame = self._parsed(texts)
        verify = Verify()
        try:
            values = dict(verify.compute(verify.items(frame)))
            frame = frame.hstack(verify.assemble(frame, values, {}))
        finally:
            verify.close()
        verdicts = self.judge.judge(frame)
        keep = verdicts["keep"]
        return keep.fill_null(value=False).to_list()

    def golds(self, texts: Sequence[str]) -> list[Variant]:
        """Put the known answers behind what a student reasoned, in place of its own answers.

        Args:
            texts: what a student said, in the order of the questions.
        """
        return [
            Variant(
                question_text(row["question"], row["choices"]),
                answer_text(row["gold"], row["gold_type"], _options(row)),
                (row["rationale"] or "").strip(),
            )
            for row in self._parsed(texts).iter_rows(named=True)
        ]

    def _parsed(self, texts: Sequence[str]) -> pl.DataFrame:
        """Cut what a student said into rationale and answer."""
        frame = self.questions.with_columns(
            sample_id=pl.col("question_id"),
            raw_output=pl.Series(texts, dtype=pl.String),
            reasoning_field=pl.lit(None, pl.String),
            finish_reason=pl.lit("stop"),
            source=pl.lit("student"),
        )
        return frame.hstack(Parse().derive(frame))


def _options(row: Mapping[str, Any]) -> tuple[str, ...]:
    choice = row["gold_type"] == "choice"
    return options_of(row["choices"], row["question"]) if choice else ()


def near(questions: Iterable[str], pool: Iterable[str]) -> Mapping[int, str]:
    """Find the questions that a pool has, or nearly.

    Args:
        questions: texts.
        pool: texts.

    Returns:
        For the number of each that it has, the text of the pool that is most like it.
    """
    texts = list(dict.fromkeys(pool))
    whole = {" ".join(words(text)): text for text in texts}
    sets = [shingles(text) for text in texts]
    holders: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, grams in enumerate(sets):
        for gram in grams:
            holders[gram].append(number)
    likest: dict[int, str] = {}
    for number, question in enumerate(questions):
        same = whole.get(" ".join(words(question)))
        grams = shingles(question)
        others = {other for gram in grams for other in holders.get(gram, ())}
        like = max(((jaccard(grams, sets[other]), other) for other in others), default=(0.0, 0))
        if same is not None:
            likest[number] = same
        elif like[0] >= LIKE:
            likest[number] = texts[like[1]]
    return likest
