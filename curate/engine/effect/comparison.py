"""``curate effect``: train the student on every arm of a run, ask it, and say what can be told."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from math import ceil
from pathlib import Path
from typing import Final

import numpy as np

from curate.engine.effect.exam import Exam
from curate.engine.effect.places import open_places
from curate.engine.effect.pool import ANSWER_ONLY, UNTRAINED, Pool
from curate.engine.effect.schedule import lay_out, regroup
from curate.engine.effect.statistics import Answers, Design, Luck, difference, gain, level
from curate.engine.effect.trainings import (
    LIBRARIES,
    Answered,
    Lesson,
    Task,
    Trainings,
    carry_out,
)
from curate.engine.executors.base import Executor
from curate.engine.progress.progress import Progress
from curate.errors import InputError, count_of
from curate.models.libraries import TRAINING, require
from curate.models.references import ResolvedModel, resolve
from curate.models.students.loading import Weights, best_weights
from curate.models.students.training import Examples, Training
from curate.recipe.effect import EffectOptions
from curate.release.effect.facts import ArmEffect, Effect, Figure, Standing, Unit
from curate.release.effect.words import FLOOR
from curate.release.runs import Run
from curate.select.select import SELECTED
from curate.store.store import Store

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
        answers: of the trainings of each arm.
        lessons: what was taught in these.
        seconds: that they took.
    """

    pool: Pool
    exam: Exam
    options: EffectOptions
    examples: Examples
    weights: Weights
    trainings: Trainings
    answers: dict[str, list[list[Answered]]] = field(
        default_factory=dict[str, list[list[Answered]]]
    )
    lessons: dict[str, list[Lesson]] = field(default_factory=dict[str, list[Lesson]])
    seconds: float = 0.0

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

    def run(self, progress: Progress, places: Executor, seconds: float | None) -> list[Unit]:
        """Carry out what is not remembered, as long as there is time; give what was left out.

        Args:
            progress: where to report.
            places: carries trainings out.
            seconds: that there are; None for as many as it takes.
        """
        units = [(unit, self.lesson(unit)) for unit in self.units()]  # a wrong one costs no hours
        fresh = [lesson for _, lesson in units if not self.trainings.remembered(lesson)]
        fresh.sort(key=lambda lesson: lesson is None)  # so that the time left is that of trainings
        if done := len(units) - len(fresh):
            progress.say(f"{done} of {count_of(len(units), 'training')} remembered")
        until = None if seconds is None else time.time() + seconds
        others = [self.trainings.key(lesson) for _, lesson in units if lesson is not None]
        tasks = [Task(self.trainings, lesson, until, others) for lesson in fresh]
        if tasks:
            count = sum(task.lesson is not None for task in tasks)
            with progress.stage("train and ask", count, "trainings") as stage:
                for task, finished in zip(tasks, places.map(carry_out, tasks), strict=True):
                    if finished and task.lesson is not None:
                        stage.advance()
        left: list[Unit] = []
        for unit, lesson in units:
            if not self.trainings.remembered(lesson):
                left.append(unit)
                continue
            self.answers.setdefault(unit.arm, []).append(self.trainings.answers(lesson))
            self.seconds += self.trainings.seconds(self.trainings.key(lesson))
            if lesson is not None:
                self.lessons.setdefault(unit.arm, []).append(lesson)
        return left

    def result(self, left: Sequence[Unit], student: ResolvedModel, command: str) -> Effect:
        """Put figures together.

        Args:
            left: trainings for which there was no time.
            student: that was trained.
            command: that makes the same again.
        """
        right = {
            arm: np.array([self.exam.right([one.text for one in row]) for row in of], np.float64)
            for arm, of in self.answers.items()
        }
        nats = {
            arm: np.array([[one.nats for one in row] for row in of], np.float64)
            for arm, of in self.answers.items()
        }
        missing = np.isnan(np.concatenate(list(nats.values()))).any(axis=0)
        nats = {arm: of[:, ~missing] for arm, of in nats.items()}
        baseline = self.options.baseline
        figures: dict[Figure, Standings] = {
            "right": Standings(right, baseline), "golds": Standings(nats, baseline),
        }  # fmt: skip
        best = max(of.mean() for of in right.values())
        count = self.exam.questions.height
        return Effect(
            title=self.pool.run.title,
            dataset_hash=self.pool.run.manifest["dataset_hash"],
            student=student.name,
            revision=student.revision,
            test=self.exam.facts(int(missing.sum())),
            options=self.options.design,
            updates=self.updates,
            figure="right" if best >= FLOOR else "golds",
            expected=Design(count, self.options.seeds, max(len(self.lessons), 1)).smallest,
            smallest={name: low for name, of in figures.items() if (low := of.smallest)},
            arms=[self._arm(arm, figures) for arm in self.answers],
            left_out=list(left),
            hours=self.seconds / 3600,
            command=command,
            made_with={name: version(name) for name in LIBRARIES},
        )

    def _arm(self, arm: str, figures: Mapping[Figure, "Standings"]) -> ArmEffect:
        lessons = self.lessons.get(arm, [])
        rows = len(lessons[0].records) if lessons else 0
        gained, lost = figures["right"].turns(arm)
        return ArmEffect(
            arm=arm,
            trainings=len(self.answers[arm]),
            rows=rows,
            epochs=lessons[0].rows / rows if lessons else 0.0,
            tokens=round(float(np.mean([one.tokens for one in lessons]))) if lessons else 0,
            right=figures["right"].of(arm),
            golds=figures["golds"].of(arm),
            cut=float(np.mean([not one.ended for of in self.answers[arm] for one in of])),
            gained=gained,
            lost=lost,
            losses=[self.trainings.losses(one) for one in lessons],
        )


