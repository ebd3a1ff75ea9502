"""What loading found, for a person to read before a token is bought."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import polars as pl

from curate.errors import count_of

REASONS: Final = {
    "unreadable_row": "the row could not be read; file, line and problem follow a colon",
    "empty_question": "the row holds no question",
    "no_gold": "no row with this question has an answer",
    "gold_unparseable": "the known answer does not pass its own verifier",
    "conflicting_gold": "rows with this question have different answers",
}
"""Why a question is quarantined."""


_LOOKED_AT: Final = 200
"""Characters of a gold by which its form is told."""


class RefusedForm(NamedTuple):
    """Golds refused for the same look.

    Attributes:
        form: what the gold looks like, as kinds of characters (``digits letters``).
        rows: input rows with a gold of this form.
        sample: one such gold, as it was given to the verifier.
    """

    form: str
    rows: int
    sample: str


@dataclass(frozen=True, slots=True)
class QuestionsSummary:
    """What loading found.

    Attributes:
        rows: input rows.
        questions: questions they hold, quarantined ones included.
        merged: rows that repeated a question and its gold.
        quarantined: questions by reason.
        refused: golds that failed their verifier, by form, the most frequent first.
        conflicts: at most three questions with their different golds.
        unreadable: at most three places of rows that could not be read, with the problem.
    """

    rows: int
    questions: int
    merged: int
    quarantined: dict[str, int]
    refused: tuple[RefusedForm, ...]
    conflicts: tuple[tuple[str, tuple[str, ...]], ...]
    unreadable: tuple[str, ...]

    def lines(self) -> list[str]:
        """Say it in lines for a person."""
        total = f"{count_of(self.rows, 'row')}, {count_of(self.questions, 'question')}"
        out = [f"{total}, {count_of(self.merged, 'row')} merged"]
        out += [
            f"{count:,} quarantined as {reason}: {REASONS[reason]}"
            for reason, count in sorted(self.quarantined.items())
        ]
        out += [
            f"  {count_of(f.rows, 'gold')} of the form {f.form!r}, such as {f.sample!r}"
            for f in self.refused
        ]
        out += [
            f"  {question[:80]!r} has {' and '.join(golds)}" for question, golds in self.conflicts
        ]
        out += [f"  {problem}" for problem in self.unreadable]
        return out


def summarise(
    frame: pl.DataFrame, golds: Mapping[str, Sequence[str]], refused: Sequence[str]
) -> QuestionsSummary:
    """Count what became of the rows.

    Args:
        frame: `QUESTION_COLUMNS`.
        golds: the different golds of each question.
        refused: every gold that failed its verifier, one entry a row.
    """
    bad = frame.filter(pl.col("status") == "quarantined")
    conflicts = bad.filter(pl.col("reason") == "conflicting_gold").head(3)
    unreadable = bad.filter(pl.col("reason").str.starts_with("unreadable_row")).head(3)
    rows = int(frame["times_seen"].sum())
    forms: dict[str, list[str]] = {}
    for gold in refused:
        forms.setdefault(form(gold), []).append(gold)
    table = [RefusedForm(name, len(golds), min(golds)) for name, golds in forms.items()]
    return QuestionsSummary(
        rows=rows,
        questions=frame.height,
        merged=rows - frame.height,
        quarantined=dict(Counter(reason.split(":")[0] for reason in bad["reason"])),
        refused=tuple(sorted(table, key=lambda row: (-row.rows, row.form))),
        conflicts=tuple(
            (question, tuple(golds[name]))
            for name, question in conflicts.select("question_id", "question").iter_rows()
        ),
        unreadable=tuple(reason.partition(": ")[2] for reason in unreadable["reason"]),
    )


def form(gold: str) -> str:
    """Describe how a text looks: runs of digits and of letters named, repetitions folded."""
    named = re.sub(r"\d+", "\x00", gold.strip()[:_LOOKED_AT])
    named = re.sub(r"[^\W\d_]+", "letters", named).replace("\x00", "digits")
    named = re.sub(r"(\S+)(?:\s+\1)+", r"\1 ...", " ".join(named.split()))
    return named if len(named) <= 60 else f"{named[:57]}..."
