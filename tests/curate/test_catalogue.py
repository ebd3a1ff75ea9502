"""Every folder of the catalogue of real rationales is read as it lies there, without conversion.

The numbers are the catalogue's own, or were counted in its files by a few lines of Python that
share nothing with the code under test.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate.questions import QuestionsOptions, QuestionsTable, load_questions
from curate.sources.gold import GoldSource
from curate.sources.import_ import ImportSource, Tally

pytestmark = pytest.mark.data


def load(data: Path, **block: Any) -> QuestionsTable:
    return load_questions(QuestionsOptions.model_validate(block), data)


def take(data: Path, questions: QuestionsTable, **block: Any) -> tuple[pl.DataFrame, Tally]:
    source = ImportSource.model_validate({"use": "import", "name": "pool", **block})
    tally = Tally()
    frame = pl.concat(source.rows(questions, data, tally))
    assert frame["sample_id"].is_unique().all()
    assert tally.samples == frame.height
    return frame, tally


def by(frame: pl.DataFrame, *columns: str) -> dict[Any, int]:
    """Count rows by the values of columns."""
    return Counter(row if len(columns) > 1 else row[0] for row in frame.select(columns).iter_rows())


def test_gsm8k_solutions_of_four_models(data: Path) -> None:
    models = ["6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"]
    path = "gsm8k/example_model_solutions.jsonl"
    questions = load(
        data,
        path=path,
        columns={"question": "question", "gold": "ground_truth"},
        gold={"type": "number", "extract": r"(?m)^A:\s*(.+)"},
    )
    assert questions.summary.rows == questions.frame.height == 1319
    assert questions.summary.quarantined == {}

    frame, tally = take(
        data,
        questions,
        path=path,
        columns={"question": "question", "completion": [f"{model}.solution" for model in models]},
        teacher={"completion": r"(.+)\.solution"},
    )
    assert by(frame, "teacher") == dict.fromkeys(models, 1319)
    assert by(frame, "sample_index") == dict.fromkeys(range(4), 1319)
    assert not tally.unmatched


def test_gsm8k_test_with_its_own_solutions(data: Path) -> None:
    questions = load(
        data,
        path="gsm8k/test.jsonl",
        columns={"rationale": "answer"},
        gold={"type": "number", "extract": r"####\s*(.+)"},
    )
    assert by(questions.frame, "status") == {"ok": 1319}
    assert questions.frame.item(0, "gold") == "18"
    (solutions,) = GoldSource().rows(questions)
    assert solutions.height == 1319
    assert solutions["raw_output"].str.contains("####").all()


def test_svamp_22_files(data: Path) -> None:
    columns = {"question": "instruction", "gold": "output"}
    questions = load(
        data, path="svamp_teachers/gold.json", columns=columns, gold={"type": "number"}
    )
    assert by(questions.frame, "status") == {"ok": 700}

    frame, tally = take(
        data,
        questions,
        path="svamp_teachers/*_level*.json",
        columns={"question": "instruction", "completion": "output"},
        teacher={"file": "(.+)_level"},
        prompt_id={"file": r"_(level.+)\.json"},
        gold_shown=True,
    )
    assert (tally.rows, frame.height, tally.unmatched.total()) == (15_391, 15_391, 0)
    files = by(frame, "teacher", "prompt_id")
    assert len(files) == 22
    assert Counter(files.values()) == {699: 9, 700: 13}
    assert by(frame, "teacher") == {"chatgpt": 8391, "gemini": 4200, "llama": 2800}
    assert frame["sample_index"].max() == 21
    assert frame["gold_shown"].all()


def test_obqa_choices_stand_in_the_question(data: Path) -> None:
    questions = load(
        data,
        path="obqa_teachers/gold.json",
        columns={"question": "instruction", "gold": "output"},
        gold={"type": "choice"},
    )
    assert questions.summary.rows == 4957
    assert questions.frame.height == 4952
    assert questions.summary.merged == 5
    assert by(questions.frame.filter(status="ok"), "gold").keys() == set("ABCD")
    assert (questions.frame["choices"].list.len() == 4).all()
    assert questions.frame.item(0, "choices").to_list()[0] == "puppies learning new tricks"

    frame, tally = take(
        data,
        questions,
        path="obqa_teachers/*_level?.json",
        columns={"question": "instruction", "completion": "output"},
        teacher={"file": "(.+)_level"},
        prompt_id={"file": r"_(level\d)"},
    )
    assert frame.height == 4956 + 4955 + 4954 + 3 * 4957
    assert tally.unmatched.total() == 0


def test_mentor_kd_lists_of_six(data: Path) -> None:
    for name, gold_type, rows, samples in (
        ("last_letter_concatenation_6", "string", 350, 350 * 6),
        ("date_understanding_6", "choice", 258, 256 * 6 + 4 + 2),
    ):
        path = f"mentor_kd/{name}.json"
        questions = load(
            data,
            path=path,
            columns={"question": "instruction", "gold": "label"},
            gold={"type": gold_type},
        )
        assert by(questions.frame, "status") == {"ok": rows}
        frame, tally = take(
            data,
            questions,
            path=path,
            columns={"question": "instruction", "completion": "output"},
            teacher="gpt-3.5-turbo",
        )
        assert (tally.rows, frame.height, tally.unmatched.total()) == (rows, samples, 0)
    assert questions.frame["choices"].list.len().is_between(2, 6).all()


def test_palm_svamp_consecutive_pieces(data: Path) -> None:
    questions = load(
        data,
        path="palm/svamp/svamp_train.json",
        columns={"question": "input", "gold": "label"},
        gold={"type": "number"},
    )
    assert by(questions.frame, "status") == {"ok": 800}
    assert questions.frame.item(0, "gold") == "42"

    frame, tally = take(
        data,
        questions,
        path="palm/svamp/train_CoT_*.json",
        join="order",
        parts="consecutive",
        teacher="palm-540b",
    )
    assert frame.height == 800
    assert tally.notes == []
    assert frame["question_id"].to_list() == questions.frame["question_id"].to_list()
    both = frame.join(questions.frame, on="question_id").select("question", "raw_output")
    stated = pl.col("raw_output").str.extract(r"(\d+)")
    told = both.filter(stated.is_not_null()).select(
        pl.col("question").str.contains(stated, literal=True).mean()
    )
    assert told.item() > 0.9  # each text speaks of its own question's numbers


def test_palm_cqa_covers_the_first_5000(data: Path) -> None:
    questions = load(
        data,
        path="palm/cqa/cqa_train.json",
        columns={"choices": "choices", "id": "id"},
        gold={"type": "choice"},
    )
    assert questions.summary.rows == 9741
    assert by(questions.frame, "status")["ok"] > 9_700

    frame, tally = take(
        data,
        questions,
        path="palm/cqa/train_CoT_*.json",
        join="order",
        parts="consecutive",
        teacher="palm-540b",
    )
    assert frame.height == 5000
    assert tally.notes == ["joined by order, covers the first 5,000 of 9,741 rows"]
