"""``curate effect``: train the student on every arm of a run, ask it, and say what can be told."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Final

import numpy as np

from curate.engine.effect.exam import Exam
from curate.engine.effect.options import EffectOptions
from curate.engine.effect.pool import ANSWER_ONLY, UNTRAINED, Pool
from curate.engine.effect.schedule import lay_out, regroup
from curate.engine.effect.statistics import Answers, Design, Luck, difference, gain, level
from curate.engine.effect.trainings import Lesson, Trainings
from curate.engine.progress.progress import Progress
from curate.errors import InputError, count_of
from curate.models.libraries import TRAINING, require
from curate.models.references import ResolvedModel, resolve
from curate.models.students.loading import Weights, best_weights
from curate.models.students.training import Examples, Training
from curate.release.effect import ArmEffect, Effect, Unit
from curate.release.runs import Run
from curate.select.select import SELECTED
from curate.sources.questions.options import QuestionsOptions
from curate.store.store import Store

RANDOM: Final = "random"
_RATES: Final = {"lora": 2e-4, "full": 2e-5}


@dataclass
class Comparison:
    """An effect under way.

    Attributes:
        pool: of the run.
        exam: the questions.
        options: what is wanted.
        examples: tokenises rows.
        weights: type in which the network computes.
        trainings: trains and asks.
    """

    pool: Pool
    exam: Exam
    options: EffectOptions
    examples: Examples
    weights: Weights
    trainings: Trainings
    right: dict[str, list[list[bool]]] = field(default_factory=dict[str, list[list[bool]]])
    lessons: dict[str, list[Lesson]] = field(default_factory=dict[str, list[Lesson]])

    def units(self) -> Iterator[Unit]:
        """List trainings: one of each arm, then a second of each; the untrained student once."""
        for seed in range(self.options.seeds):
            for arm in self.options.arms:
                if arm != UNTRAINED or seed == 0:
                    yield Unit(arm=arm, seed=seed)

    def lesson(self, unit: Unit) -> Lesson | None:
        """Lay out what a unit teaches; None for the untrained student."""
        if unit.arm == UNTRAINED:
            return None
        records = self.pool.records(unit.arm, unit.seed)
        examples = [self.examples.of(record) for record in records]
        by_rows = self.options.match == "rows" or unit.arm == ANSWER_ONLY
        sizes = [1 if by_rows else one.said for one in examples]
        parts, total = self.options.micro_batches, self._total(by_rows=by_rows)
        batches = lay_out(sizes, self.updates * parts, total, unit.seed)
        batches = regroup(batches, parts, [len(one.ids) for one in examples])
        return Lesson(records, examples, batches, self._training(unit.seed))

    @cached_property
    def updates(self) -> int:
        """Steps of the optimiser, of every arm."""
        return ceil(len(self._chosen) * self.options.epochs / self.options.batch)

    def _total(self, *, by_rows: bool) -> int:
        """Say how much the selection is, gone over as often as wanted."""
        whole = len(self._chosen) if by_rows else sum(self._chosen)
        return round(whole * self.options.epochs)

    @cached_property
    def _chosen(self) -> list[int]:
        """The tokens of each row of the selection that have a loss."""
        return [self.examples.of(one).said for one in self.pool.records(SELECTED, 0)]

    def _training(self, seed: int) -> Training:
        options = self.options
        rate = options.learning_rate or _RATES[options.method]
        return Training(
            options.method,
            options.rank,
            rate,
            self.updates,
            options.micro_batches,
            seed,
            self.weights,
        )

    def run(self, progress: Progress, seconds: float | None) -> list[Unit]:
        """Carry out what is not remembered, as long as there is time; give what was left out."""
        units = [(unit, self.lesson(unit)) for unit in self.units()]  # a wrong one costs no hours
        started = time.monotonic()
        spent: list[float] = []
        left: list[Unit] = []
        with progress.stage("train and ask", len(units), "trainings") as stage:
            for unit, lesson in units:
                begun = time.monotonic()
                fresh = not self.trainings.remembered(lesson)
                expected = max(spent, default=0.0) if unit.arm != UNTRAINED else 0.0
                if fresh and seconds is not None and begun - started + expected > seconds:
                    left.append(unit)
                    continue
                texts = self.trainings.texts(lesson)
                self.right.setdefault(unit.arm, []).append(self.exam.right(texts))
                if lesson is not None:
                    self.lessons.setdefault(unit.arm, []).append(lesson)
                    if fresh:
                        spent.append(time.monotonic() - begun)
                stage.advance()
        return left

    def result(self, left: Sequence[Unit], student: ResolvedModel) -> Effect:
        """Put figures together."""
        answers = {arm: np.array(of, dtype=np.float64) for arm, of in self.right.items()}
        trained = [of for arm, of in answers.items() if arm != UNTRAINED]
        luck = Luck.of(trained)
        return Effect(
            title=self.pool.run.title,
            student=student.name,
            method=self.options.method,
            match=self.options.match,
            updates=self.updates,
            questions=self.exam.questions.height,
            dropped=self.exam.dropped,
            expected=Design(
                self.exam.questions.height, self.options.seeds, max(len(trained), 1)
            ).smallest,
            smallest=(Design.of(trained).smallest or None) if len(trained) > 1 else None,
            arms=[self._arm(arm, answers, luck) for arm in answers],
            left_out=list(left),
        )

    def _arm(self, arm: str, answers: Mapping[str, Answers], luck: Luck) -> ArmEffect:
        own, random, untrained = answers[arm], answers.get(RANDOM), answers.get(UNTRAINED)
        lessons = self.lessons.get(arm, [])
        rows = len(lessons[0].records) if lessons else 0
        to_untrained = gained = lost = None
        if untrained is not None and arm != UNTRAINED:
            to_untrained = gain(own, untrained, luck)
            gained, lost = float((own > untrained).mean()), float((own < untrained).mean())
        to_random = None
        if random is not None and arm == UNTRAINED:
            to_random = gain(random, own, luck).turned
        elif random is not None and arm != RANDOM:
            to_random = difference(own, random, luck)
        return ArmEffect(
            arm=arm,
            trainings=len(own),
            rows=rows,
            epochs=lessons[0].rows / rows if lessons else 0.0,
            tokens=round(float(np.mean([one.tokens for one in lessons]))) if lessons else 0,
            accuracy=level(own, luck, trained=arm != UNTRAINED),
            to_random=to_random,
            to_untrained=to_untrained,
            gained=gained,
            lost=lost,
            losses=[self.trainings.losses(one) for one in lessons],
        )


def effect(
    reference: Path,
    test: QuestionsOptions,
    options: EffectOptions,
    progress: Progress,
    *,
    folder: Path = Path(),
    seconds: float | None = None,
) -> Effect:
    """Train the student of a finished run on its arms, and ask it.

    Args:
        reference: a run folder, or ``runs/<name>``, whose latest run is meant.
        test: questions with known answers.
        options: what is wanted.
        progress: where to report.
        folder: that relative paths start from.
        seconds: time there is; trainings that would not end in time are left out. None for all.

    Raises:
        InputError: there is no such run, arm or test, or the pool has some of its questions.
        ModelError: a library is missing, or the student can't be loaded.
    """
    require(TRAINING)
    run = Run.open(reference)
    pool = Pool.of(run)
    exam = Exam.read(test, folder, pool.questions, pool.wording, run.judge, options.overlap)
    if exam.dropped:
        progress.say(f"{count_of(exam.dropped, 'test question')} left out: the pool has them")
    if pool.wording.layout == "encoder":
        raise InputError(
            f"the student of {run.title} is an encoder-decoder, which is not trained here; take "
            "one that is a decoder alone"
        )
    student = _student(run, options.student)
    weights = best_weights() if options.dtype == "auto" else options.dtype
    trainings = Trainings(student, exam, options.answer_tokens, weights, Store())
    comparison = Comparison(pool, exam, options, Examples(student.path), weights, trainings)
    return comparison.result(comparison.run(progress, seconds), student)


def _student(run: Run, place: str | None) -> ResolvedModel:
    """Find the student of a run, at a place where that is given.

    Raises:
        InputError: the run was made for none, or another one is at the place.
        ModelError: it can't be found.
    """
    student = run.manifest["models"].get("student")
    if student is None:
        raise InputError(
            f"{run.title} was made for no student; name one under measures.score of its recipe and "
            "run that again"
        )
    if place is None and student["how"] == "folder":
        raise InputError(
            f"the student of {run.title} was the folder {student['name']!r}, and where that lies "
            "is in no release; say where it lies, as `--set student=FOLDER`",
            "effect.student",
        )
    return resolve(place or student["name"], student["revision"])
