"""The report: its numbers against the run's, and the page itself in a browser."""

import json
import re
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import polars as pl
import pytest
from playwright.sync_api import Page, expect

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import InputError
from curate.recipe.files import read_recipe
from curate.report.html.audit import MOST, Audit, chosen_few
from curate.report.html.page import write_report
from tests.curate.imported_sums import do, write
from tests.curate.report.html.browser import opened

SVAMP = Path(__file__).parents[3] / "recipes" / "svamp-teachers.yaml"
CHAIN = """[
  {use: completeness}, {use: length, unit: words, max: 200}, {use: repetition},
  {use: correctness}, {use: diversity, by: [path, text]}, {use: duplicates}
]"""
HOSTILE = (
    "<script>window.broken = 1</script></script><img src=x onerror='window.broken = 2'> "
    "<b>bold</b> &lt;i&gt; <!-- 1 + 2 = 3. The answer is 3"
)


@pytest.fixture(scope="module")
def svamp(data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """Give a run on the rationales of three teachers: 700 questions, 22 each."""
    folder = tmp_path_factory.mktemp("svamp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        patch.setenv("CURATE_TEST_DATA", str(data))
        recipe = folder / SVAMP.name  # its lock file goes beside it
        recipe.write_text(SVAMP.read_text())
        select = "select={per_question: 4, one_per: cluster, order_by: [rationale_words]}"
        changes = (f"filters={CHAIN}", select, "arms=[random, shortest]")
        return run(read_recipe(str(recipe), changes), RunOptions(runs=folder), Progress(quiet=True))


@pytest.fixture(scope="module")
def page_of_svamp(svamp: RunResult) -> Path:
    return write_report(svamp.folder)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the report of a run whose every text would like to be HTML."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = [
        {"question": f"What is <i>1</i> + 2 in case {n}?</script>", "gold": "3", "text": text}
        for n in range(12)
        for text in (HOSTILE, HOSTILE.replace("3", "4"), f"{n} + 0 = {n}. The answer is 3")
    ]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = """
name: hostile
questions: {path: pool.jsonl, columns: {question: question, gold: gold}, gold: {type: number}}
sources:
  - use: import
    name: pool
    path: pool.jsonl
    columns: {question: question, completion: text}
    teacher: "<u>teacher</u>"
filters: [{use: length, unit: words, max: 100}, {use: correctness}]
"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        (folder / "recipe.yaml").write_text(recipe)
        file = read_recipe(str(folder / "recipe.yaml"), ())
        done = run(file, RunOptions(runs=folder / "runs"), Progress(quiet=True))
    return write_report(done.folder, folder / "hostile.html")


def read(page: Path, id_: str) -> Any:
    """Read the data of a page as its script does."""
    text = page.read_text("utf-8")
    found = re.search(
        rf'<script type="application/json" id="{id_}">(.*?)</script>', text, re.DOTALL
    )
    assert found is not None
    return json.loads(found[1])


def filled(value: Any) -> Any:
    """Put a colour where the page puts its theme's."""
    if isinstance(value, dict):
        return {key: filled(one) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one) for one in value]
    return "#123456" if isinstance(value, str) and value.startswith("@") else value


def test_every_figure_is_one_that_plotly_knows(page_of_svamp: Path) -> None:
    figures = read(page_of_svamp, "figures")
    assert {"funnel", "teachers", "coverage", "pass-rate", "map", "what-if", "arms"} <= set(figures)
    for views in figures.values():
        for view in views:
            go.Figure(filled(view))  # raises at a word it does not know


def test_the_funnel_shows_what_the_run_counted(svamp: RunResult, page_of_svamp: Path) -> None:
    by_reason, by_teacher, by_difficulty = read(page_of_svamp, "figures")["funnel"]
    live = dict(zip(by_reason["data"][0]["y"], by_reason["data"][0]["x"], strict=True))
    assert live == {
        "all samples": svamp.funnel.samples, **{g.name: g.live for g in svamp.funnel.filters}
    }  # fmt: skip
    stopped = {t["name"]: sum(t["x"]) for t in by_reason["data"]}
    assert stopped["wrong_answer"] == 208
    assert stopped["taken"] == svamp.funnel.picks[0].rows
    for view in (by_teacher, by_difficulty):
        totals = [sum(counts) for counts in zip(*(t["x"] for t in view["data"]), strict=True)]
        assert totals == [*live.values(), svamp.funnel.picks[0].rows]
    assert {t["name"] for t in by_teacher["data"]} == {"chatgpt", "gemini", "llama"}


