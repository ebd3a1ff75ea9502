"""Whole runs ordered by fusion, by a draw, and swept: one scored pool, and no model asked twice."""

import json
import math
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pytest

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import InputError
from curate.recipe.files import read_recipe
from curate.recipe.plan import make_plan
from tests.curate.engine.test_thresholds import write_student
from tests.curate.imported_sums import texts
from tests.curate.watched import call, faults_of

RECIPE = """
name: orders
questions: {path: questions.jsonl, gold: {type: number}}
sources:
  - {use: import, name: pool, path: pool.jsonl, columns: {question: question, completion: text}}
measures: {score: {student: student, calibrate: 0}}
filters: [{use: completeness}, {use: correctness}]
select: {per_question: 2, budget: {rows: 6}, order_by: [nll_rationale]}
"""
FUSION = "{rank_fusion: {keys: [rd_paper, nll_rationale, -rationale_words]}}"
SWEPT = (
    f"sweep={{order_by: [nll_rationale, rd_paper, {FUSION}], budget: [{{rows: 3}}, {{share: 0.5}}],"
    " direction: [lowest, highest]}"
)
SUMS = [(20, 3), (31, 7), (45, 9), (22, 8)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four questions of three right answers each, a wrong one and an empty one, and a student."""
    folder = tmp_path_factory.mktemp("orders")
    asked = [f"What is {a} plus {b}?" for a, b in SUMS]
    rows = [{"question": q, "text": text}
            for q, sum_ in zip(asked, SUMS, strict=True) for text in texts(*sum_)]  # fmt: skip
    answers = [{"question": q, "answer": str(sum(sum_))}
               for q, sum_ in zip(asked, SUMS, strict=True)]  # fmt: skip
    for name, content in (("questions", answers), ("pool", rows)):
        lines = (json.dumps(one) + "\n" for one in content)
        (folder / f"{name}.jsonl").write_text("".join(lines))
    (folder / "recipe.yaml").write_text(RECIPE)
    write_student(folder / "student", [*asked, *(row["text"] for row in rows)])
    return folder


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the folder, with one store for all tests."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CURATE_STORE", str(folder / "store"))
    monkeypatch.setenv("COLUMNS", "100")


def do(*overrides: str) -> RunResult:
    return run(read_recipe("recipe.yaml", overrides), RunOptions(), Progress(quiet=True))


def test_another_order_or_sweep_asks_nothing_of_a_model() -> None:
    do()
    scored = do("select.order_by=[rd_paper]")  # whatever ran before has measured all of it
    assert scored.tally.measured == 0
    for changes in (
        (f"select.order_by=[{FUSION}]",),
        ("select.order_by=[{draw: {weights: 2^-rank(nll_rationale)}}]",),
        (SWEPT,),
        (SWEPT, "select.order_by=[-rationale_words]", "sweep.budget=[{rows: 2}]"),
    ):
        assert do(*changes).tally.measured == 0, changes


def test_the_sweep_is_one_table_everywhere(folder: Path) -> None:
    done = call(folder, "run", "recipe.yaml", SWEPT)
    assert done.code == 0, done.err
    assert not faults_of(done)
    result = folder / "runs" / "orders" / Path("runs/orders/latest").read_text().strip()
    manifest = json.loads((result / "dataset" / "manifest.json").read_text())
    lines: list[dict[str, Any]] = manifest["funnel"]["sweep"]
    audit = pl.read_parquet(result / "audit" / "samples-*.parquet")
    assert len(lines) == 12
    for line in lines:
        rows = audit.filter(f"arm_{line['name']}")
        assert (line["rows"], line["questions"]) == (rows.height, rows["question_id"].n_unique())
        assert line["overlap"] == pytest.approx(rows["selected"].mean())
        assert line["right"] == 1.0, "the chain holds no wrong answer"
        if line["key"] == "nll_rationale":
            assert line["mean"] == pytest.approx(rows["nll_rationale"].mean())
        if line["key"] == "rd_paper":
            assert line["mean"] == pytest.approx(math.exp(rows["rd_paper"].log().mean()))
    by = {line["name"]: line for line in lines}
    low, high = (by[f"sweep_nll_rationale_{end}_share_0_5"] for end in ("lowest", "highest"))
    assert (low["rows"], high["rows"]) == (6, 6)
    assert low["mean"] < high["mean"]
    assert low["overlap"] == 1.0, "the selection is by the same key, and as large"
    printed, card = done.out + done.err, (result / "dataset" / "README.md").read_text()
    page = Path(call(folder, "report", "runs/orders").out.strip()).read_text()
    page = page.replace("<wbr>", "")  # where a long name may go on in the next line
    fusion = "rank_fusion(rd_paper, nll_rationale, -rationale_words; k=60)"
    for line in lines:
        assert f"| `{line['name']}` | `{line['key']}` | {line['direction']} |" in card
        assert f'<th scope="row">{line["name"]}</th><td>{line["key"]}</td>' in page
    assert f"sweep_rank_fusion_rd_paper_nll_rationale_minus_rationale_words… by {fusion}" in (
        " ".join(printed.split())
    )
    assert "…_lowest_3" in printed
    arm = datasets.load_dataset(str(result), "sweep_rd_paper_highest_3", split="train")
    assert len(arm) == 3


def test_keys_are_shown_as_a_person_reads_them(folder: Path) -> None:
    fused, drawn = f"select.order_by=[{FUSION}, seed]", "{draw: {weights: 3^-rank(-rd_paper)}}"
    text = "rank_fusion(rd_paper, nll_rationale, -rationale_words; k=60)"
    planned = call(folder, "plan", "recipe.yaml", fused)
    assert f"select by {text}, seed" in planned.out
    one, two = do(fused), do(f"select.order_by=[{drawn}, nll_rationale]")
    card = (one.folder / "dataset" / "README.md").read_text()
    assert f"`order_by` {text}, seed" in card
    assert "order_by seed decides nothing: no live sample has a value" in card
    assert text in Path(call(folder, "report", str(one.folder)).out.strip()).read_text()
    said = json.loads(call(folder, "diff", str(one.folder), str(two.folder), "--json").out)
    changes = {change["name"]: (change["before"], change["after"]) for change in said["parameters"]}
    before = "rank_fusion(rd_paper, nll_rationale, -rationale_words), seed"
    assert changes["recipe.select.order_by"] == (before, "draw(3^-rank(-rd_paper)), nll_rationale")
    shown = call(folder, "show", str(two.folder)).out
    assert "rd_paper" in shown, "what a draw goes by is a deciding column"
    for run_folder in (one.folder, two.folder):
        sample = pl.read_parquet(run_folder / "audit" / "samples-*.parquet")["sample_id"][0]
        assert not faults_of(call(folder, "why", str(run_folder), sample))


def test_what_an_order_reads_is_measured_for_it() -> None:
    bare = ("filters=[{use: completeness}]", "select={}")
    plain = make_plan(read_recipe("recipe.yaml", bare).recipe)
    assert "score" not in [step.measure for step in plain.measures]
    for change in (
        f"select.order_by=[{FUSION}]",
        "select.order_by=[{draw: {weights: 2^-rank(rd_paper)}}]",
        "sweep={order_by: [rd_paper]}",
    ):
        plan = make_plan(read_recipe("recipe.yaml", [*bare, change]).recipe)
        assert "score" in [step.measure for step in plan.measures]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("select.order_by=[teacher]", r"'teacher' \(who wrote it\) holds text, and only a number"),
        ("select.order_by=[-choices]", "'choices' .* holds a list, and only a number or a flag"),
        ("select.order_by=[verdict_correctness]", "'verdict_correctness' holds no single number"),
        ("arms=['lowest:answer']", "arm 'lowest:answer': 'answer' .* holds text"),
        ("sweep={order_by: [rationale]}", "arm 'sweep_rationale_lowest': 'ration.* holds text"),
        ("select.order_by=[{rank_fusion: {keys: [gold]}}]", "'gold' .* holds text"),
        ("select.order_by=[{rank_fusion: {keys: [rd_maskd]}}]", "did you mean 'rd_masked'"),
        ("select.order_by=[{draw: {weights: 2^-rsr}}]",
         r"select.order_by\[0\].draw.weights: got '2\^-rsr'; wanted BASE\^-rank\(COLUMN\)"),
        ("select.order_by=[{rankfusion: {keys: [rd_paper]}}]", "did you mean 'rank_fusion'"),
        ("select.order_by=[{rank_fusion: {key: [rd_paper]}}]", "did you mean 'keys'"),
        ("select.order_by=[{}]", "wanted exactly one of rank_fusion, draw"),
        ("select.order_by=[3]", r"select.order_by\[0\]: got 3"),
        ("sweep={order_by: [-rd_paper]}", "sweep: got .*name 'rd_paper' there"),
        ("sweep={budget: [{rows: 3}]}", "sweep.order_by: missing"),
        ("sweep={order_by: [rd_paper], direction: [up]}", "got 'up'; there are: highest, lowest"),
    ],
)  # fmt: skip
def test_what_can_not_order_is_refused_before_anything_is_asked(change: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make_plan(read_recipe("recipe.yaml", [change]).recipe)


def test_tokens_of_a_sweep_want_a_student() -> None:
    swept = "sweep={order_by: [rationale_words], budget: [{rows: 1}, {tokens: 9}]}"
    changes = ["measures={}", "select={}", swept]
    with pytest.raises(InputError, match=r"sweep.budget\[1\].tokens: tokens are counted by the st"):
        read_recipe("recipe.yaml", changes)
    counted = make_plan(read_recipe("recipe.yaml", changes[1:]).recipe)
    assert [step.measure for step in counted.measures][:2] == ["parse", "tokens"]
