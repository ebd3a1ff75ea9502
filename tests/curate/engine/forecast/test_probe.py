"""``curate plan``: what is recorded, the first prompt, and what a probe foresees of the rest."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.engine.forecast.probe import probe
from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.recipe.files import RecipeFile, read_recipe
from tests.curate import imported_sums, sums
from tests.servers.openai_server import read_book, serving

QUESTIONS, SEEN, SAMPLES = 90, 24, 3
STUDENT = Path(__file__).parents[3] / "stores" / "sums" / "student"
PRICE = {"prompt": 200.0, "completion": 600.0}


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder whose recipe samples three a question, one of which is wrong."""
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / sums.STORE))
    sums.write_questions(tmp_path, QUESTIONS)
    with serving(tmp_path / "book") as url:
        sums.write_recipe(tmp_path, url, [sums.source(samples=SAMPLES)], price=PRICE)
        yield tmp_path


def read(folder: Path, *overrides: str) -> RecipeFile:
    return read_recipe(str(folder / "recipe.yaml"), overrides)


def do(folder: Path, *overrides: str) -> RunResult:
    return run(read(folder, *overrides), RunOptions(runs=folder / "runs"), Progress(quiet=True))


def test_a_probe_keeps_its_samples_and_foresees_the_run(served: Path) -> None:
    told = probe(read(served), SEEN, Progress(quiet=True))
    assert (told.seen, told.of) == (SEEN, QUESTIONS)
    assert len(read_book(served / "book")) == SEEN * SAMPLES
    assert not (served / "runs").exists(), "a probe is no run"

    whole = do(served)
    assert len(read_book(served / "book")) == QUESTIONS * SAMPLES, "none is drawn twice"
    assert (whole.tally.sampled, whole.tally.reused) == (
        (QUESTIONS - SEEN) * SAMPLES, SEEN * SAMPLES
    )  # fmt: skip
    assert told.samples.low == told.samples.high == whole.funnel.samples
    for entry, count in zip(told.filters, whole.funnel.filters, strict=True):
        assert entry.rows is not None
        assert entry.rows.low <= count.live <= entry.rows.high
        assert entry.questions is not None
        assert entry.questions.low <= count.covered <= entry.questions.high
    assert told.selected is not None
    assert told.selected.low <= whole.funnel.picks[0].rows <= told.selected.high

    [source] = [source.asking for source in told.sources]
    assert source is not None
    assert (source.wanted.middle, source.recorded) == (QUESTIONS * SAMPLES, SEEN * SAMPLES)
    entries = read_book(served / "book")
    written = sum(len(entry["text"].split()) for entry in entries)
    asked = sum(len(entry["prompt"].split()) for entry in entries)
    assert source.completion is not None
    assert source.completion.low <= written <= source.completion.high
    assert source.prompt is not None
    assert source.prompt.low <= asked <= source.prompt.high
    later = entries[SEEN * SAMPLES :]
    paid = sum(
        len(entry["prompt"].split()) * PRICE["prompt"]
        + len(entry["text"].split()) * PRICE["completion"]
        for entry in later
    )
    assert source.cost is not None
    assert source.cost.low <= paid / 1e6 <= source.cost.high
    assert source.gpus == 0
    assert told.seconds is not None
    assert told.seconds.low > 0


def test_a_second_probe_asks_the_same_questions_and_draws_nothing(served: Path) -> None:
    first = probe(read(served), SEEN, Progress(quiet=True))
    again = probe(read(served), SEEN, Progress(quiet=True))
    assert len(read_book(served / "book")) == SEEN * SAMPLES
    assert again.filters == first.filters
    assert [stage.seconds for stage in again.stages] == [None]
    wider = probe(read(served), SEEN + 6, Progress(quiet=True))
    assert len(read_book(served / "book")) == (SEEN + 6) * SAMPLES
    assert wider.seen == SEEN + 6


def test_all_questions_probed_leave_nothing_to_guess(served: Path) -> None:
    told = probe(read(served), 1_000, Progress(quiet=True))
    assert told.seen == told.of == QUESTIONS
    live = [entry.rows for entry in told.filters]
    whole = do(served)
    assert [(one.low, one.high) for one in live if one] == [
        (count.live, count.live) for count in whole.funnel.filters
    ]


@pytest.mark.parametrize(("budget", "most"), [("{rows: 10}", 10), ("{share: 0.1}", 30)])
def test_a_budget_cuts_what_is_foreseen(served: Path, budget: str, most: int) -> None:
    told = probe(read(served, f"select.budget={budget}"), SEEN, Progress(quiet=True))
    assert told.selected is not None
    assert 0 < told.selected.high <= most
    rows = do(served, f"select.budget={budget}").funnel.picks[0].rows
    assert told.selected.low - 1 <= rows <= told.selected.high + 1


