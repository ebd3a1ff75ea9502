"""What a source is: the only kind of thing that makes rows.

A source is a frozen pydantic model, an entry of the recipe's ``sources``. It says who wrote its
text, on which terms, how that is read and which files it reads. Its rows are either there already
(`ReadSource`), or a teacher is asked for them (`curate.sources.sampled`). Rows are
`SOURCE_COLUMNS`, and what a source says that it brings beside them; ids are of content, so the same
input gives the same ids in any order.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import polars as pl
from pydantic import Field

from curate.sources.questions import QuestionsTable
from filters.answers.reading import TextOptions
from filters.columns import Glossary

Makes = Literal["rows", "facts", "questions"]


@dataclass(slots=True)
class Tally:
    """What became of the rows that a source read.

    Attributes:
        rows: rows read.
        samples: samples made.
        beyond_limit: rows that belong to questions behind the run's limit.
        unmatched: rows without a sample, by cause.
        quoted: at most three such rows, with where they stand and the cause.
        notes: what a curator should know, such as a list that covers only some questions.
    """

    rows: int = 0
    samples: int = 0
    beyond_limit: int = 0
    unmatched: Counter[str] = field(default_factory=Counter[str])
    quoted: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    def refuse(self, cause: str, quoted: str) -> None:
        """Count a row that made no sample; the first three are quoted."""
        self.unmatched[cause] += 1
        if len(self.quoted) < 3:
            self.quoted.append(quoted)


class Source(TextOptions, ABC):
    """One entry of the recipe's ``sources``."""

    name: str = Field(default="", min_length=1)
    """Unique among the sources."""
    terms: str | None = None
    """The licence or terms under which the teacher's text may be used, as the card states them;
    never guessed. ``curate push`` refuses rows without.
    """

    @property
    def writer(self) -> str:
        """Who wrote all of its text; the source itself, where the recipe does not say."""
        return self.name

    @property
    def writes(self) -> Glossary:
        """The columns that its rows have beside `SOURCE_COLUMNS`; null in rows of other sources."""
        return Glossary()

    @property
    def gives(self) -> Glossary:
        """The columns that it gives to the rows of all sources: one value a question."""
        return Glossary()

    @property
    def makes(self) -> Makes:
        """What its samples become: rows, facts about their questions, or new questions."""
        return "rows"

    @property
    def released(self) -> bool:
        """Whether its samples are rows that may be selected."""
        return self.makes == "rows"

    @property
    def names_writers(self) -> bool:
        """Whether each row says who wrote it, so that nobody knows before files are read."""
        return False

    def inputs(self) -> Sequence[str]:
        """Name the data it reads: files, folders, globs, or ``hf://`` addresses."""
        return ()

    def texts(self) -> Sequence[str]:
        """Name the text files beside the recipe that it was written with, such as prompts."""
        return ()


class ReadSource(Source):
    """A source whose rows are there already: in files, or with the questions."""

    def patient(self) -> Self:
        """Give the same source, content with rows whose questions are not there yet."""
        return self

    @abstractmethod
    def rows(self, questions: QuestionsTable, folder: Path, tally: Tally) -> Iterator[pl.DataFrame]:
        """Make the rows.

        Args:
            questions: of which samples are made; rows of others are counted, never made.
            folder: that relative paths start from.
            tally: of the rows read, for a source that reads some; complete after the last batch.

        Yields:
            `SOURCE_COLUMNS` and then what it `writes`, in batches of a bounded size.

        Raises:
            InputError: the source's files or options are wrong.
        """
