"""Loading questions: nothing lost, every gold tested, order without influence."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.errors import InputError
from curate.sources.base import Tally
from curate.sources.gold import Gold
from curate.sources.questions import QuestionsOptions, QuestionsTable, assign_splits, load_questions
from curate.sources.questions.options import GoldOptions
from curate.sources.questions.summary import form
from filters.answers import GoldType, canonical, equal
from filters.columns import QUESTION_COLUMNS, SOURCE_COLUMNS


def options(**block: Any) -> QuestionsOptions:
    return QuestionsOptions.model_validate({"path": "q.jsonl", "gold": {"type": "number"}, **block})


def load(base: Path, rows: list[Any], *, limit: int | None = None, **block: Any) -> QuestionsTable:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (base / "q.jsonl").write_text("\n".join(lines))
    return load_questions(options(**block), base, limit)


def qa(question: str | None, answer: Any, **more: Any) -> dict[str, Any]:
    return {"question": question, "answer": answer, **more}


def test_every_outcome_is_in_the_table(tmp_path: Path) -> None:
    table = load(
        tmp_path,
        [
            qa("How many?", "12"),
            qa("How  many?\n", "12.0"),
            qa("How much?", "3"),
            qa("How much?", "4"),
            qa(" ", "5"),
            qa("How far?", None),
            qa("How far?", ""),
            qa("How old?", "as old as the hills"),
            qa("How long?", "( 84.0 / 2.0 )"),
            qa("Half known?", None),
            qa("Half known?", "9"),
            qa("Half readable?", "9"),
            qa("Half readable?", "nine or so"),
            '{"question": "cut',
        ],
    )
    assert dict(table.frame.schema) == dict(QUESTION_COLUMNS)
    assert table.frame.select("question", "gold", "status", "reason", "times_seen").rows() == [
        ("How  many?\n", "12", "ok", None, 2),
        ("How much?", None, "quarantined", "conflicting_gold", 2),
        (" ", None, "quarantined", "empty_question", 1),
        ("How far?", None, "quarantined", "no_gold", 2),
        ("How old?", None, "quarantined", "gold_unparseable", 1),
        ("How long?", "( 84.0 / 2.0 )", "ok", None, 1),
        ("Half known?", "9", "ok", None, 2),
        ("Half readable?", None, "quarantined", "conflicting_gold", 2),
        (
            '{"question": "cut',
            None,
            "quarantined",
            table.frame["reason"][-1],
            1,
        ),
    ]
    assert table.frame["reason"][-1].startswith("unreadable_row: q.jsonl:14: ")
    assert table.frame["group_id"].to_list() == table.frame["question_id"].to_list()
    summary = table.summary
    assert (summary.rows, summary.questions, summary.merged) == (14, 9, 5)
    assert summary.quarantined == {
        "conflicting_gold": 2,
        "empty_question": 1,
        "no_gold": 1,
        "gold_unparseable": 1,
        "unreadable_row": 1,
    }
    assert summary.conflicts == (
        ("How much?", ("3", "4")),
        ("Half readable?", ("9", "nine or so")),
    )
    told = "\n".join(summary.lines())
    assert "14 rows, 9 questions, 5 rows merged" in told
    assert "2 golds of the form 'letters ...', such as 'as old as the hills'" in told
    assert "'How much?' has 3 and 4" in told
    assert "q.jsonl:14" in told


def test_golds_of_the_wrong_type_are_refused_with_their_forms(tmp_path: Path) -> None:
    rows = [qa(f"Question {n}?", f"{n} apples or {n} pears") for n in range(3)]
    rows += [qa("Fine?", "3")]
    with pytest.raises(InputError) as caught:
        load(tmp_path, rows)
    told = str(caught.value)
    assert told.startswith("questions.gold: 3 of 4 golds are not of type number: 3 like '0 apples")
    table = load(tmp_path, rows, gold={"type": "number", "max_refused": 0.75})
    (refused,) = table.summary.refused
    assert refused == ("digits letters ... digits letters", 3, "0 apples or 0 pears")


def test_a_gold_that_does_not_equal_itself_is_refused(tmp_path: Path) -> None:
    """Without options a sign alone reads as an empty text, which equals nothing."""
    table = load(tmp_path, [qa("Which?", "%"), qa("What?", "B")], gold={"type": "choice"})
    assert table.frame.select("gold", "reason").rows() == [(None, "gold_unparseable"), ("B", None)]


def test_how_golds_look() -> None:
    assert form("$" * 64_000) == "$" * 57 + "..."
    assert form(" 12 apples") == "digits letters"
    assert form("$1,200.50") == "$digits,digits.digits"
    assert form("3-4") == "digits-digits"
    assert len(form("a1 " * 100)) <= 60


def test_extract_takes_the_answer_or_refuses(tmp_path: Path) -> None:
    rows = [qa("One?", "2 - 1 = 1\n#### 1"), qa("Two?", "no marks 2")]
    table = load(tmp_path, rows, gold={"type": "string", "extract": r"####\s*(.+)"})
    assert table.frame.select("gold", "reason").rows() == [("1", None), (None, "gold_unparseable")]
    for pattern, problem in ((r"####", "has 0 groups"), ("(", "is not a regular expression")):
        with pytest.raises(ValidationError, match=problem):
            options(gold={"type": "string", "extract": pattern})


CHOICES = ["sun", "moon", "star"]


@pytest.mark.parametrize(
    ("row", "columns", "gold"),
    [
        (qa("?", "moon", c=CHOICES), {"choices": "c"}, {}),
        (qa("?", "B", c=CHOICES), {"choices": "c"}, {}),
        (qa("?", "2", c={"text": CHOICES, "label": ["1", "2", "3"]}), {"choices": "c"}, {}),
        (
            qa("?", "y", c=[{"text": t, "label": x} for t, x in zip(CHOICES, "xyz", strict=True)]),
            {"choices": "c"},
            {},
        ),
        (qa("?", 1, c=CHOICES), {"choices": "c"}, {"index_from": 0}),
        (qa("?", "2", c=CHOICES), {"choices": "c"}, {"index_from": 1}),
        (qa("?", "(b)", x="sun", y="moon", z="star"), {"choices": ["x", "y", "z"]}, {}),
        (
            qa("?", "B", t="pick: sun; moon; star"),
            {"choices": {"column": "t", "after": ":", "pattern": r"(\w+)"}},
            {},
        ),
        (qa("Which? (A) sun, (B) moon, (C) star", "B"), {}, {}),
        (qa("Which? (A) sun (B) moon (C) star. Explain.", "B"), {}, {}),
        (qa("?", "B", c=dict(zip("ABC", CHOICES, strict=True))), {"choices": "c"}, {}),
        (qa("?", "B", c={"C": "star", "A": "sun", "B": "moon", "D": None}), {"choices": "c"}, {}),
        (
            qa("?", "B", c=dict(zip(("opa", "opb", "opc"), CHOICES, strict=True))),
            {"choices": "c"},
            {},
        ),
        (qa("?", "B", c=str(CHOICES)), {"choices": "c"}, {}),
        (qa("?", "B", c=json.dumps(CHOICES)), {"choices": "c"}, {}),
        (
            qa("?", "moon", c=json.dumps(dict(zip("ABC", CHOICES, strict=True)))),
            {"choices": "c"},
            {},
        ),
        (qa("?", "B", c=["A)sun", "B)moon", "C)star"]), {"choices": "c"}, {}),
        (qa("?", "B", c=["(a) sun", "(b) moon", "(c) star"]), {"choices": "c"}, {}),
        (qa("?", "B", c=["A. sun", "B. moon", "C. star", None]), {"choices": "c"}, {}),
        (qa("Which? Answer choices: A: sun, B: moon, C: star", "moon"), {}, {}),
    ],
)
def test_choices_in_every_usual_form(
    tmp_path: Path, row: dict[str, Any], columns: dict[str, Any], gold: dict[str, Any]
) -> None:
    table = load(tmp_path, [row], columns=columns, gold={"type": "choice", **gold})
    assert table.frame.item(0, "choices").to_list() == CHOICES
    known = table.frame.item(0, "gold")
    assert canonical(known, "choice", CHOICES) == "B"
    if "index_from" not in gold and isinstance(row["answer"], str) and len(row["answer"]) > 1:
        assert known == row["answer"], "as it was given"


@pytest.mark.parametrize(
    ("listed", "problem"),
    [
        (["sun", None, "star"], "option B is null, and another follows it"),
        ({"A": "sun", "B": None, "C": "star"}, "option B is null"),
        ("sun, moon and star", "holds text ('sun, moon and star'), wanted a list of options"),
        ("['sun', moon]", "wanted a list of options"),
        (
            {"first": "sun", "second": "moon"},
            "an object of first, second; wanted options by letter",
        ),
        (7, "holds '7', wanted a list of options"),
    ],
)
def test_options_in_no_known_form_quarantine_their_question(
    tmp_path: Path, listed: Any, problem: str
) -> None:
    rows = [qa("Which?", "A", c=listed), qa("What?", "A", c=CHOICES)]
    table = load(tmp_path, rows, columns={"choices": "c"}, gold={"type": "choice"})
    first, second = table.frame.sort("question", descending=True).iter_rows(named=True)
    assert (first["status"], second["status"]) == ("quarantined", "ok")
    assert problem in first["reason"]


MATRIX = r"\begin{pmatrix} -1 \\ 6 \end{pmatrix}"


@pytest.mark.parametrize(
    ("kind", "given", "known"),
    [
        ("number", "1,450.00 dollars", "1,450.00 dollars"),
        ("number", 18.0, "18"),
        ("number", "She has 9 + 9 = 18.\n#### 18", "18"),
        ("string", "DNA", "DNA"),
        ("string", "U.S.A.", "U.S.A."),
        ("string", "Stra\u00dfe", "Stra\u00dfe"),
        ("string", "A, B", "A, B"),
        ("latex", r"2\pi r", r"2\pi r"),
        ("latex", r"\ln x + C", r"\ln x + C"),
        ("latex", r"\text{all real numbers}", r"\text{all real numbers}"),
        (
            "latex",
            r"\begin{pmatrix} -1 \\ 6 \end{pmatrix}",
            r"\begin{pmatrix} -1 \\ 6 \end{pmatrix}",
        ),
        ("latex", r"There are 3 and 5, so the sum is $\boxed{8}$.", "8"),
        ("latex", r"So $x=\boxed{3}$ and $y=\boxed{-2}$.", "3, -2"),
        ("date", "04/21/2021", "04/21/2021"),
        ("boolean", "True", "True"),
        ("boolean", False, "no"),
        ("choice", "(b) the moon", "(b) the moon"),
    ],
)
def test_a_gold_stays_as_it_was_given(tmp_path: Path, kind: str, given: Any, known: str) -> None:
    row = {"question": "Which?", "answer": given, "c": CHOICES}
    columns = {"choices": "c"} if kind == "choice" else {}
    table = load(tmp_path, [row], columns=columns, gold={"type": kind})
    assert table.frame.item(0, "status") == "ok"
    assert table.frame.item(0, "gold") == known


GOLDS: dict[GoldType, st.SearchStrategy[str]] = {
    "number": st.one_of(
        st.integers().map(str),
        st.decimals(allow_nan=False, allow_infinity=False, places=2).map(lambda d: f"${d:,}"),
        st.fractions(max_denominator=999).map(str),
    ),
    "latex": st.text("abxy12+-^_{}\\ ,()=", min_size=1, max_size=20),
    "string": st.text(min_size=1, max_size=20),
    "date": st.dates().map("{:%m/%d/%Y}".format),
    "boolean": st.sampled_from(["yes", "No", "TRUE", "f", "1"]),
    "choice": st.sampled_from(["A", "b", "(B)", "moon", "The Moon."]),
}


@given(st.data(), st.sampled_from(list(GOLDS)))
def test_whatever_is_taken_for_a_gold_is_kept_and_equals_itself(
    data: st.DataObject, kind: GoldType
) -> None:
    written = data.draw(GOLDS[kind])
    options = GoldOptions(type=kind)
    gold = options.take({"answer": written}, "answer", None)
    if gold is None:
        assert not written.strip()
        return
    choices = CHOICES if kind == "choice" else None
    assert gold.text in written
    assert equal(gold.text, gold.text, kind, choices) in {True, None}
    if kind in {"number", "date", "boolean", "choice"}:
        assert equal(gold.text, gold.text, kind, choices) is True


def test_a_place_behind_the_last_option_is_no_gold(tmp_path: Path) -> None:
    rows = [qa("?", "7", c=CHOICES), qa("!", "99", c=CHOICES), qa("#", "0", c=CHOICES)]
    table = load(
        tmp_path,
        rows,
        columns={"choices": "c"},
        gold={"type": "choice", "index_from": 0, "max_refused": 1},
    )
    assert table.frame["gold"].to_list() == [None, None, "A"]


def test_questions_that_differ_in_their_choices_are_two(tmp_path: Path) -> None:
    table = load(
        tmp_path,
        [qa("Which?", "A", c=["sun", "moon"]), qa("Which?", "A", c=["sea", "land"])],
        columns={"choices": "c"},
        gold={"type": "choice"},
    )
    assert table.frame["question_id"].n_unique() == 2


def test_facts_are_read_and_columns_joined(tmp_path: Path) -> None:
    row = {"body": "Ann has 2.", "ask": "How many?", "meta": {"gold": 2, "key": 17}, "d": "sums"}
    table = load(
        tmp_path,
        [row],
        columns={
            "question": ["body", "ask"],
            "gold": "meta.gold",
            "id": "meta.key",
            "domain": "d",
            "group": "body",
            "licence": "d",
        },
    )
    assert table.frame.select(
        "question", "gold", "external_id", "domain", "group_id", "licence"
    ).row(0) == ("Ann has 2. How many?", "2", "17", "sums", "Ann has 2.", "sums")


def test_a_mistyped_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"questions\.columns: no column 'anwser'.*'answer'"):
        load(tmp_path, [qa("?", "1")], columns={"gold": "anwser"})


@pytest.mark.parametrize("rows", [[], ["{", "["], [qa("", 1)]])
def test_a_file_without_a_usable_question_is_refused(tmp_path: Path, rows: list[Any]) -> None:
    with pytest.raises(InputError, match=r"holds no rows|no usable question"):
        load(tmp_path, rows)


def test_a_limit_counts_usable_questions_and_forgets_none(tmp_path: Path) -> None:
    rows = [qa("bad?", "x"), qa("1?", "1"), qa("worse?", "y"), qa("2?", "2"), qa("3?", "3")]
    table = load(tmp_path, rows, limit=2)
    assert table.frame["question"].to_list() == ["bad?", "1?", "worse?", "2?"]
    assert table.beyond["question"].to_list() == ["3?"]
    assert table.summary.rows == table.inputs.height == 5
    assert load(tmp_path, rows, limit=2**32).frame.height == 5


@given(share=st.floats(0, 1), more=st.floats(0, 1), seed=st.integers(0, 9))
def test_splits_keep_groups_whole_and_grow(share: float, more: float, seed: int) -> None:
    frame = pl.DataFrame({"group_id": [f"g{n // 3}" for n in range(90)], "split": "train"})
    small, large = (
        assign_splits(frame, part, seed).filter(split="validation")["group_id"]
        for part in sorted((share, more))
    )
    assert set(small) <= set(large)
    assert all(count == 3 for count in large.value_counts()["count"])
    assert assign_splits(frame, 0, seed)["split"].unique().to_list() == ["train"]
    assert assign_splits(frame, 1, seed)["split"].unique().to_list() == ["validation"]


def test_splits_hold_about_their_share() -> None:
    frame = pl.DataFrame({"group_id": [str(n) for n in range(10_000)], "split": "train"})
    held_out = assign_splits(frame, 0.02, 17).filter(split="validation").height
    assert 150 <= held_out <= 250  # 3.5 standard deviations around 200


def test_the_questions_own_solutions_become_samples(tmp_path: Path) -> None:
    rows = [qa("1?", "1", s="so 1"), qa("2?", "2", s=None), qa("1?", "1", s="so 1")]
    rows += [qa("1?", "1", s="hence 1"), qa("3?", "3", s="so 3")]
    table = load(tmp_path, rows, columns={"rationale": "s"}, limit=2)
    (frame,) = Gold(teacher="authors").rows(table, tmp_path, Tally())
    assert dict(frame.schema) == dict(SOURCE_COLUMNS)
    assert frame.select("raw_output", "sample_index", "teacher", "gold_shown").rows() == [
        ("so 1", 0, "authors", True),
        ("hence 1", 1, "authors", True),
    ]
    with pytest.raises(InputError, match=r"questions\.columns\.rationale"):
        list(Gold().rows(load(tmp_path, rows), tmp_path, Tally()))


ROW = st.one_of(
    st.builds(
        qa,
        st.sampled_from(["a", "b", " a ", "c", "", "d"]) | st.none(),
        st.sampled_from(["1", "1.0", "2", "x", "y", "", None]),
        g=st.sampled_from([None, "g", "h"]),
        k=st.sampled_from([None, 1, 2]),
    ),
    st.sampled_from(["{", '{"question": ']),
)


@given(rows=st.lists(ROW, min_size=1, max_size=12), data=st.data())
def test_order_changes_nothing_and_nothing_is_lost(
    rows: list[Any], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("order")
    usable = qa("usable", "1", g=None, k=None)
    block: dict[str, Any] = {
        "columns": {"group": "g", "id": "k"},
        "gold": {"type": "number", "max_refused": 1},
    }
    table = load(base, [usable, *rows], **block)
    assert table.frame["times_seen"].sum() == table.summary.rows == 1 + len(rows)
    assert table.frame["question_id"].is_unique().all()
    assert table.frame.filter(pl.col("status") == "ok")["gold"].null_count() == 0
    assert set(table.inputs["question_id"]) == set(table.frame["question_id"])

    shuffled = load(base, data.draw(st.permutations([usable, *rows])), **block)
    place = pl.col("reason").str.replace(r": q\.jsonl:\d+", "")  # where a damaged line stands
    assert (
        shuffled.frame.with_columns(place)
        .sort("question_id")
        .equals(table.frame.with_columns(place).sort("question_id"))
    )
