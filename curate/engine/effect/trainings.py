"""Trainings, one arm under one seed each: done once, and remembered with what was answered.

The store keeps, by content, what a training came to, its adapters, every answer, and what the
student makes of the known answer behind its own reasoning. So a run that was killed goes on with
the training it was at, and a second one trains nothing. All weights of a fully trained student are
not kept, for they are a model each: another test trains it anew.
"""

import shutil
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

from curate.engine.effect.exam import Exam
from curate.engine.effect.pool import Record
from curate.measures.parse import Parse
from curate.models.references import ResolvedModel
from curate.models.students.answering import Answerer, Engine, EngineAnswerer, best_engine
from curate.models.students.loading import Weights
from curate.models.students.scorer import load_scorer
from curate.models.students.training import Example, Training, merge, train
from curate.models.students.variants import VariantReader
from curate.store.keys import key
from curate.store.record import Book
from curate.store.scratch import scratch
from curate.store.store import Store

KIND: Final = "effect"
LIBRARIES: Final = ("torch", "transformers", "trl", "peft")
_ADAPTERS: Final = "adapter_model.safetensors"
_DONE: Final = key("losses")


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a student is taught: rows, laid out in batches.

    Attributes:
        records: as they are worded.
        examples: the same in the student's tokens.
        batches: numbers of the rows of each micro-batch.
        training: how.
    """

    records: Sequence[Record]
    examples: Sequence[Example]
    batches: Sequence[Sequence[int]]
    training: Training

    @property
    def tokens(self) -> int:
        """Tokens with a loss, of all batches."""
        return sum(self.examples[row].said for batch in self.batches for row in batch)

    @property
    def rows(self) -> int:
        """Rows of all batches."""
        return sum(map(len, self.batches))


class Answered(NamedTuple):
    """What a student said to a question.

    Attributes:
        text: as it stands.
        ended: whether it came to an end by itself.
        nats: a token of the known answer behind its own reasoning; None where both are too long for
            the student to read.
    """

    text: str
    ended: bool
    nats: float | None


class Trainings:
    """Trains and asks, or remembers. Other processes can be given it.

    Args:
        student: on this machine.
        exam: the questions.
        most: tokens of an answer.
        weights: type in which the network computes when it answers.
        engine: what answers; None for what is fastest.
        store: where all of it is kept.
    """

    def __init__(
        self,
        student: ResolvedModel,
        exam: Exam,
        most: int,
        weights: Weights,
        engine: Engine | None,
        store: Store,
    ) -> None:
        self._student = student
        self._weights: Weights = weights
        self._engine: Engine = engine or best_engine(exam.questions.height)
        self._exam = exam
        self._most = most
        self._store = store
        libraries = {name: version(name) for name in LIBRARIES}
        self._prompts = exam.prompts()
        self._places = [key(prompt) for prompt in self._prompts]
        self._trained = {"student": student.name, "revision": student.revision, **libraries}
        self._asked = {
            "most": most, "weights": weights, "engine": self._engine, "prompts": key(self._prompts),
        }  # fmt: skip
        self._read = {"exam": exam.digest, "line": exam.wording.line, "parse": Parse.version}

    def key(self, lesson: Lesson | None) -> str:
        """Identify a training by what is taught and how; the untrained student by itself."""
        taught: Any = None
        if lesson is not None:
            taught = [list(lesson.records), lesson.batches, lesson.training._asdict()]
        return key(KIND, self._trained, taught)

    def remembered(self, lesson: Lesson | None) -> bool:
        """Tell whether all answers are there, and what the student makes of the known ones."""
        name = self.key(lesson)
        with self._answers(name) as answers, self._golds(name) as golds:
            return all(place in answers and place in golds for place in self._places)

    def losses(self, lesson: Lesson) -> list[float]:
        """Give the losses of a training that was done."""
        with self._store.book("effect-trainings", self.key(lesson)) as book:
            return list((book.get(_DONE) or {}).get("nats", ()))

    def seconds(self, name: str) -> float:
        """Tell how long it took to train and to ask, as far as that was done.

        Args:
            name: the key of a training.
        """
        with self._store.book("effect-trainings", name) as trained:
            spent = float((trained.get(_DONE) or {}).get("seconds", 0.0))
        for book in (self._answers(name), self._golds(name)):
            with book:
                entries = [book.get(place) for place in self._places]
                spent += sum(float(entry.get("seconds", 0.0)) for entry in entries if entry)
        return spent

    def answers(self, lesson: Lesson | None) -> list[Answered]:
        """Give what the student says to every question, training and asking it where need be."""
        name = self.key(lesson)
        with self._answers(name) as answers, self._golds(name) as golds:
            if not all(place in answers and place in golds for place in self._places):
                with self._model(lesson) as model:
                    self._ask(model, answers)
                    self._read_golds(
                        model, [_text(answers, place) for place in self._places], golds
                    )
            return [
                Answered(_text(answers, one), _ended(answers, one), _nats(golds, one))
                for one in self._places
            ]

    def _answers(self, name: str) -> Book:
        return self._store.book("effect-answers", key(name, self._asked))

    def _golds(self, name: str) -> Book:
        return self._store.book("effect-golds", key(name, self._asked, self._read))

    def _ask(self, model: Path, book: Book) -> None:
        """Have a student answer what it was not asked yet."""
        missing = [n for n, place in enumerate(self._places) if place not in book]
        if not missing:
            return
        begun = time.monotonic()
        if self._engine == "vllm":
            log = self._store.root / "locks"
            answerer = EngineAnswerer(model, self._most, self._weights, log)
        else:
            answerer = Answerer.load(model, self._most, self._weights)
        for answer in answerer.answers([self._prompts[n] for n in missing]):
            begun, seconds = time.monotonic(), time.monotonic() - begun
            entry = {"text": answer.text, "ended": answer.ended, "seconds": seconds}
            book.append(self._places[missing[answer.number]], entry)
        book.flush()

    def _read_golds(self, model: Path, texts: Sequence[str], book: Book) -> None:
        """Have a student read the known answers behind what it reasoned."""
        variants = self._exam.golds(texts)
        missing = [n for n, place in enumerate(self._places) if place not in book]
        if not missing:
            return
        wording = self._exam.wording
        reader = VariantReader.load(
            model, lambda: load_scorer(model, self._weights), wording.layout, wording.line
        )
        try:
            for begin in range(0, len(missing), reader.window):
                numbers = missing[begin : begin + reader.window]
                begun = time.monotonic()
                sums = reader.read([variants[n] for n in numbers])
                seconds = (time.monotonic() - begun) / len(numbers)
                for number, summed in zip(numbers, sums, strict=True):
                    gold = {"nats": -summed.total, "tokens": summed.tokens} if summed else {}
                    book.append(self._places[number], {**gold, "seconds": seconds})
                book.flush()
        finally:
            reader.close()

    @contextmanager
    def _model(self, lesson: Lesson | None) -> Generator[Path]:
        """Give a folder with the student as it is after a lesson."""
        if lesson is None:
            yield self._student.path
            return
        with scratch(self._store.root / "work") as folder:
            trained, merged = folder / "trained", folder / "merged"
            name = self.key(lesson)
            kept = self._store.root / "adapters" / name
            if not (kept / _ADAPTERS).is_file():  # or half of it was thrown away
                self._train(lesson, name, trained)
                if lesson.training.method == "full":
                    yield trained
                    return
                shutil.rmtree(kept, ignore_errors=True)
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(trained, kept)
            for path in kept.iterdir():
                path.touch()  # used again
            merge(self._student.path, kept, merged)
            yield merged

    def _train(self, lesson: Lesson, name: str, into: Path) -> None:
        begun = time.monotonic()
        nats = train(self._student.path, lesson.examples, lesson.batches, lesson.training, into)
        with self._store.book("effect-trainings", name) as book:
            book.append(_DONE, {"nats": nats, "seconds": time.monotonic() - begun})


def _text(book: Book, place: str) -> str:
    return str((book.get(place) or {}).get("text", ""))


def _ended(book: Book, place: str) -> bool:
    return bool((book.get(place) or {}).get("ended", False))


def _nats(book: Book, place: str) -> float | None:
    entry = book.get(place) or {}
    return entry["nats"] / entry["tokens"] if "nats" in entry else None


class Task(NamedTuple):
    """A training for a worker.

    Attributes:
        trainings: carries it out.
        lesson: None for the untrained student.
        until: time of the clock by which it must have ended; None where there is no end.
        others: keys of all trainings of the same design.
    """

    trainings: Trainings
    lesson: Lesson | None
    until: float | None
    others: Sequence[str]


def carry_out(task: Task) -> bool:
    """Train and ask, if there is time for it; what comes of it lies in the store.

    It is taken to need as long as the longest of the same design that is in the store, whoever
    carried that out; the student that is asked untrained always has time.

    Returns:
        Whether it was done.
    """
    if task.lesson is not None and task.until is not None:
        expected = max(map(task.trainings.seconds, task.others), default=0.0)
        if time.time() + expected >= task.until:
            return False
    task.trainings.answers(task.lesson)
    return True
