"""What is refused leaves nothing behind: no lock file, no store, no run, and no sample paid for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.curate import imported_sums, sums
from tests.curate.watched import call, faults_of
from tests.servers.odd_server import OddServer, odd_server

GENERATE = "{use: generate, name: teacher, model: tiny, samples: 1}"
IMPORT = "{use: import, name: pool, path: pool.jsonl, columns: {question: question, completion: X}}"


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server() as server:
        yield server


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: OddServer) -> Path:
    """A folder with a pool, questions, two prompts and no more."""
    imported_sums.write(tmp_path)
    (tmp_path / "failing.jinja").write_text("{% block user %}{{ choices[0] }}{% endblock %}")
    (tmp_path / "verdicts.csv").write_text("sample_id,keep\nabc,perhaps\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("NO_KEY", raising=False)
    return tmp_path


def reached(server: OddServer, options: str = "") -> str:
    return f"runtime={{sources: {{teacher: {{backend: openai, url: '{server.url}'{options}}}}}}}"


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("sources.pool.columns.completion=X", "no column 'X' in pool.jsonl"),
        ("sources=[{use: gold}]", "no question came with a solution"),
        ("exclude_teachers=[nobody]", "no source or teacher is called 'nobody'"),
        ("sources.pool.teacher={column: question}", ""),
        ("filters=[{use: overrides, file: nothing.csv}]", "file of overrides can't be read"),
        ("filters=[{use: overrides, file: verdicts.csv}]", "keep is 'perhaps'"),
    ],
)
def test_a_recipe_that_is_refused_leaves_nothing(
    workplace: Path, override: str, problem: str
) -> None:
    further = ["exclude_teachers=[nobody]"] if not problem else []
    done = call(workplace, "run", "recipe.yaml", override, "arms=[]", "select={}", *further)
    assert done.code == 2
    assert (problem or "no row has the teacher 'nobody'") in done.err
    assert not faults_of(done), "nothing was written"


@pytest.mark.parametrize(
    ("sources", "options", "problem"),
    [
        (f"[{GENERATE[:-1]}, prompt: {{file: failing.jinja}}}}]", "", "block 'user', fails on"),
        (f"[{GENERATE}]", ", api_key_env: NO_KEY", "'NO_KEY' is not set"),
        (f"[{GENERATE}, {IMPORT}]", "", "no column 'X' in pool.jsonl"),
    ],
)
def test_whatever_is_wrong_is_said_before_a_teacher_is_asked(
    workplace: Path, server: OddServer, sources: str, options: str, problem: str
) -> None:
    changes = (f"sources={sources}", reached(server, options), "arms=[]", "select={}")
    done = call(workplace, "run", "recipe.yaml", *changes)
    assert done.code == 2
    assert problem in done.err
    assert not faults_of(done), "nothing was written"
    assert sums.recorded(workplace) == {}


def test_a_store_that_was_there_stays(workplace: Path) -> None:
    (workplace / "store" / "work").mkdir(parents=True)
    done = call(workplace, "run", "recipe.yaml", "sources.pool.columns.completion=X")
    assert (done.code, done.changed) == (2, [])
