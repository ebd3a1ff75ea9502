"""Planted faults: a run tests its own scores, those of others too, and pays for it once."""

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import InputError, RecordError
from curate.measures import MEASURES
from curate.measures.base import DerivedMeasure
from curate.measures.faults import FAULTS, OTHER, plant
from curate.measures.masking import mask_value
from curate.recipe.files import read_recipe
from curate.recipe.plan import make_plan
from curate.report.html.page import write_report
from curate.store.keys import rank
from filters.columns import Column, Glossary
from tests.curate.engine.test_thresholds import write_student
from tests.curate.registering import registered

RECIPE = """
name: planted
questions: {path: questions.jsonl, gold: {type: number}}
sources:
  - {use: import, name: pool, path: pool.jsonl, columns: {question: question, completion: text}}
measures: {score: {student: student, calibrate: 4}}
filters: [{use: completeness}, {use: correctness}]
select: {order_by: [rd_masked, characters, quotes, rationale_tokens]}
"""
SUMS = [(20 + number, 3 + number % 7, 41 + number) for number in range(12)]
PLANTING = "calibrate.faults=10"


class Letters(DerivedMeasure):
    """Counts what a thought, or a rationale without one, is made of."""

    name: ClassVar[str] = "letters"
    reads = ("rationale", "reasoning")
    writes = Glossary(
        [
            Column("characters", pl.Int64(), "how many there are", score="lower"),
            Column("stops", pl.Int64(), "how many end something", score="higher"),
            Column("length", pl.Int64(), "the same as characters, for nobody", score="none"),
        ]
    )

    def instrument(self) -> Mapping[str, Any]:
        return {}

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        text = pl.coalesce("reasoning", "rationale")
        count = text.str.len_chars().cast(pl.Int64)
        return frame.select(
            characters=count, stops=text.str.count_matches(".", literal=True), length=count
        )


class Quotes(DerivedMeasure):
    """Looks for a rationale in the output, where one with a fault never was."""

    name: ClassVar[str] = "quotes"
    reads = ("rationale", "raw_output")
    writes = Glossary([Column("quotes", pl.Int64(), "how often it is there", score="higher")])

    def instrument(self) -> Mapping[str, Any]:
        return {}

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        pairs = zip(frame["rationale"], frame["raw_output"], strict=True)
        return pl.DataFrame({"quotes": [output.count(text or " ") for text, output in pairs]})


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("planted") / "student"
    write_student(path, [f"What is {a} plus {b} plus {c}? We add." for a, b, c in SUMS])
    return path


