"""Preference pairs: a selected rationale against a wrong sibling, and against a harder one."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

import polars as pl

from curate.release.formats.base import SAMPLE, Format, Pool, spoken, worse_reasons
from curate.release.formats.wording import Record, Row, Think, Wording, completion, prompt
from filters.columns import Column, Glossary


class Preferences(Format):
    """Pairs of a selected sample and a sibling that filters stopped."""

    name: ClassVar[str] = "dpo"
    about: ClassVar[str] = (
        "pairs for TRL's DPOTrainer: against a wrong sibling, against a harder one"
    )
    thinks: ClassVar[tuple[Think, ...]] = ("none", "inline", "field")
    worded: ClassVar[bool] = True
    pairs: ClassVar[bool] = True

    def columns(self, wording: Wording) -> Glossary:
        """A prompt and both sides."""
        prompt_type, completion_type = spoken(wording)
        return Glossary(
            (
                SAMPLE,
                Column("rejected_sample_id", pl.String(), "the sibling it is preferred to"),
                Column("prompt", prompt_type, "the question as the student is asked it"),
                Column("chosen", completion_type, "the selected rationale with its own answer"),
                Column("rejected", completion_type, "the sibling's, likewise"),
            )
        )

    def records(self, pool: Pool, wording: Wording) -> Iterator[Record]:
        """Pair what was chosen with what was stopped."""
        rejected = pool.rejected.iter_rows(named=True) if pool.rejected.height else ()
        return preferences(pool.chosen.iter_rows(named=True), rejected, wording, worse_reasons())


def preferences(
    chosen: Iterable[Row], rejected: Iterable[Row], wording: Wording, worse: Mapping[str, str]
) -> Iterator[Record]:
    """Pair each selected rationale with a wrong sibling, and with one that is harder.

    Rows of a control arm that a filter stopped are no better side and are passed over. Of several
    siblings the one nearest in length is taken, so that length says little of which is
    better. Both sides state the answer as their own text gave it, so that its form says nothing
    either; siblings without a rationale or an answer are passed over.

    Args:
        chosen: selected rows.
        rejected: rows that filters stopped.
        wording: of both sides.
        worse: for each reason that makes a rationale the worse one, which kind of worse that is.
    """
    siblings: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    worse_ones: set[str] = set()
    for row in rejected:
        worse_ones.add(row["sample_id"])
        kind = worse.get(row["rejected_reason"] or "")
        if kind and row["answer"] and (row["rationale"] or "").strip():
            siblings[row["question_id"], kind].append(row)
    for row in chosen:
        if row["sample_id"] in worse_ones or not (row["rationale"] or "").strip():
            continue
        size = len(row["rationale"])
        for kind in dict.fromkeys(worse.values()):
            near = siblings.get((row["question_id"], kind))
            if not near or not row["answer"]:
                continue
            other = min(near, key=lambda o: (abs(len(o["rationale"]) - size), o["sample_id"]))
            yield {
                "sample_id": row["sample_id"],
                "rejected_sample_id": other["sample_id"],
                "prompt": prompt(row, wording),
                "chosen": completion(row, wording, row["answer"]),
                "rejected": completion(other, wording, other["answer"]),
            }
