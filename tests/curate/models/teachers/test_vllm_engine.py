"""Real vLLM with a real teacher: one engine start for all of this."""

import dataclasses
from pathlib import Path

import psutil
import pytest

from curate.errors import InputError, ModelError
from curate.models.teachers.base import Completion, Request, Sampling
from curate.models.teachers.options import Teacher, VllmOptions
from curate.models.teachers.tokens import Tokens
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


def test_every_token_is_told_as_reading_the_sample_again_tells_it(engine: EngineGenerator):
    story = ({"role": "user", "content": "Say: C'est l'été — 日本 🙂!"},)
    asked = [Request(key=str(seed), messages=story, seed=seed) for seed in range(4)]
    asked.append(Request(key="plain", prompt="2, 4, 6,", seed=1))
    compared = 0
    for key, completion in draw(engine, asked).items():
        tokens, text = completion.tokens, completion.text
        assert tokens is not None
        assert len(tokens.ends) == completion.completion_tokens
        assert list(tokens.ends) == sorted(tokens.ends)
        assert len(text) in tokens.ends
        if completion.finish_reason == "stop":
            assert tokens.ends[-2:] == (len(text), len(text) + 1), "the end of the turn is behind"
        again = read_again(engine, next(one for one in asked if one.key == key), completion)
        if len(again) == len(tokens.logprobs):  # a text may be cut otherwise than it was written
            assert tokens.logprobs == pytest.approx(again, abs=2e-3)
            compared += 1
    assert compared >= 3


def read_again(engine: EngineGenerator, request: Request, completion: Completion) -> list[float]:
    """Have the engine say how likely a sample is as a prompt, the end of its turn included."""
    from vllm import SamplingParams, TokensPrompt

    prompt = engine._tokens(request)
    ids = engine._tokenizer(completion.text, add_special_tokens=False).input_ids
    ids += [engine._tokenizer.eos_token_id] * (completion.finish_reason == "stop")
    whole = TokensPrompt(prompt_token_ids=[*prompt, *ids])
    asked = SamplingParams(max_tokens=1, prompt_logprobs=0)

    async def read() -> list[float]:
        assert engine._engine is not None
        answers = [answer async for answer in engine._engine.generate(whole, asked, "again")]
        told = answers[-1].prompt_logprobs or answers[0].prompt_logprobs
        assert told is not None
        return [e[n].logprob for n, e in zip(ids, told[len(prompt) :], strict=True) if e]

    return engine._completer.run(read())


def test_a_continued_sample_has_the_tokens_of_both_parts(engine: EngineGenerator):
    earlier = Tokens((2, 3, 5, 6, 8, 9), (-0.5,) * 6)
    prefix = {"prefix": " 5, 6, 7,", "prefix_tokens": 9}
    known = Request(key="k", prompt="1, 2, 3, 4,", seed=1, earlier=earlier, **prefix)
    unknown = dataclasses.replace(known, key="u", earlier=None)
    drawn = draw(engine, [known, unknown])
    assert drawn["u"].tokens is None
    tokens = drawn["k"].tokens
    assert tokens is not None
    assert tokens.ends[:6] == earlier.ends
    assert len(tokens.ends) == 6 + (drawn["k"].completion_tokens or 0) - 9
    assert len(drawn["k"].text) in tokens.ends


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


def test_another_source_goes_on_with_the_same_engine(engine: EngineGenerator, asked: list[Request]):
    running, sampling = engine._engine, engine._sampling
    engine.resample(Sampling(temperature=0, max_tokens=1))
    try:
        engine.preflight(asked)
        drawn = draw(engine, asked)
        assert engine._engine is running is not None
        assert {c.completion_tokens for c in drawn.values()} == {1}
        assert drawn["0-0"].text == drawn["0-1"].text, "siblings differ by chance alone"
    finally:
        engine.resample(sampling)


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
