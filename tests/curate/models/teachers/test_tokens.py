"""A teacher's own tokens: where they end, whatever they cut, and what the record keeps of them."""

import json
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from curate.models.teachers.tokens import Tokens
from curate.models.teachers.vllm_tokens import pieces

TEXTS = st.text("ab .é—日🙂\U0001d518", max_size=12)
LOGS = st.floats(-30, 0)


@st.composite
def cut(draw: st.DrawFn) -> tuple[str, list[bytes], list[float]]:
    """Cut a text into tokens without a look at where its characters begin."""
    text = draw(TEXTS)
    data = text.encode()
    borders = sorted({0, len(data), *draw(st.lists(st.integers(0, len(data)), max_size=9))})
    parts = [data[begin:end] for begin, end in pairwise(borders)]
    return text, parts, draw(st.lists(LOGS, min_size=len(parts), max_size=len(parts)))


@given(cut())
def test_a_token_ends_behind_the_last_character_that_it_has_a_byte_of(
    case: tuple[str, list[bytes], list[float]],
) -> None:
    text, parts, logs = case
    tokens = Tokens.of(text, parts, logs)
    assert tokens is not None
    begins = [len(text[:n].encode()) for n in range(len(text))]
    reach = 0
    for part, end in zip(parts, tokens.ends, strict=True):
        reach += len(part)
        assert end == sum(begin < reach for begin in begins)
    assert tokens.logprobs == tuple(logs)


def test_a_token_that_shows_nothing_yet_has_begun_the_next_character() -> None:
    tokens = Tokens.of("a 🙂b", [b"a", b"", b"", " 🙂".encode(), b"b"], [-1.0] * 5)
    assert tokens is not None
    assert tokens.ends == (1, 2, 2, 3, 4)


def test_what_was_written_behind_the_text_ends_behind_it() -> None:
    parts = [b"so 7", b".\n", b"\nQ", b": What", b""]
    tokens = Tokens.of("so 7.", parts, [-1.0] * 5)
    assert tokens is not None
    assert tokens.ends == (4, 6, 8, 14, 15)


@pytest.mark.parametrize(
    ("parts", "logs"),
    [
        ([b"so ", b"8"], [-1.0, -1.0]),
        ([b"so "], [-1.0]),
        ([b" so 7"], [-1.0]),
        ([], []),
        ([b"so ", b"7"], [-1.0]),
        ([b"so ", b"7"], [-1.0, None]),
        ([b"so ", b"7"], [-1.0, "-1.0"]),
        ([b"so ", b"7"], [-1.0, math.nan]),
        ([b"so ", b"7"], [-1.0, -math.inf]),
        ([b"so ", b"7"], [-1.0, -9999.0]),
        ([b"so ", b"7"], [-1.0, 0.37]),
        ([b"so ", b"7"], [-1.0, False]),
    ],
)
def test_what_is_not_known_of_all_tokens_is_told_of_none(parts: list[bytes], logs: Any) -> None:
    assert Tokens.of("so 7", parts, logs) is None


def test_a_certain_token_is_no_likelier_than_it_can_be() -> None:
    tokens = Tokens.of("so 7", [b"so ", b"7"], [0, 1e-7])
    assert tokens is not None
    assert tokens.logprobs == (0.0, 0.0)


@given(cut())
def test_the_record_keeps_a_ten_thousandth_of_a_nat(
    case: tuple[str, list[bytes], list[float]],
) -> None:
    tokens = Tokens.of(*case)
    assert tokens is not None
    read = Tokens.from_json(json.loads(json.dumps(tokens.as_json())))
    assert read is not None
    assert read.ends == tokens.ends
    assert read.logprobs == pytest.approx(tokens.logprobs, abs=5.1e-5)


@pytest.mark.parametrize(
    "value",
    [None, [], "x", {}, {"characters": [1]}, {"characters": [1], "surprisal": [1, 2]},
     {"characters": [-1], "surprisal": [1]}, {"characters": [1], "surprisal": ["1"]}],
)  # fmt: skip
def test_a_record_without_tokens_has_none(value: object) -> None:
    assert Tokens.from_json(value) is None


@given(cut(), cut(), st.integers(0, 3))
def test_a_continued_text_has_the_tokens_of_both_parts(
    first: tuple[str, list[bytes], list[float]],
    second: tuple[str, list[bytes], list[float]],
    behind: int,
) -> None:
    text, parts, logs = first
    # What the first part had begun behind its text, as half a character, is not in it.
    earlier = Tokens.of(text, [*parts, *[b""] * behind], [*logs, *[-9.0] * behind])
    later = Tokens.of(*second)
    assert later is not None
    joined = later.behind(text, earlier)
    whole = Tokens.of(text + second[0], [*parts, *second[1]], [*logs, *second[2]])
    assert joined == (whole if text else later)
    assert later.behind("some text", None) is None


def byte_level() -> Any:
    """Make a tokenizer of bytes, which cuts every character that has more than one."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = Tokenizer(models.BPE({letter: n for n, letter in enumerate(alphabet)}, []))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    bare.add_special_tokens(["<end>"])
    return PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="<end>")


@given(TEXTS)
def test_pieces_are_written_as_a_detokenizer_writes_them(text: str) -> None:
    tokenizer = byte_level()
    prompt, ids = tokenizer("Q: é?").input_ids, tokenizer(text).input_ids
    parts = list(pieces([*ids, tokenizer.eos_token_id], prompt, tokenizer))
    assert b"".join(parts).decode() == text
    tokens = Tokens.of(text, parts, [-1.0] * len(parts))
    assert tokens is not None
    starts = [n for n, letter in enumerate(text) for _ in letter.encode()]
    assert tokens.ends == (*(start + 1 for start in starts), len(text) + 1)


def test_a_tokenizer_written_in_python_tells_no_pieces() -> None:
    assert list(pieces([1, 2], [3], object())) == []
