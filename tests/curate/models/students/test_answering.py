"""Greedy answers: the same text from transformers, alone or in a batch, and from vLLM."""

from pathlib import Path
from typing import Any

import pytest

from curate.models.references import resolve
from curate.models.students.answering import Answerer, EngineAnswerer, best_engine
from curate.models.teachers.bound import end_orphans

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
