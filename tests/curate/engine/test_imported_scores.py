"""Scores that other tools gave: read with the rows, and columns like our own from then on."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import datasets
import polars as pl
import pytest

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import InputError
from curate.recipe.files import read_recipe
from curate.recipe.plan import make_plan
from filters import FILTERS
from filters.contract import Example, Filter
from tests.curate.imported_sums import texts
from tests.curate.registering import registered
from tests.curate.watched import call, faults_of

RECIPE = """
name: scored
questions: {path: questions.jsonl, gold: {type: number}}
sources:
  - use: import
    name: pool
    path: pool.jsonl
    columns:
      question: question
      completion: text
      scores: {reward: {column: judged.reward, better: higher}, steps_right: steps}
  - {use: import, name: other, path: other.jsonl, columns: {question: question, completion: text}}
filters: [{use: completeness}, {use: correctness}]
select: {per_question: 1, order_by: [-reward]}
arms: ["lowest:reward", "highest:steps_right"]
"""
SUMS = [(20, 3), (31, 7), (45, 9), (22, 8)]
ODD: list[Any] = ["n/a", "inf", "1_000", {"a": 1}, "7 of 9"]
"""What is no number; the first texts of the pool have it for `steps_right`."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four questions with five samples each, of which three are right, and one of another source.

    Of a question's samples the n-th has a reward of n, the last none; the reward is text in one.
    """
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.chdir(tmp_path)
    asked = [f"What is {a} plus {b}?" for a, b in SUMS]
    pairs = [(q, t, n) for q, sum_ in zip(asked, SUMS, strict=True)
             for n, t in enumerate(texts(*sum_))]  # fmt: skip
    golds = [str(a + b) for a, b in SUMS]
    write(
        "questions", [{"question": q, "answer": gold} for q, gold in zip(asked, golds, strict=True)]
    )
    write("pool", [row(question, text, n) for question, text, n in pairs])
    other = f"It must be {sum(SUMS[0])}. The answer is {sum(SUMS[0])}"
    write("other", [{"question": asked[0], "text": other}])
    Path("recipe.yaml").write_text(RECIPE)
    return tmp_path


def row(question: str, text: str, number: int) -> dict[str, Any]:
    reward = str(float(number)) if number == 1 else None if number == 4 else number
    return {"question": question, "text": text, "judged": {"reward": reward}, "steps": number > 0}


def write(name: str, rows: list[dict[str, Any]]) -> None:
    Path(f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))


def rows_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(f"{name}.jsonl").read_text().splitlines()]


def do(*overrides: str) -> RunResult:
    return run(read_recipe("recipe.yaml", overrides), RunOptions(), Progress(quiet=True))


def test_an_imported_score_orders_and_is_shown_like_our_own(folder: Path) -> None:
    result = do()
    audit = result.audit
    assert audit.schema["reward"] == audit.schema["steps_right"] == pl.Float64
    assert audit.filter(pl.col("source") == "other")["reward"].to_list() == [None]
    own = audit.filter(pl.col("source") == "pool").sort("sample_index")
    assert own.filter(pl.col("sample_index") == 1)["reward"].to_list() == [1.0] * 4
    assert own.filter(pl.col("sample_index") == 4)["reward"].to_list() == [None] * 4
    # Of the three right answers the last has the highest reward, the first the lowest.
    assert audit.filter("selected")["reward"].to_list() == [2.0] * 4
    assert audit.filter("arm_lowest_reward")["reward"].to_list() == [0.0] * 4
    assert audit.filter("arm_highest_steps_right")["steps_right"].to_list() == [1.0] * 4
    released = datasets.load_dataset(str(result.folder), split="train")
    assert released["reward"][:] == [2.0] * 4
    card = (result.folder / "dataset" / "README.md").read_text()
    assert "| `reward` | `Float64` | score that came with imported rows, null for all" in card
    assert "higher is better | every config of samples |" in card
    assert "reward" in call(folder, "show", "runs/scored").out
    assert "reward 2" in call(folder, "why", "runs/scored", released["sample_id"][0]).out
    page = call(folder, "report", "runs/scored")
    assert "reward, median (quartiles)" in Path(page.out.strip()).read_text()


def test_what_scores_say_is_no_part_of_what_a_sample_is(folder: Path) -> None:
    first = do()
    write("pool", [{**one, "judged": {"reward": -i}} for i, one in enumerate(rows_of("pool"))])
    second = do()
    assert first.audit["sample_id"].equals(second.audit["sample_id"])
    assert first.summary.dataset_hash != second.summary.dataset_hash
    assert set(second.audit.filter("selected")["sample_index"]) == {0}, "the order has followed"
    said = call(folder, "diff", str(first.folder), str(second.folder))
    assert "reward" in said.out
    assert not faults_of(said)
    without = do("sources.pool.columns.scores={}", "select.order_by=[]", "arms=[]")
    assert without.audit["sample_id"].equals(first.audit["sample_id"])
    assert "reward" not in without.audit.columns


class Rewarded(Filter):
    """Drop what another tool gave too little."""

    reasons: ClassVar[Mapping[str, str]] = {"too_little": "less than `least`"}
    example: ClassVar[Example] = Example(({"reward": 1.0}, {"reward": 0.0}))

    use: Literal["rewarded"] = "rewarded"
    least: float = 1.0
    """Least reward kept."""

    def reads(self) -> Sequence[str]:
        """Name the column needed."""
        return ("reward",)

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Compare each with the least."""
        keep = (frame["reward"] >= self.least).fill_null(value=True)
        reason = pl.select(pl.when(~keep).then(pl.lit("too_little"))).to_series()
        return self.verdicts(keep, reason)


