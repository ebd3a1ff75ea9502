"""Arms of a finished run, drawn after the fact as the run would have drawn them."""

import json
from pathlib import Path

import polars as pl
import pytest

from curate.engine.effect.pool import Pool
from curate.errors import InputError
from curate.release.runs import Run
from tests.curate.imported_sums import do, write

ARMS = "arms=[random, all_correct, shortest, 'highest:rationale_words']"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sums")
    write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        return do(folder, ARMS).folder


@pytest.fixture
def pool(folder: Path) -> Pool:
    return Pool.of(Run.open(folder))


def without_arms(pool: Pool) -> Pool:
    """Forget what the run drew, so that it has to be drawn anew."""
    drawn = [name for name in pool.rows.columns if name.startswith("arm_")]
    return Pool(pool.run, pool.rows.drop(drawn), pool.options, pool.wording)


@pytest.mark.parametrize("arm", ["all_correct", "shortest", "highest:rationale_words"])
def test_an_arm_is_drawn_as_the_run_drew_it(pool: Pool, arm: str) -> None:
    recorded, drawn = pool.records(arm, 0), without_arms(pool).records(arm, 0)
    assert recorded == drawn
    assert recorded != pool.records("selected", 0)


def test_the_longest_are_not_the_shortest(pool: Pool) -> None:
    longest = pool.records("longest", 0)
    assert longest == pool.records("highest:rationale_words", 0)
    assert longest != pool.records("shortest", 0)


def test_a_random_arm_is_another_one_for_every_seed(pool: Pool) -> None:
    one, other = pool.records("random", 1), pool.records("random", 2)
    assert one != other
    assert len(one) == len(other) == len(pool.records("selected", 0))
    assert one == pool.records("random", 1)
    right = pool.records("random_correct", 1)
    answers = {line["answer"] for line in map(json.loads, _lines(pool, "questions"))}
    assert all(text["completion"][0]["content"].rsplit(" ", 1)[1].rstrip(".") in answers
               for text in right)  # fmt: skip


@pytest.mark.parametrize("arm", ["only:source=pool", "one_per:cluster"])
def test_whatever_chance_chooses_is_drawn_anew(pool: Pool, arm: str) -> None:
    draws = [pool.records(arm, seed) for seed in range(3)]
    assert draws[0] != draws[1] or draws[1] != draws[2]
    assert draws[0] == pool.records(arm, 0)
    assert pool.records("shortest", 0) == pool.records("shortest", 1)


def _lines(pool: Pool, name: str) -> list[str]:
    return (pool.run.folder.parent.parent.parent / f"{name}.jsonl").read_text().splitlines()


def test_what_is_trained_on_is_what_is_exported(pool: Pool) -> None:
    rows = pl.read_parquet(pool.run.folder / "dataset" / "data" / "default" / "*.parquet")
    said = {one["completion"][0]["content"] for one in pool.records("selected", 0)}
    texts = {
        f"{row} The answer is {gold}." for row, gold in rows.select("rationale", "gold").rows()
    }
    assert said <= texts


def test_answers_alone_are_of_the_same_questions(pool: Pool) -> None:
    chosen = {str(one["prompt"]) for one in pool.records("selected", 0)}
    silent = pool.records("answer_only", 0)
    assert {str(one["prompt"]) for one in silent} == chosen
    assert len(silent) == len(chosen)
    assert all(one["completion"][0]["content"].startswith("The answer is ") for one in silent)


def test_wrong_samples_say_their_own_answer(pool: Pool) -> None:
    wrong = [one for one in pool.records("all", 0) if " - " in one["completion"][0]["content"]]
    for one in wrong:
        words = one["completion"][0]["content"].split()
        difference = int(words[0]) - int(words[2])
        assert words[-1] == f"{difference}."
    assert wrong


def test_an_arm_of_wrong_samples_holds_nothing_else(pool: Pool) -> None:
    wrong = pool.records("wrong", 0)
    assert wrong
    assert all(" - " in one["completion"][0]["content"] for one in wrong)
    assert sorted(map(str, wrong)) == sorted(map(str, pool.records("wrong", 1))), (
        "there are no more"
    )
    assert wrong != pool.records("wrong", 1)


def test_what_can_not_be_drawn_is_refused(pool: Pool) -> None:
    with pytest.raises(InputError, match="no arm is called 'best'"):
        pool.records("best", 0)
    with pytest.raises(InputError, match="name it under `arms` of the recipe"):
        pool.records("without:diversity", 0)
    with pytest.raises(InputError, match="'lowest:rsr' needs column 'rsr'"):
        pool.records("lowest:rsr", 0)
