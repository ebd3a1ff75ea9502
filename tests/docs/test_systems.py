"""The recipes of systems: each gives what the system it is named after is defined by.

Those that import are run whole on the published files, and their figures are those of the catalogue
of these files. Those that sample are run against a server that answers sums, so that what they ask,
keep and release can be told exactly.
"""

import re
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.recipe.files import read_recipe, shipped_recipes
from curate.recipe.plan import make_plan
from curate.report.scores.comparison import compare
from curate.sources import SampledSource
from tests.curate.engine.test_rewriting import write_questions
from tests.servers.openai_server import serving

SYSTEMS: Final = {
    name: path for name, path in shipped_recipes().items() if path.parent.name == "systems"
}
LIMIT: Final = 6


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def imported(name: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> RunResult:
    monkeypatch.setenv("CURATE_TEST_DATA", str(data.resolve()))
    return run(read_recipe(name), RunOptions(), Progress(quiet=True))


def sampled(name: str, url: str, *overrides: str) -> RunResult:
    """Run a recipe on a few sums, every teacher behind a url."""
    write_questions(Path.cwd(), LIMIT)
    asked = f"questions={{path: {Path.cwd() / 'questions.jsonl'}, gold: {{type: number}}}}"
    recipe = read_recipe(name).recipe
    names = [source.name for source in recipe.sources if isinstance(source, SampledSource)]
    reached = f"{{backend: openai, url: '{url}', in_flight: 4}}"
    there = [f"runtime.sources.{each}={reached}" for each in names]
    file = read_recipe(name, [*there, asked, *overrides])
    return run(file, RunOptions(), Progress(quiet=True))


def released(result: RunResult, config: str = "default") -> pl.DataFrame:
    folder = result.folder / "dataset" / "data" / config
    return pl.read_parquet(folder / "**" / "*.parquet")


def right(rows: pl.DataFrame) -> pl.Series:
    return rows["verdict_correctness"].struct.field("keep")


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_recipe_is_fine_and_says_what_it_is(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CURATE_TEST_DATA", str(tmp_path))
    make_plan(read_recipe(name).recipe)
    text = SYSTEMS[name].read_text()
    for heading in ("Command", "Hardware", "Funnel", "System", "Asks", "Trainer", "Unknown"):
        assert re.search(rf"^# {heading}: {{2,}}\S", text, re.MULTILINE), heading
    assert f"curate run {name}" in text


@pytest.mark.data
def test_mentor_kd_draws_three_right_ones(
    data: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = imported("mentor-kd", data, monkeypatch)
    share = right(result.audit).mean()
    assert isinstance(share, float)
    assert 0.92 <= share <= 0.99, "as the catalogue of the files has it"
    per_question = released(result).group_by("question_id").len()["len"]
    assert per_question.max() == 3
    apart = released(result, "one_per_cluster").join(
        result.audit.select("sample_id", "cluster"), on="sample_id", suffix="_audit"
    )
    assert apart.height == released(result).height


@pytest.mark.data
def test_self_motivated_pairs_are_right_against_wrong_of_one_question(
    data: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = imported("self-motivated", data, monkeypatch)
    verdict = pl.col("verdict_correctness").struct
    both = (
        result.audit.group_by("question_id")
        .agg(
            right=verdict.field("keep").any(),
            wrong=(verdict.field("reason") == "wrong_answer").any(),
        )
        .filter("right", "wrong")
    )
    assert both.height in range(45, 103), "as the catalogue of the files has it"
    pairs = released(result, "dpo")
    of_pairs = result.audit.filter(pl.col("sample_id").is_in(pairs["sample_id"].implode()))
    assert set(of_pairs["question_id"]) == set(both["question_id"])


@pytest.mark.data
def test_step_by_step_filters_nothing_and_three_quarters_are_right(
    data: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = imported("distilling-step-by-step", data, monkeypatch)
    assert released(result, "all").height == 800
    share = released(result).height / 800
    assert share == pytest.approx(0.735, abs=0.015), "73.5 % by other means"
    tasks = released(result, "tasks")
    assert tasks.height == 2 * released(result).height, "the label and the rationale"


def test_fine_tune_cot_takes_all_that_is_right(place: Path) -> None:
    with serving() as url:
        result = sampled("fine-tune-cot", url)
    assert result.audit.height == 8 * LIMIT
    assert set(released(result)["sample_id"]) == set(
        result.audit.filter(right(result.audit))["sample_id"]
    )


def test_coped_mends_the_wrong_and_releases_them_too(place: Path) -> None:
    with serving() as url:
        result = sampled("coped", url)
    rows = result.audit
    wrong = rows.filter((pl.col("source") == "teacher") & ~right(rows).fill_null(value=False))
    mended = rows.filter(source="repair")
    assert wrong.height
    assert sorted(mended["parent_id"].unique()) == sorted(wrong["sample_id"])
    assert set(released(result, "all")["sample_id"]) == set(rows["sample_id"])
    assert set(wrong["sample_id"]) <= set(released(result, "rejected")["sample_id"])
    weights = released(result)["weight"]
    assert weights.is_between(0, 1, closed="none").all()


def test_dc_cot_augments_filters_and_mixes(place: Path) -> None:
    with serving() as url:
        result = sampled("dc-cot", url, "filters.2.max=1.0")
        harder = sampled("dc-cot", url, "filters.2.max=0.1")
    rows = result.audit
    kept = rows.filter((pl.col("source") == "teacher") & right(rows))
    assert set(rows.filter(source="rephrased")["parent_id"]) <= set(kept["sample_id"])
    assert set(released(result)["student_samples"]) == {2}
    words = released(result).join(rows.select("sample_id", "rationale_words"), on="sample_id")
    short = (words["rationale_words"] < 40).sum()
    assert abs(words.height - 2 * short) <= 1
    [_, _, band] = harder.funnel.filters
    assert band.dropped.get("above", 0) > 0


def test_chainlm_evolves_questions_or_says_why_not(place: Path) -> None:
    with serving() as url:
        result = sampled("chainlm", url)
    told = {source.name: source.posed for source in result.funnel.sources}
    assert told["harder"] == told["other"] == {"no_question": LIMIT}, "the server poses none"
    assert set(result.audit["source"]) == {"teacher"}


def test_limo_takes_few_long_ones_that_the_student_does_not_know(place: Path) -> None:
    with serving() as url:
        result = sampled("limo", url, "select.budget={rows: 3}")
    rows = released(result)
    assert 0 < rows.height <= 3
    assert rows["question_id"].is_unique().all()
    assert (rows["student_pass_rate"] <= 0.75).all()


def test_openthoughts_takes_right_and_wrong_of_both(place: Path) -> None:
    with serving() as url:
        result = sampled("openthoughts", url)
    rows = released(result)
    assert rows.height == 16 * LIMIT
    assert set(rows["source"].value_counts()["count"]) == {8 * LIMIT}


UNSCORED: Final = ("measures.score=null", "select.order_by=[rationale_words]")
"""Without a student; what a server writes of sums tells none apart."""


def test_key_factors_writes_each_right_solution_in_ten_ways(place: Path) -> None:
    with serving() as url:
        asks = ("measures.signals=null", "filters.2.expect={'*': {computations: {min: 0}}}")
        result = sampled("key-factors", url, *UNSCORED, *asks)
    rows = result.audit
    solved = rows.filter((pl.col("source") == "teacher") & right(rows))
    assert solved.height
    written = rows.filter(pl.col("source") != "teacher")
    assert set(written["prompt_id"]) == {
        *(f"level-{number}" for number in range(1, 7)),
        *(f"format-{name}" for name in ("plain", "sub-questions", "rephrase", "symbolic")),
    }
    for _, one in written.group_by("prompt_id"):
        assert sorted(one["parent_id"]) == sorted(solved["sample_id"])
    assert written["gold_shown"].all()
    assert not solved["gold_shown"].any()
    assert set(written["round"]) == {1}
    assert written.filter("live")["length_to_parent"].null_count() == 0


def test_socratic_cot_keeps_what_was_broken_down_and_not_what_it_was_made_from(place: Path) -> None:
    with serving() as url:
        result = sampled(
            "socratic-cot", url, "filters.2.expect.format-sub-questions={sub_questions: {min: 0}}"
        )
    rows = result.audit
    judged = rows.filter(pl.col("verdict_compliance").struct.field("keep").is_not_null())
    kept = judged["verdict_compliance"].struct.field("keep")
    assert kept.to_list() == (judged["source"] == "socratic").to_list()
    made_from = rows.filter(source="socratic")["parent_id"]
    solved = rows.filter((pl.col("source") == "teacher") & right(rows))
    assert made_from.is_in(solved["sample_id"].implode()).all()


def student_of_sums() -> str:
    folder = Path(__file__).parents[1] / "stores" / "sums" / "student"
    return f"measures.score={{student: '{folder}', calibrate: 8}}"


@pytest.mark.data
@pytest.mark.parametrize(("kind", "share"), [("choice", (0.97, 1.0)), ("string", (0.92, 0.97))])
def test_morsd_chooses_right_different_and_easy_ones(
    kind: str, share: tuple[float, float], data: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_TEST_DATA", str(data.resolve()))
    plain = ["measures.embed=null", "filters.diversity.by=[path, text]"]
    file = read_recipe(f"morsd-{kind}", [student_of_sums(), *plain])
    result = run(file, RunOptions(), Progress(quiet=True))
    rows = result.audit
    right_ones = right(rows).mean()
    assert isinstance(right_ones, float)
    assert share[0] <= right_ones <= share[1]
    chosen = rows.filter("selected")
    assert chosen.height
    assert chosen["rd_paper"].max() <= 1.0
    assert not chosen.select("question_id", "cluster").is_duplicated().any()
    assert chosen.group_by("question_id").len()["len"].max() == 2
    assert set(chosen["gold_type"]) == {kind}


@pytest.mark.data
def test_key_factors_of_the_published_files_are_compared_where_the_rest_is_the_same(
    data: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_TEST_DATA", str(data.resolve()))
    file = read_recipe("key-factors-svamp", [student_of_sums(), "questions.limit=24"])
    result = run(file, RunOptions(), Progress(quiet=True))
    assert result.audit.group_by("teacher", "prompt_id").len().height == 22
    comparison = compare(result.folder)
    compared = {groups.by: groups for groups in comparison.variants}
    assert compared["level"].within == ("chatgpt plain", "gemini plain")
    assert [one.name for one in compared["level"].groups] == ["1", "2", "3", "4", "5", "6"]
    assert compared["format"].within == ("chatgpt 3", "chatgpt 5")
    assert len(compared["format"].groups) == 4
    assert len(compared["variant"].groups) == 22
    assert comparison.teachers is not None
    assert comparison.teachers.within == ("level1", "level2", "level3", "level4")
    told = compared["variant"].figures
    for figure in ("rd_paper", "rd_masked", "rsr", "nll_rationale", "rationale_tokens", "retold"):
        assert figure in told
    assert "chatgpt level 5 symbolic" in told["symbols"]


@pytest.mark.data
def test_srd_stages_go_from_what_the_student_nearly_writes(
    data: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_TEST_DATA", str(data.resolve()))
    with serving() as url:
        reached = f"runtime.sources.student={{backend: openai, url: '{url}'}}"
        without = "select.stages={by: [-student_overlap], count: 4}"
        few = [reached, without, "measures.score=null", "questions.limit=40"]
        result = run(read_recipe("srd", few), RunOptions(), Progress(quiet=True))
    rows = released(result)
    assert set(rows["source"]) == {"reference"}
    means = rows.group_by("stage").agg(pl.col("student_overlap").mean()).sort("stage")
    assert means["stage"].to_list() == [1, 2, 3, 4]
    assert means["student_overlap"].is_sorted(descending=True)
