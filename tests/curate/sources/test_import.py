"""Importing: every row becomes samples or is counted; ids depend on content alone."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.errors import InputError
from curate.sources import import_
from curate.sources.base import Tally
from curate.sources.import_ import Import
from curate.sources.questions import QuestionsOptions, QuestionsTable, load_questions
from filters.columns import SOURCE_COLUMNS
from tests.curate.sources.laws import Example, QuestionRow

JOINED = {"question": "q", "completion": "text"}


def lines(file: Path, rows: list[Any]) -> None:
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))


def write_pool(folder: Path, rows: Sequence[QuestionRow]) -> None:
    pool = [{"q": row["question"], "text": row["solution"]} for row in rows]
    lines(folder / "pool.jsonl", [{**row, "score": len(row["text"]) / 2} for row in pool])


EXAMPLE = Example(
    {
        "name": "pool",
        "path": "pool.jsonl",
        "columns": {**JOINED, "scores": {"their_score": "score"}},
        "teacher": "ann",
        "max_unmatched": 0.5,
    },
    write_pool,
)


def ask(base: Path, *questions: str, limit: int | None = None, **more: Any) -> QuestionsTable:
    rows = [{"question": q, "answer": str(n), "id": f"k{n}"} for n, q in enumerate(questions)]
    lines(base / "questions.jsonl", rows)
    block = {
        "path": "questions.jsonl",
        "columns": {"id": "id"},
        "gold": {"type": "number"},
        **more,
    }
    return load_questions(QuestionsOptions.model_validate(block), base, limit)


def source(**block: Any) -> Import:
    return Import.model_validate(
        {"use": "import", "name": "pool", "path": "pool*.jsonl", "columns": JOINED, **block}
    )


def take(
    base: Path, questions: QuestionsTable, tally: Tally | None = None, **block: Any
) -> pl.DataFrame:
    batches = list(source(**block).rows(questions, base, tally or Tally()))
    return pl.concat([pl.DataFrame(schema=dict(SOURCE_COLUMNS)), *batches])


def test_rows_become_samples(tmp_path: Path) -> None:
    questions = ask(tmp_path, "One  plus\none?", "Café?")
    lines(
        tmp_path / "pool.jsonl",
        [
            {"q": "Cafe\u0301?", "text": "b"},
            {"q": " One plus one? ", "text": "a"},
            {"q": "Café?", "text": "b"},
            {"q": "Café?", "text": None},
        ],
    )
    frame = take(tmp_path, questions, prompt_id="p", gold_shown=True)
    assert dict(frame.schema) == dict(SOURCE_COLUMNS)
    one, cafe = questions.frame["question_id"]
    assert frame.select("question_id", "sample_index", "raw_output").rows() == [
        (cafe, 0, "b"),
        (one, 0, "a"),
        (cafe, 1, "b"),
        (cafe, 2, ""),
    ]
    assert frame["sample_id"].is_unique().all()
    for column, value in (
        ("source", "pool"),
        ("teacher", "pool"),
        ("prompt_id", "p"),
        ("gold_shown", True),
        ("finish_reason", None),
        ("seed", None),
    ):
        assert frame[column].unique().to_list() == [value]


def test_an_added_row_changes_no_other_id(tmp_path: Path) -> None:
    questions = ask(tmp_path, "a", "b")
    rows = [{"q": "a", "text": "x"}, {"q": "b", "text": "x"}, {"q": "a", "text": "x"}]
    lines(tmp_path / "pool.jsonl", rows)
    before = set(take(tmp_path, questions)["sample_id"])
    lines(tmp_path / "pool.jsonl", [{"q": "b", "text": "new"}, *rows])
    after = set(take(tmp_path, questions)["sample_id"])
    assert before < after
    assert len(after) == 4


def test_lists_columns_and_nested_values(tmp_path: Path) -> None:
    questions = ask(tmp_path, "a")
    row = {"q": "a", "k": ["x", None, "z"], "m1": {"text": "one"}, "m2": {"text": "two"}, "t": "T"}
    lines(tmp_path / "pool.jsonl", [row])
    listed = take(tmp_path, questions, columns={"question": "q", "completion": "k"})
    assert listed["raw_output"].to_list() == ["x", "", "z"]
    several = take(
        tmp_path,
        questions,
        columns={"question": "q", "completion": ["m1.text", "m2.text"]},
        teacher={"completion": r"(m\d)"},
        prompt_id={"column": "t"},
    )
    assert several.select("teacher", "raw_output", "prompt_id", "sample_index").rows() == [
        ("m1", "one", "T", 0),
        ("m2", "two", "T", 1),
    ]


def test_a_thought_that_is_kept_apart_is_imported_beside_its_solution(tmp_path: Path) -> None:
    questions = ask(tmp_path, "a")
    row = {
        "q": "a", "thoughts": ["1 + 1 is 2.", None], "attempts": ["So 2.", "Two"],
        "ends": ["MAX_TOKENS", "end_turn"],
    }  # fmt: skip
    lines(tmp_path / "pool.jsonl", [row])
    columns = {
        "question": "q", "completion": "attempts", "reasoning": "thoughts", "finish_reason": "ends",
    }  # fmt: skip
    frame = take(tmp_path, questions, columns=columns)
    assert frame.select("raw_output", "reasoning_field", "finish_reason").rows() == [
        ("So 2.", "1 + 1 is 2.", "length"),
        ("Two", None, "stop"),
    ]
    plain = take(tmp_path, questions, columns={"question": "q", "completion": "attempts"})
    assert plain["sample_id"][1] == frame["sample_id"][1], "what has no thought keeps its id"
    assert plain["sample_id"][0] != frame["sample_id"][0]
    with pytest.raises(InputError, match=r"has 2 completions and 1 value of reasoning"):
        take(tmp_path, questions, columns=columns | {"reasoning": "q"})


def test_the_file_tells_teacher_and_prompt(tmp_path: Path) -> None:
    questions = ask(tmp_path, "a")
    (tmp_path / "big").mkdir()
    lines(tmp_path / "big" / "pool_level2.jsonl", [{"q": "a", "text": "x"}])
    frame = take(
        tmp_path,
        questions,
        path="*/pool_*.jsonl",
        teacher={"file": "^(.+)/"},
        prompt_id={"file": r"^pool_(.+)\.jsonl"},
    )
    assert frame.select("teacher", "prompt_id").row(0) == ("big", "level2")
    with pytest.raises(InputError, match=r"'\(x\+\)' matches nothing in 'big/pool_level2\.jsonl'"):
        take(tmp_path, questions, path="*/pool_*.jsonl", teacher={"file": "(x+)"})


def test_unmatched_rows_are_counted_quoted_and_refused(tmp_path: Path) -> None:
    questions = ask(tmp_path, "a", "b")
    bad: list[Any] = [
        {"q": "c", "text": "x"},
        {"q": None, "text": "x"},
        {"q": "a", "text": []},
        '{"q": "a", "te',
    ]
    lines(tmp_path / "pool.jsonl", [{"q": "a", "text": "x"}, *bad])
    with pytest.raises(InputError) as caught:
        take(tmp_path, questions)
    told = str(caught.value)
    assert told.startswith(
        "sources: pool: 4 of 5 rows make no sample, more than max_unmatched (0.01)"
    )
    assert "1: no question matches" in told
    assert "pool.jsonl: no question matches: 'c'" in told

    with pytest.raises(InputError, match=r"max_unmatched \(0\.79\)"):
        take(tmp_path, questions, max_unmatched=0.79)
    tally = Tally()
    assert take(tmp_path, questions, tally, max_unmatched=0.8).height == 1
    assert tally.unmatched == {
        "no_such_question": 1,
        "no_question": 1,
        "no_sample": 1,
        "unreadable_row": 1,
    }
    assert len(tally.quoted) == 3
    assert (tally.rows, tally.samples) == (5, 1)


def test_a_text_that_fits_two_questions_matches_neither(tmp_path: Path) -> None:
    rows = [{"question": "Which?", "answer": "A", "c": c} for c in (["x", "y"], ["x", "z"])]
    lines(tmp_path / "questions.jsonl", rows)
    block = {
        "path": "questions.jsonl",
        "columns": {"choices": "c"},
        "gold": {"type": "choice"},
    }
    questions = load_questions(QuestionsOptions.model_validate(block), tmp_path)
    lines(tmp_path / "pool.jsonl", [{"q": "Which?", "text": "A"}])
    tally = Tally()
    assert take(tmp_path, questions, tally, max_unmatched=1).height == 0
    assert tally.unmatched == {"several_questions": 1}


def test_questions_behind_the_limit_are_known_but_not_wanted(tmp_path: Path) -> None:
    questions = ask(tmp_path, "a", "b", "c", limit=1)
    lines(tmp_path / "pool.jsonl", [{"q": q, "text": "x"} for q in "abc"])
    tally = Tally()
    assert take(tmp_path, questions, tally).height == 1
    assert (tally.beyond_limit, tally.unmatched.total()) == (2, 0)


def test_join_by_either_id(tmp_path: Path) -> None:
    questions = ask(tmp_path, "a", "b", "a ")
    first, second = questions.frame["question_id"]
    assert questions.inputs["question_id"].to_list() == [first, second, first]
    rows = [{"i": name, "text": name} for name in (second, "k0", "k1", "k2")]
    lines(tmp_path / "pool.jsonl", rows)
    frame = take(tmp_path, questions, join="question_id", columns={"id": "i", "completion": "text"})
    assert frame["question_id"].to_list() == [second, first, second, first]


def ordered(**block: Any) -> dict[str, Any]:
    return {"join": "order", "columns": {}, "path": "pool_*.json", **block}


def test_join_by_order_in_parallel_files(tmp_path: Path) -> None:
    questions = ask(tmp_path, "a", "b", "a")
    first, second = questions.frame["question_id"]
    (tmp_path / "pool_1.json").write_text('["x", "y", "z"]')
    (tmp_path / "pool_2.json").write_text('[["x", "v"], [], "z"]')
    frame = take(tmp_path, questions, **ordered(max_unmatched=0.5))
    assert frame.select("question_id", "raw_output", "sample_index").rows() == [
        (first, "x", 0),
        (second, "y", 0),
        (first, "z", 1),
        (first, "x", 2),
        (first, "v", 3),
        (first, "z", 4),
    ]
    assert frame["sample_id"].is_unique().all()


@pytest.mark.parametrize("short", ["pool_1.json", "pool_2.json"])
def test_a_file_with_a_gap_is_not_joined_by_order(tmp_path: Path, short: str) -> None:
    questions = ask(tmp_path, "a", "b", "c")
    for name in ("pool_1.json", "pool_2.json"):
        (tmp_path / name).write_text('["x", "y"]' if name == short else '["x", "y", "z"]')
    with pytest.raises(InputError, match=f"{short} holds 2 rows for 3 rows of questions"):
        take(tmp_path, questions, **ordered())


def test_join_by_order_in_consecutive_pieces(tmp_path: Path) -> None:
    questions = ask(tmp_path, *"abcdefghijkl")
    for number, piece in enumerate([["0"], *([] for _ in range(8)), ["1", "2"], ["3"]]):
        (tmp_path / f"pool_{number}.json").write_text(json.dumps(piece))
    tally = Tally()
    frame = take(tmp_path, questions, tally, **ordered(parts="consecutive"))
    assert frame["raw_output"].to_list() == list("0123")
    assert frame["question_id"].to_list() == questions.frame["question_id"].to_list()[:4]
    assert tally.notes == ["joined by order, covers the first 4 of 12 rows"]


def test_a_damaged_line_keeps_its_place_in_the_order(tmp_path: Path) -> None:
    questions = ask(tmp_path, "a", "b", "c")
    lines(tmp_path / "pool_1.jsonl", ['"x"', '"cut', '"z"'])
    frame = take(tmp_path, questions, **ordered(path="pool_1.jsonl", max_unmatched=0.5))
    ids = questions.frame["question_id"]
    assert frame.select("question_id", "raw_output").rows() == [(ids[0], "x"), (ids[2], "z")]


def test_more_rows_than_questions_are_unmatched(tmp_path: Path) -> None:
    questions = ask(tmp_path, "a")
    (tmp_path / "pool_1.json").write_text('["x", "y"]')
    with pytest.raises(InputError, match="1 of 2 rows make no sample"):
        take(tmp_path, questions, **ordered(parts="consecutive"))


def test_columns_are_checked_in_every_file(tmp_path: Path) -> None:
    questions = ask(tmp_path, "a")
    lines(tmp_path / "pool_1.jsonl", [{"q": "a", "text": "x"}])
    lines(tmp_path / "pool_2.jsonl", [{"q": "a", "txt": "x"}])
    with pytest.raises(InputError, match=r"sources: pool: no column 'text' in pool_2.*'txt'"):
        take(tmp_path, questions)
    with pytest.raises(InputError, match="holds an object"):
        take(tmp_path, questions, columns={"question": "q"})


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"columns": {"completion": "text"}}, r"join: question needs columns\.question"),
        ({"join": "question_id"}, r"join: question_id needs columns\.id"),
        ({"teacher": {"file": "x"}}, "has 0 groups"),
        ({"tacher": "x"}, "Extra inputs are not permitted"),
        ({"name": ""}, "at least 1 character"),
    ],
)
def test_a_block_that_cannot_work_is_refused(block: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        source(**block)


def test_batches_are_bounded_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_, "BATCH_ROWS", 10_000)
    questions = ask(tmp_path, "a", "b")
    rows = [{"q": "ab"[n % 2], "text": str(n)} for n in range(25_000)]
    lines(tmp_path / "pool.jsonl", rows)
    batches = list(source().rows(questions, tmp_path, Tally()))
    assert [batch.height for batch in batches] == [10_000, 10_000, 5_000]
    frame = pl.concat(batches)
    assert frame["raw_output"].to_list() == [str(n) for n in range(25_000)]
    assert frame["sample_id"].n_unique() == 25_000
    assert frame.filter(pl.col("question_id") == questions.frame["question_id"][1])[
        "sample_index"
    ].to_list() == list(range(12_500))


class Row(NamedTuple):
    """A row of a pool; damaged where it holds no question and no text."""

    q: str | None = None
    text: str | list[str] | None = None
    damaged: bool = False

    def line(self) -> str:
        return "nonsense" if self.damaged else json.dumps({"q": self.q, "text": self.text})

    def samples(self) -> int:
        """How many samples it holds, whatever becomes of it."""
        return len(self.text) if isinstance(self.text, list) else 1

    def loss(self) -> str | None:
        """Why it makes no sample, told without the code under test."""
        if self.damaged:
            return "unreadable_row"
        if not self.q:
            return "no_question"
        if self.q == "unknown":
            return "no_such_question"
        return "no_sample" if self.q != "c" and not self.samples() else None


QUESTIONS = st.sampled_from(["a", "b", " a", "c", "unknown", "", None])
TEXTS = st.sampled_from(["x", "y", "", None]) | st.lists(st.sampled_from("xy"), max_size=3)
ROW = st.builds(Row, QUESTIONS, TEXTS, st.just(value=False)) | st.just(Row(damaged=True))


@given(rows=st.lists(ROW, max_size=14), data=st.data())
def test_order_changes_no_id_and_every_row_is_accounted_for(
    rows: list[Row], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("import")
    questions = ask(base, "a", "b", "c", limit=2)  # so c is behind the limit
    first = Row("a", "x")

    def read(order: list[Row], cut: int) -> tuple[pl.DataFrame, Tally]:
        lines(base / "pool_1.jsonl", [row.line() for row in [first, *order[:cut]]])
        lines(base / "pool_2.jsonl", [row.line() for row in [first, *order[cut:]]])
        tally = Tally()
        return take(base, questions, tally, max_unmatched=1), tally

    cut, other = (data.draw(st.integers(0, len(rows))) for _ in range(2))
    frame, tally = read(rows, cut)
    shuffled, _ = read(data.draw(st.permutations(rows)), other)
    assert set(shuffled["sample_id"]) == set(frame["sample_id"])
    assert frame["sample_id"].is_unique().all()

    whole = [first, first, *rows]
    wanted = [row for row in whole if row.q in {"a", " a", "b"}]
    assert tally.rows == len(whole)
    assert frame.height == tally.samples == sum(row.samples() for row in wanted)
    assert tally.beyond_limit == sum(row.q == "c" for row in whole)
    assert tally.unmatched == Counter(loss for row in whole if (loss := row.loss()))
