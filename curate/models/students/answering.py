"""Greedy answers of a student that was trained: what it says when it is asked.

transformers answers in batches, each as long as its longest answer. vLLM keeps its batch full and
decodes several times as many tokens a second, but takes the better part of a minute to start; so it
is worth it where there is much to ask. No two of its runs share their batches, which may turn a few
answers that hang by a rounding error.
"""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Self

from curate.errors import BackendError
from curate.models.processes import end_with_parent, result_of
from curate.models.students.loading import Weights, load_model
from curate.models.students.tokenizing import load_tokenizer
from curate.models.students.training import prompt_text
from curate.models.teachers.base import Completion, Request, Sampling
from curate.models.teachers.options import Teacher, VllmOptions

_BATCH: Final = {"cpu": 64, "cuda": 256}
_STRETCH: Final = 64
"""Tokens after which answers that have ended are left out of a batch for the first time."""
_WORTH_A_START: Final = {"cpu": 64, "cuda": 2048}
"""Questions from which on vLLM is the faster: 135M parameters answered 128 questions on two cores
in 101 s by transformers, and in 22 s by vLLM, which took 44 s to start."""
_GPU_SHARE: Final = 0.7
"""Of a GPU's memory, for vLLM: this process has trained on it."""
Engine = Literal["transformers", "vllm"]


class Answer(NamedTuple):
    """What a student said.

    Attributes:
        number: of the question, as given.
        text: without special tokens.
        ended: whether it came to an end by itself.
    """

    number: int
    text: str
    ended: bool


class Answerer:
    """A student that answers.

    Args:
        model: a causal language model of transformers.
        tokenizer: its own.
        most: tokens an answer may have.
    """

    def __init__(self, model: Any, tokenizer: Any, most: int) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._most = most
        ends: Any = model.generation_config.eos_token_id
        self._ends = frozenset(ends if isinstance(ends, list) else [ends])

    @classmethod
    def load(cls, folder: Path, most: int, weights: Weights) -> Self:
        """Load a student, on a GPU where torch finds one.

        Raises:
            ModelError: it can't be loaded.
        """
        return cls(load_model(folder, weights), load_tokenizer(folder), most)

    def answers(self, prompts: Sequence[Any]) -> Iterator[Answer]:
        """Answer questions, those of like length together; the longest first.

        Args:
            prompts: turns or strings.
        """
        texts = [prompt_text(self._tokenizer, prompt) for prompt in prompts]
        begin = all(isinstance(prompt, str) for prompt in prompts)
        tokens = [self._tokenizer(text, add_special_tokens=begin).input_ids for text in texts]
        order = sorted(range(len(texts)), key=lambda number: -len(tokens[number]))
        size = _BATCH["cuda" if self._model.device.type == "cuda" else "cpu"]
        for first in range(0, len(order), size):
            numbers = order[first : first + size]
            yield from self._batch(numbers, [tokens[number] for number in numbers])

    def _batch(self, numbers: Sequence[int], prompts: Sequence[list[int]]) -> Iterator[Answer]:
        """Answer in stretches, each twice as long as the one before.

        A batch takes as long as its longest answer, so those that have ended are left out of the
        next stretch; what the others have said is read again, which costs little.
        """
        answers: list[list[int]] = [[] for _ in numbers]
        pending, length, done = list(range(len(numbers))), _STRETCH, 0
        while pending and done < self._most:
            length = min(length, self._most - done)
            stretches = self._stretch([prompts[row] + answers[row] for row in pending], length)
            for row, stretch in zip(pending, stretches, strict=True):
                answers[row] += stretch
            pending = [row for row in pending if answers[row][-1] not in self._ends]
            length, done = 2 * length, done + length
        texts = self._tokenizer.batch_decode(answers, skip_special_tokens=True)
        for number, text, answer in zip(numbers, texts, answers, strict=True):
            yield Answer(number, text, answer[-1] in self._ends)

    def _stretch(self, prompts: Sequence[list[int]], most: int) -> list[list[int]]:
        """Give the next tokens behind each prompt, an end of the answer included."""
        import torch

        inputs = self._tokenizer.pad({"input_ids": list(prompts)}, return_tensors="pt").to(
            self._model.device
        )
        with torch.inference_mode():
            tokens = self._model.generate(
                **inputs, do_sample=False, temperature=None, top_p=None, top_k=None,
                repetition_penalty=1.0, max_new_tokens=most,
                pad_token_id=self._tokenizer.pad_token_id,
            )  # fmt: skip
        rows: list[list[int]] = tokens[:, inputs["input_ids"].shape[1] :].tolist()
        ends = [next((n for n, one in enumerate(row) if one in self._ends), most) for row in rows]
        return [row[: end + 1] for row, end in zip(rows, ends, strict=True)]


def best_engine(questions: int) -> Engine:
    """Choose what answers so many questions soonest."""
    import torch

    kind = "cuda" if torch.cuda.is_available() else "cpu"
    worth = questions >= _WORTH_A_START[kind]
    return "vllm" if worth and find_spec("vllm") is not None else "transformers"


class EngineAnswerer:
    """A student that answers in vLLM, in a process of its own, which takes its memory along.

    Args:
        folder: of the student.
        most: tokens an answer may have.
        weights: type in which the network computes.
        log: folder for the engine's lock and log.
    """

    def __init__(self, folder: Path, most: int, weights: Weights, log: Path) -> None:
        self._task = _Task(folder, most, weights, log)

    def answers(self, prompts: Sequence[Any]) -> Iterator[Answer]:
        """Answer questions; all of them are there when the first is.

        Args:
            prompts: turns or strings.

        Raises:
            CurateError: the engine can't be started, or died; or a question leaves no room for an
                answer.
            BackendError: its process ended by itself.
        """
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, spawn, end_with_parent) as pool:
            future = pool.submit(_answer, self._task, list(prompts))
            try:
                yield from result_of(future)
            except BrokenProcessPool as error:
                raise BackendError(
                    "the process in which vLLM answered ended by itself, perhaps for want of "
                    "memory; `--set answering=transformers` does without it"
                ) from error


class _Task(NamedTuple):
    folder: Path
    most: int
    weights: Weights
    log: Path


def _answer(task: _Task, prompts: Sequence[Any]) -> list[Answer]:
    """Start an engine and have it answer; called in a process of its own."""
    from curate.models.teachers.vllm_engine import EngineGenerator

    engine = EngineGenerator(
        Teacher(str(task.folder), dtype=task.weights),
        Sampling(temperature=0, max_tokens=task.most),
        VllmOptions(gpu_memory_utilization=_GPU_SHARE),
        path=task.folder,
        folder=task.log,
    )
    requests = [_request(number, prompt) for number, prompt in enumerate(prompts)]
    answers: list[Answer] = []

    def keep(one: Completion) -> None:
        answers.append(Answer(int(one.key), one.text, one.finish_reason == "stop"))

    try:
        engine.preflight(requests)
        engine.generate(requests, keep)
    finally:
        engine.close()
    return sorted(answers)


def _request(number: int, prompt: Any) -> Request:
    if isinstance(prompt, str):
        return Request(str(number), prompt=prompt.rstrip(" "))
    return Request(str(number), messages=tuple(prompt))