def test_a_budget_of_tokens_says_at_most(served: Path) -> None:
    budget = f"measures.score.student={STUDENT}", "select.budget={tokens: 100}"
    told = probe(read(served, *budget), SEEN, Progress(quiet=True))
    assert told.selected is None
    assert told.most is not None
    selection = do(served, *budget).funnel.picks[0]
    assert 0 < selection.rows <= told.most
    assert 0 < selection.tokens <= 100


def test_a_filter_that_keeps_nothing_of_the_probe_is_not_foreseen(served: Path) -> None:
    chain = "filters=[{use: completeness}, {use: length, unit: words, min: 500}]"
    told = probe(read(served, chain), SEEN, Progress(quiet=True))
    assert told.filters[1].rows is None
    assert told.filters[1].why is not None
    assert f"--probe {QUESTIONS} may" in told.filters[1].why
    assert told.selected is None


def test_what_was_recorded_before_costs_nothing_again(served: Path) -> None:
    do(served, "questions.limit=40")
    told = probe(read(served), SEEN, Progress(quiet=True))
    [source] = [source.asking for source in told.sources]
    assert source is not None
    entries = len(read_book(served / "book"))
    assert source.recorded == entries > SEEN * SAMPLES
    assert source.cost is not None
    do(served)
    later = read_book(served / "book")[entries:]
    paid = sum(
        len(entry["prompt"].split()) * PRICE["prompt"]
        + len(entry["text"].split()) * PRICE["completion"]
        for entry in later
    )
    assert source.cost.low * 0.97 <= paid / 1e6 <= source.cost.high * 1.03


def test_a_teacher_met_by_no_question_of_the_probe_may_be_excluded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    imported_sums.write(tmp_path)
    pool = tmp_path / "pool.jsonl"
    rows = [json.loads(line) for line in pool.read_text().splitlines()]
    for number, row in enumerate(rows):
        row["by"] = "rare" if number == 7 else "common"
    pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = (
        "sources=[{use: import, name: pool, path: pool.jsonl, teacher: {column: by}, "
        "columns: {question: question, completion: text}}]"
    )
    file = imported_sums.read(tmp_path, source, "exclude_teachers=[rare]")
    told = probe(file, 8, Progress(quiet=True))
    assert told.samples.low <= len(rows) - 1 <= told.samples.high
    [forecast] = told.sources
    assert forecast.asking is None
    assert forecast.rows == told.samples


def test_what_compares_all_questions_is_not_foreseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    imported_sums.write(tmp_path)
    chain = "filters=[{use: completeness}, {use: duplicates}, {use: correctness}]"
    file = imported_sums.read(tmp_path, chain, "select={}", "arms=[]")
    told = probe(file, SEEN, Progress(quiet=True))
    first, duplicates, after = told.filters
    assert first.rows is not None
    assert duplicates.rows is after.rows is None
    assert after.why == "duplicates compares rows of all questions"
    assert told.selected is None
    whole = imported_sums.do(tmp_path, chain, "select={}", "arms=[]").funnel
    for entry, count in zip(told.filters[1:], whole.filters[1:], strict=True):
        assert entry.most is not None
        assert count.live <= entry.most
    assert told.most is not None
    assert whole.picks[0].rows <= told.most


def test_the_command_line_shows_prompt_record_and_forecast(served: Path) -> None:
    before = sums.curate(served, "plan", "recipe.yaml")
    assert before.returncode == 0, before.stderr
    assert "1. load questions from questions.jsonl" in before.stdout
    assert "90 questions in use" in before.stdout
    assert "teacher: 270 samples, 0 in the record, 270 to draw" in before.stdout
    assert "A box holds 20 red, 3 blue and 200 green beads. How many?" in before.stdout
    assert not (served / "book").exists() or not read_book(served / "book")

    probed = sums.curate(served, "plan", "recipe.yaml", "--probe", "24")
    assert probed.returncode == 0, probed.stderr
    for said in (
        "probe of 24 of 90 usable questions",
        "correctness",
        "completion tokens",
        "still to pay",
    ):
        assert said in probed.stdout
    assert "270 samples, 72 in the record, 198 to draw" in probed.stdout

    told = json.loads(sums.curate(served, "plan", "recipe.yaml", "--probe", "24", "--json").stdout)
    low, middle, high = told["forecast"]["gates"][1]["rows"]
    assert low <= middle <= high
