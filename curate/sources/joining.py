"""Finding the question a row of a file belongs to: by text, by id or by place."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from curate.errors import InputError, count_of
from curate.sources.questions import QuestionsTable
from curate.sources.tables import Unreadable
from curate.sources.tables.cells import fold, joined

CAUSES: Final = {
    "no_such_question": "no question matches",
    "several_questions": "the text fits several questions that differ in their choices",
    "no_question": "the row holds nothing to join by",
    "no_sample": "the list of samples is empty",
    "unreadable_row": "the row could not be read",
}
"""Why a row of a file makes no sample."""


class Match(NamedTuple):
    """What a row belongs to.

    Attributes:
        question_id: the question; None where there is none.
        cause: then the key in `CAUSES`.
        shown: what was looked for.
    """

    question_id: str | None
    cause: str = ""
    shown: str = ""


class Join(ABC):
    """Finds questions for the rows of one source, which are handed over in file order."""

    def enter(self, file: str) -> None:  # noqa: B027 - most joins do not care
        """Begin the next chunk, of this file."""

    def leave(self) -> list[str]:
        """End the last file; say what a curator should know."""
        return []

    def match(self, row: object) -> Match:
        """Find the question of a row."""
        if isinstance(row, Unreadable):
            return Match(None, "unreadable_row", f"{row.where}: {row.problem}: {row.text}")
        return self._match(row)

    @abstractmethod
    def _match(self, row: object) -> Match: ...


class JoinByKey(Join):
    """Looks up a text of the row.

    Args:
        pairs: key and question id; a key with several ids matches none of them.
        columns: where the row holds its key; several columns are joined by a space.
        folded: keys are compared as `curate.sources.tables.cells.fold` leaves them.
    """

    def __init__(
        self, pairs: Iterable[tuple[str, str]], columns: str | Sequence[str], *, folded: bool
    ) -> None:
        self._columns = columns
        self._folded = folded
        self._ids: dict[str, str | None] = {}
        for key, name in pairs:
            entry = fold(key) if folded else key
            self._ids[entry] = name if self._ids.get(entry, name) == name else None

    def _match(self, row: object) -> Match:
        raw = joined(row, self._columns)
        key = fold(raw) if raw is not None and self._folded else raw
        if not key:
            return Match(None, "no_question", repr(row))
        if key not in self._ids:
            return Match(None, "no_such_question", key)
        name = self._ids[key]
        return Match(name, "" if name else "several_questions", key)


class JoinByOrder(Join):
    """Gives the n-th row to the n-th row of the questions' own files.

    A list that is one row short gives every row behind the gap to the wrong question and nothing
    would show it. So a file said to cover all questions must have exactly their number of rows;
    pieces of one list may end early, which is noted.
    """

    def __init__(
        self, questions: QuestionsTable, parts: Literal["parallel", "consecutive"]
    ) -> None:
        self._order: list[str] = questions.inputs["question_id"].to_list()
        self._parts = parts
        self._file = ""
        self._place = 0

    def enter(self, file: str) -> None:
        """Start again at the first question where a new file covers all of them."""
        if file != self._file and self._parts == "parallel":
            self._check()
            self._place = 0
        self._file = file

    def leave(self) -> list[str]:
        """Say how many questions the list covers."""
        if self._parts == "parallel":
            self._check()
        if self._place < len(self._order):
            total = count_of(len(self._order), "row")
            return [f"joined by order, covers the first {self._place:,} of {total}"]
        return []

    def match(self, row: object) -> Match:
        """Count every row, also those that cannot be read: they hold a place."""
        self._place += 1
        return super().match(row)

    def _match(self, row: object) -> Match:
        if self._place > len(self._order):
            return Match(None, "no_such_question", f"row {self._place:,}: {row!r}")
        return Match(self._order[self._place - 1])

    def _check(self) -> None:
        if self._file and self._place != len(self._order):
            raise InputError(
                f"{self._file} holds {count_of(self._place, 'row')} for "
                f"{count_of(len(self._order), 'row')} of questions, so rows behind a gap would go "
                "to the wrong question; join by question or question_id, or say `parts: "
                "consecutive` if the files are pieces of one list",
                "join",
            )


def by_question(questions: QuestionsTable, columns: str | Sequence[str]) -> Join:
    """Join by the question's text, folded."""
    pairs = (
        (text, name)
        for frame in (questions.frame, questions.beyond)
        for text, name in frame.select("question", "question_id").iter_rows()
    )
    return JoinByKey(pairs, columns, folded=True)


def by_id(questions: QuestionsTable, column: str) -> Join:
    """Join by our question id, or by the id the questions came with."""
    pairs = questions.inputs.select("external_id", "question_id").drop_nulls()
    ours = {*questions.inputs["question_id"], *questions.frame["question_id"]}
    return JoinByKey([*zip(ours, ours, strict=True), *pairs.iter_rows()], column, folded=False)
