"""Teacher signals: whose sentences a rationale's are, beside the definition written out."""

import math
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.measures.steps import split_steps
from curate.measures.teacher_signals import Row, TeacherSignals, TeacherSignalsOptions
from filters.columns import GLOSSARY

Token = tuple[int, float]
"""Where it ends, in characters, and its log-probability."""

TEXT = "Ann has 3 nuts. She finds 4. So 3 + 4 = 7!"
BEFORE, BEHIND = "\n\n", " The answer is 7."
SPLITS = (". ", "! ")


def by_definition(
    text: str, teacher: Sequence[Token], student: Sequence[Token], ratio: float = 2.0
) -> tuple[float | None, float | None]:
    """Compute both values sentence by sentence, from tokens that end where the text counts."""
    inside = [(end, log) for end, log in teacher if 1 <= end <= len(text)]
    larger: list[bool] = []
    for begin, stop in split_steps(text, SPLITS):
        own, other = (
            [math.exp(log) for end, log in tokens if begin <= end - 1 < stop]
            for tokens in (inside, student)
        )
        if own and other:
            gain = math.prod(own) ** (1 / len(own)) / math.prod(other) ** (1 / len(other))
            larger.append(gain >= ratio)
    nll = -sum(log for _, log in inside) / len(inside) if inside else None
    return nll, sum(larger) / len(larger) if larger else None


def derive(
    teacher: Sequence[Token] | None = None,
    student: Sequence[Token] | None = None,
    *,
    ratio: float = 2.0,
    **given: Any,
) -> tuple[float | None, float | None]:
    """Measure one row; the teacher's ends count in the output, the student's in the rationale."""
    row = {
        "rationale": TEXT,
        "raw_output": BEFORE + TEXT + BEHIND,
        "teacher_token_ends": None if teacher is None else [end for end, _ in teacher],
        "teacher_logprobs": None if teacher is None else [log for _, log in teacher],
        "rationale_token_ends": None if student is None else [end for end, _ in student],
        "rationale_logprobs": None if student is None else [log for _, log in student],
    } | given
    frame = pl.DataFrame([row], schema={name: GLOSSARY[name].dtype for name in Row._fields})
    options = TeacherSignalsOptions(ratio=ratio, split_at=SPLITS)
    (values,) = TeacherSignals(options, tuple(TeacherSignals.writes)).derive(frame).iter_rows()
    return values


@st.composite
def tokens(draw: st.DrawFn, length: int) -> list[Token]:
    """Cut a text of some length into tokens, the last of which reaches to its end."""
    ends = sorted({*draw(st.sets(st.integers(1, length), max_size=12)), length})
    logs = st.floats(-6, 0, width=32)
    return [(end, draw(logs)) for end in ends]


OUTPUT = len(BEFORE + TEXT + BEHIND)


@given(tokens(OUTPUT), tokens(len(TEXT)), st.sampled_from([1.0, 1.7, 2.0, 8.0]))
def test_both_values_are_as_defined(
    teacher: list[Token], student: list[Token], ratio: float
) -> None:
    moved = [(end - len(BEFORE), log) for end, log in teacher]
    nll, share = by_definition(TEXT, moved, student, ratio)
    assert derive(teacher, student, ratio=ratio) == (pytest.approx(nll), pytest.approx(share))


def words(text: str, before: str = "") -> list[int]:
    """Give where the words of a text end, each with the space before it."""
    return [
        len(before) + n + 1 for n, letter in enumerate(text) if (text + " ")[n + 1] in {" ", "\n"}
    ]


def test_a_sentence_is_the_teacher_s_where_it_is_twice_as_likely_a_token() -> None:
    # Three sentences; the teacher gives each word a half, the student a quarter of it, as much,
    # and an eighth.
    teacher = [(end, math.log(0.5)) for end in words(TEXT, BEFORE)]
    logs = [*[math.log(0.25)] * 4, *[math.log(0.5)] * 3, *[math.log(0.125)] * 6]
    student = list(zip(words(TEXT), logs, strict=True))
    assert derive(teacher, student) == (pytest.approx(math.log(2)), pytest.approx(2 / 3))
    assert derive(teacher, student, ratio=3)[1] == pytest.approx(1 / 3)
    assert derive(teacher, student, ratio=5)[1] == 0
    assert derive(teacher, student, ratio=1)[1] == 1


def test_tokens_before_and_behind_the_rationale_are_not_its_own() -> None:
    inside = [(end, -1.0) for end in words(TEXT, BEFORE)]
    outside = [(len(BEFORE), -50.0), *inside, (len(BEFORE + TEXT) + 1, -70.0), (OUTPUT + 9, -90.0)]
    assert derive(outside) == (1.0, None)


def test_a_token_belongs_to_the_sentence_of_its_last_character() -> None:
    # One token of the teacher's holds ". S": the end of the first sentence, the next one's start.
    border = len(BEFORE) + TEXT.index("S") + 1
    teacher = [(len(BEFORE) + 8, -1.0), (border, 0.0), (len(BEFORE + TEXT), -1.0)]
    student = [(TEXT.index("S"), -1.5), (TEXT.index("S") + 12, -1.5), (len(TEXT), -1.0)]
    # first: -1 against -1.5, second: 0 against -1.5, third: -1 against -1
    assert derive(teacher, student) == (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_a_sentence_without_a_token_is_not_counted() -> None:
    teacher = [(len(BEFORE) + 8, 0.0), (len(BEFORE + TEXT), -9.0)]
    assert derive(teacher, [(end, -5.0) for end in words(TEXT)])[1] == 0.5


KNOWN = [(end, -1.0) for end in words(TEXT, BEFORE)]


@pytest.mark.parametrize(
    "given",
    [
        {"rationale": None},
        {"rationale": ""},
        {"raw_output": None},
        {"raw_output": TEXT.replace("7", "8")},
        {"raw_output": f"{TEXT} Again: {TEXT}"},
        {"reasoning_field": TEXT},
        {"teacher_token_ends": None},
        {"teacher_logprobs": None},
        {"teacher_logprobs": [-1.0]},
        {"teacher_logprobs": [-1.0] * (len(KNOWN) - 1) + [None]},
        {"teacher_token_ends": [OUTPUT + 1] * len(KNOWN)},
    ],
)
def test_what_is_not_known_or_not_found_is_null(given: dict[str, Any]) -> None:
    assert derive(KNOWN, KNOWN, **given) == (None, None)


@pytest.mark.parametrize("given", [{"rationale_logprobs": None}, {"rationale_token_ends": []}])
def test_the_teacher_s_nll_needs_no_student(given: dict[str, Any]) -> None:
    assert derive(KNOWN, KNOWN, **given) == (1.0, None)


def test_a_blank_reasoning_field_is_none() -> None:
    assert derive(KNOWN, reasoning_field=" \n") == (1.0, None)


@pytest.mark.parametrize("options", [{"ratio": 0.5}, {"split_at": []}, {"share": 1}])
def test_options_that_say_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TeacherSignalsOptions.model_validate(options)
