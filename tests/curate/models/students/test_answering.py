"""Greedy answers: the same text from transformers, alone or in a batch, and from vLLM."""

from pathlib import Path
from typing import Any

import pytest
import torch

from curate.models.references import resolve
from curate.models.students.answering import Answerer, EngineAnswerer, best_engine
from curate.models.teachers.bound import end_orphans
from tests.curate.byte_tokenizer import byte_tokenizer
from tests.curate.models.small_students import llama

STUDENT = "HuggingFaceTB/SmolLM2-135M-Instruct"
PROMPTS: list[Any] = [
    [{"role": "user", "content": text}]
    for text in (
        "What is the capital of France?",
        "Count from one to five.",
        "Say hello.",
        "A box has 3 red and 4 blue pens. How many pens are in the box?",
    )
]


def test_vllm_is_worth_its_start_where_there_is_much_to_ask() -> None:
    assert best_engine(4) == "transformers"
    assert best_engine(100_000) == "vllm"


def test_greedy_is_greedy_whatever_a_model_has_by_default(tmp_path: Path) -> None:
    model, tokenizer = llama(), byte_tokenizer()
    model.generation_config.repetition_penalty = 3.0
    model.generation_config.do_sample = True
    model.generation_config.temperature = 2.0
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    prompt = "Question: What is 3 + 4?\nAnswer:"
    [answer] = Answerer.load(tmp_path, 12, "float32").answers([prompt])
    ids = tokenizer(prompt)["input_ids"]
    before = len(ids)
    with torch.inference_mode():
        while len(ids) < before + 12 and ids[-1] != model.generation_config.eos_token_id:
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    assert answer.text == tokenizer.decode(ids[before:], skip_special_tokens=True)


@pytest.mark.vllm
@pytest.mark.models
def test_vllm_answers_as_transformers_does(tmp_path: Path) -> None:
    folder = resolve(STUDENT, None).path
    plain = sorted(Answerer.load(folder, 24, "float32").answers(PROMPTS))
    alone = [next(Answerer.load(folder, 24, "float32").answers([one])) for one in PROMPTS[:2]]
    assert [one.text for one in alone] == [one.text for one in plain[:2]], "padding says nothing"
    engine = EngineAnswerer(folder, 24, "float32", tmp_path)
    assert list(engine.answers(PROMPTS)) == plain
    assert {one.ended for one in plain} == {True, False}, "some were cut, and told"
    assert not end_orphans(tmp_path), "the engine left with its process"
