"""The generating source: keys, what is still due, and the rows that come of it."""

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import RecordError
from curate.models.teachers.base import Completion, Request, Sampling
from curate.models.teachers.tokens import Tokens
from curate.sources.generate import Generate
from curate.sources.sampled import TOKENS_SCHEMA, due, missing, record_value
from curate.sources.templates import load_template
from filters.columns import SOURCE_COLUMNS
from tests.curate.sources.laws import Example

EXAMPLE = Example({"model": "tiny", "samples": 2})
QUESTIONS = pl.DataFrame(
    {
        "question_id": ["q1", "q2", "q3"],
        "question": ["What is 1 plus 1?", "What is 2 plus 2?", "What is 3 plus 3?"],
        "gold": ["2", "4", "6"],
        "gold_type": ["number"] * 3,
    }
)
COT = load_template("cot")
IDENTITY = {"model": "m", "revision": "r", "dtype": "float32"}


def source(**given: Any) -> Generate:
    return Generate.model_validate({"use": "generate", "model": "org/m-1"} | given)


def requests(config: Generate, identity: Mapping[str, Any] = IDENTITY) -> list[Request]:
    return [draw.request for draw in config.draws(QUESTIONS, COT, identity)]


def keys(config: Generate, identity: Mapping[str, Any] = IDENTITY) -> list[str]:
    return [request.key for request in requests(config, identity)]


def test_siblings_come_one_after_another_and_share_their_messages():
    draws = list(source(samples=2).draws(QUESTIONS, COT, IDENTITY))
    assert [(d.question_id, d.index) for d in draws] == [
        ("q1", 0), ("q1", 1), ("q2", 0), ("q2", 1), ("q3", 0), ("q3", 1)
    ]  # fmt: skip
    assert draws[0].request.messages is draws[1].request.messages
    assert len({d.request.key for d in draws}) == 6


def test_raising_samples_keeps_every_key_and_adds_new_ones():
    few, many = keys(source(samples=2)), keys(source(samples=5))
    assert set(few) < set(many)


@pytest.mark.parametrize(
    "other",
    [
        {"sampling": {"temperature": 0.8}},
        {"sampling": {"top_p": 0.9}},
        {"sampling": {"stop": ["END"]}},
        {"seeds": True},
    ],
)
def test_what_changes_the_distribution_changes_every_key(other: dict[str, Any]):
    assert not set(keys(source())) & set(keys(source(**other)))


@pytest.mark.parametrize("other", [{"sampling": {"max_tokens": 7}}, {"name": "another"}])
def test_what_does_not_change_the_distribution_changes_no_key(other: dict[str, Any]):
    assert keys(source()) == keys(source(**other))


def test_another_teacher_has_other_keys():
    assert not set(keys(source())) & set(keys(source(), IDENTITY | {"revision": "s"}))


def test_seeds_are_given_only_where_asked_for_and_differ():
    assert {request.seed for request in requests(source())} == {None}
    seeds = [request.seed for request in requests(source(seeds=True))]
    assert len(set(seeds)) == len(seeds)
    assert all(seed is not None and 0 <= seed < 2**31 for seed in seeds)
    assert seeds == [request.seed for request in requests(source(seeds=True))]


def value(finish: str, limit: int, **more: Any) -> dict[str, Any]:
    tokens = limit if finish == "length" else 3
    given = {"text": "so far", "finish_reason": finish, "completion_tokens": tokens}
    return given | {"max_tokens": limit} | more


def test_only_what_the_record_lacks_is_asked():
    config = source(samples=3)
    known = {key: value("stop", 100) for key in keys(config)[:4]}
    asked = missing(config.draws(QUESTIONS, COT, IDENTITY), known.get, 100)
    assert [request.key for request in asked] == keys(config)[4:]


@pytest.mark.parametrize(
    ("recorded", "limit", "prefix"),
    [
        (None, 100, ""),
        (value("stop", 50), 100, None),
        (value("error", 50), 100, None),
        (value("length", 100), 100, None),
        (value("length", 200), 100, None),
        (value("length", 50), 100, "so far"),
        (value("length", 50, reasoning="hm"), 100, ""),
    ],
)
def test_cut_samples_are_continued_and_nothing_else_is_asked_again(
    recorded: dict[str, Any] | None, limit: int, prefix: str | None
):
    request = Request(key="k", prompt="p", seed=5)
    result = due(request, recorded, limit)
    assert (result.prefix if result else None) == prefix
    if result and prefix:
        assert (result.prefix_tokens, result.seed, result.prompt) == (50, 5, "p")


def test_a_server_that_counts_no_tokens_has_used_its_limit():
    uncounted = value("length", 50) | {"completion_tokens": None}
    result = due(Request(key="k", prompt="p"), uncounted, 100)
    assert result is not None
    assert result.prefix_tokens == 50


