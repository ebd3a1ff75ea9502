"""Compliance: did a rationale turn out as its prompt asked, without a model's opinion?

Key Factors (arXiv 2502.18001, section 3) has one solution written in six granularities and four
formats. What was asked for is not always what came: levels rise in length only on average, low ones
leave the computation out, and where the writer saw the answer a rationale may begin with it. Each
column here is something to be counted, so that a recipe says by which of them it goes.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar, Final, Self, cast

import polars as pl
from pydantic import BaseModel

from curate.measures.base import ColumnOptions, DerivedMeasure, Setup
from curate.measures.masking import mask_value, states_value
from curate.measures.steps import split_steps
from filters.answers import GoldType, options_of, without_options
from filters.answers.numbers import parse_number
from filters.columns import Column, Glossary
from filters.equations import Equation, equations
from filters.marks import retold, sub_questions, symbols

_COUNT, _SHARE = pl.Int32(), pl.Float64()
_MASK: Final = "\x00"
_LABEL: Final = re.compile(
    r"(?:\A|(?<=[.?!:\n]))\s*(?:step\s+)?(\d{1,2})[.):](?=\s*[A-Za-z])", re.IGNORECASE
)
"""The number of a step, ``2.`` or ``Step 2:``, also where nothing parts it from the one before."""
_Row = Mapping[str, Any]


def answer_at(
    rationale: str, gold: str, gold_type: GoldType, choices: Sequence[str]
) -> float | None:
    """Give the share of a rationale that stands before it first states a value; None for never.

    Args:
        rationale: its final clause cut. The numbers of its steps state nothing.
        gold: the value.
        gold_type: decides what a mention is, as for `mask_value`.
        choices: texts of the options in order.
    """
    masked = mask_value(_unlabelled(rationale), gold, gold_type, choices, _MASK)
    place = masked.find(_MASK)
    return None if place < 0 else place / len(rationale)


def _unlabelled(text: str) -> str:
    """Blank the numbers of steps, where there are two or more that count up from 1."""
    labels: list[re.Match[str]] = []
    for label in _LABEL.finditer(text):
        if int(label[1]) == len(labels) + 1:
            labels.append(label)
    for label in labels if len(labels) > 1 else ():
        text = f"{text[: label.start()]}{' ' * len(label[0])}{text[label.end() :]}"
    return text


def _answer_at(row: _Row) -> float | None:
    gold, kind, question = row["gold"], cast("GoldType", row["gold_type"]), row["question"]
    choices = options_of(row["choices"], question) if kind == "choice" else ()
    if not gold or states_value(without_options(question, choices), gold, kind, choices):
        return None  # what the question names too says nothing of where the answer is given away
    return answer_at(row["rationale"], gold, kind, choices)


def _answer_computed(row: _Row) -> bool | None:
    if row["gold_type"] != "number" or row["answer"] is None:
        return None
    if parse_number(row["answer"]) is None:
        return None
    return any(
        _rounds_to(equation.result, row["answer"]) for equation in _equations(row["rationale"])
    )


def _rounds_to(result: str, answer: str) -> bool:
    """Tell whether a computed number is the answer, or is as soon as it has as many decimals."""
    stated, computed = parse_number(answer), Fraction(result)
    if stated is None:
        return False
    decimals = re.search(r"\.(\d+)", answer)
    near = Fraction(1, 2 * 10 ** len(decimals[1])) if decimals else Fraction(0)
    return abs(computed - stated.value) <= near


def _computations_kept(row: _Row) -> float | None:
    before = _equations(row["parent_rationale"] or "")
    return len(before & _equations(row["rationale"])) / len(before) if before else None


def _length_to_parent(row: _Row) -> float | None:
    before = len((row["parent_rationale"] or "").split())
    return len(row["rationale"].split()) / before if before else None


@lru_cache(maxsize=1 << 10)  # each text is read for several columns, and as a parent
def _equations(text: str) -> frozenset[Equation]:
    return equations(text)


_COLUMNS: Final[tuple[tuple[Column, Sequence[str], Callable[[_Row], Any]], ...]] = (
    (
        Column("rationale_steps", _COUNT, "steps of the rationale: sentences and lines that say "
               "something", published=True),
        (),
        lambda row: len(split_steps(row["rationale"])),
    ),
    (
        Column("computations", _COUNT, "different computations in the rationale", published=True),
        (),
        lambda row: len(_equations(row["rationale"])),
    ),
    (
        Column("answer_computed", pl.Boolean(), "whether one of its computations comes to the "
               "answer; null where that is no number", published=True),
        ("gold_type", "answer"),
        _answer_computed,
    ),
    (
        Column("answer_at", _SHARE, "share of the rationale that stands before it first states the "
               "known answer; null where it does not, or the question does", published=True),
        ("question", "gold", "gold_type", "choices"),
        _answer_at,
    ),
    (
        Column("computations_kept", _SHARE, "share of the computations of the rationale it was "
               "made from that it has too; null where that has none", published=True),
        ("parent_rationale",),
        _computations_kept,
    ),
    (
        Column("length_to_parent", _SHARE, "its words over those of the rationale it was made "
               "from; null where it was made from none", published=True),
        ("parent_rationale",),
        _length_to_parent,
    ),
    (
        Column("sub_questions", _COUNT, "questions that the rationale asks", published=True),
        (),
        lambda row: sub_questions(row["rationale"]),
    ),
    (
        Column("symbols", _COUNT, "places where the rationale names a quantity by a letter or "
               "reasons in logical signs", published=True),
        (),
        lambda row: symbols(row["rationale"]),
    ),
    (
        Column("retold", _SHARE, "share of the question's words that the rationale says again, in "
               "order, before it computes anything", published=True),
        ("question",),
        lambda row: retold(row["question"], row["rationale"]),
    ),
)  # fmt: skip


class ComplianceOptions(ColumnOptions):
    """What can be counted of how a rationale does what its prompt asked for."""


class Compliance(DerivedMeasure):
    """Writes counts of steps, computations and marks of a format; null without a rationale."""

    name: ClassVar[str] = "compliance"
    section: ClassVar[type[BaseModel] | None] = ComplianceOptions
    on_request: ClassVar[bool] = True
    reads = tuple(dict.fromkeys(("rationale", *(n for _, reads, _ in _COLUMNS for n in reads))))
    writes = Glossary(column for column, _, _ in _COLUMNS)

    def __init__(self, demand: Collection[str] | None = None) -> None:
        if demand is not None:
            self.writes = type(self).writes.among(demand)
            self.reads = tuple(self.reads_for(demand))

    @classmethod
    def open(cls, setup: Setup) -> Self:
        """Write the columns that somebody reads."""
        return cls(setup.demand)

    @classmethod
    def reads_for(cls, demand: Collection[str]) -> Sequence[str]:
        """Give what these columns are counted in."""
        more = (n for column, reads, _ in _COLUMNS if column.name in demand for n in reads)
        return tuple(dict.fromkeys(("rationale", *more)))

    def instrument(self) -> Mapping[str, Any]:
        """Identify nothing: the version says all."""
        return {}

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Read every rationale."""
        rows = frame.select(self.reads).to_dicts()
        return pl.DataFrame(
            [
                pl.Series(
                    column.name,
                    [None if not row["rationale"] else count(row) for row in rows],
                    dtype=column.dtype,
                )
                for column, _, count in _COLUMNS
                if column.name in self.writes
            ]
        )
