"""Import: rationales that other teachers wrote, joined to the questions of this run.

Every row of the files is accounted for: it becomes samples, belongs to a question behind the run's
limit, or is counted in the `Tally` under the reason why it made no sample.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self, cast

import polars as pl
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from curate.errors import InputError, count_of
from curate.models.finish import finish_of
from curate.sources.base import ReadSource, Tally
from curate.sources.drafts import Drafts
from curate.sources.joining import CAUSES, Join, JoinByOrder, by_id, by_question
from curate.sources.questions import QuestionsTable
from curate.sources.questions.options import Columns, OneGroup
from curate.sources.scores import ScoreColumns, ScoreReader, scores_of
from curate.sources.tables import Chunk, TableOptions, Unreadable, read
from curate.sources.tables.cells import WHOLE_ROW, cell, require, text
from filters.columns import Glossary

BATCH_ROWS: Final = 50_000
"""Samples a batch; a batch of kilobyte texts takes some 100 MB."""


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class FromColumn(_Options):
    """Take a value from a column of the row."""

    column: str
    """Path of the column (``a.b``)."""


class FromFile(_Options):
    """Take a value from the file's name or, where the name does not match, from its path."""

    file: OneGroup
    """Pattern with one group, which is the value."""


class FromCompletion(_Options):
    """Take a value from the path of the completion's column (``6b_finetuning.solution``)."""

    completion: OneGroup
    """Pattern with one group, which is the value."""


Origin = str | FromColumn | FromFile | FromCompletion
"""A fixed value, or where in the input it stands."""


