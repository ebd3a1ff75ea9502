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
_WORTH_A_START: Final = {"cpu": 64, "cuda": 2048}
"""Questions from which on vLLM is the faster: 135M parameters answered 128 questions on two cores
in 143 s by transformers, and in 22 s by vLLM, which took 44 s to start."""
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
        chat = not all(isinstance(prompt, str) for prompt in prompts)
        order = sorted(range(len(texts)), key=lambda number: -len(texts[number]))
        size = _BATCH["cuda" if self._model.device.type == "cuda" else "cpu"]
        for begin in range(0, len(order), size):
            numbers = order[begin : begin + size]
            yield from self._batch(numbers, [texts[number] for number in numbers], begin=not chat)

    def _batch(
        self, numbers: Sequence[int], texts: Sequence[str], *, begin: bool
    ) -> Iterator[Answer]:
        import torch

        inputs = self._tokenizer(
            list(texts), return_tensors="pt", padding=True, add_special_tokens=begin
        ).to(self._model.device)
        with torch.inference_mode():
            tokens = self._model.generate(
                **inputs, do_sample=False, temperature=None, top_p=None, top_k=None,
                repetition_penalty=1.0, max_new_tokens=self._most,
                pad_token_id=self._tokenizer.pad_token_id,
            )  # fmt: skip
        answers = tokens[:, inputs["input_ids"].shape[1] :]
        ends = self._model.generation_config.eos_token_id
        ends = torch.tensor(ends if isinstance(ends, list) else [ends], device=answers.device)
        ended = torch.isin(answers, ends).any(dim=1).tolist()
        texts = self._tokenizer.batch_decode(answers, skip_special_tokens=True)
        for number, text, one in zip(numbers, texts, ended, strict=True):
            yield Answer(number, text, one)


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