@pytest.fixture
def folder(tmp_path: Path, student: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    questions, pool = [], []
    for a, b, c in SUMS:
        asked, total = f"What is {a} plus {b} plus {c}?", a + b + c
        steps = f"We add. {a} + {b} = {a + b}. Then {a + b} + {c} = {total}."
        wrong = f"We take away. {a} - {b} = {a - b}."
        texts = [
            f"{steps} The answer is {total}", f"<think>{steps}</think>\nThe answer is {total}",
            f"{wrong} The answer is {a - b}", "",
        ]  # fmt: skip
        questions.append({"question": asked, "answer": str(total)})
        pool += [{"question": asked, "text": text} for text in texts]
    for name, rows in (("questions", questions), ("pool", pool)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "student").symlink_to(student)
    with registered(MEASURES, Letters), registered(MEASURES, Quotes):
        yield tmp_path


def do(folder: Path, *overrides: str, replay: bool = False) -> RunResult:
    file = read_recipe(str(folder / "recipe.yaml"), overrides)
    return run(file, RunOptions(runs=folder / "runs", replay=replay), Progress(quiet=True))


def facts_of(result: RunResult) -> dict[str, Any]:
    return json.loads((result.folder / "dataset" / "manifest.json").read_text())["planted_faults"]


def test_every_score_is_told_which_faults_it_sees_and_it_is_paid_for_once(folder: Path) -> None:
    plain = do(folder)
    first = do(folder, PLANTING)
    facts = facts_of(first)
    assert facts["rationales"] == 10
    assert [fault["name"] for fault in facts["faults"]] == list(FAULTS)
    copies = sum(fault["copies"] for fault in facts["faults"])
    assert first.tally.measured == copies > 50, "scored, and their tokens counted by nobody"
    assert first.summary.dataset_hash == plain.summary.dataset_hash, "no row is another"
    assert set(first.audit.columns) == set(plain.audit.columns)
    sides = {"nll_with_rationale", "nll_masked", "nll_rationale", "rd_paper", "rd_masked"}
    assert set(facts["scores"]) == sides | {"characters", "stops"}

    again = do(folder, PLANTING)
    assert again.tally.measured == 0
    assert facts_of(again) == facts == facts_of(do(folder, PLANTING, replay=True))
    more = do(folder, "calibrate.faults=12")
    assert 0 < more.tally.measured < first.tally.measured / 2, "of two more, and their donors"

    card = (first.folder / "dataset" / "README.md").read_text()
    assert "## Planted faults" in card
    share = facts["scores"]["characters"]["repeated"]
    assert share == {"value": 1.0, "low": 1.0, "high": 1.0, "questions": 10}
    line = next(line for line in card.splitlines() if line.startswith("| `characters` "))
    assert line.split(" | ")[1:3] == ["0.50 (0.50 to 0.50)"] * 2, "a digit, a sign for another"
    page = write_report(first.folder).read_text()
    assert "a step said twice (10)" in page
    assert "planted-faults" not in write_report(plain.folder).read_text()


def test_shares_are_those_of_a_count_by_hand(folder: Path) -> None:
    result = do(folder, PLANTING)
    facts = facts_of(result)
    right = result.audit.filter(pl.col("verdict_correctness").struct.field("keep"))
    order = sorted(
        right.iter_rows(named=True),
        key=lambda row: rank("faults", row["question_id"], row["sample_id"]),
    )
    first: dict[str, dict[str, Any]] = {}
    for row in order:
        first.setdefault(row["question_id"], row)
    chosen = [first[q] for q in sorted(first, key=lambda q: rank("faults", q))][:10]
    assert {row["reasoning"] is None for row in chosen} == {True, False}
    copies = {fault["name"]: fault["copies"] for fault in facts["faults"]}
    for fault in FAULTS:
        pairs = [(row["rationale"], copy) for row, copy in planted(chosen, fault)]
        assert copies[fault] == len(pairs)
        for score, prefers in (
            ("characters", lambda old, new: (len(old) < len(new)) + (len(old) == len(new)) / 2),
            ("stops", lambda old, new: (old.count(".") > new.count("."))
             + (old.count(".") == new.count(".")) / 2),
        ):  # fmt: skip
            share = facts["scores"][score][fault]
            assert share["questions"] == len(pairs)
            assert share["value"] == pytest.approx(sum(prefers(*pair) for pair in pairs) / 10)
            assert share["low"] <= share["value"] <= share["high"]


def planted(rows: list[dict[str, Any]], fault: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Plant a fault as the engine should: the answer hidden, or another's steps with this one."""
    for row, donor in pairwise([*rows, rows[0]]):
        if fault == OTHER:
            text = donor["rationale"]
            yield row, mask_value(text, donor["answer"], "number", (), row["answer"])
        else:
            copy = plant(
                fault, row["rationale"], row["sample_id"],
                lambda text, row=row: mask_value(text, row["answer"], "number", (), "§").count("§"),
            )  # fmt: skip
            assert copy is not None
            yield row, copy


def test_without_a_filter_that_judges_answers_are_compared(folder: Path) -> None:
    facts = facts_of(do(folder, PLANTING, "filters=[{use: completeness}]"))
    assert facts["rationales"] == 10
    assert facts["scores"]["characters"]["repeated"]["value"] == 1.0


def test_too_few_pairs_say_nothing(folder: Path) -> None:
    facts = facts_of(do(folder, "calibrate.faults=5"))
    nothing = {"value": None, "low": None, "high": None, "questions": 5}
    assert facts["scores"]["characters"]["repeated"] == nothing


def test_a_pool_without_a_right_rationale_has_none(folder: Path) -> None:
    lines = (folder / "pool.jsonl").read_text().splitlines(keepends=True)
    (folder / "pool.jsonl").write_text("".join(line for line in lines if "take away" in line))
    result = do(folder, PLANTING)
    assert facts_of(result)["rationales"] == 0
    assert write_report(result.folder).is_file()


def test_the_plan_tells_what_it_costs(folder: Path) -> None:
    def said(*overrides: str) -> str:
        plan = make_plan(read_recipe(str(folder / "recipe.yaml"), overrides).recipe)
        return "\n".join(plan.describe())

    assert "plant faults" not in said()
    assert "plant faults in up to 10 right rationales, up to 70 texts more for score" in said(
        PLANTING
    )
    free = said(PLANTING, "select.order_by=[characters]")
    assert "up to 70 texts more for no model" in free


def test_faults_nobody_could_see_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="no score of a rationale") as caught:
        do(folder, PLANTING, "select.order_by=[rationale_words, quotes]")
    assert caught.value.where == "calibrate.faults"


def test_a_replay_asks_nobody(folder: Path) -> None:
    do(folder)
    with pytest.raises(RecordError, match=r"the record lacks .* of measure 'score'"):
        do(folder, PLANTING, replay=True)


def test_scores_over_tokens_siblings_and_the_pool_are_tested_too(folder: Path) -> None:
    keys = ["rsr", "nll_rationale_no_heads", "answer_gain_reflective", "casl"]
    orders = f"select.order_by=[{', '.join([*keys, 'reveal_step'])}]"
    local = "measures.local.columns=[nll_local]"
    done = do(folder, orders, local, PLANTING)
    scores = facts_of(done)["scores"]
    assert {*keys, "nll_local"} <= scores.keys()
    assert "reveal_step" not in scores, "neither end of it is better"
    for name in ("rsr", "nll_rationale_no_heads", "casl", "nll_local"):
        told = [share for share in scores[name].values() if share["value"] is not None]
        assert told, name
        assert all(0 <= share["low"] <= share["value"] <= share["high"] <= 1 for share in told)
    again = do(folder, orders, local, PLANTING)
    assert again.tally.measured == 0
    assert facts_of(again)["scores"] == scores
