"""Engine processes end with their owner: real processes, real signals."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from curate.models.teachers.bound import (
    LOCK,
    _Process,
    bind_to_parent,
    end_orphans,
    owning,
    release,
)

CHILD = """
import sys, time
from curate.models.teachers.bound import bind_to_parent
bind_to_parent()
print("bound", flush=True)
time.sleep(120)
"""
OWNER = """
import subprocess, sys, time
from pathlib import Path
from curate.models.teachers.bound import owning
with owning(Path(sys.argv[1])):
    subprocess.Popen([sys.executable, "-c", sys.argv[2]])
    time.sleep(120)
"""


def gone(pids: list[int], seconds: float = 10.0) -> bool:
    """Wait until none of the processes runs any more; a zombie does not run."""
    deadline = time.monotonic() + seconds
    while any(running(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def locked(folder: Path, count: int, seconds: float = 20.0) -> list[int]:
    """Wait until the lock names so many processes, the owner among them."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        locks = list(folder.glob("engine-*.lock"))
        lines = locks[0].read_text().splitlines() if locks else []
        if len(lines) >= count:
            return [int(line.split()[0]) for line in lines]
        time.sleep(0.05)
    raise AssertionError(f"{folder} names fewer than {count} processes")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    yield process
    process.kill()
    process.wait()


def test_a_bound_process_dies_with_its_killed_owner(tmp_path: Path):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), CHILD], stdout=subprocess.DEVNULL
    )
    pids = locked(tmp_path, 2)
    assert pids[0] == owner.pid
    assert running(pids[1])
    owner.kill()
    owner.wait()
    assert gone(pids[1:])
    assert end_orphans(tmp_path) == []
    assert not list(tmp_path.glob("*.lock"))


def test_a_process_that_comes_too_late_leaves_at_once(tmp_path: Path):
    lock = tmp_path / "engine-1.lock"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    lock.write_text(_Process.of(ended.pid).line())
    ended.wait()
    late = subprocess.run(
        [sys.executable, "-c", CHILD],
        env=os.environ | {LOCK: str(lock)},
        capture_output=True,
        check=False,
    )
    assert late.returncode == 1
    assert b"bound" not in late.stdout
    assert len(lock.read_text().splitlines()) == 1


def test_what_an_orphaned_lock_names_is_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes]):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    owner = _Process.of(ended.pid)
    ended.wait()
    lock = tmp_path / f"engine-{ended.pid}.lock"
    lock.write_text(owner.line() + _Process.of(sleeper.pid).line())
    assert end_orphans(tmp_path) == [sleeper.pid]
    assert gone([sleeper.pid])
    assert not lock.exists()


def test_a_process_that_only_has_the_same_number_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
):
    lock = tmp_path / "engine-7.lock"
    lock.write_text(f"{os.getpid()} 1\n{sleeper.pid} 1\n")
    assert end_orphans(tmp_path) == []
    assert sleeper.poll() is None


def test_the_engine_of_a_living_owner_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
):
    with owning(tmp_path) as lock, lock.open("a") as file:
        file.write(_Process.of(sleeper.pid).line())
    assert end_orphans(tmp_path) == []
    assert sleeper.poll() is None
    release(lock)
    assert gone([sleeper.pid])
    assert not lock.exists()


def test_nothing_is_bound_outside_the_block_or_in_the_owner(tmp_path: Path):
    assert LOCK not in os.environ
    bind_to_parent()
    with owning(tmp_path) as lock:
        bind_to_parent()
        assert len(lock.read_text().splitlines()) == 1
    assert LOCK not in os.environ


ENGINE = """
import sys
from pathlib import Path
from curate.models.teachers.base import Request, Sampling
from curate.models.teachers.options import Teacher, VllmOptions
from curate.models.teachers.vllm_engine import EngineGenerator

def main():
    model, folder = sys.argv[1:]
    options = VllmOptions(max_num_seqs=2, max_model_len=256)
    sampling = Sampling(max_tokens=200, temperature=1.0)
    teacher = EngineGenerator(
        Teacher("t", dtype="float32"), sampling, options, path=model, folder=Path(folder)
    )
    turn = ({"role": "user", "content": "Tell a long story."},)
    requests = (Request(key=str(i), messages=turn) for i in range(1000))
    teacher.generate(requests, lambda c: print(c.key, flush=True))

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize("moment", ["loading", "sampling"])
def test_no_engine_process_outlives_a_killed_run(tmp_path: Path, moment: str):
    from curate.models.references import resolve

    script = tmp_path / "run.py"
    script.write_text(ENGINE)
    model = resolve("Qwen/Qwen2.5-Coder-0.5B-Instruct").path
    owner = subprocess.Popen(
        [sys.executable, str(script), str(model), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    if moment == "loading":
        locked(tmp_path, 2, seconds=300)
    else:
        owner.stdout.readline()
    family = [child.pid for child in psutil.Process(owner.pid).children(recursive=True)]
    owner.kill()
    owner.wait()
    assert family
    assert gone(family, seconds=30)
    assert end_orphans(tmp_path) == []
