"""Loading questions with known answers: one row a question, nothing lost, every gold tested.

A question is its text and its choices; rows that repeat one are merged and counted. Whatever cannot
be used stays in the table as quarantined, with a reason, so that every later share keeps its
denominator. A gold is checked against its own verifier here, before a token is bought: a gold that
does not equal itself would make every rationale look wrong.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from curate.errors import InputError, count_of
from curate.sources.questions.options import (
    GoldOptions,
    OptionsError,
    QuestionColumns,
    QuestionsOptions,
)
from curate.sources.questions.summary import QuestionsSummary, summarise
from curate.sources.questions.table import QuestionsTable
from curate.sources.tables import Unreadable, read
from curate.sources.tables.cells import fold, joined, require
from curate.store import keys as lineage
from filters.answers import equal, options_of
from filters.columns import QUESTION_COLUMNS


@dataclass(slots=True)
class _Row:
    """One input row, read."""

    question_id: str
    question: str
    choices: list[str] | None = None
    gold: str | None = None
    refused: str | None = None
    facts: dict[str, str | None] = field(default_factory=dict[str, str | None])
    rationale: str | None = None
    problem: str | None = None


@dataclass(slots=True)
class _Question:
    """All input rows with the same question; the outcome does not depend on their order."""

    question: str
    choices: list[str] | None
    golds: set[str] = field(default_factory=set[str])
    refused: set[str] = field(default_factory=set[str])
    facts: dict[str, str] = field(default_factory=dict[str, str])
    problem: str | None = None
    times_seen: int = 0

    def add(self, row: _Row) -> None:
        self.times_seen += 1
        self.question = min(self.question, row.question)
        if row.problem is not None:
            self.problem = min(row.problem, self.problem or row.problem)
        if row.gold is not None:
            self.golds.add(row.gold)
        if row.refused is not None:
            self.refused.add(row.refused)
        for name, value in row.facts.items():
            if value is not None:
                self.facts[name] = min(value, self.facts.get(name, value))

    def stated(self) -> list[str]:
        """List the different golds, readable or not."""
        return sorted(self.golds | self.refused)

    def gold(self, options: GoldOptions) -> str | None:
        """Give the one gold the rows agree on, in the least of its writings."""
        first = min(self.golds, default=None)
        if first is None or self.refused:
            return None
        same = all(equal(first, other, options.type, self.choices) for other in self.golds)
        return first if same else None

    def reason(self, options: GoldOptions) -> str | None:
        if self.problem is not None:
            return f"unreadable_row: {self.problem}"
        if not self.question.strip():
            return "empty_question"
        if self.gold(options) is not None:
            return None
        if len(self.stated()) > 1:
            return "conflicting_gold"
        return "gold_unparseable" if self.refused else "no_gold"


def load_questions(
    options: QuestionsOptions, base: Path, limit: int | None = None
) -> QuestionsTable:
    """Read, merge and check the questions of a recipe.

    Args:
        options: the recipe's `questions` block.
        base: folder that relative paths start from.
        limit: keep only the first so many usable questions (and quarantined ones among them).

    Raises:
        InputError: a column is not there, no question is usable, or more golds are refused than
            `gold.max_refused` allows.
    """
    questions: dict[str, _Question] = {}
    inputs: dict[str, list[str | None]] = {"question_id": [], "external_id": [], "rationale": []}
    refusals: list[str] = []
    for row in _rows(options, base):
        question = questions.setdefault(row.question_id, _Question(row.question, row.choices))
        question.add(row)
        inputs["question_id"].append(row.question_id)
        inputs["external_id"].append(row.facts.get("external_id"))
        inputs["rationale"].append(row.rationale)
        if row.refused is not None:
            refusals.append(row.refused)
    frame = _frame(questions, options.gold)
    golds = {name: question.stated() for name, question in questions.items()}
    summary = summarise(frame, golds, refusals)
    _refuse_unusable(summary, len(refusals), options)
    usable_before = (frame["status"] == "ok").cast(pl.UInt32).cum_sum().shift(1, fill_value=0)
    most = frame.height + 1  # a count of rows has 32 bits, which a limit may exceed
    within = usable_before < (most if limit is None else min(limit, most))
    table = pl.DataFrame(inputs, schema=dict.fromkeys(inputs, pl.String))
    return QuestionsTable(frame.filter(within), frame.filter(~within), table, summary)


def _refuse_unusable(summary: QuestionsSummary, refusals: int, options: QuestionsOptions) -> None:
    """Stop where the recipe must be wrong rather than a few rows."""
    if not summary.rows:
        raise InputError(f"{options.path!r} holds no rows", "questions.path")
    if refusals > options.gold.max_refused * summary.rows:
        forms = "; ".join(f"{form.rows:,} like {form.sample!r}" for form in summary.refused[:5])
        raise InputError(
            f"{refusals:,} of {count_of(summary.rows, 'gold')} are not of type "
            f"{options.gold.type}: {forms}. Choose another type, take the answer out with "
            "`extract`, or raise `max_refused`",
            "questions.gold",
        )
    if summary.questions == sum(summary.quarantined.values()):
        raise InputError(f"no usable question: {'; '.join(summary.lines())}", "questions")


def assign_splits(frame: pl.DataFrame, validation: float, seed: int) -> pl.DataFrame:
    """Put whole groups into the validation split, by the hash of their id.

    Args:
        frame: `QUESTION_COLUMNS`.
        validation: expected share of groups, between 0 and 1. A group's split depends on nothing
            but its id, the share and the seed; a larger share only adds groups.
        seed: of the hash.
    """
    groups = frame["group_id"].unique()
    bound = validation * 2.0**64
    held_out = [group for group in groups if lineage.rank("split", seed, group) < bound]
    return frame.with_columns(
        split=pl.when(pl.col("group_id").is_in(held_out))
        .then(pl.lit("validation"))
        .otherwise(pl.lit("train"))
    )


def _rows(options: QuestionsOptions, base: Path) -> Iterator[_Row]:
    columns = options.columns
    seen = ""
    for chunk in read(options, base, columns.paths()):
        readable = [row for row in chunk.rows if not isinstance(row, Unreadable)]
        if chunk.file != seen:
            require(columns.paths(), readable, chunk.file, "questions.columns")
            seen = chunk.file
        for row in chunk.rows:
            if isinstance(row, Unreadable):
                name = lineage.short_id("unreadable", row.text)
                yield _Row(name, row.text, problem=f"{row.where}: {row.problem}")
            else:
                yield _read(row, columns, options.gold)


def _read(row: object, columns: QuestionColumns, options: GoldOptions) -> _Row:
    question = joined(row, columns.question) or ""
    try:
        choices = columns.options(row)
    except OptionsError as error:
        return _Row(lineage.short_id("question", fold(question)), question, problem=str(error))
    texts = list(choices.texts) if choices else None
    name = lineage.short_id("question", fold(question), texts)
    if texts is None and options.type == "choice":
        texts = list(options_of(None, question)) or None
    answer = options.take(row, columns.gold, choices)
    gold = _checked(answer.text, options, texts) if answer and answer.found else None
    return _Row(
        name,
        question,
        texts,
        gold=gold,
        refused=answer.text if answer and gold is None else None,
        facts={
            "external_id": columns.fact(row, columns.id),
            "group_id": columns.fact(row, columns.group),
            "domain": columns.fact(row, columns.domain),
            "licence": columns.fact(row, columns.licence),
        },
        rationale=columns.fact(row, columns.rationale),
    )


def _checked(gold: str, options: GoldOptions, choices: Sequence[str] | None) -> str | None:
    """Give a gold as it was written, None where it fails its own verifier."""
    return gold if equal(gold, gold, options.type, choices) else None


def _frame(questions: dict[str, _Question], options: GoldOptions) -> pl.DataFrame:
    reasons = [question.reason(options) for question in questions.values()]
    merged = list(questions.values())
    columns: dict[str, object] = {
        "question_id": list(questions),
        "question": [question.question for question in merged],
        "gold": [
            question.gold(options) if reason is None else None
            for question, reason in zip(merged, reasons, strict=True)
        ],
        "gold_type": [options.type] * len(merged),
        "choices": [question.choices for question in merged],
        "external_id": [question.facts.get("external_id") for question in merged],
        "group_id": [q.facts.get("group_id", name) for name, q in questions.items()],
        "domain": [question.facts.get("domain") for question in merged],
        "licence": [question.facts.get("licence") for question in merged],
        "split": ["train"] * len(merged),
        "status": ["ok" if reason is None else "quarantined" for reason in reasons],
        "reason": reasons,
        "posed_by": [None] * len(merged),
        "parent_question_id": [None] * len(merged),
        "gold_support": [None] * len(merged),
        "times_seen": [question.times_seen for question in merged],
    }
    return pl.DataFrame(columns, schema=dict(QUESTION_COLUMNS))
