"""A newcomer adds one thing of each kind with what its README says: few files, nothing else."""

import json
import re
from pathlib import Path
from typing import Any, Final

import polars as pl

from tests.docs.fences import blocks, commands, words
from tests.docs.lessons import Lesson, changed, do, passing, renew, state

FILTER: Final = Lesson(
    "filters/README.md",
    ("filters/arithmetic.py", "filters/__init__.py", "tests/golden/arithmetic-v1.jsonl"),
)
MEASURE: Final = Lesson(
    "curate/measures/README.md",
    (
        "curate/measures/grounding.py",
        "curate/measures/__init__.py",
        "tests/curate/measures/test_grounding.py",
    ),
)
ARM: Final = Lesson(
    "curate/select/README.md",
    ("curate/select/arms.py", "tests/curate/select/test_longest.py"),
)
RENEWED: Final = {"filters/README.md", "recipes/recipe.schema.json"}
"""What ``make docs`` writes for a filter."""
SCORE: Final = "ungrounded"
"""What the measure writes."""
GROUNDING: Final = MEASURE.texts[0].text
"""The measure's file."""


def test_the_front_page_shows_the_same_filter() -> None:
    (arithmetic, *_) = FILTER.texts
    assert arithmetic.text in [b.text for b in blocks("python") if b.doc == "README.md"]


def test_a_newcomer_adds_a_filter_in_three_files(copy: Path) -> None:
    before = state(copy)
    FILTER.follow(copy)
    suites = ["tests/filters/test_contract.py", "tests/filters/test_golden.py"]
    passed = passing(copy, "arithmetic or golden", *suites)
    assert len(passed) > 50
    assert "test_every_filter_keeps_every_law[arithmetic-0]" in passed

    for command in (c for c in commands() if "arithmetic" in c):
        said = do(copy, *words(command))
        assert "too_few_equations" in said, command
    chain = "filters=[{use: correctness}, {use: arithmetic}]"
    assert "fine" in do(copy, "curate", "check", "first-look", chain, "select={}")
    assert changed(before, state(copy)) == FILTER.added

    renew(copy)
    assert changed(before, state(copy)) == FILTER.added | RENEWED


def test_a_newcomer_adds_a_measure_in_three_files(copy: Path) -> None:
    before = state(copy)
    MEASURE.follow(copy)
    suites = ["tests/curate/measures/test_contract.py", MEASURE.files[2]]
    passed = passing(copy, "grounding", *suites)
    assert "test_every_measure_keeps_every_law[grounding-0]" in passed
    assert sum(name.startswith("test_every_measure_is_what_it_says") for name in passed) == 4

    (command,) = (words(c) for c in commands() if SCORE in c)
    assert "measure grounding (for select)" in do(copy, "curate", "plan", *command[2:])
    do(copy, *command)
    (run,) = (copy / "runs" / "first-look").glob("001-*")
    audit = pl.read_parquet(run / "audit" / "samples-*.parquet")
    shown_in_lists(copy, run, audit)
    shown_in_the_report(copy, run, audit)
    shown_in_the_card(run, audit)

    do(copy, *command, "select.per_question=1", "--out", "runs/few")
    few = pl.read_parquet(copy / "runs" / "few" / "audit" / "samples-*.parquet")
    best = few.filter("live").group_by("question_id").agg(pl.col(SCORE).min())
    taken = few.filter("selected").select("question_id", SCORE)
    assert taken.sort("question_id").equals(best.sort("question_id")), "lower is better"
    told = json.loads(do(copy, "curate", "diff", str(run), "runs/few", "--json"))
    (shift,) = [shift for shift in told["shifts"] if shift["column"] == SCORE]
    assert shift["before"] == quartiles(audit.filter("selected")[SCORE])
    assert shift["after"] == quartiles(taken[SCORE])
    assert shift["before"] != shift["after"]
    assert SCORE in do(copy, "curate", "diff", str(run), "runs/few")
    assert changed(before, state(copy)) == MEASURE.added


def quartiles(values: pl.Series) -> list[float | None]:
    return [values.quantile(share, "linear") for share in (0.25, 0.5, 0.75)]


