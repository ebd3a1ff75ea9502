"""Test questions: none that the pool has, and judged as the run judged."""

import json
from pathlib import Path

import polars as pl
import pytest

from curate.engine.effect.exam import Exam, near
from curate.errors import InputError
from curate.recipe.files import read_recipe, shipped_file
from curate.release.formats.wording import Wording
from curate.sources.questions.options import QuestionsOptions

POOL = [
    "Tom has 3 apples and buys 4 more at the market. How many apples does he have now?",
    "A train goes 60 km in one hour. How far does it go in 3 hours?",
]
NEAR = "Tom has 3 apples and buys 4 more at the market. How many apples does he have today?"
FAR = "Ann has 5 pens and loses 2 of them. How many pens are left?"


def test_questions_of_the_pool_are_found_nearly_or_wholly() -> None:
    asked = [FAR, POOL[1].upper() + "  ", NEAR]
    assert near(asked, POOL) == {1: POOL[1], 2: POOL[0]}
    assert near([], POOL) == near(asked, []) == {}


def test_the_demos_test_is_found_and_shares_nothing_with_its_pool() -> None:
    recipe = read_recipe("quickstart").recipe
    assert recipe.effect is not None
    assert recipe.effect.test is not None
    place = shipped_file(recipe.effect.test.path)
    assert place is not None
    asked, pool = (
        [json.loads(line)["question"] for line in Path(path).read_text().splitlines()]
        for path in (place, Path(place).with_name("quickstart_questions.jsonl"))
    )
    assert len(asked) == 40
    assert near(asked, pool) == {}
    assert shipped_file("../pyproject.toml") is shipped_file("nothing.jsonl") is None


def exam(folder: Path, rows: list[dict[str, str]], kind: str = "number", **more: str) -> Exam:
    lines = (json.dumps(row) + "\n" for row in rows)
    (folder / "test.jsonl").write_text("".join(lines))
    options = QuestionsOptions.model_validate({"path": "test.jsonl", "gold": {"type": kind}})
    wording = Wording(" The answer is {answer}.")
    return Exam.read(options, folder, pl.Series(POOL), wording, None, **more)


ROWS = [{"question": FAR, "answer": "3"}, {"question": NEAR, "answer": "7"}]


def test_a_test_that_the_pool_has_is_refused_or_cut(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 test question of 2 stand.*Tom has 3 apples"):
        exam(tmp_path, ROWS)
    cut = exam(tmp_path, ROWS, overlap="drop")
    assert cut.dropped == 1
    assert cut.questions["question"].to_list() == [FAR]
    with pytest.raises(InputError, match="the pool has every test question"):
        exam(tmp_path, ROWS[1:], overlap="drop")


@pytest.mark.parametrize(
    ("kind", "gold", "texts", "right"),
    [
        ("number", "3", ["5 - 2 = 3. The answer is 3.", "It is 4.", "", "pens"], [1, 0, 0, 0]),
        (
            "latex", r"\frac{1}{2}",
            [r"So $\boxed{\frac{2}{4}}$.", r"So $\boxed{0.5}$.", r"So $\boxed{2}$.", ""],
            [1, 1, 0, 0],
        ),
    ],
)  # fmt: skip
def test_answers_are_judged_as_samples_are(
    tmp_path: Path, kind: str, gold: str, texts: list[str], right: list[int]
) -> None:
    rows = [{"question": f"{FAR} Say it {n} times.", "answer": gold} for n in range(len(texts))]
    asked = exam(tmp_path, rows, kind)
    assert asked.right(texts) == [bool(one) for one in right]
    assert asked.prompts()[0][0]["content"].endswith("times.")


def test_the_known_answer_takes_the_place_of_the_students_own(tmp_path: Path) -> None:
    texts = ["5 - 3 = 2. The answer is 2.", "I do not know", ""]
    rows = [{"question": f"{FAR} Say it {n} times.", "answer": "3"} for n in range(len(texts))]
    variants = exam(tmp_path, rows).golds(texts)
    assert [one.text for one in variants] == ["5 - 3 = 2.", "I do not know", ""]
    assert {one.answer for one in variants} == {"3"}
    assert all(one.part is None for one in variants), "the answer is what is scored"
    assert variants[1].question == rows[1]["question"]