class Standings:
    """How arms stand by one figure.

    Args:
        answers: of each arm.
        baseline: the arm that the others are compared with.
    """

    def __init__(self, answers: Mapping[str, Answers], baseline: str) -> None:
        self._answers = answers
        self._baseline = baseline
        self._trained = [of for arm, of in answers.items() if arm != UNTRAINED]
        self._luck = Luck.of(self._trained)

    @property
    def smallest(self) -> float | None:
        """The smallest difference that such answers tell in four of five repetitions."""
        return Design.of(self._trained).smallest if len(self._trained) > 1 else None

    def of(self, arm: str) -> Standing:
        """Compare an arm with the baseline, and with the untrained student."""
        own = self._answers[arm]
        baseline, untrained = self._answers.get(self._baseline), self._answers.get(UNTRAINED)
        to_baseline = to_untrained = None
        if untrained is not None and arm != UNTRAINED:
            to_untrained = gain(own, untrained, self._luck)
        if baseline is None or arm == self._baseline:
            pass
        elif arm == UNTRAINED:
            to_baseline = gain(baseline, own, self._luck).turned
        elif self._baseline == UNTRAINED:
            to_baseline = to_untrained
        else:
            to_baseline = difference(own, baseline, self._luck)
        return Standing(
            level=level(own, self._luck, trained=arm != UNTRAINED),
            to_baseline=to_baseline,
            to_untrained=to_untrained,
        )

    def turns(self, arm: str) -> tuple[float, float] | tuple[None, None]:
        """Give the share of answers that became right by training, and that became wrong."""
        own, untrained = self._answers[arm], self._answers.get(UNTRAINED)
        if untrained is None or arm == UNTRAINED:
            return None, None
        return float((own > untrained).mean()), float((own < untrained).mean())


def effect(
    reference: Path,
    options: EffectOptions,
    progress: Progress,
    *,
    folder: Path = Path(),
    seconds: float | None = None,
    command: str = "",
) -> Effect:
    """Train the student of a finished run on its arms, and ask it.

    Args:
        reference: a run folder, or ``runs/<name>``, whose latest run is meant.
        options: what is wanted; its `test` too.
        progress: where to report.
        folder: that relative paths start from.
        seconds: time there is; trainings that would not end in time are left out. None for all.
        command: that makes the same again, to be told with it.

    Raises:
        InputError: there is no such run, arm or test, or the pool has some of its questions.
        ModelError: a library is missing, or the student can't be loaded.
    """
    require((*TRAINING, "vllm") if options.answering == "vllm" else TRAINING)
    run = Run.open(reference)
    pool = Pool.of(run)
    if options.test is None:
        raise InputError("no test is named", "effect.test")
    exam = Exam.read(options.test, folder, pool.questions, pool.wording, run.judge, options.overlap)
    if exam.dropped:
        progress.say(f"{count_of(exam.dropped, 'test question')} left out: the pool has them")
    if pool.wording.layout == "encoder":
        raise InputError(
            f"the student of {run.title} is an encoder-decoder, which is not trained here; take "
            "one that is a decoder alone"
        )
    student = _student(run, options.student)
    weights = best_weights() if options.dtype == "auto" else options.dtype
    engine = None if options.answering == "auto" else options.answering
    trainings = Trainings(student, exam, options.answer_tokens, weights, engine, Store())
    comparison = Comparison(pool, exam, options, Examples(student.path), weights, trainings)
    places = open_places(options.executor, options.workers)
    try:
        left = comparison.run(progress, places, seconds)
    finally:
        places.close()
    return comparison.result(left, student, command)


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