def test_rows_have_exactly_the_declared_columns_failed_draws_included():
    config = source(samples=2, seeds=True)
    record = {
        request.key: record_value(
            Completion(key=request.key, text=f"text {n}", finish_reason="stop", completion_tokens=n)
            if n
            else Completion(key=request.key, text="", finish_reason="error", error="HTTP 400"),
            max_tokens=64,
        )
        for n, request in enumerate(requests(config))
    }
    frame = config.rows(QUESTIONS, COT, IDENTITY, record.get)
    assert dict(frame.schema) == dict(SOURCE_COLUMNS)
    assert frame.height == 6
    assert frame["sample_id"].n_unique() == 6
    assert frame["finish_reason"].to_list() == ["error"] + ["stop"] * 5
    assert frame["error"].to_list() == ["HTTP 400"] + [None] * 5
    assert frame["raw_output"].to_list() == ["", *(f"text {n}" for n in range(1, 6))]
    assert frame["teacher"].unique().to_list() == ["org/m-1"]
    assert frame["source"].unique().to_list() == ["m-1"]
    assert frame["prompt_id"].unique().to_list() == ["cot"]
    assert not frame["gold_shown"].any()
    assert frame["seed"].n_unique() == 6


def test_tokens_are_told_of_the_samples_that_have_them():
    config = source(samples=2)
    told = Tokens((4, 9), (-0.5, 0.0))
    record = {
        request.key: record_value(
            Completion(request.key, "so far", "stop", tokens=told if n % 2 else None), max_tokens=64
        )
        for n, request in enumerate(requests(config)[:5])
    }
    frame = config.tokens(QUESTIONS, COT, IDENTITY, record.get)
    assert dict(frame.schema) == TOKENS_SCHEMA
    with pytest.raises(RecordError):
        config.rows(QUESTIONS, COT, IDENTITY, record.get)
    record |= {request.key: value("stop", 9) for request in requests(config)[5:]}
    rows = config.rows(QUESTIONS, COT, IDENTITY, record.get)
    assert frame["sample_id"].to_list() == rows["sample_id"].to_list()[1:4:2]
    assert frame["teacher_token_ends"].to_list() == [[4, 9]] * 2
    assert frame["teacher_logprobs"].to_list() == [[-0.5, 0.0]] * 2


def test_a_cut_sample_is_continued_with_the_tokens_it_has():
    told = Tokens((3, 6), (-0.5, -0.25))
    cut = Completion("k", "so far", "length", 2, tokens=told)
    result = due(Request(key="k", prompt="p"), record_value(cut, max_tokens=2), 9)
    assert result is not None
    assert result.earlier == told
    without = due(Request(key="k", prompt="p"), value("length", 50), 100)
    assert without is not None
    assert without.earlier is None


def test_a_replay_that_lacks_samples_says_how_many():
    with pytest.raises(RecordError, match="12 of 12"):
        source(samples=4).rows(QUESTIONS, COT, IDENTITY, lambda _: None)


def test_no_questions_give_an_empty_table_of_the_declared_type():
    frame = source().rows(QUESTIONS.clear(), COT, IDENTITY, lambda _: None)
    assert dict(frame.schema) == dict(SOURCE_COLUMNS)


def test_as_many_are_drawn_as_are_due_from_where_the_last_round_ended() -> None:
    adaptive = source(samples={"min": 2, "max": 9, "until": {"correct": 1}}, seeds=True)
    whole = list(source(samples=9, seeds=True).draws(QUESTIONS, COT, IDENTITY))
    first = list(adaptive.draws(QUESTIONS, COT, IDENTITY))
    due = QUESTIONS.with_columns(drawn=pl.lit(2), due=pl.lit(3))
    later = list(adaptive.draws(due, COT, IDENTITY))
    assert first == [draw for draw in whole if draw.index < 2]
    assert later == [draw for draw in whole if 2 <= draw.index < 5]


@pytest.mark.parametrize(
    ("model", "name"),
    [("Qwen/Qwen2.5-7B-Instruct", "Qwen2.5-7B-Instruct"), ("qwen2.5:0.5b", "qwen2.5-0.5b")],
)
def test_the_name_defaults_to_the_last_part_of_the_models(model: str, name: str):
    assert source(model=model).name == name
    assert source(model=model, name="mine").name == "mine"


def test_the_templates_stop_strings_join_the_recipes():
    few = load_template("cot-fewshot")
    sampling = source(sampling={"stop": ["END", "\nQuestion:"]}).sampling_for(few)
    assert sampling.stop == ("END", "\nQuestion:", "\n\n\n")


@given(st.permutations(range(3)), st.integers(1, 4))
def test_keys_do_not_depend_on_the_order_or_the_shard_of_a_question(order: list[int], k: int):
    config = source(samples=k)
    whole = {(d.question_id, d.index): d.request.key for d in config.draws(QUESTIONS, COT, {})}
    parts = [config.draws(QUESTIONS[i], COT, {}) for i in order]
    apart = {(d.question_id, d.index): d.request.key for part in parts for d in part}
    assert whole == apart


@given(st.sampled_from(["stop", "length", "error"]), st.integers(1, 9), st.integers(1, 9))
def test_a_sample_is_never_asked_again_under_the_limit_it_was_drawn_with(
    finish: str, limit: int, lower: int
):
    request = Request(key="k", prompt="p")
    assert due(request, value(finish, limit), min(limit, lower)) is None


def test_sampling_identity_leaves_out_what_was_not_set():
    assert Sampling(temperature=0.5).identity() == {"temperature": 0.5, "stop": []}
