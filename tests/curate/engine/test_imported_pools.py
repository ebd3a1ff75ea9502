"""Every folder of the catalogue of real rationales is read as it lies there, without conversion.

The numbers are the catalogue's own, or were counted in its files by a few lines of Python that
share nothing with the code under test.
"""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from curate.recipe.files import read_recipe
from curate.sources import ReadSource, Tally
from curate.sources.questions import QuestionsTable, load_questions

pytestmark = pytest.mark.data

RECIPES = Path(__file__).parents[2] / "recipes"


class Loaded(NamedTuple):
    """What one recipe reads."""

    questions: QuestionsTable
    samples: pl.DataFrame
    tally: Tally


@pytest.fixture
def load(data: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    """Read the recipe named by the test's parameter: its questions, and its one source's rows."""
    monkeypatch.setenv("CURATE_TEST_DATA", str(data.resolve()))
    file = read_recipe(str(RECIPES / f"{request.param}.yaml"))
    questions = load_questions(file.recipe.questions, file.folder)
    (source,) = file.recipe.sources
    tally = Tally()
    assert isinstance(source, ReadSource)
    samples = pl.concat(source.rows(questions, file.folder, tally))
    assert tally.samples in {samples.height, 0}, "the solutions of questions are not counted"
    assert samples["sample_id"].is_unique().all()
    assert samples["question_id"].is_in(questions.frame["question_id"].implode()).all()
    return Loaded(questions, samples, tally)


def recipe(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("load", [name], indirect=True)


def by(frame: pl.DataFrame, *columns: str) -> dict[Any, int]:
    """Count rows by the values of columns."""
    return Counter(row if len(columns) > 1 else row[0] for row in frame.select(columns).iter_rows())


@recipe("gsm8k-solutions")
def test_gsm8k_solutions_of_four_models(load: Loaded) -> None:
    assert load.questions.summary.rows == load.questions.frame.height == 1319
    assert load.questions.summary.quarantined == {}
    models = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    assert by(load.samples, "teacher") == dict.fromkeys(models, 1319)
    assert by(load.samples, "sample_index") == dict.fromkeys(range(4), 1319)
    assert not load.tally.unmatched


@recipe("gsm8k-gold")
def test_gsm8k_test_with_its_own_solutions(load: Loaded) -> None:
    assert by(load.questions.frame, "status") == {"ok": 1319}
    assert load.questions.frame.item(0, "gold") == "18"
    assert load.samples.height == 1319
    assert load.samples["raw_output"].str.contains("####").all()


@recipe("svamp-teachers")
def test_svamp_22_files(load: Loaded) -> None:
    assert by(load.questions.frame, "status") == {"ok": 700}
    assert load.tally.rows == load.samples.height == 15_391
    assert not load.tally.unmatched
    files = by(load.samples, "teacher", "prompt_id")
    assert len(files) == 22
    assert Counter(files.values()) == {699: 9, 700: 13}
    assert by(load.samples, "teacher") == {"chatgpt": 8391, "gemini": 4200, "llama": 2800}
    assert load.samples["sample_index"].max() == 21
    assert load.samples["gold_shown"].all()


@recipe("obqa-teachers")
def test_obqa_choices_stand_in_the_question(load: Loaded) -> None:
    questions = load.questions
    assert (questions.summary.rows, questions.frame.height) == (4957, 4952)
    assert questions.summary.merged == 5
    assert by(questions.frame, "status") == {"ok": 4952}
    assert (questions.frame["choices"].list.len() == 4).all()
    assert questions.frame.item(0, "choices").to_list()[0] == "puppies learning new tricks"
    assert load.samples.height == 4956 + 4955 + 4954 + 3 * 4957
    assert not load.tally.unmatched


@recipe("last-letters")
def test_mentor_kd_last_letters_are_lists_of_six(load: Loaded) -> None:
    assert by(load.questions.frame, "status") == {"ok": 350}
    assert by(load.samples, "sample_index") == dict.fromkeys(range(6), 350)
    assert not load.tally.unmatched


@recipe("dates")
def test_mentor_kd_dates_are_lists_of_up_to_six(load: Loaded) -> None:
    assert by(load.questions.frame, "status") == {"ok": 258}
    assert load.questions.frame["choices"].list.len().is_between(2, 6).all()
    per_question = load.samples["question_id"].value_counts()["count"].to_list()
    assert Counter(per_question) == {6: 256, 4: 1, 2: 1}
    assert not load.tally.unmatched


@recipe("palm-svamp")
def test_palm_svamp_files_are_consecutive_pieces(load: Loaded) -> None:
    assert by(load.questions.frame, "status") == {"ok": 800}
    assert load.questions.frame.item(0, "gold") == "( 84.0 / 2.0 )"
    assert load.samples.height == 800
    assert load.tally.notes == []
    assert load.samples["question_id"].to_list() == load.questions.frame["question_id"].to_list()
    both = load.samples.join(load.questions.frame, on="question_id")
    first_number = pl.col("raw_output").str.extract(r"(\d+)")
    theirs = both.filter(first_number.is_not_null()).select(
        pl.col("question").str.contains(first_number, literal=True).mean()
    )
    assert theirs.item() > 0.9  # each text speaks of its own question's numbers


@recipe("palm-cqa")
def test_palm_cqa_covers_the_first_5000(load: Loaded) -> None:
    assert by(load.questions.frame, "status") == {"ok": 9741}
    assert (load.questions.frame["choices"].list.len() == 5).all()
    assert load.samples.height == 5000
    assert load.tally.notes == ["joined by order, covers the first 5,000 of 9,741 rows"]
    both = load.samples.join(load.questions.frame, on="question_id")
    named = both.filter(pl.col("raw_output").str.contains(r"So the answer is \([a-e]\)")).select(
        chosen=pl.col("raw_output").str.extract(r"So the answer is \([a-e]\) ([^.\n]+)"),
        choices="choices",
    )
    theirs = named.select(pl.col("choices").list.contains(pl.col("chosen")).mean()).item()
    assert theirs > 0.9  # each text chooses among its own question's options
