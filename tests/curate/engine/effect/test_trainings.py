"""Trainings: done once, remembered by what was taught, and gone on with where they were killed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from curate.engine.effect import trainings as module
from curate.engine.effect.exam import Exam
from curate.engine.effect.schedule import lay_out
from curate.engine.effect.trainings import Answered, Lesson, Trainings
from curate.models.references import resolve
from curate.models.students.answering import Answer, Answerer
from curate.models.students.methods import Method
from curate.models.students.training import Examples, Training
from curate.release.formats.wording import Wording
from curate.store.store import Store
from filters.correctness import Correctness
from tests.curate.byte_tokenizer import byte_tokenizer
from tests.curate.models.small_students import llama

PROMPTS = [f"Question: What is {n} + 1?\nAnswer:" for n in range(5)]
"""As the student reads them: without the space that belongs to what it says."""
RECORDS = [{"prompt": prompt, "completion": f" It is {n + 1}."} for n, prompt in enumerate(PROMPTS)]


def exam(count: int) -> Exam:
    """Give questions whose prompts are `PROMPTS`, and more of them."""
    rows = [
        {"question": f"What is {n} + 1?", "gold": f"{n + 1}", "gold_type": "number",
         "question_id": f"q{n}", "choices": None}
        for n in range(count)
    ]  # fmt: skip
    table = pl.DataFrame(rows, schema_overrides={"choices": pl.List(pl.String)})
    return Exam("sums.jsonl", table, Wording(" The answer is {answer}.", "plain"), Correctness(), 0)


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


def trainings(student: Path, folder: Path, count: int = 5) -> Trainings:
    return Trainings(resolve(str(student)), exam(count), 6, "float32", None, Store(folder))


def texts_of(answers: list[Answered]) -> list[str]:
    return [one.text for one in answers]


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
    answers = first.answers(taught)
    assert len(answers) == len(PROMPTS)
    assert capsys.readouterr().out == "", "standard output is for what was asked"
    assert first.remembered(taught)
    assert len(first.losses(taught)) == taught.training.updates
    assert trainings(student, tmp_path).answers(taught) == answers
    other = trainings(student, tmp_path, 6)
    assert not other.remembered(taught)
    assert texts_of(other.answers(taught))[:5] == texts_of(answers)
    assert counted.trained == 1, "its adapters were kept"
    assert trainings(student, tmp_path).answers(lesson(student, seed=1))
    assert counted.trained == 2


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_killed_training_goes_on(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Method
) -> None:
    whole = trainings(student, tmp_path / "whole").answers(lesson(student, method))
    with monkeypatch.context() as patch:
        Counted(patch, answers=2)
        with pytest.raises(KeyboardInterrupt):
            trainings(student, tmp_path / "cut").answers(lesson(student, method))
    counted = Counted(monkeypatch)
    assert trainings(student, tmp_path / "cut").answers(lesson(student, method)) == whole
    assert counted.trained == (0 if method == "lora" else 1)
    assert not list((tmp_path / "cut").glob("work/*")), "nothing half done is left"


def test_the_untrained_student_is_asked_as_it_is(student: Path, tmp_path: Path) -> None:
    answers = trainings(student, tmp_path).answers(None)
    model: Any = AutoModelForCausalLM.from_pretrained(student)
    tokenizer: Any = AutoTokenizer.from_pretrained(student)
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        ids = tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            made = model.generate(**ids, do_sample=False, max_new_tokens=6)
        said = made[0, ids["input_ids"].shape[1] :]
        assert tokenizer.decode(said, skip_special_tokens=True) == answer.text


def test_the_known_answer_is_read_behind_what_was_said(student: Path, tmp_path: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(student)
    tokenizer: Any = AutoTokenizer.from_pretrained(student)
    answers = trainings(student, tmp_path).answers(None)
    for number, (answer, gold) in enumerate(
        zip(answers, exam(5).golds(texts_of(answers)), strict=True)
    ):
        line = " The answer is " if gold.text else "The answer is "
        before = f"{PROMPTS[number]} {gold.text}{line}"
        ids = tokenizer(f"{before}{number + 1}.")["input_ids"]
        silent = len(tokenizer(before)["input_ids"])
        with torch.inference_mode():
            logs = model(torch.tensor([ids])).logits.log_softmax(-1)[0]
        costs = [-float(logs[place - 1, ids[place]]) for place in range(silent, len(ids))]
        assert answer.nats == pytest.approx(sum(costs) / len(costs), rel=1e-4)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_training_lowers_the_loss_on_what_is_said(
    student: Path, tmp_path: Path, method: Method
) -> None:
    taught = lesson(student, method, updates=20)
    nats = trainings(student, tmp_path)
    nats.answers(taught)
    losses = nats.losses(taught)
    assert losses[-1] < losses[0] - 0.5
