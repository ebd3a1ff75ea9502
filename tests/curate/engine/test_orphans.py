"""What a run leaves that is ended from outside: no process, and no scratch after the next start."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from curate.store.store import Store
from tests.curate import imported_sums, sums
from tests.servers.openai_server import serving

PATIENCE = 120
"""Seconds until something that must come is given up: a loaded machine takes its time."""
IN_WORKERS = ("runtime.workers=2", "runtime.questions_per_shard=1")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def running(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Find what a process started, the helper of `multiprocessing` included."""
    return psutil.Process(process.pid).children(recursive=True)


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [child for child in family(process) if "spawn_main" in " ".join(child.cmdline())]


def heeding() -> None:
    """Have a process answer SIGINT, also where these tests run in a shell's background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def started(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, cwd=folder, env=sums.environment(folder), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, preexec_fn=heeding,  # noqa: PLW1509 - this process has no threads that matter
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def recipe(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Give a folder with a recipe of a kind of source."""
    if request.param == "import":
        imported_sums.write(tmp_path)
        yield tmp_path
        return
    sums.write_questions(tmp_path, 40)
    with serving() as url:
        sums.write_recipe(tmp_path, url, [sums.source()])
        yield tmp_path


def scratch(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / sums.STORE / "work").glob("*"))


@pytest.mark.parametrize(
    ("recipe", "number"),
    [
        ("import", signal.SIGTERM),
        ("generate", signal.SIGKILL),
        pytest.param("import", signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param("generate", signal.SIGTERM, marks=pytest.mark.slow),
    ],
    indirect=["recipe"],
)
def test_a_run_that_is_ended_leaves_no_process_and_no_scratch(
    recipe: Path, number: signal.Signals
) -> None:
    with started(sums.command("run", "recipe.yaml", *IN_WORKERS), recipe) as process:
        until(lambda: len(workers(process)) == 2)
        children = family(process)
        process.send_signal(number)
        said = process.communicate(timeout=PATIENCE)[1]
    until(lambda: not any(map(running, children)))
    if number == signal.SIGTERM:
        assert process.returncode == 130
        assert "Traceback" not in said
        assert "stopped; what was sampled and measured is kept" in said
        assert scratch(recipe) == []
    with Store(recipe / sums.STORE).workspace() as work:
        assert scratch(recipe) == [work.name, f"{work.name}.lock"]
    assert scratch(recipe) == []


def test_a_killed_worker_is_told_in_a_sentence_and_the_next_run_goes_on(tmp_path: Path) -> None:
    imported_sums.write(tmp_path)
    command = sums.command("run", "recipe.yaml", *IN_WORKERS, "--quiet")
    with started(command, tmp_path) as process:
        until(lambda: len(workers(process)) == 2)
        children = family(process)
        workers(process)[0].kill()
        said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 1
    assert len(said.splitlines()) == 1
    assert said.startswith("error: a worker process ended before its work was done; ")
    until(lambda: not any(map(running, children)))
    assert scratch(tmp_path) == []
    assert sums.curate(tmp_path, *command[3:], "--limit", "4").returncode == 0


def test_the_scratch_of_a_run_that_lives_stays(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (tmp_path / "store" / "work" / "1-abandoned").mkdir(parents=True)
    (tmp_path / "store" / "work" / "1-abandoned.lock").touch()
    script = "import sys; from pathlib import Path; from curate.store.store import Store\n"
    script += "with Store(Path(sys.argv[1])).workspace() as work: print(work); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(store.root)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdout
    theirs = Path(other.stdout.readline().strip())
    with store.workspace() as work:
        (work / "file").touch()
        assert theirs.is_dir()
        assert not (store.root / "work" / "1-abandoned").exists()
    assert theirs.is_dir()
    other.communicate()
    assert list((store.root / "work").glob("*")) == []


LASTING = """
import sys, time
from curate.cli import _stopping
from curate.engine.executors.local import WorkerProcesses
from curate.engine.progress.progress import Progress

if __name__ == "__main__":
    sys.argv = ["curate", "run", "recipe.yaml"]
    progress = Progress(at_interrupt=_stopping)
    executor = WorkerProcesses(2)
    with progress.shown():
        try:
            with progress.stage("filter", 9, "shards"):
                list(executor.map(time.sleep, [600, 600]))
        finally:
            executor.close()  # waits for what is at work
"""


def test_a_second_ctrl_c_takes_the_workers_along(tmp_path: Path) -> None:
    (tmp_path / "lasting.py").write_text(LASTING)
    with started([sys.executable, "lasting.py"], tmp_path) as process:
        until(lambda: len(workers(process)) == 2)
        children = workers(process)
        assert process.stderr
        process.send_signal(signal.SIGINT)
        while "Ctrl-C again leaves at once" not in process.stderr.readline():
            assert process.poll() is None
        assert all(map(running, children))
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130
    assert "To go on from there:\n  curate run recipe.yaml" in said
    until(lambda: not any(map(running, children)))
