"""Verify: LaTeX by math-verify, in real processes that are killed when they hang."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import wait
from pathlib import Path

import polars as pl
import psutil
import pytest

from curate.measures.base import Item
from curate.measures.verifier import MAX_LENGTH, MAX_MEMORY
from curate.measures.verify import Verify, Worker

TOWER = "9^{9^{9^{9^{9}}}}"
PAIRS = [
    ("\\frac{1}{2}", "0.5", "equal"),
    ("x+1", "$1 + x$", "equal"),
    ("\\sqrt{8}", "2\\sqrt{2}", "equal"),
    ("(1, 2)", "\\left( 1,2 \\right)", "equal"),
    ("50", "50\\%", "equal"),
    ("0.5", "50\\%", "different"),
    ("50", "0.5", "different"),
    ("\\frac{1}{2004!}", "\\frac{1}{2006!}", "different"),
    ("3", "4", "different"),
    ("3", "?", "unparseable"),
    ("?", "3", "gold_unparseable"),
    ("3", "1" * (MAX_LENGTH + 1), "too_large"),
    ("3", TOWER, "time_out"),
    (TOWER, "3", "time_out"),
    ("\\pi", "\\pi + 0", "equal"),
]


@pytest.fixture(scope="module")
def verify() -> Iterator[Verify]:
    measure = Verify(workers=2, seconds=3)
    yield measure
    measure.close()


def table(pairs: list[tuple[str | None, str | None]], gold_type: str = "latex") -> pl.DataFrame:
    return pl.DataFrame(
        [(gold, answer, gold_type) for gold, answer in pairs],
        schema=dict.fromkeys(("gold", "answer", "gold_type"), pl.String()),
        orient="row",
    )


def test_outcomes_and_hangs(verify: Verify):
    """Two power towers hang their workers; every pair still gets its outcome."""
    frame = table([(gold, answer) for gold, answer, _ in PAIRS])
    values = dict(verify.compute(verify.items(frame)))
    got = verify.assemble(frame, values, {})
    assert got.schema == verify.writes.types
    assert dict(zip(frame["answer"], got["verify_outcome"], strict=True)) == {
        answer: outcome for _, answer, outcome in PAIRS
    }


def test_what_needs_no_verifier_asks_none(verify: Verify):
    assert not verify.items(table([("1", "2"), ("yes", "no")], "number"))
    same = table([("\\frac12", "$\\frac12$."), ("3", None), (None, "3")])
    assert not verify.items(same)
    assert verify.assemble(same, {}, {})["verify_outcome"].to_list() == ["equal", None, None]


def test_equal_pairs_have_one_key_and_the_limit_is_part_of_it(verify: Verify):
    first, second = verify.items(table([("x+1", "1+x"), ("x+1", "1+x")]))
    assert first.key == second.key
    (other,) = Verify(seconds=9).items(table([("x+1", "1+x")]))
    assert other.key != first.key


def test_a_process_that_dies_at_work_ran_out_of_memory():
    worker = Worker(10.0)
    try:
        worker.give(Item("tower", ("3", TOWER)), seconds=60)
        os.kill(worker.process.pid or 0, signal.SIGKILL)
        assert wait([worker.pipe], timeout=30)
        assert worker.outcome(ready=True) == "too_large"
        assert not worker.fit
    finally:
        worker.kill()


class Huge:
    """Takes more memory than a worker may have, as soon as it gets there."""

    def __reduce__(self) -> tuple[type[bytes], tuple[int]]:
        return bytes, (MAX_MEMORY,)


def test_a_process_whose_memory_ran_out_ends_without_a_word(capfd: pytest.CaptureFixture[str]):
    worker = Worker(10.0)
    try:
        worker.give(Item("huge", ("3", Huge())), seconds=60)
        assert wait([worker.pipe], timeout=30)
        assert worker.outcome(ready=True) == "too_large"
        assert not worker.fit
        assert worker.process.wait() == 0
        assert capfd.readouterr().err == ""
    finally:
        worker.kill()


def test_what_is_too_long_to_look_at_costs_no_process():
    measure = Verify(workers=1, seconds=60)
    try:
        long = [Item(str(n), ("3", "1" * (MAX_LENGTH + 1 + n))) for n in range(3)]
        results = measure.compute(long)
        assert next(results) == ("0", {"outcome": "too_large"})
        first = measure.workers[0].process.pid
        assert {value["outcome"] for _, value in results} == {"too_large"}
        assert [worker.process.pid for worker in measure.workers] == [first]
    finally:
        measure.close()


def test_a_process_that_dies_idle_costs_nothing():
    measure = Verify(workers=1, seconds=60)
    try:
        items = [Item(str(n), (str(n), f"{n}+0")) for n in range(3)]
        results = measure.compute(items)
        assert next(results) == ("0", {"outcome": "equal"})
        process = measure.workers[0].process
        os.kill(process.pid or 0, signal.SIGKILL)
        process.wait()
        assert dict(results) == {"1": {"outcome": "equal"}, "2": {"outcome": "equal"}}
    finally:
        measure.close()


SCRIPT = """
import polars as pl
from curate.measures.verify import Verify

print("once")
frame = pl.DataFrame({"gold": ["x+1"], "answer": ["1+x"], "gold_type": ["latex"]})
verify = Verify()
print(*(value["outcome"] for _, value in verify.compute(verify.items(frame))))
verify.close()
"""


def test_a_script_without_a_main_guard_runs_once(tmp_path: Path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert (done.stdout.split(), done.returncode) == (["once", "equal"], 0), done.stderr


def test_closing_leaves_no_process_behind():
    measure = Verify(workers=2, seconds=30)
    items = [Item(str(n), ("1", f"1+{n}")) for n in range(4)]
    assert len(list(measure.compute(items))) == 4
    pids = [worker.process.pid for worker in measure.workers]
    assert len(pids) == 2
    measure.close()
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
