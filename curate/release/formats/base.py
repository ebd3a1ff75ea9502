"""What a format is: the rows of a release once more, as records of one shape.

A release holds the formats that its recipe asks for as configs of their own, and ``curate export``
writes the same records for one trainer; both ask `FORMATS` alone. A format says what its records
hold and where they come from, and whether they can be tried under a student's own template: that is
done with every format, unless it says why not.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, NamedTuple

import polars as pl

from curate.release.formats.wording import Record, Row, Think, Wording
from filters import FILTERS
from filters.columns import Column, Glossary

SAMPLE: Final = Column("sample_id", pl.String(), "the sample it was made from")
QUESTION: Final = Column("question_id", pl.String(), "the question it was made from")


class Exchange(NamedTuple):
    """What a student is asked, and what it is to say.

    Attributes:
        question: turns of a chat (``role``, ``content``), or a string.
        reply: a turn in a list, or a string; a turn may have its rationale in a
            ``reasoning_content``.
    """

    question: Any
    reply: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What records are made of: tables of whole questions.

    Attributes:
        chosen: samples of the config, in the order the records shall have.
        rejected: samples that filters stopped, of the same questions at least; no columns where
            they are not known.
        questions: in the order the records shall have.
        samples: every sample of these questions, with its verdicts.
        judge: name of the filter that told right from wrong.
    """

    chosen: pl.DataFrame = field(default_factory=pl.DataFrame)
    rejected: pl.DataFrame = field(default_factory=pl.DataFrame)
    questions: pl.DataFrame = field(default_factory=pl.DataFrame)
    samples: pl.DataFrame = field(default_factory=pl.DataFrame)
    judge: str = ""


def finished(rows: pl.DataFrame) -> pl.DataFrame:
    """Leave out samples that were cut at their limit: a text of them would end where none does.

    Neither an answer nor the end of a turn may follow a thought that was broken off.
    """
    if "finish_reason" not in rows.columns:
        return rows
    return rows.filter(pl.col("finish_reason").ne_missing("length"))


class Format(ABC):
    """Records of one shape.

    Attributes:
        name: as recipes and ``--format`` call it, in lower case.
        about: a clause for cards and exports.
        thinks: where it can have the rationale.
        worded: whether the target line stands in it.
        untried: why it can't be tried under a student's template; None where it is.
        pairs: whether it needs the rejected samples.
        of_questions: whether it is made of questions and their pass rates, not of chosen samples.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    thinks: ClassVar[tuple[Think, ...]] = ("none",)
    worded: ClassVar[bool] = False
    untried: ClassVar[str | None] = None
    pairs: ClassVar[bool] = False
    of_questions: ClassVar[bool] = False

    @abstractmethod
    def columns(self, wording: Wording) -> Glossary:
        """Declare the keys of its records; the first identifies them."""

    @abstractmethod
    def records(self, pool: Pool, wording: Wording) -> Iterator[Record]:
        """Make the records.

        Args:
            pool: whole questions; any cut between questions gives the same records.
            wording: how they are put into words.
        """

    def exchanges(self, record: Record) -> Iterator[Exchange]:
        """Give what a record has a student learn, to be tried under the student's template.

        Records with ``messages``, or with a ``prompt`` and a ``completion`` (or ``chosen`` and
        ``rejected``), are read here; a format with other keys says it itself.

        Raises:
            NotImplementedError: it does not, and does not say in `untried` why it can't be tried.
        """
        sides = [side for side in ("completion", "chosen", "rejected") if side in record]
        if "messages" in record:
            yield Exchange(record["messages"][:-1], record["messages"][-1:])
        elif "prompt" in record and sides:
            yield from (Exchange(record["prompt"], record[side]) for side in sides)
        else:
            raise NotImplementedError(
                f"nobody says how format {self.name!r} is tried under a student's template; write "
                "its `exchanges`, or say in `untried` why it is not"
            )

    @property
    def identified_by(self) -> str:
        """The key by which one of its records is named."""
        return next(iter(self.columns(Wording(""))))

    @property
    def traced_by(self) -> str:
        """The key that holds the id of the sample or question a record was made from."""
        keys = self.columns(Wording(""))
        return next(key for key in ("parent_id", "sample_id", "question_id") if key in keys)


class RowFormat(Format):
    """A format that is made sample by sample."""

    @abstractmethod
    def of_row(self, row: Row, wording: Wording) -> Iterator[Record]:
        """Make the records of one sample.

        Args:
            row: of a release; `wrong_answer` is the answer of a sample that was wrong, else null.
            wording: how they are put into words.
        """

    def records(self, pool: Pool, wording: Wording) -> Iterator[Record]:
        """Make the records of every chosen sample."""
        for row in _with_wrong_answers(pool.chosen, pool.rejected).iter_rows(named=True):
            yield from self.of_row(row, wording)


def spoken(wording: Wording) -> tuple[pl.DataType, pl.DataType]:
    """Give the types of what is asked and of what is said: strings, or turns."""
    if wording.layout != "chat":
        return pl.String(), pl.String()
    prompt_type, completion_type = turns(wording)
    return prompt_type, completion_type


def turns(wording: Wording) -> tuple[pl.DataType, pl.DataType]:
    """Give the types of the turns of who asks and of who answers."""
    turn: dict[str, pl.DataType] = {"role": pl.String(), "content": pl.String()}
    more: dict[str, pl.DataType] = {}
    if wording.think == "field":
        more = {"reasoning_content": pl.String()}
    return pl.List(pl.Struct(turn)), pl.List(pl.Struct(turn | more))


def worse_reasons() -> Mapping[str, str]:
    """Give the reasons that make a sample the worse side of a pair, with the kind of worse."""
    return {reason: worse for kind in FILTERS for reason, worse in kind.worse.items()}


def _with_wrong_answers(rows: pl.DataFrame, rejected: pl.DataFrame) -> pl.DataFrame:
    """Add what wrong samples answered; a control arm may hold some."""
    if not (rows.height and rejected.height):
        return rows
    reasons = [reason for reason, worse in worse_reasons().items() if worse == "wrong"]
    wrong = rejected.filter(pl.col("rejected_reason").is_in(reasons)).select(
        "sample_id", wrong_answer="answer"
    )
    return rows.join(wrong, on="sample_id", how="left", maintain_order="left")
