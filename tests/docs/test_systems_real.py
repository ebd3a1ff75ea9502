"""The recipes of systems with the models they name, a few questions each: minutes, not seconds.

What each must give is what the system it is named after is defined by, whatever a teacher so small
gets right.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.recipe.files import read_recipe
from tests.docs.test_systems import released, right

pytestmark = [pytest.mark.slow, pytest.mark.vllm, pytest.mark.models]
LIMIT: Final = 8
TYPES: Final = ("number", "boolean", "date", "choice", "string")


def rows_of(result: RunResult) -> pl.DataFrame:
    """Give the rows that are released; none where no config was written."""
    return result.audit.filter("selected")


def fine_tune_cot(result: RunResult) -> None:
    """All that is right is taken, and nothing else."""
    assert set(rows_of(result)["sample_id"]) == set(
        result.audit.filter(right(result.audit))["sample_id"]
    )
    assert result.audit.group_by("question_id").len()["len"].unique().to_list() == [8]


def coped(result: RunResult) -> None:
    """Every wrong one has a repair that names it; right and wrong ones are released."""
    drawn = result.audit.filter(source="teacher")
    wrong = drawn.filter(~right(drawn).fill_null(value=False))
    repairs = result.audit.filter(source="repair")
    assert set(repairs["parent_id"]) <= set(wrong["sample_id"])
    assert set(released(result, "all")["sample_id"]) == set(result.audit["sample_id"])


def dc_cot(result: RunResult) -> None:
    """Right ones are told in other words, and what the student knows is left out."""
    drawn = result.audit.filter(source="teacher")
    kept = drawn.filter(right(drawn).fill_null(value=False))
    assert set(result.audit.filter(source="rephrased")["parent_id"]) <= set(kept["sample_id"])
    chosen = rows_of(result)
    assert (chosen["student_pass_rate"] <= 0.5).all()


def limo(result: RunResult) -> None:
    """One rationale of questions that the student does not always get right."""
    chosen = rows_of(result)
    assert chosen["question_id"].is_unique().all()
    assert (chosen["student_pass_rate"] <= 0.75).all()


def openthoughts(result: RunResult) -> None:
    """Sixteen samples a question, whatever they answer."""
    assert result.audit.height == 16 * LIMIT
    assert rows_of(result).height > 0


def key_factors(result: RunResult) -> None:
    """Each right solution in six levels and four formats, none of anything else."""
    drawn = result.audit.filter(source="teacher")
    solved = drawn.filter(right(drawn).fill_null(value=False))
    written = result.audit.filter(pl.col("source") != "teacher")
    assert written["prompt_id"].n_unique() == 10
    assert set(written["parent_id"]) == set(solved["sample_id"])
    assert written.height == 10 * solved.height


def socratic_cot(result: RunResult) -> None:
    """What is released asks at least two questions, and ends at the known answer."""
    chosen = rows_of(result)
    assert set(chosen["source"]) <= {"socratic"}
    assert right(chosen).all()


def morsd(result: RunResult) -> None:
    """Right ones that differ, at most two a question, each of use to the student."""
    chosen = rows_of(result)
    assert right(chosen).all()
    assert not chosen.select("question_id", "cluster").is_duplicated().any()
    # where the student was not found to follow, the filter abstains and says so
    values = chosen["rd_paper"].drop_nulls()
    abstained = result.funnel.filters[-1].abstained
    assert abstained or (values <= 1.0).all()


def srd(result: RunResult) -> None:
    """Four stages, each of easier questions than the next."""
    chosen = rows_of(result)
    assert set(chosen["source"]) == {"reference"}
    assert set(chosen["stage"].drop_nulls()) == {1, 2, 3, 4}


def chainlm(result: RunResult) -> None:
    """Each new question says where it comes from, and how many agree on its answer."""
    asked = result.audit.filter(pl.col("posed_by").is_not_null())
    assert asked["parent_question_id"].null_count() == 0
    assert (asked["gold_support"].drop_nulls() >= 0.5).all()


CHECKS: Final[Mapping[str, Callable[[RunResult], None]]] = {
    "fine-tune-cot": fine_tune_cot,
    "coped": coped,
    "dc-cot": dc_cot,
    "limo": limo,
    "openthoughts": openthoughts,
    "chainlm": chainlm,
    "key-factors": key_factors,
    "socratic-cot": socratic_cot,
    "srd": srd,
    **{f"morsd-{kind}": morsd for kind in TYPES},
}
PUBLISHED: Final = {"srd", "morsd-choice", "morsd-string"}
"""Those that read published files."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.data] if n in PUBLISHED else []) for n in CHECKS]
)
def test_a_system_gives_what_it_is_defined_by(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    if name in PUBLISHED:
        folder: Path = request.getfixturevalue("data")
        monkeypatch.setenv("CURATE_TEST_DATA", str(folder.resolve()))
    monkeypatch.chdir(tmp_path)
    result = run(
        read_recipe(name, [f"questions.limit={LIMIT}"]), RunOptions(), Progress(quiet=True)
    )
    assert result.audit.height > 0
    CHECKS[name](result)
