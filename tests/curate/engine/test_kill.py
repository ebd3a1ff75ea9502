"""Runs killed at any moment: nothing recorded is asked again, nothing half-written is ever seen."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate.store.store import Store
from tests.curate import sums
from tests.servers.openai_server import read_book, serving

QUESTIONS, SAMPLES = 90, 8
DELAY = 0.04
"""Seconds before the server answers, so that a kill finds requests under way."""

Moment = Callable[[], bool]
"""Tells whether it has come."""


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        sums.command("run", "recipe.yaml", "--quiet"),
        cwd=folder,
        env=sums.environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_at(moment: Moment, late: float, folder: Path) -> bool:
    """Start a run and kill it so many seconds after a moment; tell whether it came to that."""
    process = start(folder)
    try:
        while not moment() and process.poll() is None:
            time.sleep(0.002)
        time.sleep(late)
    finally:
        process.kill()
    return process.wait() == -signal.SIGKILL


def lines(book: Path) -> int:
    return book.read_bytes().count(b"\n") if book.exists() else 0


def at_start(_: Path) -> Moment:
    return lambda: True


def after_answers(count: int, book: Path) -> Callable[[Path], Moment]:
    return lambda _: grown(lambda: lines(book), count)


def in_judging(folder: Path) -> Moment:
    return grown(lambda: len(list((folder / "store" / "work").glob("*/table/samples-*"))), 1)


def in_release(folder: Path) -> Moment:
    since = time.time_ns()  # what an earlier kill left lies there still
    runs = folder / "runs" / "sums"
    return lambda: any(since < changed(path) for path in runs.glob("*/audit"))


def changed(path: Path) -> int:
    try:
        return path.lstat().st_ctime_ns
    except FileNotFoundError:
        return 0


def grown(count: Callable[[], int], by: int) -> Moment:
    goal = count() + by
    return lambda: count() >= goal


def moments(
    kills: int, chance: random.Random, book: Path
) -> Iterator[tuple[Callable[[Path], Moment], float]]:
    """Give moments to kill at, and seconds to wait then: most while sampling, the last after it."""
    late = max(1, kills // 5)
    yield at_start, chance.uniform(0.1, 1.0)
    for _ in range(kills - late - 1):
        yield after_answers(chance.randint(8, 50), book), chance.uniform(0, DELAY)
    for number in range(2 * late):
        yield (in_release, in_judging)[number % 2], chance.uniform(0, 0.02)


def assert_whole(run: Path) -> None:
    """Fail where a visible run folder lacks anything that its manifest promises."""
    assert json.loads((run / "run.json").read_bytes())["tally"]["seconds"] > 0
    assert (run / "README.md").stat().st_size > 0
    assert pl.read_parquet(run / "audit" / "samples-*.parquet").height == QUESTIONS * SAMPLES
    manifest = json.loads((run / "dataset" / "manifest.json").read_bytes())
    for config, promised in manifest["configs"].items():
        files = (run / "dataset" / "data" / config).rglob("*.parquet")
        rows = sum(pl.read_parquet(file).height for file in files)
        assert rows == sum(promised["splits"].values()) > 0


def assert_no_half_run(folder: Path) -> None:
    runs = folder / "runs" / "sums"
    for run in runs.glob("[0-9]*"):
        assert_whole(run)
    if (runs / "latest").exists():
        assert_whole(runs / (runs / "latest").read_text().strip())


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_run_killed_again_and_again_asks_for_nothing_twice(tmp_path: Path, kills: int) -> None:
    book = tmp_path / "book"
    sums.write_questions(tmp_path, QUESTIONS)
    chance = random.Random(17)
    sources = [sums.source(samples=SAMPLES, seeds=True)]
    killed = saved = delivered = 0
    with serving(book, delay=DELAY) as url:
        sums.write_recipe(tmp_path, url, sources, in_flight=5)
        for moment, late in moments(kills, chance, book):
            before, asked = sums.recorded(tmp_path), lines(book)
            killed += kill_at(moment(tmp_path), late, tmp_path)
            kept = sums.recorded(tmp_path)
            assert {key: kept.get(key) for key in before} == before
            assert_nothing_asked_again(book, asked, before)
            assert_no_half_run(tmp_path)
            if moment not in {in_judging, in_release}:
                saved, delivered = len(kept), lines(book)
            if killed == kills:
                break
        assert killed == kills
        assert saved > delivered / 4, "kills lose more than they should"
        asked, before = lines(book), sums.recorded(tmp_path)
        finished = sums.curate(tmp_path, "run", "recipe.yaml", "--json")
        assert finished.returncode == 0, finished.stderr
        assert_nothing_asked_again(book, asked, before)
        told = lines(book)
    replayed = sums.curate(tmp_path, "run", "recipe.yaml", "--json", "--replay")
    assert replayed.returncode == 0, replayed.stderr
    first, again = json.loads(finished.stdout), json.loads(replayed.stdout)
    assert lines(book) == told
    assert (again["sampled"], again["measured"]) == (0, 0)
    assert again["dataset_hash"] == first["dataset_hash"]
    assert_no_half_run(tmp_path)
    assert_rows_are_in_the_book(tmp_path / first["folder"], book)
    kept, store = sums.recorded(tmp_path), Store(tmp_path / sums.STORE)
    store.gc(days=0)
    assert not [*(store.root / "work").glob("*"), *(store.root / "derived").rglob(".*")]
    assert sums.recorded(tmp_path) == kept


def assert_nothing_asked_again(book: Path, since: int, before: dict[str, Any]) -> None:
    """Fail where the server was asked for a sample that was recorded before it was started."""
    entries = read_book(book)
    seed_of = {entry["text"]: entry["seed"] for entry in entries}
    assert len(seed_of) == len(entries)
    done = {seed_of[value["text"]] for value in before.values()}
    assert len(done) == len(before)
    assert [entry["prompt"] for entry in entries[since:] if entry["seed"] in done] == []


def assert_rows_are_in_the_book(run: Path, book: Path) -> None:
    """Fail where rows and book differ: of every sample asked, the last answer is the one kept."""
    rows = pl.read_parquet(run / "audit" / "samples-*.parquet")
    assert set(rows.group_by("question_id").len()["len"]) == {SAMPLES}
    assert rows.height == QUESTIONS * SAMPLES
    assert set(rows["finish_reason"]) == {"stop"}
    entries = {entry["seed"]: entry for entry in read_book(book)}
    assert {seed: entry["text"] for seed, entry in entries.items()} == dict(
        rows.select("seed", "raw_output").iter_rows()
    )
    for row in rows.iter_rows(named=True):
        assert row["question"] in entries[row["seed"]]["prompt"]


def test_a_kill_between_siblings_asks_only_for_those_that_lack(tmp_path: Path) -> None:
    book = tmp_path / "book"
    sums.write_questions(tmp_path, 4)
    with serving(book, delay=0.4) as url:
        sums.write_recipe(tmp_path, url, [sums.source(samples=5, seeds=True)], in_flight=3)

        assert kill_at(lambda: len(sums.recorded(tmp_path)) >= 2, 0, tmp_path)
        kept = {value["text"] for value in sums.recorded(tmp_path).values()}
        time.sleep(0.5)  # the server still answers what the dead run had asked
        entries = read_book(book)
        assert sums.curate(tmp_path, "run", "recipe.yaml", "--quiet").returncode == 0
        asked = read_book(book)[len(entries) :]
    done = [entry for entry in entries if entry["text"] in kept]
    assert 0 < len(done) < 5
    assert {entry["prompt"] for entry in done} == {entries[0]["prompt"]}
    assert sum(entry["prompt"] == done[0]["prompt"] for entry in asked) == 5 - len(done)
    assert len(asked) == 20 - len(done)
    assert not {entry["seed"] for entry in asked} & {entry["seed"] for entry in done}
