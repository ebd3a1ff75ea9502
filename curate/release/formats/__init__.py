"""Views: rows of a release as records of one format, whoever writes them where.

A release holds the views that its recipe asks for as configs of their own; ``curate export`` writes
the same records for one trainer.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from curate.release.formats.rows import (
    ROW_FORMATS,
    Record,
    Think,
    Wording,
    graded_prompt,
    preferences,
    records,
)
from filters.answers import equal, options_of
from filters.columns import VERDICT_PREFIX

FORMATS: Final = (*ROW_FORMATS, "dpo", "rl")
"""All formats: those made row by row, pairs of siblings, and questions with their pass rates."""
WORDED: Final = ("messages", "prompt-completion", "alpaca", "dpo")
"""Formats in which the target line stands."""
WORSE: Final = {"wrong_answer": "wrong", "too_difficult": "hard"}
"""Reasons for which a sibling is the worse side of a pair."""
_LINE: Final = " The answer is {answer}."


def wording_of(measures: Mapping[str, Any], think: Think = "none") -> Wording:
    """Word the rows as the student was scored.

    Args:
        measures: of a manifest, each with its instrument.
        think: where the rationale goes.
    """
    asked = measures.get("score", {}).get("instrument", {})
    line = (asked.get("templates") or [_LINE])[0]
    return Wording(line, asked.get("layout", "chat"), think)


def view(
    rows: pl.DataFrame, rejected: pl.DataFrame, form: str, wording: Wording
) -> Iterator[Record]:
    """Give the records of samples.

    Args:
        rows: whole questions' chosen samples, in the order the records shall have.
        rejected: samples that filters stopped, of the same questions at least.
        form: one of `FORMATS` but ``rl``, which is of questions (`graded`).
        wording: how they are put into words.
    """
    if form in ROW_FORMATS:
        chosen = _with_wrong_answers(rows, rejected)
        return records(chosen.iter_rows(named=True), form, wording)
    siblings = rejected.iter_rows(named=True) if rejected.height else ()
    return preferences(rows.iter_rows(named=True), siblings, wording, WORSE)


def graded(
    questions: pl.DataFrame, samples: pl.DataFrame, gate: str, wording: Wording
) -> Iterator[Record]:
    """Give questions with how often their samples were right.

    Args:
        questions: in the order the records shall have; those without a sample are passed over.
        samples: every sample of these questions, with its verdicts.
        gate: name of the filter that judged whether they are right.
        wording: of the prompts.
    """
    received = samples.filter(pl.col("finish_reason").fill_null("") != "error")
    judged = received[f"{VERDICT_PREFIX}{gate}"].struct.field("keep")
    right = pl.Series("right", map(_is_right, judged, received.iter_rows(named=True)), pl.Boolean)
    counts = (
        received.with_columns(right)
        .group_by("question_id")
        .agg(right=pl.col("right").sum().cast(pl.Int64), received=pl.len().cast(pl.Int64))
    )
    asked = questions.join(counts, on="question_id", maintain_order="left")
    return (graded_prompt(row, wording) for row in asked.iter_rows(named=True))


def columns(form: str, wording: Wording) -> Mapping[str, pl.DataType]:
    """Declare the columns of a format's records; the first identifies them."""
    turn = {"role": pl.String(), "content": pl.String()}
    said: pl.DataType = pl.String()
    asked: pl.DataType = pl.String()
    if wording.layout == "chat" or form == "messages":
        asked = pl.List(pl.Struct(turn))
        reasoning = {"reasoning_content": pl.String()} if wording.think == "field" else {}
        said = pl.List(pl.Struct(turn | reasoning))
    sample: dict[str, pl.DataType] = {"sample_id": pl.String()}
    match form:
        case "messages":
            return sample | {"messages": said}
        case "alpaca":
            return sample | dict.fromkeys(("instruction", "input", "output"), pl.String())
        case "text":
            return sample | dict.fromkeys(("prompt", "completion"), pl.String())
        case "tasks":
            return sample | {"parent_id": pl.String(), "prompt": asked, "completion": asked}
        case "dpo":
            pair = {"prompt": asked, "chosen": said, "rejected": said}
            return sample | {"rejected_sample_id": pl.String()} | pair
        case "rl":
            rate = {"answer": pl.String(), "pass_rate": pl.Float64(), "samples": pl.Int64()}
            return {"question_id": pl.String(), "prompt": asked} | rate
        case _:
            return sample | {"prompt": asked, "completion": said}


def _with_wrong_answers(rows: pl.DataFrame, rejected: pl.DataFrame) -> pl.DataFrame:
    """Add what wrong samples answered; a control arm may hold some."""
    if not (rows.height and rejected.height):
        return rows
    wrong = rejected.filter(pl.col("rejected_reason") == "wrong_answer").select(
        "sample_id", wrong_answer="answer"
    )
    return rows.join(wrong, on="sample_id", how="left", maintain_order="left")


def _is_right(judged: bool | None, row: Mapping[str, Any]) -> bool:
    """Tell whether a sample was right, also where an earlier filter stopped it unjudged."""
    if judged is not None or not row["answer"]:
        return bool(judged)
    kind = row["gold_type"]
    options = options_of(row.get("choices"), row["question"]) if kind == "choice" else ()
    return equal(row["answer"], row["gold"], kind, options) is True
