"""Greedy answers of a student that was trained: what it says when it is asked."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from curate.models.students.loading import Weights, load_model
from curate.models.students.tokenizing import load_tokenizer
from curate.models.students.training import prompt_text

_BATCH: Final = {"cpu": 32, "cuda": 256}


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
                max_new_tokens=self._most, pad_token_id=self._tokenizer.pad_token_id,
            )  # fmt: skip
        answers = tokens[:, inputs["input_ids"].shape[1] :]
        ends = self._model.generation_config.eos_token_id
        ends = torch.tensor(ends if isinstance(ends, list) else [ends], device=answers.device)
        ended = torch.isin(answers, ends).any(dim=1).tolist()
        texts = self._tokenizer.batch_decode(answers, skip_special_tokens=True)
        for number, text, one in zip(numbers, texts, ended, strict=True):
            yield Answer(number, text, one)
