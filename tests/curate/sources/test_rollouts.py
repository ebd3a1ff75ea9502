"""What a student's samples say of a question: how many are right, and how near they come."""

from typing import Any

import polars as pl
import pytest

from curate.sources.rollouts import FACTS, facts_of, overlap


@pytest.mark.parametrize(
    ("text", "reference", "score"),
    [
        ("The cat sat on the mat.", "the cat sat on the mat", 1.0),
        ("police killed the gunman", "police kill the gunman", 0.75),
        ("the gunman police killed", "police killed the gunman", 0.5),
        ("3 + 4 = 7", "3+4=7", 1.0),
        ("nothing alike", "other words", 0.0),
        ("", "words", 0.0),
        ("!?", "!?", 0.0),
    ],
)
def test_overlap_is_the_f1_of_the_longest_common_subsequence(
    text: str, reference: str, score: float
) -> None:
    assert overlap(text, reference) == pytest.approx(score)
    assert overlap(reference, text) == pytest.approx(score)


def facts(rows: list[tuple[str, str | None, bool | None]], **solutions: str) -> dict[str, Any]:
    columns = {"question_id": pl.String(), "raw_output": pl.String(), "right": pl.Boolean()}
    samples = pl.DataFrame(rows, schema=columns, orient="row").with_columns(
        finish_reason=pl.when(pl.col("raw_output") == "refused").then(pl.lit("error"))
    )
    known = pl.DataFrame(
        {"question_id": list(solutions), "rationale": list(solutions.values())},
        schema={"question_id": pl.String(), "rationale": pl.String()},
    )
    samples = samples.with_columns(rationale=pl.lit("its own, which counts for nothing"))
    made = facts_of(samples, known)
    assert dict(made.schema) == {"question_id": pl.String(), **FACTS.types}
    return {row["question_id"]: row for row in made.to_dicts()}


def test_right_ones_are_counted_where_that_can_be_told() -> None:
    said = facts([("a", "x", True), ("a", "y", False), ("b", "z", None), ("a", None, None)])
    assert said["a"]["student_samples"] == 3
    assert (said["a"]["student_right"], said["a"]["student_pass_rate"]) == (1, 0.5)
    assert said["b"]["student_right"] is said["b"]["student_pass_rate"] is None
    assert said["a"]["student_overlap"] is None, "there is no solution"


def test_draws_that_failed_say_nothing_of_the_student() -> None:
    said = facts([("a", "x", True), ("a", "refused", False), ("b", "refused", False)])
    assert (said["a"]["student_samples"], said["a"]["student_pass_rate"]) == (1, 1.0)
    assert set(said) == {"a"}


def test_the_overlap_is_a_mean_over_samples() -> None:
    said = facts([("a", "one two", True), ("a", None, False)], a="one two", c="three")
    assert said["a"]["student_overlap"] == pytest.approx(0.5)
    assert set(said) == {"a"}
