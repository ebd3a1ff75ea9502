"""Runs in which the student is sampled too: facts about questions, and no rows."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate.engine.forecast.probe import probe
from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import InputError
from curate.recipe.files import read_recipe
from tests.curate import sums
from tests.curate.engine.test_kill import lines
from tests.curate.engine.test_rewriting import mend, write, write_questions
from tests.servers.openai_server import serving

COUNT = 6
STUDENT = sums.source("student", role="student", samples=3)
"""Of whose samples of a question the server has one wrong."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / sums.STORE))
    write_questions(tmp_path, COUNT)
    return tmp_path


def do(folder: Path, *overrides: str, **options: Any) -> RunResult:
    file = read_recipe(str(folder / "recipe.yaml"), overrides)
    return run(file, RunOptions(runs=folder / "runs", **options), Progress(quiet=True))


def released(result: RunResult) -> pl.DataFrame:
    return pl.read_parquet(result.folder / "dataset" / "data" / "default" / "**" / "*.parquet")


def test_a_students_samples_are_facts_and_no_rows(folder: Path) -> None:
    with serving(folder / "book") as url:
        write(folder, url, sums.source(), STUDENT, arms=["all", "random"])
        result, again = do(folder), do(folder)
    assert lines(folder / "book") == 2 * COUNT + 3 * COUNT == again.tally.reused
    assert set(result.audit["source"]) == {"teacher"}
    assert result.funnel.samples == 2 * COUNT
    rows = released(result)
    assert set(rows["source"]) == {"teacher"}
    assert set(rows["student_samples"]) == {3}
    assert set(rows["student_right"]) == {2}
    assert rows["student_pass_rate"].to_list() == pytest.approx([2 / 3] * rows.height)
    assert rows["student_overlap"].null_count() == rows.height, "no question has a solution"
    rollouts = pl.read_parquet(result.folder / "audit" / "rollouts-*.parquet")
    assert rollouts.height == 3 * COUNT
    assert rollouts["right"].sum() == 2 * COUNT
    assert set(rollouts["source"]) == {"student"}
    manifest = json.loads((result.folder / "dataset" / "manifest.json").read_bytes())
    configs = manifest["configs"].values()
    assert {name for config in configs for name in config["sources"]} == {"teacher"}
    told = result.funnel.sources[1]
    assert (told.name, told.rows, told.rollouts) == ("student", 3 * COUNT, True)
    assert do(folder, replay=True).summary.dataset_hash == result.summary.dataset_hash


def test_what_the_student_can_do_decides(folder: Path) -> None:
    with serving() as url:
        write(folder, url, sums.source(), STUDENT)
        easy = "filters=[{use: correctness}, {use: band, column: student_pass_rate, max: 0.5}]"
        result = do(folder, easy)
        assert released(do(folder, easy.replace("0.5", "0.7"))).height
        ordered = do(folder, "select.order_by=[student_pass_rate]", "arms=[highest:student_right]")
    [_, band] = result.funnel.filters
    assert (band.live, band.dropped) == (0, {"above": 2 * COUNT})
    assert released(ordered).height == 2 * COUNT


def test_the_overlap_is_with_the_questions_own_solution(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "questions.jsonl").open()]
    texts = [json.dumps(row | {"solution": "Draw and we add and get"}) + "\n" for row in rows]
    (folder / "questions.jsonl").write_text("".join(texts))
    with serving() as url:
        write(folder, url, sums.source(), STUDENT)
        overlaps = released(do(folder, "questions.columns={rationale: solution}"))
    # fourteen words of the student's and six of the solution's have five in this order
    expected = 2 * 5 / (14 + 6)
    assert overlaps["student_overlap"].to_list() == pytest.approx([expected] * overlaps.height)


def test_another_source_may_go_on_from_them(folder: Path) -> None:
    (folder / "mend.jinja").write_text(
        "{% block user %}{{ output }}\n\n{{ question }}\n\nReason step{% endblock %}"
    )
    with serving() as url:
        write(folder, url, STUDENT, mend("student"))
        result = do(folder)
    rollouts = pl.read_parquet(result.folder / "audit" / "rollouts-*.parquet")
    wrong = rollouts.filter(~pl.col("right"))["sample_id"]
    assert sorted(released(result)["parent_id"]) == sorted(wrong)


def test_a_probe_foresees_what_they_cost_and_no_rows(folder: Path) -> None:
    with serving() as url:
        write(folder, url, sums.source(), STUDENT)
        told = probe(read_recipe(str(folder / "recipe.yaml")), 3, Progress(quiet=True))
    student = told.sources[1]
    assert told.samples.middle == 2 * COUNT
    assert student.rows.high == 0
    assert student.asking is not None
    assert student.asking.wanted.middle == 3 * COUNT
    assert student.asking.completion is not None


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([STUDENT], "'student' is all there is, and its samples are no rows"),
        (
            [sums.source(), STUDENT, sums.source("other", role="student")],
            "student and other all have the role of the student",
        ),
    ],
    ids=["alone", "two"],
)
def test_what_makes_no_rows_or_mixes_students_is_refused(
    folder: Path, sources: list[dict[str, Any]], message: str
) -> None:
    write(folder, "http://127.0.0.1:9/v1", *sources)
    with pytest.raises(InputError, match=message):
        read_recipe(str(folder / "recipe.yaml"))


def test_a_column_that_is_no_number_has_no_band(folder: Path) -> None:
    write(folder, "http://127.0.0.1:9/v1", sums.source())
    with pytest.raises(InputError, match=r"'teacher' \(who wrote it\) holds text, and only a"):
        do(folder, "filters=[{use: band, column: teacher, min: 1}]")
