"""Real vLLM with a real teacher: one engine start for all of this."""

import dataclasses
from pathlib import Path

import psutil
import pytest

from curate.errors import InputError, ModelError
from curate.models.teachers.base import Completion, Request, Sampling
from curate.models.teachers.options import Teacher, VllmOptions
from curate.models.teachers.vllm_engine import EngineGenerator

pytestmark = [pytest.mark.vllm, pytest.mark.models]


def draw(engine: EngineGenerator, requests: list[Request]) -> dict[str, Completion]:
    drawn: list[Completion] = []
    engine.generate(iter(requests), drawn.append)
    assert len(drawn) == len(requests)
    return {completion.key: completion for completion in drawn}


def test_siblings_are_drawn_one_by_one_and_make_sense(
    engine: EngineGenerator, asked: list[Request]
):
    drawn = draw(engine, asked)
    assert drawn.keys() == {request.key for request in asked}
    assert all(0 < (c.completion_tokens or 0) <= 24 for c in drawn.values())
    for question, total in enumerate(("4", "6", "8")):
        assert any(total in drawn[f"{question}-{i}"].text for i in range(2))


def test_a_seeded_sample_can_be_repeated_alone(engine: EngineGenerator):
    story = ({"role": "user", "content": "Tell a story about a fox."},)
    requests = [Request(key=str(seed), messages=story, seed=seed) for seed in range(4)]
    together = draw(engine, requests)
    assert len({c.text for c in together.values()}) == 4
    assert draw(engine, requests[2:3])["2"].text == together["2"].text


def test_unseeded_siblings_differ(engine: EngineGenerator):
    story = ({"role": "user", "content": "Tell a story about a bear."},)
    drawn = draw(engine, [Request(key=str(i), messages=story) for i in range(8)])
    # a shared seed would make all eight equal; two stories in 24 tokens may begin alike
    assert len({c.text for c in drawn.values()}) > 4


def test_a_cut_sample_is_continued_not_repeated(engine: EngineGenerator):
    request = Request(key="k", prompt="1, 2, 3, 4,", seed=1, prefix=" 5, 6, 7,", prefix_tokens=9)
    completion = draw(engine, [request])["k"]
    assert completion.text.startswith(" 5, 6, 7,")
    assert "8" in completion.text[9:14]
    assert 9 < (completion.completion_tokens or 0) <= 24


def test_a_prompt_that_is_too_long_is_refused_before_sampling(engine: EngineGenerator):
    long = Request(key="k", prompt="one two three four " * 80)
    with pytest.raises(InputError, match=r"one two.*exceeds the context of 256"):
        engine.preflight([long])
    with pytest.raises(InputError, match="max_tokens"):
        draw(engine, [long])


def test_the_engine_survives_a_refused_request(engine: EngineGenerator, asked: list[Request]):
    assert len(draw(engine, asked[:1])) == 1


def test_the_lock_names_us_and_every_engine_process(engine_folder: Path):
    (lock,) = engine_folder.glob("engine-*.lock")
    owner, *engines = [int(line.split()[0]) for line in lock.read_text().splitlines()]
    me = psutil.Process()
    assert owner == me.pid
    ours = {child.pid for child in me.children(recursive=True)}
    # vLLM looks at a model's class in a process of its own, once on a machine, which has ended.
    living = {pid for pid in engines if psutil.pid_exists(pid)}
    assert len(living) >= 1
    assert living <= ours


def test_a_folder_without_a_model_is_named(tmp_path: Path):
    teacher = Teacher("no-model", dtype="float32")
    broken = EngineGenerator(teacher, Sampling(), VllmOptions(), path=tmp_path, folder=tmp_path)
    with pytest.raises(ModelError, match="no-model"):
        broken.preflight([Request(key="k", prompt="p")])


def test_chat_options_reach_the_template(engine: EngineGenerator, asked: list[Request]):
    system = dataclasses.replace(
        asked[0], messages=({"role": "system", "content": "Be brief."}, *(asked[0].messages or ()))
    )
    assert len(engine._tokens(system)) != len(engine._tokens(asked[0]))
