"""The contract suite: every law, on every registered format.

The second half breaks each law on purpose: a suite that a wrong format passes proves nothing.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

import polars as pl
import pytest

from curate.release.formats import FORMATS, Exchange, Format, Pool, RowFormat
from curate.release.formats.base import SAMPLE
from curate.release.formats.prompt_completion import PromptCompletion
from curate.release.formats.wording import Record, Row, Wording, completion
from filters.columns import Column, Glossary
from tests.curate.registering import registered
from tests.curate.release.formats import laws
from tests.curate.release.formats.laws import Case, Law

LAWS: Final[tuple[Law, ...]] = (
    laws.it_says_what_it_is,
    laws.keys_are_the_declared_columns,
    laws.records_are_traced,
    laws.rationale_and_answer_are_there_once,
    laws.cutting_is_irrelevant,
    laws.it_loads_as_declared,
    laws.it_is_tried_or_says_why_not,
    laws.thinks_are_kept,
)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("kind", FORMATS, ids=FORMATS.name_of)
def test_every_format_keeps_every_law(
    kind: type[Format], law: Law, sums_run: Path, tmp_path: Path
) -> None:
    law(Case(kind(), tmp_path, sums_run))


# What follows is wrong on purpose.


class Plain(PromptCompletion):
    """Prompt and completion: the sound base of the broken ones."""

    name: ClassVar[str] = "plain"
    about: ClassVar[str] = "prompt and completion once more"

    def of_row(self, row: Row, wording: Wording) -> Iterator[Record]:
        for record in super().of_row(row, wording):
            yield record | self.more(row, wording)

    def more(self, *_: Any) -> Record:
        return {}


class Shouting(Plain):
    """Has a name that nobody can type."""

    name: ClassVar[str] = "Plain Text"


class Mute(Plain):
    """Explains none of its columns."""

    def columns(self, wording: Wording) -> Glossary:
        declared = super().columns(wording).values()
        return Glossary(replace(column, meaning="") for column in declared)


class Talkative(Plain):
    """Adds a key that it never declared."""

    def more(self, *_: Any) -> Record:
        return {"note": "by hand"}


class Untyped(Plain):
    """Gives a string where it declared turns."""

    def more(self, *_: Any) -> Record:
        return {"prompt": ["How many?"]}


class Anonymous(Plain):
    """Gives its records ids of their own."""

    def more(self, row: Row, _: Wording) -> Record:
        return {"sample_id": f"record-{row['sample_id']}"}


class Doubling(Plain):
    """Has the rationale in the prompt, too."""

    def more(self, row: Row, wording: Wording) -> Record:
        return {"prompt": completion(row, wording)}


class Losing(Plain):
    """Has no rationale."""

    def more(self, row: Row, wording: Wording) -> Record:
        return {"completion": completion({**row, "rationale": None}, wording)}


class Counting(Plain):
    """Names a record by its place."""

    def records(self, pool: Pool, wording: Wording) -> Iterator[Record]:
        for number, record in enumerate(super().records(pool, wording)):
            yield {"number": number, **record}

    def columns(self, wording: Wording) -> Glossary:
        number = Column("number", pl.Int64(), "its place among all")
        return Glossary((number, *super().columns(wording).values()))


class Narrow(Plain):
    """Declares a type that no file of lines can hold."""

    def more(self, row: Row, _: Wording) -> Record:
        return {"size": len(row["rationale"] or "")}

    def columns(self, wording: Wording) -> Glossary:
        size = Column("size", pl.Int32(), "characters of the rationale")
        return super().columns(wording).plus([size])


class Foreign(RowFormat):
    """Has keys of its own, and does not say how it is tried."""

    name: ClassVar[str] = "foreign"
    about: ClassVar[str] = "what was asked and what was answered"

    def columns(self, _: Wording) -> Glossary:
        keys = (SAMPLE.name, "asked", "answered")
        return Glossary(Column(key, pl.String(), "what it says") for key in keys)

    def of_row(self, row: Row, wording: Wording) -> Iterator[Record]:
        answer = completion(row, wording._replace(layout="plain"))
        yield {"sample_id": row["sample_id"], "asked": row["question"], "answered": answer}


class Evasive(Plain):
    """Gives nothing to be tried."""

    def exchanges(self, _: Record) -> Iterator[Exchange]:
        return iter(())


class Curt(Plain):
    """Says that it is not tried, and not why."""

    untried: ClassVar[str | None] = "no"


class Boastful(Plain):
    """Names a place for rationales that it does not have."""

    def of_row(self, row: Row, wording: Wording) -> Iterator[Record]:
        return super().of_row(row, wording._replace(think="none"))


BROKEN: Final[tuple[tuple[Law, type[Format]], ...]] = (
    (laws.it_says_what_it_is, Shouting),
    (laws.it_says_what_it_is, Mute),
    (laws.keys_are_the_declared_columns, Talkative),
    (laws.keys_are_the_declared_columns, Untyped),
    (laws.records_are_traced, Anonymous),
    (laws.rationale_and_answer_are_there_once, Doubling),
    (laws.rationale_and_answer_are_there_once, Losing),
    (laws.cutting_is_irrelevant, Counting),
    (laws.it_loads_as_declared, Narrow),
    (laws.it_is_tried_or_says_why_not, Foreign),
    (laws.it_is_tried_or_says_why_not, Evasive),
    (laws.it_is_tried_or_says_why_not, Curt),
    (laws.thinks_are_kept, Boastful),
)


@pytest.mark.parametrize(("law", "kind"), BROKEN)
def test_the_suite_catches_a_format_that_breaks_a_law(
    law: Law, kind: type[Format], sums_run: Path, tmp_path: Path
) -> None:
    failures = AssertionError, NotImplementedError, pytest.fail.Exception
    with registered(FORMATS, kind), pytest.raises(failures):
        law(Case(kind(), tmp_path, sums_run))


def test_every_law_is_broken() -> None:
    assert {law for law, _ in BROKEN} == set(LAWS)


def test_the_suite_passes_a_sound_format(sums_run: Path, tmp_path: Path) -> None:
    with registered(FORMATS, Plain):
        for law in LAWS:
            law(Case(Plain(), tmp_path, sums_run))
