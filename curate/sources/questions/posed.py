"""Questions that a teacher wrote join those that the recipe came with."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import polars as pl

from curate.sources.questions.options import GoldOptions
from curate.sources.questions.table import QuestionsTable
from curate.sources.tables.cells import fold
from curate.store.keys import short_id
from filters.answers import canonical, equal, options_of
from filters.answers.compare import GoldType
from filters.columns import QUESTION_COLUMNS

OUTCOMES: Final = {
    "posed": "a new question",
    "failed": "the teacher's request failed for good",
    "cut_off": "it ended at the token limit, so that half a question may stand there",
    "no_question": "it holds no question",
    "known_question": "the question is there already",
    "gold_unparseable": "it states no answer that passes its own verifier",
    "conflicting_gold": "it was posed before with another answer",
}
"""What becomes of a completion that is to hold a question."""
OF_PARENT: Final = ("parent_question_id", "group_id", "domain", "licence", "split")
"""What a question has of the one that it was made from."""
NOT_AGREED: Final = "no_agreement"
"""Why a question is quarantined of which samples say too different things."""


class Draft(NamedTuple):
    """A question that a teacher wrote.

    Attributes:
        parent: id of the question that it was made from.
        question: its text; None where there is none.
        gold: its answer as stated; None where there is none.
        fault: why it is not read at all, of `OUTCOMES`; None where it is.
    """

    parent: str
    question: str | None
    gold: str | None
    fault: str | None = None


class NewQuestions:
    """Collects the questions that a source poses in one round.

    Of two alike there is one, made from the parent of the least id, so that the order in which they
    come decides nothing.

    Args:
        table: the questions so far.
        source: that poses.
        options: how golds are compared.
        agreed: whether their answers are still to be agreed on.
    """

    def __init__(
        self, table: QuestionsTable, source: str, options: GoldOptions, *, agreed: bool
    ) -> None:
        self._table, self._source, self._options, self._agreed = table, source, options, agreed
        self._known = {*table.frame["question_id"], *table.beyond["question_id"]}
        self._made: dict[str, dict[str, Any]] = {}

    def add(self, drafts: Sequence[Draft]) -> list[tuple[str, str | None]]:
        """Add what a teacher wrote of some questions.

        Returns:
            For each draft its outcome and the id of its question.
        """
        ids = {draft.parent for draft in drafts}
        rows = self._table.frame.filter(pl.col("question_id").is_in(ids))
        parents = {row["question_id"]: row for row in rows.iter_rows(named=True)}
        return [self._add(draft, parents[draft.parent]) for draft in drafts]

    def _add(self, draft: Draft, parent: Mapping[str, Any]) -> tuple[str, str | None]:
        if draft.fault is not None:
            return draft.fault, None
        row = _row(draft, parent, self._source, self._options, agreed=self._agreed)
        if row is None:
            return "no_question", None
        name: str = row["question_id"]
        if name in self._known:
            return "known_question", name
        if name in self._made:
            return _again(self._made[name], row, self._options), name
        self._made[name] = row
        return row["reason"] or "posed", name

    def joined(self) -> QuestionsTable:
        """Give the table with them."""
        rows = sorted(self._made.values(), key=lambda row: row["question_id"])
        more = pl.DataFrame(rows, schema=dict(QUESTION_COLUMNS))
        return replace(self._table, frame=pl.concat([self._table.frame, more]))


def _row(
    draft: Draft, parent: Mapping[str, Any], source: str, options: GoldOptions, *, agreed: bool
) -> dict[str, Any] | None:
    """Make a question's row; None where there is no question."""
    if draft.question is None or not fold(draft.question):
        return None
    choices = None
    if options.type == "choice":
        choices = list(options_of(None, draft.question)) or None
    gold = draft.gold
    sound = gold is not None and bool(equal(gold, gold, options.type, choices))
    quarantined = not (agreed or sound)
    return {
        **dict.fromkeys(QUESTION_COLUMNS),
        **{name: parent[name] for name in OF_PARENT if name != "parent_question_id"},
        "question_id": short_id("question", fold(draft.question), None),
        "question": draft.question,
        "gold": gold if sound and not agreed else None,
        "gold_type": options.type,
        "choices": choices,
        "status": "quarantined" if quarantined else "ok",
        "reason": "gold_unparseable" if quarantined else None,
        "posed_by": source,
        "parent_question_id": parent["question_id"],
        "times_seen": 1,
    }