def test_pass_rates_count_every_question(svamp: RunResult, page_of_svamp: Path) -> None:
    [figure] = read(page_of_svamp, "figures")["pass-rate"]
    assert sum(figure["data"][0]["y"]) == svamp.funnel.covered
    right = svamp.audit.group_by("question_id").agg(
        pl.col("verdict_correctness").struct.field("keep").fill_null(value=False).all()
    )
    always = int(right["keep"].sum())
    assert figure["data"][0]["y"][-1] == always


def test_a_large_run_is_shown_by_a_stratified_few(svamp: RunResult, page_of_svamp: Path) -> None:
    shown = read(page_of_svamp, "data")["rows"]
    assert len(shown) == MOST
    assert page_of_svamp.stat().st_size < 8_000_000
    assert f"{MOST:,} of 15,391 samples" in page_of_svamp.read_text("utf-8")
    reasons = {
        f"{filter_.name}: {reason}"
        for filter_ in svamp.funnel.filters
        for reason in (*filter_.dropped, *filter_.abstained)
    }
    assert {row["why"] for row in shown} == {None, *reasons}
    audit = Audit.read(svamp.folder)
    few = chosen_few(audit)
    assert few.equals(chosen_few(audit)), "the same at every time"
    whole = few.filter("sibling")["question_id"].unique()
    siblings = audit.rows.filter(pl.col("question_id").is_in(whole.implode()))
    assert set(siblings["sample_id"]) <= set(few["sample_id"])
    assert MOST // 3 < siblings.height <= MOST // 2


def test_nothing_is_lost_from_a_small_run(sums_run: Path, tmp_path: Path) -> None:
    page = write_report(sums_run, tmp_path / "deep" / "report.html")
    shown = read(page, "data")
    audit = pl.read_parquet(sums_run / "audit" / "samples-*.parquet")
    assert {row["id"] for row in shown["rows"]} == set(audit["sample_id"])
    known = {row["id"]: row for row in shown["rows"]}
    for id_, selected, live, text in audit.select(
        "sample_id", "selected", "live", "rationale"
    ).iter_rows():
        row = known[id_]
        assert row["text"] == text
        assert (row["outcome"] == "selected") == selected
        assert (row["why"] is None) == live
    assert [p.name for p in tmp_path.rglob("*.part")] == []


def test_long_texts_are_cut_alike_and_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    write(tmp_path)
    pool = tmp_path / "pool.jsonl"
    rows = [json.loads(line) for line in pool.read_text().splitlines()]
    for number, row in enumerate(rows):
        row["text"] = f"{'ö wort ' * (3_000 if number % 2 else 2)}{row['text']}"
    pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = do(tmp_path, "filters=[{use: completeness}, {use: correctness}]", "select={}", "arms=[]")
    page = write_report(done.folder)
    shown = read(page, "data")["rows"]
    assert len(shown) == 300
    assert page.stat().st_size < 8_000_000
    cut = [row for row in shown if row["cut"]]
    assert 100 < len(cut) < 200
    assert len({len(row["text"]) for row in cut}) == 1
    assert all(row["text"].endswith(" …") for row in cut)
    assert sum(len(row["text"].encode()) for row in shown if row["text"]) < 1_400_000


def test_what_is_not_there_is_left_out(sums_run: Path, tmp_path: Path) -> None:
    figures = read(write_report(sums_run, tmp_path / "report.html"), "figures")
    assert "scores" not in figures
    assert "teachers" not in figures, "there is one"


