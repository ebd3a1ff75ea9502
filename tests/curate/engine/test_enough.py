"""Runs that draw until enough is right: exactly what is needed, whatever happens on the way."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate.engine.forecast.preview import preview
from curate.engine.forecast.probe import probe
from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import InputError
from curate.recipe.files import read_recipe
from curate.recipe.plan import make_plan
from tests.curate import sums
from tests.curate.engine.test_kill import lines
from tests.curate.sources.laws import StoppedError, Stopping
from tests.servers.openai_server import serving

COUNT = 6
UNTIL_FIVE = {"min": 1, "max": 9, "until": {"correct": 5}}
"""Of a question the server has every third one wrong, so this takes seven draws in four rounds."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / sums.STORE))
    sums.write_questions(tmp_path, COUNT)
    return tmp_path


def do(folder: Path, progress: Progress | None = None, **options: Any) -> RunResult:
    file = read_recipe(str(folder / "recipe.yaml"))
    options = RunOptions(runs=folder / "runs", **options)
    return run(file, options, progress or Progress(quiet=True))


def drawn(result: RunResult) -> set[tuple[str, int]]:
    return set(result.audit.select("question_id", "sample_index").iter_rows())


def test_exactly_what_is_needed_is_drawn(folder: Path) -> None:
    with serving(folder / "book") as url:
        sums.write_recipe(folder, url, [sums.source(samples=UNTIL_FIVE)])
        result = do(folder)
        again = do(folder)
    assert lines(folder / "book") == 7 * COUNT == result.tally.sampled
    assert (again.tally.sampled, again.tally.reused) == (0, 7 * COUNT)
    right = result.audit.filter(pl.col("verdict_correctness").struct.field("keep"))
    assert set(right.group_by("question_id").len()["len"]) == {5}
    [source] = result.funnel.sources
    enough = source.enough
    assert enough is not None
    assert (enough.questions, enough.reached) == (COUNT, COUNT)
    assert (enough.samples, enough.accepted) == (7 * COUNT, 5 * COUNT)
    assert enough.tokens == result.audit["completion_tokens"].sum()
    assert f"{COUNT} of {COUNT} questions have enough, 1.4 samples and" in str(enough)
    replayed = do(folder, replay=True)
    assert replayed.summary.dataset_hash == result.summary.dataset_hash


def test_it_ends_at_the_most_of_a_question_and_says_so(folder: Path) -> None:
    with serving(folder / "book") as url:
        sums.write_recipe(folder, url, [sums.source(samples=UNTIL_FIVE | {"max": 6})])
        enough = do(folder).funnel.sources[0].enough
    assert enough is not None
    assert (enough.reached, enough.samples, enough.accepted) == (0, 6 * COUNT, 4 * COUNT)
    assert lines(folder / "book") == 6 * COUNT


def test_no_more_than_wanted_of_all(folder: Path) -> None:
    until = {"correct": 5, "in_all": 11}
    with serving(folder / "book") as url:
        sums.write_recipe(folder, url, [sums.source(samples=UNTIL_FIVE | {"until": until})])
        enough = do(folder).funnel.sources[0].enough
    assert enough is not None
    assert enough.accepted == 11
    assert lines(folder / "book") == enough.samples


def test_what_other_filters_keep_can_be_counted(folder: Path) -> None:
    until = {"kept": 2, "by": ["completeness"]}
    with serving(folder / "book") as url:
        samples = {"min": 1, "max": 9, "until": until}
        sums.write_recipe(folder, url, [sums.source(samples=samples)])
        assert do(folder).audit.height == 2 * COUNT


@pytest.mark.parametrize("in_flight", [1, 8])
def test_how_many_are_in_flight_is_irrelevant(folder: Path, in_flight: int) -> None:
    with serving(folder / "book", delay=0.005) as url:
        sums.write_recipe(folder, url, [sums.source(samples=UNTIL_FIVE)], in_flight=in_flight)
        rows = drawn(do(folder))
    assert len(rows) == 7 * COUNT
    assert {index for _, index in rows} == set(range(7))


@pytest.mark.parametrize("after", [1, COUNT, COUNT + 5, 5 * COUNT + 1, 7 * COUNT - 1])
def test_it_goes_on_wherever_it_was_stopped(folder: Path, after: int) -> None:
    with serving(folder / "book") as url:
        sums.write_recipe(folder, url, [sums.source(samples=UNTIL_FIVE)], in_flight=1)
        with pytest.raises(StoppedError):
            do(folder, Stopping("teacher", after, reading=False))
        assert lines(folder / "book") == after
        result = do(folder)
    assert lines(folder / "book") == 7 * COUNT, "something was asked twice, or for nothing"
    assert len(drawn(result)) == 7 * COUNT


def test_plan_and_probe_count_it(folder: Path) -> None:
    with serving(folder / "book") as url:
        sums.write_recipe(folder, url, [sums.source(samples=UNTIL_FIVE)])
        file = read_recipe(str(folder / "recipe.yaml"))
        [shown] = preview(file).sources
        assert shown.wanted is None
        assert shown.in_words == "1 to 9 a question, until 5 of a question are right"
        few = probe(file, 3, Progress(quiet=True)).sources[0]
        assert few.asking is not None
        assert few.asking.wanted.low <= 7 * COUNT <= few.asking.wanted.high
        assert few.asking.recorded == 7 * 3


def test_a_probe_ends_where_there_is_enough_of_all(folder: Path) -> None:
    sums.write_questions(folder, 30)
    until = {"correct": 5, "in_all": 20}
    with serving() as url:
        sums.write_recipe(folder, url, [sums.source(samples=UNTIL_FIVE | {"until": until})])
        few = probe(read_recipe(str(folder / "recipe.yaml")), 5, Progress(quiet=True)).sources[0]
        asked = do(folder).audit.height
    assert few.asking is not None
    assert few.asking.wanted.high < 2 * asked, "not seven for each of thirty questions"


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ({"correct": 1}, "no filter of the recipe tells right from wrong; add `- use: correct"),
        ({"kept": 1, "by": ["completnes"]}, "no filter is called 'completnes'; did you mean"),
        ({"kept": 1, "by": ["diversity"]}, "filter 'diversity' compares a sample with others"),
    ],
)
def test_what_can_not_be_told_so_early_is_refused(
    folder: Path, until: dict[str, Any], message: str
) -> None:
    samples = {"max": 4, "until": until}
    sums.write_recipe(folder, "http://127.0.0.1:9/v1", [sums.source(samples=samples)])
    filters = "filters=[{use: completeness}, {use: diversity, by: [path]}]"
    recipe = read_recipe(str(folder / "recipe.yaml"), [filters]).recipe
    with pytest.raises(InputError, match=message) as refusal:
        make_plan(recipe)
    assert refusal.value.where == "sources: teacher: samples.until"