def test_a_filter_may_go_by_it_and_follows_when_it_changes(folder: Path) -> None:
    chain = "filters=[{use: completeness}, {use: correctness}, {use: rewarded}]"
    with registered(FILTERS, Rewarded):
        first = do(chain)
        assert first.audit.filter("live")["reward"].min() == 1.0
        write("pool", [{**one, "judged": {"reward": 0.5}} for one in rows_of("pool")])
        second = do(chain)
    assert second.audit.filter("live")["source"].to_list() == ["other"]


def test_what_is_no_number_is_null_and_told_of(folder: Path) -> None:
    rows = rows_of("pool")
    odd = [{**one, "steps": value} for one, value in zip(rows, ODD, strict=False)]
    write("pool", [*odd, *rows[len(ODD) :]])
    done = call(folder, "run", "recipe.yaml")
    assert done.code == 0, done.err
    assert "pool: score 'steps_right': 5 values became null for want of a finite" in done.err
    assert "such as 'n/a' in pool.jsonl" in done.err
    assert "score 'reward'" not in done.err, "a null is no oddity"
    audit = pl.read_parquet("runs/scored/*/audit/samples-*.parquet")
    lacking = audit.filter(pl.col("source") == "pool", pl.col("steps_right").is_null())
    assert lacking.height == 5


def test_what_a_frame_holds_in_place_of_a_number_is_told_of_too(folder: Path) -> None:
    frame = pl.DataFrame({
        "question": [one["question"] for one in rows_of("pool")],
        "text": [one["text"] for one in rows_of("pool")],
        "reward": [math.nan, math.inf, None, *map(float, range(17))],
    })  # fmt: skip
    frame.write_parquet("pool.parquet")
    scores = "sources.pool.columns.scores={reward: reward}"
    done = call(folder, "run", "recipe.yaml", "sources.pool.path=pool.parquet", scores, "arms=[]")
    assert "score 'reward': 2 values became null" in done.err
    audit = pl.read_parquet("runs/scored/*/audit/samples-*.parquet")
    assert audit.filter(pl.col("source") == "pool")["reward"].drop_nulls().len() == 17


def test_a_list_of_completions_has_a_list_of_scores(folder: Path) -> None:
    questions = [one["question"] for one in rows_of("questions")]
    write("pool", [
        {"question": q, "text": texts(*sum_)[:3], "steps": [3, 1, None], "judged": {"reward": None}}
        for q, sum_ in zip(questions, SUMS, strict=True)
    ])  # fmt: skip
    audit = do("select.order_by=[steps_right]", "arms=[]").audit
    own = audit.filter(pl.col("source") == "pool").sort("question_id", "sample_index")
    assert own["steps_right"].to_list() == [3.0, 1.0, None] * 4
    assert own["reward"].null_count() == 12
    assert own.filter("selected")["steps_right"].to_list() == [1.0] * 4
    write("pool", [{**one, "steps": [3, 1]} for one in rows_of("pool")])
    with pytest.raises(InputError, match="3 completions and 2 values of score 'steps_right'"):
        do("arms=[]")


def test_two_sources_share_a_score_that_they_declare_alike(folder: Path) -> None:
    write("other", [{**one, "r": 9} for one in rows_of("other")])
    alike = "sources.other.columns.scores={reward: {column: r, better: higher}}"
    audit = do(alike).audit
    assert audit.filter(pl.col("source") == "other")["reward"].to_list() == [9.0]
    assert audit.filter("selected")["reward"].sort().to_list() == [2.0, 2.0, 2.0, 9.0]
    with pytest.raises(InputError, match=r"sources: other: columns.*'reward' is declared in anot"):
        read_recipe("recipe.yaml", ["sources.other.columns.scores={reward: r}"])


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ("{rd_masked: r}", r"'rd_masked' is a column already \(Rationale Difficulty with"),
        ("{cluster: r}", "'cluster' is a column already"),
        ("{teacher: r}", "'teacher' is a column already"),
        ("{right: r}", "'right' is a name that tables are worked on with"),
        ("{tokens: r}", "'imported_tokens'"),
        ("{arm_best: r}", "'imported_arm_best'"),
        ("{Reward: r}", "pattern"),
        ("{reward: {column: r, better: up}}", "got 'up'"),
        ("{reward: {}}", "missing; it must be given"),
        ("{reward: {colum: r}}", "did you mean 'column'"),
        ("{reward: 3}", "columns.scores.reward: got 3"),
    ],
)
def test_a_score_that_can_not_be_one_is_refused(folder: Path, scores: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_recipe("recipe.yaml", [f"sources.pool.columns.scores={scores}", "select={}"])


def test_a_column_that_is_not_there_is_named(folder: Path) -> None:
    done = call(folder, "run", "recipe.yaml", "sources.pool.columns.scores.reward=judged.rewards")
    assert done.code == 2
    assert "no column 'judged.rewards' in pool.jsonl" in done.err
    assert "did you mean 'judged.reward'?" in done.err


def test_the_plan_declares_it_and_the_digest_of_other_recipes_does_not(folder: Path) -> None:
    file = read_recipe("recipe.yaml")
    column = make_plan(file.recipe).glossary["reward"]
    assert (column.of, column.score, column.published) == ("import", "higher", True)
    plain = read_recipe("recipe.yaml", ["sources.pool.columns.scores={}", "select={}", "arms=[]"])
    written = plain.recipe.model_dump(mode="json")
    assert "scores" not in written["sources"][0]["columns"]
    assert "sweep" not in written