class ImportColumns(_Options):
    """Which column holds what."""

    question: Columns | None = None
    """The question's text; several columns are joined by a space."""
    id: str | None = None
    """The question's id, for ``join: question_id``."""
    completion: Columns = WHOLE_ROW
    """What the teacher wrote; a list of K samples; or several columns, one a sample. ``.`` is the
    row itself, for files that are bare lists of texts. A step of a path may be a place in a list
    (``messages.-1.content``).
    """
    reasoning: Columns | None = None
    """Where the thought stands that belongs to each completion, where it is kept apart; as many
    columns as `completion` names, or a list of as many thoughts.
    """
    finish_reason: str | None = None
    """Why each completion ended, in any server's word for it; a list where `completion` is one."""
    scores: ScoreColumns = {}
    """Numbers that other tools gave the completions, by the name each gets here: ``{their_score:
    reward}``, or ``{their_score: {column: reward, better: higher}}``. One a completion, so a list
    where `completion` is one. They are columns like our own, null in rows of other sources; what is
    no finite number is null and told of.
    """

    @model_serializer(mode="wrap")
    def _without_scores_nobody_wrote(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out scores that are not there: digests of recipes made before know no such key."""
        written: dict[str, Any] = write(self)
        return {key: value for key, value in written.items() if key != "scores" or value}


class Import(TableOptions, ReadSource):
    """Reads what was written before, and joins each row to its question."""

    use: Literal["import"] = "import"
    name: str = Field(min_length=1)
    """Unique among the sources."""
    columns: ImportColumns = ImportColumns()
    """Which column of the files holds what."""
    join: Literal["question", "question_id", "order"] = "question"
    """How a row finds its question: by the ``question``'s text (Unicode NFC, whitespace folded), by
    ``question_id`` (ours, or the one the questions came with), or by its place (``order``).
    """
    parts: Literal["parallel", "consecutive"] = "parallel"
    """For ``join: order``, whether every file covers all questions (``parallel``) or the files, in
    natural order of their names, are pieces of one list (``consecutive``).
    """
    teacher: Origin | None = None
    """Who wrote the text: a fixed name, ``{column: model}``, ``{file: '(.+)_level'}`` or
    ``{completion: PATTERN}``; by default the source's name.
    """
    prompt_id: Origin | None = None
    """Which prompt it answers, likewise."""
    gold_shown: bool = False
    """The writer saw the known answer, so being right says little."""
    max_unmatched: float = Field(default=0.01, ge=0, le=1)
    """Largest share of rows that may find no question."""

    @model_validator(mode="after")
    def _join_has_its_column(self) -> Self:
        if self.join == "question" and self.columns.question is None:
            raise ValueError(
                "join: question needs columns.question, the column that holds the question's text; "
                "for files without one, join by order"
            )
        if self.join == "question_id" and self.columns.id is None:
            raise ValueError("join: question_id needs columns.id, the column that holds the id")
        return self

    @property
    def writer(self) -> str:
        """The teacher, where the recipe names one for all rows."""
        return self.teacher if isinstance(self.teacher, str) else self.name

    @property
    def writes(self) -> Glossary:
        """The scores that its rows came with."""
        scores = scores_of(self.columns.scores)
        return Glossary(score.declared(name) for name, score in scores.items())

    @property
    def names_writers(self) -> bool:
        """Whether the teacher stands in a column, or in the name of a file or column."""
        return not isinstance(self.teacher, str | None)

    def inputs(self) -> Sequence[str]:
        """Its files."""
        return (self.path,)

    def patient(self) -> Self:
        """Let all rows be without a question."""
        return self.model_copy(update={"max_unmatched": 1.0})

    def rows(self, questions: QuestionsTable, folder: Path, tally: Tally) -> Iterator[pl.DataFrame]:
        """Read samples in file order.

        Args:
            questions: what the samples are joined to.
            folder: that relative paths start from.
            tally: is filled while batches are read, complete after the last.

        Yields:
            `SOURCE_COLUMNS` and what it `writes`, at most `BATCH_ROWS` and a chunk's worth of rows
            a batch.

        Raises:
            InputError: a column is not there; files and questions cannot be joined by order; or
                more rows than `max_unmatched` make no sample.
        """
        drafts = Drafts(self.name, gold_shown=self.gold_shown, more=self.writes)
        scores = self._scores()
        join = self._join(questions)
        completion = _paths(self.columns.completion)
        beyond = frozenset(questions.beyond["question_id"])
        for chunk in self._chunks(folder):
            join.enter(chunk.file)
            teacher = _origin(self.teacher, self.name, chunk.file)
            prompt = _origin(self.prompt_id, None, chunk.file)
            for row in chunk.rows:
                tally.rows += 1
                match = join.match(row)
                if match.question_id is None:
                    _refuse(tally, match.cause, chunk.file, match.shown)
                elif match.question_id in beyond:
                    tally.beyond_limit += 1
                elif not (written := _completions(row, completion)):
                    _refuse(tally, "no_sample", chunk.file, match.shown)
                else:
                    thoughts = self._beside(row, self.columns.reasoning, written, "reasoning")
                    ends = self._beside(row, self.columns.finish_reason, written, "finish_reason")
                    numbers = scores.read(row, len(written), chunk.file)
                    parts = zip(written, thoughts, ends, numbers, strict=True)
                    for (path, raw), thought, end, more in parts:
                        drafts.add(
                            match.question_id, teacher(row, path), prompt(row, path), raw,
                            thought, finish_of(end), more,
                        )  # fmt: skip
            if drafts.height >= BATCH_ROWS:
                tally.samples += drafts.height
                yield drafts.take()
        tally.notes += [*join.leave(), *scores.notes()]
        self._refuse_too_many(tally)
        if drafts.height:
            tally.samples += drafts.height
            yield drafts.take()

    def _beside(
        self, row: object, spec: Columns | None, written: Sequence[tuple[str, str]], what: str
    ) -> list[str | None]:
        """Read what belongs to each completion of a row.

        Raises:
            InputError: there are not as many as completions.
        """
        if spec is None:
            return [None] * len(written)
        values = [content or None for _, content in _completions(row, _paths(spec))]
        if len(values) != len(written):
            raise InputError(
                f"a row has {count_of(len(written), 'completion')} and "
                f"{count_of(len(values), 'value')} of {what}; name "
                "a column that holds one for each",
                f"sources: {self.name}: columns.{what}",
            )
        return values

    def _scores(self) -> ScoreReader:
        where = f"sources: {self.name}: columns.scores"
        return ScoreReader(scores_of(self.columns.scores), where)

    def _join(self, questions: QuestionsTable) -> Join:
        if self.join == "question" and self.columns.question is not None:
            return by_question(questions, self.columns.question)
        if self.join == "question_id" and self.columns.id is not None:
            return by_id(questions, self.columns.id)
        return JoinByOrder(questions, self.parts)

    def _chunks(self, base: Path) -> Iterator[Chunk]:
        """Read chunks, refusing a file that lacks a column."""
        columns = self.columns
        named = {
            "question": columns.question, "id": columns.id, "completion": columns.completion,
            "reasoning": columns.reasoning, "finish_reason": columns.finish_reason,
        }  # fmt: skip
        origins = [origin for origin in (self.teacher, self.prompt_id) if origin]
        paths = [path for spec in named.values() for path in _paths(spec)]
        paths += self._scores().paths
        paths += [origin.column for origin in origins if isinstance(origin, FromColumn)]
        file = ""
        for chunk in read(self, base, paths):
            if chunk.file != file:
                readable = [row for row in chunk.rows if not isinstance(row, Unreadable)]
                require(paths, readable, chunk.file, f"sources: {self.name}")
                file = chunk.file
            yield chunk

    def _refuse_too_many(self, tally: Tally) -> None:
        lost = tally.unmatched.total()
        if lost <= self.max_unmatched * tally.rows:
            return
        causes = "; ".join(f"{n:,}: {CAUSES[cause]}" for cause, n in tally.unmatched.most_common())
        raise InputError(
            f"{lost:,} of {count_of(tally.rows, 'row')} make no sample, more than max_unmatched "
            f"({self.max_unmatched:g}) allows. {causes}. Such as: {'; '.join(tally.quoted)}. "
            "Check `columns` and `join`, or raise `max_unmatched`",
            f"sources: {self.name}",
        )


def _refuse(tally: Tally, cause: str, file: str, shown: str) -> None:
    tally.refuse(cause, f"{file}: {CAUSES[cause]}: {shown[:120]!r}")


def _paths(spec: Columns | None) -> tuple[str, ...]:
    return (spec,) if isinstance(spec, str) else spec or ()


def _completions(row: object, paths: tuple[str, ...]) -> list[tuple[str, str]]:
    """List what the teacher wrote in a row, with the column it stands in.

    A null is an empty text: the teacher was asked and there is nothing.
    """
    written: list[tuple[str, str]] = []
    for path in paths:
        value = cell(row, path)
        items = cast("list[object]", value) if isinstance(value, list) else [value]
        written += [(path, text(item, path) or "") for item in items]
    return written


def _origin(
    origin: Origin | None, default: str | None, file: str
) -> Callable[[object, str], str | None]:
    """Make the function that tells a row's teacher or prompt.

    Args:
        origin: what the recipe says.
        default: what holds where it says nothing.
        file: the file the rows stand in.

    Returns:
        A function of the row and the path of its completion.

    Raises:
        InputError: a regular expression does not match the file or the path.
    """
    if isinstance(origin, FromColumn):
        column = origin.column
        return lambda row, _: text(cell(row, column), column)
    if isinstance(origin, FromCompletion):
        pattern = origin.completion
        return lambda _, path: _taken(pattern, path)
    fixed = default if origin is None else origin
    if isinstance(origin, FromFile):
        fixed = _taken(origin.file, Path(file).name, file)
    return lambda _row, _path: cast("str | None", fixed)


def _taken(pattern: str, *texts: str) -> str:
    for candidate in texts:
        match = re.search(pattern, candidate)
        if match:
            return match[1]
    raise InputError(f"{pattern!r} matches nothing in {texts[-1]!r}; wanted the group to be found")