def _again(made: dict[str, Any], row: Mapping[str, Any], options: GoldOptions) -> str:
    """Count a question that was posed before; it can't be used where its answers differ."""
    made["times_seen"] += 1
    if row["parent_question_id"] < made["parent_question_id"]:
        made |= {name: row[name] for name in OF_PARENT}
    if made["reason"] == "conflicting_gold":
        return "conflicting_gold"
    first, other = made["gold"], row["gold"]
    if first is None or other is None or equal(first, other, options.type, made["choices"]):
        return "known_question"
    made |= {"status": "quarantined", "reason": "conflicting_gold", "gold": None}
    return "conflicting_gold"


def pending_of(questions: pl.DataFrame, source: str) -> pl.DataFrame:
    """Keep the questions of a source whose answers are still to be agreed on."""
    own = (pl.col("posed_by") == source) & (pl.col("status") == "ok")
    return questions.filter(own & pl.col("gold").is_null())


def agreed_on(
    table: QuestionsTable, answers: pl.DataFrame, share: float, fewest: int, source: str
) -> QuestionsTable:
    """Let a question's samples say its answer; it is quarantined where they differ too much.

    Args:
        table: of the questions.
        answers: ``question_id`` and ``answer`` of every sample, null where it states none.
        share: smallest share of them that says the same.
        fewest: fewest of them.
        source: whose questions are answered.
    """
    stated = dict(answers.group_by("question_id").agg("answer").iter_rows())
    pending = pending_of(table.frame, source)
    votes: list[dict[str, Any]] = []
    columns = ("question_id", "gold_type", "choices")
    for name, kind, choices in pending.select(columns).iter_rows():
        gold, support = _majority(stated.get(name, []), kind, choices, share, fewest)
        votes.append({"question_id": name, "voted": gold, "support": support})
    schema = {"question_id": pl.String(), "voted": pl.String(), "support": pl.Float64()}
    voted = table.frame.join(
        pl.DataFrame(votes, schema=schema), on="question_id", how="left", maintain_order="left"
    )
    votable = pl.col("question_id").is_in(pending["question_id"].implode())
    failed = votable & pl.col("voted").is_null()
    frame = voted.with_columns(
        gold=pl.when(votable).then("voted").otherwise("gold"),
        gold_support=pl.when(votable).then("support").otherwise("gold_support"),
        status=pl.when(failed).then(pl.lit("quarantined")).otherwise("status"),
        reason=pl.when(failed).then(pl.lit(NOT_AGREED)).otherwise("reason"),
    )
    return replace(table, frame=frame.select(list(QUESTION_COLUMNS)))


def _majority(
    answers: Iterable[str | None],
    kind: GoldType,
    choices: list[str] | None,
    share: float,
    fewest: int,
) -> tuple[str | None, float | None]:
    """Give the answer that most agree on, in the least of its writings, and their share."""
    stated = list(answers)
    groups: dict[str, list[str]] = {}
    for answer, form in _forms(stated, kind, choices):
        groups.setdefault(form, []).append(answer)
    if not groups:
        return None, 0.0 if stated else None
    most = max(groups.values(), key=len)  # of two as large neither is more than half
    support = len(most) / len(stated)
    enough = support >= share and len(most) >= fewest
    return (min(most) if enough else None), support


def _forms(
    answers: Iterable[str | None], kind: GoldType, choices: list[str] | None
) -> Iterator[tuple[str, str]]:
    for answer in answers:
        form = None if answer is None else canonical(answer, kind, choices)
        if answer is not None and form is not None:
            yield answer, form
