"""What a student's own samples say of a question: can it, and how near does it come?

They are no rows: nobody wants to train a student on what it wrote itself, and a row that is there
to be counted would be a sibling to every filter. What they say is a column of all rows of the
question instead.
"""

import re
from collections.abc import Sequence
from typing import Final

import polars as pl
from rapidfuzz.distance import LCSseq

from filters.columns import Column, Glossary

_COUNT, _SHARE = pl.Int32(), pl.Float64()
FACTS: Final = Glossary(
    (
        Column("student_samples", _COUNT, "samples that the student wrote of the question",
               "generate", published=True),
        Column("student_right", _COUNT, "how many of the student's samples are right", "generate",
               published=True, score="none"),
        Column("student_pass_rate", _SHARE, "share of the student's samples that are right",
               "generate", published=True, score="none"),
        Column("student_overlap", _SHARE, "overlap (ROUGE-L) of the student's samples with the "
               "question's own solution, a mean", "generate", published=True, score="none"),
    )
)  # fmt: skip
"""Of each question of which the student wrote; null in rows of others."""
_WORD: Final = re.compile(r"[a-z0-9]+")


def facts_of(samples: pl.DataFrame, solutions: pl.DataFrame) -> pl.DataFrame:
    """Say of each question what its samples do.

    Args:
        samples: ``question_id``, ``raw_output``, ``finish_reason`` and ``right``, null where nobody
            can tell; draws that failed say nothing of the student.
        solutions: ``question_id`` and ``rationale``, a question's own; at most one each.

    Returns:
        ``question_id`` and `FACTS`, one row a question that has samples.
    """
    received = samples.filter(pl.col("finish_reason").fill_null("") != "error")
    rows = received.select("question_id", "raw_output", "right").join(
        solutions, on="question_id", how="left", maintain_order="left"
    )
    overlaps = [
        None if solution is None else overlap(text or "", solution)
        for text, solution in rows.select("raw_output", "rationale").iter_rows()
    ]
    facts = (
        rows.with_columns(overlap=pl.Series(overlaps, dtype=_SHARE))
        .group_by("question_id", maintain_order=True)
        .agg(
            student_samples=pl.len(),
            student_right=pl.when(pl.col("right").count() > 0).then(pl.col("right").sum()),
            student_pass_rate=pl.col("right").mean(),
            student_overlap=pl.col("overlap").mean(),
        )
    )
    return facts.select("question_id", *(pl.col(n).cast(kind) for n, kind in FACTS.types.items()))


def overlap(text: str, reference: str) -> float:
    """Give the ROUGE-L of a text: the longest run of words both have in order, as an F1.

    Words are runs of letters and digits, in small letters, not stemmed (Lin 2004, section 3).
    """
    ours, theirs = _words(text), _words(reference)
    if not ours or not theirs:
        return 0.0
    return 2 * LCSseq.similarity(ours, theirs) / (len(ours) + len(theirs))


def _words(text: str) -> Sequence[str]:
    return _WORD.findall(text.lower())
