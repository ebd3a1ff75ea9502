"""Trainings: done once, remembered by what was taught, and gone on with where they were killed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from curate.engine.effect import trainings as module
from curate.engine.effect.schedule import lay_out
from curate.engine.effect.trainings import Lesson, Trainings
from curate.models.references import resolve
from curate.models.students.answering import Answer, Answerer
from curate.models.students.training import Examples, Method, Training
from curate.store.store import Store
from tests.curate.byte_tokenizer import byte_tokenizer
from tests.curate.models.small_students import llama

PROMPTS = [f"Question: What is {n} + 1?\nAnswer:" for n in range(5)]
RECORDS = [{"prompt": prompt, "completion": f" It is {n + 1}."} for n, prompt in enumerate(PROMPTS)]


class Asked:
    """Stands for an exam: all that is read of it are prompts."""

    def __init__(self, prompts: list[Any]) -> None:
        self._prompts = prompts

    def prompts(self) -> list[Any]:
        return self._prompts


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("student")
    llama().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def lesson(student: Path, method: Method = "lora", seed: int = 0, updates: int = 4) -> Lesson:
    reader = Examples(student)
    examples = [reader.of(record) for record in RECORDS]
    sizes = [one.said for one in examples]
    batches = lay_out(sizes, updates * 2, 2 * sum(sizes), seed)
    return Lesson(
        RECORDS, examples, batches, Training(method, 4, 1e-2, updates, 2, seed, "float32")
    )


def trainings(student: Path, folder: Path, prompts: list[Any] = PROMPTS) -> Trainings:
    asked: Any = Asked(prompts)
    return Trainings(resolve(str(student)), asked, 6, "float32", Store(folder))


class Counted:
    """Counts what is trained, and breaks off after some answers."""

    def __init__(self, patch: pytest.MonkeyPatch, answers: int | None = None) -> None:
        self.trained = 0
        self._answers = answers
        train, answers_of = module.train, Answerer.answers

        def counting(*given: Any) -> list[float]:
            self.trained += 1
            return train(*given)

        def breaking(answerer: Answerer, prompts: Sequence[Any]) -> Iterator[Answer]:
            for number, answer in enumerate(answers_of(answerer, prompts)):
                if number == self._answers:
                    raise KeyboardInterrupt
                yield answer

        patch.setattr(module, "train", counting)
        patch.setattr(Answerer, "answers", breaking)


def test_what_was_trained_is_asked_again_and_not_trained_again(
    student: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    counted = Counted(monkeypatch)
    taught = lesson(student)
    first = trainings(student, tmp_path)
    assert not first.remembered(taught)
    texts = first.texts(taught)
    assert len(texts) == len(PROMPTS)
    assert capsys.readouterr().out == "", "standard output is for what was asked"
    assert first.remembered(taught)
    assert len(first.losses(taught)) == taught.training.updates
    assert trainings(student, tmp_path).texts(taught) == texts
    other = trainings(student, tmp_path, [*PROMPTS, "Question: What is 9 + 9?\nAnswer:"])
    assert not other.remembered(taught)
    assert other.texts(taught)[:5] == texts
    assert counted.trained == 1, "its adapters were kept"
    assert trainings(student, tmp_path).texts(lesson(student, seed=1)) is not None
    assert counted.trained == 2


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_killed_training_goes_on(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Method
) -> None:
    whole = trainings(student, tmp_path / "whole").texts(lesson(student, method))
    with monkeypatch.context() as patch:
        Counted(patch, answers=2)
        with pytest.raises(KeyboardInterrupt):
            trainings(student, tmp_path / "cut").texts(lesson(student, method))
    counted = Counted(monkeypatch)
    assert trainings(student, tmp_path / "cut").texts(lesson(student, method)) == whole
    assert counted.trained == (0 if method == "lora" else 1)
    assert not list((tmp_path / "cut").glob("work/*")), "nothing half done is left"


def test_the_untrained_student_is_asked_as_it_is(student: Path, tmp_path: Path) -> None:
    texts = trainings(student, tmp_path).texts(None)
    model = AutoModelForCausalLM.from_pretrained(student)
    tokenizer = AutoTokenizer.from_pretrained(student)
    for prompt, text in zip(PROMPTS, texts, strict=True):
        ids = tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            made = model.generate(**ids, do_sample=False, max_new_tokens=6)
        assert (
            tokenizer.decode(made[0, ids["input_ids"].shape[1] :], skip_special_tokens=True) == text
        )


@pytest.mark.parametrize("method", ["lora", "full"])
def test_training_lowers_the_loss_on_what_is_said(
    student: Path, tmp_path: Path, method: Method
) -> None:
    taught = lesson(student, method, updates=20)
    nats = trainings(student, tmp_path)
    nats.texts(taught)
    losses = nats.losses(taught)
    assert losses[-1] < losses[0] - 0.5
