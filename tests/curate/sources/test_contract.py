"""The contract suite: every law, on every registered source.

The second half breaks each law on purpose: a suite that a wrong source passes proves nothing.
"""

import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import polars as pl
import pytest
from pydantic import ConfigDict, Field, field_validator

from curate.sources import SOURCES, ReadSource, Source, Tally
from curate.sources.drafts import Drafts
from curate.sources.generate import Generate
from curate.sources.import_ import Import
from curate.sources.questions import QuestionsTable
from curate.sources.sampled import Draw
from curate.sources.tables.cells import fold
from curate.sources.templates import PromptTemplate
from curate.store.keys import key, short_id
from tests.curate.registering import registered
from tests.curate.sources import laws
from tests.curate.sources.laws import Case, Example, Law
from tests.curate.sources.test_import import EXAMPLE as IMPORTED
from tests.servers.openai_server import serving

LAWS: Final[tuple[Law, ...]] = (
    laws.config_is_written_down_and_read_back,
    laws.columns_are_declared,
    laws.ids_are_unique,
    laws.ids_are_of_content,
    laws.rows_are_accounted_for,
    laws.stopped_and_repeated_the_same,
    laws.replay_asks_nothing,
    laws.forecast_counts_it,
    laws.terms_reach_the_manifest,
    laws.quarantined_are_left_alone,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Run a server that answers for any model; give its url and its book."""
    book = tmp_path_factory.mktemp("server") / "book"
    with serving(book) as url:
        yield url, book


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("kind", SOURCES, ids=SOURCES.name_of)
def test_every_source_keeps_every_law(
    kind: type[Source], law: Law, server: tuple[str, Path], tmp_path: Path
) -> None:
    law(Case(kind, laws.example_of(kind), tmp_path, *server))


# What follows is wrong on purpose.


class Plain(ReadSource):
    """Gives each question's answer bare: the sound base of the broken ones."""

    use: Literal["plain"] = "plain"
    name: str = Field(default="plain", min_length=1)

    def rows(self, questions: QuestionsTable, *_: Any) -> Iterator[pl.DataFrame]:
        yield self.drafts(questions).take()

    def drafts(self, questions: QuestionsTable) -> Drafts:
        drafts = Drafts(self.name, gold_shown=True)
        usable = questions.frame.filter(status="ok")
        for question, gold in usable.select("question_id", "gold").iter_rows():
            drafts.add(question, self.writer, None, gold)
        return drafts


class Asking(Generate):
    """Samples two a question: the sound base of the broken ones that ask."""

    use: Literal["asking"] = "asking"
    name: str = "asking"
    model: str = "tiny"
    samples: int = 2


class Changeable(Plain):
    """Can be changed after it was made."""

    model_config = ConfigDict(frozen=False, extra="forbid")


class Untyped(Plain):
    """Leaves the type of a column to chance."""

    def rows(self, *arguments: Any) -> Iterator[pl.DataFrame]:
        for batch in super().rows(*arguments):
            yield batch.with_columns(pl.col("sample_index").cast(pl.Int64))


class Borrowing(Plain):
    """Says of its rows that they are of another source."""

    def rows(self, *arguments: Any) -> Iterator[pl.DataFrame]:
        for batch in super().rows(*arguments):
            yield batch.with_columns(source=pl.lit("another"))


class Repeating(Plain):
    """Hands out every batch twice."""

    def rows(self, *arguments: Any) -> Iterator[pl.DataFrame]:
        for batch in super().rows(*arguments):
            yield from (batch, batch)


class Numbering(Plain):
    """Numbers its rows as they come."""

    def rows(self, *arguments: Any) -> Iterator[pl.DataFrame]:
        for batch in super().rows(*arguments):
            numbers = pl.int_range(batch.height).cast(pl.String)
            yield batch.with_columns(sample_id=numbers)


class NumberingDraws(Asking):
    """Keys a draw by its place among all draws."""

    def draws(self, *arguments: Any) -> Iterator[Draw]:
        for number, draw in enumerate(super().draws(*arguments)):
            yield renamed(draw, key(draw.request.messages, number))


class Losing(Import):
    """Passes over the last row and says nothing of it."""

    use: Literal["losing"] = "losing"

    def rows(self, *arguments: Any) -> Iterator[pl.DataFrame]:
        for batch in super().rows(*arguments):
            yield batch.head(-1)


class Silent(Import):
    """Counts the rows that it reads for itself alone."""

    use: Literal["silent"] = "silent"

    def rows(self, questions: QuestionsTable, folder: Path, *_: Any) -> Iterator[pl.DataFrame]:
        return super().rows(questions, folder, Tally())


class Hiding(Asking):
    """Makes no rows of draws that failed."""

    def rows(self, *arguments: Any) -> pl.DataFrame:
        return super().rows(*arguments).filter(pl.col("finish_reason") != "error")


class Marking(Plain):
    """Marks in a file of its own what it has handed out, and does not hand it out again."""

    def rows(self, questions: QuestionsTable, folder: Path, *_: Any) -> Iterator[pl.DataFrame]:
        mark = folder / "done"
        if not mark.exists():
            mark.touch()
            yield self.drafts(questions).take()


class Forgetful(Asking):
    """Keys the same draws anew in every run, which reads its template once."""

    runs: ClassVar[list[Path]] = []

    def template(self, folder: Path) -> PromptTemplate:
        self.runs.append(folder)
        return super().template(folder)

    def draws(self, *arguments: Any) -> Iterator[Draw]:
        for draw in super().draws(*arguments):
            yield renamed(draw, key(draw.request.key, len(self.runs)))


class Calling(Plain):
    """Asks a server by itself, also when a run is replayed."""

    url: str

    def rows(self, *arguments: Any) -> Iterator[pl.DataFrame]:
        body = b'{"model": "tiny", "prompt": "What is 3 + 4?"}'
        urllib.request.urlopen(f"{self.url}/completions", body).close()
        return super().rows(*arguments)


class Boastful(Asking):
    """Promises more samples than it draws."""

    def wanted(self, questions: int) -> int:
        return questions * self.samples + 1


class Secretive(Plain):
    """Keeps its terms to itself."""

    @field_validator("terms")
    @classmethod
    def _none(cls, _: str | None) -> None:
        return None


class Uninvited(Asking):
    """Asks also for a question that cannot be used."""

    def draws(
        self, questions: pl.DataFrame, template: PromptTemplate, identity: Mapping[str, Any]
    ) -> Iterator[Draw]:
        text = next(row["question"] for row in laws.questions() if row["answer"] == "a few")
        row = {"question_id": short_id("question", fold(text), None), "question": text}
        yield from super().draws(questions, template, identity)
        yield from super().draws(pl.DataFrame([row]), template, identity)

    def wanted(self, questions: int) -> int:
        return (questions + 1) * self.samples


def renamed(draw: Draw, name: str) -> Draw:
    return replace(draw, request=replace(draw.request, key=name))


BROKEN: Final[tuple[tuple[Law, type[Source]], ...]] = (
    (laws.config_is_written_down_and_read_back, Changeable),
    (laws.columns_are_declared, Untyped),
    (laws.columns_are_declared, Borrowing),
    (laws.ids_are_unique, Repeating),
    (laws.ids_are_of_content, Numbering),
    (laws.ids_are_of_content, NumberingDraws),
    (laws.rows_are_accounted_for, Losing),
    (laws.rows_are_accounted_for, Silent),
    (laws.rows_are_accounted_for, Hiding),
    (laws.stopped_and_repeated_the_same, Marking),
    (laws.stopped_and_repeated_the_same, Forgetful),
    (laws.replay_asks_nothing, Forgetful),
    (laws.replay_asks_nothing, Calling),
    (laws.forecast_counts_it, Borrowing),
    (laws.forecast_counts_it, Boastful),
    (laws.terms_reach_the_manifest, Secretive),
    (laws.quarantined_are_left_alone, Uninvited),
)


def tried(kind: type[Source], server: tuple[str, Path], folder: Path) -> Case:
    example = IMPORTED if issubclass(kind, Import) else Example()
    if "url" in kind.model_fields:
        example = Example({"url": server[0]})
    return Case(kind, example, folder, *server)


@pytest.mark.parametrize(("law", "kind"), BROKEN)
def test_the_suite_catches_a_source_that_breaks_a_law(
    law: Law, kind: type[Source], server: tuple[str, Path], tmp_path: Path
) -> None:
    failures = AssertionError, pytest.fail.Exception
    with registered(SOURCES, kind), pytest.raises(failures):
        law(tried(kind, server, tmp_path))


def test_every_law_is_broken() -> None:
    assert {law for law, _ in BROKEN} == set(LAWS)


@pytest.mark.parametrize("kind", [Plain, Asking])
def test_the_suite_passes_a_sound_source(
    kind: type[Source], server: tuple[str, Path], tmp_path: Path
) -> None:
    with registered(SOURCES, kind):
        for law in LAWS:
            law(tried(kind, server, tmp_path))


class Lonely(Plain):
    """Must be told something, and nobody says what."""

    use: Literal["lonely"] = "lonely"
    path: str


def test_a_source_that_nobody_can_try_is_named() -> None:
    message = "no example for source 'lonely', which must be told path: add one"
    with pytest.raises(pytest.fail.Exception, match=message):
        laws.example_of(Lonely)
