"""Whatever a server answers, a run ends with a message or a sample, and the next run goes on.

`make fuzz PYTEST=tests/curate/models/servers/test_mutants.py` draws ten thousand answers.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.curate import sums
from tests.curate.models.servers.answers import answers
from tests.curate.watched import call, faults_of
from tests.servers.odd_server import Answer, OddServer, odd_server

COUNT = 40
"""Questions, and so answers, of a run."""
QUESTIONS = [f"What is {20 + number} plus 5?" for number in range(COUNT)]
HASTY = (
    "runtime.sources.teacher.patience=0.2",
    "runtime.sources.teacher.timeout=0.5",
)


def furnish(folder: Path, url: str) -> None:
    """Write the questions and a recipe that draws one sample of each."""
    (folder / "questions.jsonl").write_text(
        "".join(
            json.dumps({"question": question, "answer": 25 + number}) + "\n"
            for number, question in enumerate(QUESTIONS)
        )
    )
    sums.write_recipe(folder, url, [sums.source(samples=1)], in_flight=4)


def outlast(folder: Path, server: OddServer, drawn: Sequence[Answer]) -> list[str]:
    """Run until every answer was given, then against the healthy server; give what was wrong."""
    shutil.rmtree(folder / "store", ignore_errors=True)
    shutil.rmtree(folder / "runs", ignore_errors=True)
    waiting = dict(zip(QUESTIONS, drawn, strict=False))
    faults: list[str] = []
    while waiting:
        server.answers, server.asked = dict(waiting), []
        done = call(folder, "run", "recipe.yaml", "--quiet", *HASTY)
        faults += faults_of(done)
        faults += ["the recipe was refused"] if done.code == 2 else []
        if done.code == 0 or not server.asked:
            break
        for question in server.asked:
            waiting.pop(question, None)
    server.answers = {}
    for arguments in ((), ("--retry", "failed")):
        done = call(folder, "run", "recipe.yaml", "--json", *arguments)
        faults += faults_of(done)
        if done.code != 0 or "damaged" in done.err:
            return [*faults, f"a healthy server: {done.code} {done.err} {done.trace}"]
    facts = json.loads(done.out)
    failed = [v for v in sums.recorded(folder).values() if v["finish_reason"] == "error"]
    if facts["sampled"] + facts["reused"] != COUNT or failed:
        faults.append(f"{facts['sampled']} + {facts['reused']} samples, {len(failed)} failed")
    return faults


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, OddServer]]:
    """A server, and a folder with a recipe that asks it."""
    folder = tmp_path_factory.mktemp("answers")
    with pytest.MonkeyPatch.context() as patch, odd_server() as server:
        patch.chdir(folder)
        patch.setenv("CURATE_STORE", str(folder / "store"))
        furnish(folder, server.url)
        yield folder, server


@settings(max_examples=settings.default.max_examples // 4)
@given(drawn=st.lists(answers(), min_size=COUNT, max_size=COUNT))
def test_a_run_outlasts_every_answer(
    server: tuple[Path, OddServer], drawn: Sequence[Answer]
) -> None:
    assert not outlast(*server, drawn)