WRONG = "filters: [{use: correctness}]"
SUMS = [
    {"q": f"What is {n} + 1?", "g": str(n + 1), "t": f"{n} + 1 = {n + 1}. The answer is {n + 1}"}
    for n in range(30)
]
ODD = {
    "no filters": (SUMS, ""),
    "one row": (SUMS[:1], "filters: [{use: correctness}]"),
    "none live": (
        [{**row, "t": "The answer is 99"} for row in SUMS],
        "filters: [{use: correctness}]",
    ),
    "no text": (
        [{**row, "t": ""} for row in SUMS],
        "filters: [{use: length, unit: words, max: 5}]",
    ),
    "all alike": (
        [{**row, "t": f"It is so. The answer is {row['g']}"} for row in SUMS],
        'filters: [{use: length, unit: words, max: 50}]\narms: ["without:length", all]',
    ),
    "quarantined": (
        [*SUMS, {**SUMS[0], "g": "7"}],
        "filters: [{use: correctness}, {use: consistency, max: 0.5}]",
    ),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_run_has_a_report_too(
    odd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    rows, chain = ODD[odd]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text(f"""
name: odd
questions: {{path: pool.jsonl, columns: {{question: q, gold: g}}, gold: {{type: number}}}}
sources:
  - {{use: import, name: pool, path: pool.jsonl, columns: {{question: q, completion: t}}}}
{chain}
""")
    file = read_recipe(str(tmp_path / "recipe.yaml"), ())
    done = run(file, RunOptions(runs=tmp_path / "runs"), Progress(quiet=True))
    with opened(write_report(done.folder)) as there:
        assert found(there.page) == done.funnel.samples
        assert there.violations() == []
        assert there.said == []


def test_it_says_which_run_or_file_it_wanted(sums_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished run"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(InputError, match="wanted a file"):
        write_report(sums_run, tmp_path)


def found(page: Page) -> int:
    text = page.inner_text("#found")
    return int(text.partition(" ")[0].replace(",", ""))


@pytest.mark.parametrize(("width", "theme"), [(1400, "light"), (1400, "dark"), (390, "light")])
def test_the_page_opens_quietly_and_is_accessible(
    page_of_svamp: Path, width: int, theme: Any
) -> None:
    with opened(page_of_svamp, width, theme) as there:
        assert there.violations() == []
        wide = there.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, "nothing sticks out"
        drawn = there.page.eval_on_selector_all(".chart", "all => all.map((e) => e.clientHeight)")
        assert len(drawn) >= 7
        assert min(drawn) > 80
        assert there.page.evaluate("document.documentElement.dataset.theme") == theme
        assert there.said == []
        assert there.asked == []


def test_search_filter_and_pages_work(page_of_svamp: Path) -> None:
    with opened(page_of_svamp) as there:
        page = there.page
        assert found(page) == MOST
        assert page.locator("#rows > li").count() == 20
        first = page.inner_text("#rows > li:first-child")
        page.click("#next")
        assert page.inner_text("#page") == "page 2 of 100"
        assert page.inner_text("#rows > li:first-child") != first
        page.select_option("[name=why]", "correctness: wrong_answer")
        wrong = found(page)
        shown = read(page_of_svamp, "data")["rows"]
        assert wrong == sum(row["why"] == "correctness: wrong_answer" for row in shown) > 0
        page.select_option("[name=teacher]", "gemini")
        assert 0 < found(page) < wrong
        page.click("text=Clear")
        expect(page.locator("#found")).to_contain_text(f"{MOST:,} of {MOST:,}")
        page.fill("[name=text]", "Apples LEFT")
        questions = read(page_of_svamp, "data")["questions"]
        texts = [
            f"{questions[row['q']]['text']} {row['text']} {row['answer']}".lower() for row in shown
        ]
        both = sum("apples" in text and "left" in text for text in texts)
        assert found(page) == both
        assert 0 < both < MOST
        page.click("#rows summary >> nth=0")
        told = page.inner_text("#rows .body")
        assert "completeness: kept" in told
        page.click("text=Its siblings")
        assert 1 <= found(page) <= 22
        assert there.said == []


def test_it_is_reached_by_keyboard(page_of_svamp: Path) -> None:
    with opened(page_of_svamp) as there:
        page = there.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.focus("#theme")
        page.keyboard.press("Enter")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        legend = page.locator("[data-chart=funnel] .legend")
        expect(legend).not_to_contain_text("gemini")
        page.focus("[name=view-funnel]:checked")
        page.keyboard.press("ArrowRight")
        expect(legend).to_contain_text("gemini")
        page.focus("#rows summary")
        page.keyboard.press("Enter")
        expect(page.locator("#rows .body")).to_have_count(1)


def test_a_point_leads_to_its_sample(page_of_svamp: Path) -> None:
    with opened(page_of_svamp) as there:
        page = there.page
        page.emulate_media(reduced_motion="reduce")
        page.locator("#map").scroll_into_view_if_needed()
        point = page.locator("[data-chart=map] .point").first
        box = point.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector("[data-chart=map] .hovertext")
        page.mouse.down()
        page.mouse.up()
        page.wait_for_selector("#rows .body")
        assert found(page) == 1


def test_texts_of_models_stay_texts(hostile: Path) -> None:
    with opened(hostile) as there:
        page = there.page
        for row in range(6):
            page.click(f"#rows summary >> nth={row}")
        assert "<script>window.broken = 1</script></script><img" in page.inner_text("#rows")
        assert "What is <i>1</i> + 2" in page.inner_text("#rows")
        assert page.locator("#rows b, #rows img, #rows script").count() == 0
        assert "<u>teacher</u>" in page.inner_text("#parameters") + page.inner_text("#rows")
        hovered = page.evaluate(
            "[...document.querySelectorAll('.chart')].flatMap((c) => c.data)"
            ".flatMap((t) => t.text ?? []).join(' ')"
        )
        assert "&lt;script&gt;" in hovered
        assert "<script" not in hovered
        assert page.evaluate("window.broken") is None
        assert there.violations() == []
        assert there.said == []
        assert there.asked == []
