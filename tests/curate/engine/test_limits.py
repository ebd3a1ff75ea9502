"""Limits on what a run may spend: it stops cleanly, keeps what was paid for, and goes on."""

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from curate.engine import pipeline
from curate.engine.limits import Meter, SpendingLimitError
from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import BackendError, InputError
from curate.models.servers.servers import Price
from curate.recipe.files import parse_recipe, read_recipe
from tests.curate import sums
from tests.servers.openai_server import read_book, serving

QUESTIONS, SAMPLES, IN_FLIGHT = 40, 2, 4
PRICE = {"prompt": 100.0, "completion": 400.0}


def limits(**given: Any) -> Any:
    none = {"max_tokens_total": None, "max_cost": None, "max_hours": None}
    return SimpleNamespace(**{**none, **given})


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / sums.STORE))
    sums.write_questions(tmp_path, QUESTIONS)
    with serving(tmp_path / "book") as url:
        sums.write_recipe(
            tmp_path, url, [sums.source(samples=SAMPLES)], price=PRICE, in_flight=IN_FLIGHT
        )
        yield tmp_path


def do(folder: Path, *overrides: str) -> RunResult:
    file = read_recipe(str(folder / "recipe.yaml"), overrides)
    return run(file, RunOptions(runs=folder / "runs"), Progress(quiet=True))


def spent(folder: Path) -> tuple[int, float]:
    """Add up tokens and money from what the server wrote."""
    pairs = [(len(e["prompt"].split()), len(e["text"].split())) for e in read_book(folder / "book")]
    cost = sum(p * PRICE["prompt"] + c * PRICE["completion"] for p, c in pairs) / 1e6
    return sum(p + c for p, c in pairs), cost


@pytest.mark.parametrize("limit", ["max_tokens_total", "max_cost"])
def test_a_limit_stops_a_run_which_later_goes_on(served: Path, limit: str) -> None:
    most = {"max_tokens_total": 2_000, "max_cost": 0.3}[limit]
    with pytest.raises(SpendingLimitError, match=rf"runtime\.{limit} {most:,g} is reached"):
        do(served, f"runtime.{limit}={most}")
    first = len(read_book(served / "book"))
    used = spent(served)[limit == "max_cost"]
    each = used / first
    assert most <= used < most + (IN_FLIGHT + 1) * each, "no more than what was on its way"
    assert not (served / "runs").exists(), "nothing half-made is released"
    rounds = 1
    while True:
        try:
            whole = do(served, f"runtime.{limit}={most}")
            break
        except SpendingLimitError:
            rounds += 1
    assert rounds > 1
    assert len(read_book(served / "book")) == QUESTIONS * SAMPLES, "none was drawn twice"
    assert whole.funnel.samples == QUESTIONS * SAMPLES
    assert do(served).summary.dataset_hash == whole.summary.dataset_hash, "a limit is in no key"


def test_the_command_line_exits_with_1_and_says_how_to_go_on(served: Path) -> None:
    stopped = sums.curate(served, "run", "recipe.yaml", "runtime.max_tokens_total=500")
    assert stopped.returncode == 1
    assert "error: runtime.max_tokens_total 500 is reached" in stopped.stderr
    assert "run again to go on" in stopped.stderr
    assert "Traceback" not in stopped.stderr


def test_hours_are_counted_from_the_start() -> None:
    now = [1_000.0]
    meter = Meter(limits(max_hours=2.0), lambda: now[0])
    assert list(meter.until_reached(range(3))) == [0, 1, 2]
    now[0] += 7_199
    assert meter.reached is None
    now[0] += 1
    assert list(meter.until_reached(range(3))) == []
    with pytest.raises(SpendingLimitError, match="max_hours 2 is reached: 2 hours"):
        meter.check()


def test_a_run_out_of_time_keeps_what_it_has(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = itertools.count()
    # every look at the clock is a minute
    slow = partial(Meter, clock=lambda: 60.0 * next(counted))
    monkeypatch.setattr(pipeline, "Meter", slow)
    with pytest.raises(SpendingLimitError, match=r"max_hours 0\.25 is reached"):
        do(served, "runtime.max_hours=0.25")
    first = len(read_book(served / "book"))
    assert 0 < first < QUESTIONS * SAMPLES
    monkeypatch.undo()
    monkeypatch.setenv("CURATE_STORE", str(served / sums.STORE))
    assert do(served).tally.reused == first


def test_a_server_that_counts_nothing_can_not_be_limited() -> None:
    for free in (Meter(), Meter(limits(max_hours=1.0))):
        free.spend(None, None, None)
        free.check()
    for limit, spent in (
        (limits(max_tokens_total=5), (3, None, None)),
        (limits(max_cost=5), (None, 3, Price(prompt=1, completion=1))),
    ):
        meter = Meter(limit)
        meter.spend(*spent)
        assert list(meter.until_reached([1])) == [], "what is on its way ends, no more is asked"
        with pytest.raises(BackendError, match="does not say how many tokens"):
            meter.check()


def test_a_limit_met_by_the_last_sample_is_no_limit(served: Path) -> None:
    do(served)
    tokens, _ = spent(served)
    again = served / "again"
    again.mkdir()
    sums.write_questions(again, QUESTIONS)
    (again / "recipe.yaml").write_text((served / "recipe.yaml").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(again / "store"))
        done = do(again, f"runtime.max_tokens_total={tokens}")
    assert done.funnel.samples == QUESTIONS * SAMPLES


RECIPE = """
name: a
questions: {path: q.jsonl, gold: {type: number}}
sources: [{use: generate, name: t, model: m}]
runtime: {max_cost: 5%s}
"""


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        ("", "no source is drawn from a server with a price"),
        (", sources: {t: {backend: openai, url: 'http://a/v1'}}", "a server has no price"),
    ],
)
def test_a_limit_that_nothing_counts_against_is_refused(reached: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_recipe(RECIPE % reached)
