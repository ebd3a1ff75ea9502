"""Several copies of a student give what one gives, and none outlives its run."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import ModelError
from curate.models.students import sharded as sharded_scorer
from curate.models.students.packing import Target
from curate.models.students.scorer import Scorer
from curate.models.students.sharded import ShardedScorer, shares
from tests.curate.models.small_students import TOLERANCE, llama, siblings

ALONE = """
import sys, time
from pathlib import Path
from curate.models.students.sharded import ShardedScorer
if __name__ == "__main__":
    scorer = ShardedScorer(Path(sys.argv[1]), "float32", ["cpu"])
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("student")
    llama().save_pretrained(path)
    return path


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]


def test_two_copies_give_what_one_gives_until_one_is_killed(folder: Path) -> None:
    sharded, here = ShardedScorer(folder, "float32", ["cpu", "cpu"]), Scorer(llama())
    assert sharded.context == here.context
    assert sharded.window == 2 * here.window
    targets = [t._replace(per_token=True) for t in siblings(3, stem=20)]
    for asked in (targets, targets[:1], []):
        found, expected = sharded.score(asked), here.score(asked)
        assert len(found) == len(asked)
        for mine, its in zip(found, expected, strict=True):
            assert [s.tokens for s in mine] == [s.tokens for s in its]
            for one, other in zip(mine, its, strict=True):
                assert one.logs == pytest.approx(other.logs, abs=TOLERANCE)
                assert one.entropies == pytest.approx(other.entropies, abs=TOLERANCE)
    started = children()
    assert len(started) == 2
    started[0].kill()
    with pytest.raises(ModelError, match=r"ended by itself.*CUDA_VISIBLE_DEVICES"):
        sharded.score(targets)
    assert not any(process.is_running() for process in started), "nor is the other left"


def test_a_student_that_cannot_be_loaded_leaves_no_process(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no student could be loaded from .*nothing"):
        ShardedScorer(tmp_path / "nothing", "float32", ["cpu"])
    assert not children()


def test_no_copy_outlives_a_run_that_is_killed(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(ALONE)
    run = subprocess.Popen(
        [sys.executable, str(script), str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "up\n"
    copies = psutil.Process(run.pid).children()
    assert copies
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    _, left = psutil.wait_procs(copies, timeout=20)
    assert not left


@given(
    rows=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=8), max_size=30),
    count=st.integers(1, 5),
)
def test_every_target_is_in_one_share_and_shares_are_even(
    rows: list[list[int]], count: int
) -> None:
    dealt = list(shares([Target(tuple(row), ()) for row in rows], count))
    assert len(dealt) == count
    assert sorted(number for share in dealt for number in share) == list(range(len(rows)))
    longest, total = max(map(len, rows), default=0), sum(map(len, rows))
    for share in dealt:
        assert abs(sum(len(rows[number]) for number in share) - total / count) <= longest


def test_siblings_stay_together() -> None:
    stems = [(1, 1, 1, 1), (2, 2, 2, 2)]
    targets = [Target((*stems[n % 2], n), ()) for n in range(8)]
    assert [{n % 2 for n in share} for share in shares(targets, 2)] == [{0}, {1}]


@pytest.mark.parametrize(
    ("count", "named"), [(0, ["cpu"]), (1, ["cuda:0"]), (3, ["cuda:0", "cuda:1", "cuda:2"])]
)
def test_all_devices_are_used(
    count: int, named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert sharded_scorer.devices() == named
