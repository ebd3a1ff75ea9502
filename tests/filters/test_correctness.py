"""Correctness against a published verdict on every solution."""

import json
from pathlib import Path

import polars as pl
import pytest

from curate.measures.parse import Parse
from filters.answers.reading import AnswerOptions, TextOptions
from filters.columns import GLOSSARY
from filters.correctness import Correctness

MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
NO_ANSWER_LINE = {
    (5, "175b_finetuning"),  # each of these twelve runs on, or breaks off, before "A:" ...
    (48, "175b_finetuning"),
    (150, "6b_finetuning"),
    (150, "175b_finetuning"),
    (162, "175b_finetuning"),
    (593, "6b_finetuning"),
    (633, "6b_finetuning"),
    (756, "175b_finetuning"),
    (936, "6b_finetuning"),
    (1264, "6b_verification"),
    (852, "175b_verification"),  # ... is a bare "25" ...
    (931, "175b_finetuning"),  # ... or has the line "A: 10+John's age"
}


def solutions(data: Path) -> pl.DataFrame:
    """Load the four models' solutions with the published verdict as ``is_correct``."""
    lines = (data / "gsm8k" / "example_model_solutions.jsonl").read_text().splitlines()
    rows = [
        {
            "number": number,
            "model": model,
            "is_correct": line[model]["is_correct"],
            "sample_id": f"{number}-{model}",
            "question_id": str(number),
            "question": line["question"],
            "gold": line["ground_truth"].rpartition("A:")[2].strip(),
            "gold_type": "number",
            "source": "openai",
            "raw_output": line[model]["solution"],
        }
        for number, line in enumerate(map(json.loads, lines))
        for model in MODELS
    ]
    needed = ("choices", "reasoning_field", "finish_reason", "verify_outcome")
    return pl.DataFrame(rows).with_columns(
        pl.lit(None, GLOSSARY[name].dtype).alias(name) for name in needed
    )


@pytest.mark.data
@pytest.mark.parametrize("after", [("\nA:",), ()], ids=["named-line", "all-forms"])
def test_every_published_verdict_is_met(data: Path, after: tuple[str, ...]):
    table = solutions(data)
    parse = Parse({"openai": TextOptions(answer=AnswerOptions(after=after))})
    table = table.hstack(parse.derive(table))
    verdicts = Correctness().judge(table)
    assert table.height == 5276
    assert verdicts["keep"].null_count() == 0
    assert verdicts["keep"].to_list() == table["is_correct"].to_list()
    if after:
        dropped = table.filter(verdicts["reason"] == "no_answer")
        assert set(dropped.select("number", "model").iter_rows()) == NO_ANSWER_LINE


@pytest.mark.data
def test_a_published_verdict_turned_round_is_noticed(data: Path):
    """The comparison above can fail: golds moved by one question are not met."""
    table = solutions(data).with_columns(pl.col("gold").shift(4, fill_value="0"))
    table = table.hstack(Parse().derive(table))
    right = Correctness().judge(table)["keep"].sum()
    assert right < 0.1 * table.height
