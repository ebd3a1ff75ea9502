"""Trainings, one arm under one seed each: done once, and remembered with what was answered.

The store keeps, by content, what a training came to, its adapters, and every answer. So a run that
was killed goes on with the training it was at, and a second one trains nothing. All weights of a
fully trained student are not kept, for they are a model each: another test trains it anew.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from curate.engine.effect.exam import Exam
from curate.engine.effect.pool import Record
from curate.models.references import ResolvedModel
from curate.models.students.answering import Answerer
from curate.models.students.loading import Weights
from curate.models.students.training import Example, Training, merge, train
from curate.store.keys import key
from curate.store.record import Book
from curate.store.scratch import scratch
from curate.store.store import Store

KIND: Final = "effect"
_ADAPTERS: Final = "adapter_model.safetensors"
_LIBRARIES: Final = ("torch", "transformers", "trl", "peft")


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


class Trainings:
    """Trains and asks, or remembers.

    Args:
        student: on this machine.
        exam: the questions.
        most: tokens of an answer.
        weights: type in which the network computes when it answers.
        store: where all of it is kept.
    """

    def __init__(
        self, student: ResolvedModel, exam: Exam, most: int, weights: Weights, store: Store
    ) -> None:
        self._student = student
        self._weights: Weights = weights
        self._exam = exam
        self._most = most
        self._store = store
        libraries = {name: version(name) for name in _LIBRARIES}
        self._prompts = exam.prompts()
        self._places = [key(prompt) for prompt in self._prompts]
        self._trained = {"student": student.name, "revision": student.revision, **libraries}
        self._asked = {"most": most, "weights": weights, "prompts": key(self._prompts)}

    def key(self, lesson: Lesson | None) -> str:
        """Identify a training by what is taught and how; the untrained student by itself."""
        taught: Any = None
        if lesson is not None:
            taught = [list(lesson.records), lesson.batches, lesson.training._asdict()]
        return key(KIND, self._trained, taught)

    def remembered(self, lesson: Lesson | None) -> bool:
        """Tell whether all answers are there."""
        with self._answers(lesson) as book:
            return all(place in book for place in self._places)

    def losses(self, lesson: Lesson) -> list[float]:
        """Give the losses of a training that was done."""
        with self._store.book("effect-trainings", self.key(lesson)) as book:
            return list((book.get(key("losses")) or {}).get("nats", ()))

    def texts(self, lesson: Lesson | None) -> list[str]:
        """Give what the student says to every question, training and asking it where need be."""
        with self._answers(lesson) as book:
            missing = [n for n, place in enumerate(self._places) if place not in book]
            if missing:
                with scratch(self._store.root / "work") as folder:
                    model = self._model(lesson, folder)
                    answerer = Answerer.load(model, self._most, self._weights)
                    for answer in answerer.answers([self._prompts[n] for n in missing]):
                        entry = {"text": answer.text, "ended": answer.ended}
                        book.append(self._places[missing[answer.number]], entry)
                    book.flush()
            entries = [book.get(place) for place in self._places]
        return [str(entry["text"]) if entry else "" for entry in entries]

    def _answers(self, lesson: Lesson | None) -> Book:
        return self._store.book("effect-answers", key(self.key(lesson), self._asked))

    def _model(self, lesson: Lesson | None, folder: Path) -> Path:
        """Give a folder with the student as it is after a lesson."""
        if lesson is None:
            return self._student.path
        trained, merged = folder / "trained", folder / "merged"
        name = self.key(lesson)
        kept = self._store.root / "adapters" / name
        if not (kept / _ADAPTERS).is_file():  # or half of it was thrown away
            nats = train(
                self._student.path, lesson.examples, lesson.batches, lesson.training, trained
            )
            with self._store.book("effect-trainings", name) as book:
                book.append(key("losses"), {"nats": nats})
            if lesson.training.method == "full":
                return trained
            shutil.rmtree(kept, ignore_errors=True)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(trained, kept)
        for path in kept.iterdir():
            path.touch()  # used again
        merge(self._student.path, kept, merged)
        return merged