def shown_in_lists(root: Path, run: Path, audit: pl.DataFrame) -> None:
    """Want the score in the list of samples, and in what is said of one."""
    listed = do(root, "curate", "show", str(run))
    assert SCORE in listed.splitlines()[0]
    told = json.loads(do(root, "curate", "show", str(run), "--json", "--sort", f"-{SCORE}"))
    values = [row[SCORE] for row in told["rows"]]
    assert values == audit[SCORE].sort(descending=True, nulls_last=True).head(len(values)).to_list()
    first = told["rows"][0]
    said = do(root, "curate", "why", str(run), first["sample_id"])
    assert re.search(rf"scores +.*{SCORE} {first[SCORE]:.4g}", said)


def shown_in_the_report(root: Path, run: Path, audit: pl.DataFrame) -> None:
    """Want figures of the score: how it is spread, and against length."""
    do(root, "curate", "report", str(run))
    page = run.with_name(f"{run.name}.html").read_text()
    figures, samples = (
        json.loads(re.findall(rf'<script [^>]*id="{name}">(.*?)</script>', page, re.DOTALL)[0])
        for name in ("figures", "data")
    )
    spread = figure_of(figures["scores"], "xaxis")
    assert sum(sum(trace["y"]) for trace in spread["data"]) == audit[SCORE].count()
    against = figure_of(figures["scores-length"], "yaxis")
    assert sum(len(trace["x"]) for trace in against["data"]) == audit[SCORE].count()
    assert SCORE in samples["numbers"]


def figure_of(views: list[Any], axis: str) -> Any:
    """Find the figure that has the score on an axis."""
    (found,) = [view for view in views if view["layout"][axis]["title"]["text"] == SCORE]
    return found


def shown_in_the_card(run: Path, audit: pl.DataFrame) -> None:
    """Want the column explained, and drawn over the selection."""
    card = (run / "dataset" / "README.md").read_text()
    (meaning,) = re.findall(r'MEANING = "(.*)"', GROUNDING)
    assert f"| `{SCORE}` | `Float64` | {meaning}; lower is better |" in card
    spread = card.partition("## How the selection is spread")[2]
    (drawn,) = re.findall(rf"^{SCORE}\n((?: .*\n)+)", spread, re.MULTILINE)
    bars = re.findall(r"(?:to +\S+|and above) +(\d+)", drawn)
    assert sum(map(int, bars)) == audit.filter("selected")[SCORE].count()


def test_a_package_brings_a_measure(copy: Path, tmp_path: Path) -> None:
    before, package = state(copy), tmp_path / "site"
    about = package / "mine-1.0.dist-info"
    about.mkdir(parents=True)
    (package / "mine.py").write_text(GROUNDING)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[curate.measures]\ngrounding = mine:Grounding\n")
    plan = ["plan", "first-look", f"select.order_by=[{SCORE}]"]
    assert "measure grounding (for select)" in do(copy, "curate", *plan, also=package)
    assert changed(before, state(copy)) == set()


SCRIPT: Final = f"""
from pydantic import BaseModel
from curate.measures import MEASURES
from curate.recipe.files import read_recipe
from curate.recipe.plan import make_plan
from mine import Grounding

class Options(BaseModel):
    least: int = 2

Grounding.section = Options
MEASURES.register(Grounding)
for given in (["measures={{grounding: {{least: 3}}}}"], []):
    recipe = read_recipe("first-look", ["select.order_by=[{SCORE}]", *given]).recipe
    print(repr(make_plan(recipe).measures[-1].options))
"""


def test_a_notebook_registers_a_measure_with_options(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(GROUNDING)
    (tmp_path / "notebook.py").write_text(SCRIPT)
    told = do(copy, "notebook", also=tmp_path)
    assert told.splitlines() == ["Options(least=3)", "Options(least=2)"]


def test_a_newcomer_adds_an_arm_in_two_files(copy: Path) -> None:
    before = state(copy)
    ARM.follow(copy)
    assert {
        "test_every_arm_keeps_every_law[longest]",
        "test_every_kind_is_of_one_piece[longest]",
        "test_the_longest_sample_of_each_question_is_taken",
    } <= set(passing(copy, "longest", "tests/curate/select"))

    planned, ran = (c for c in commands() if "longest" in c)
    assert "arm longest: as many a question" in do(copy, *words(planned))
    run = json.loads(do(copy, *words(ran), "--json"))
    configs = json.loads((copy / run["folder"] / "dataset/manifest.json").read_text())["configs"]
    assert configs["longest"]["splits"] == configs["default"]["splits"]
    assert "longest" in [pick["name"] for pick in run["funnel"]["picks"]]
    assert changed(before, state(copy)) == ARM.added
