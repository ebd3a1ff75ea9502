"""The glossary: what is asked of it, and what a manifest keeps of it."""

from itertools import permutations

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.columns import GLOSSARY, Column, Glossary

NAMES = "abcdef"


@st.composite
def glossaries(draw: st.DrawFn) -> Glossary:
    """Make a few columns that stand behind each other as nobody would write them."""
    return Glossary(
        Column(
            name,
            pl.Int32(),
            "a letter",
            published=draw(st.booleans()),
            after=draw(st.sampled_from(["", "z", *NAMES])),
        )
        for name in draw(st.permutations(NAMES))
    )


@given(glossaries())
def test_every_published_column_has_one_place_in_a_release(glossary: Glossary) -> None:
    published = glossary.published
    assert set(published) == {name for name, column in glossary.items() if column.published}
    places = {name: place for place, name in enumerate(published)}
    leaders = [name for name in published if published[name].after not in published]
    assert sorted(leaders, key=places.__getitem__) == [n for n in glossary if n in leaders]


def test_columns_stand_behind_theirs_in_the_order_they_are_declared() -> None:
    glossary = Glossary(
        Column(name, pl.Int32(), "a letter", published=True, after=after)
        for name, after in {"c": "a", "a": "", "b": "", "d": "a", "e": "c"}.items()
    )
    assert list(glossary.published) == ["a", "c", "e", "d", "b"]


def test_equal_glossaries_hash_alike() -> None:
    columns = [Column(name, pl.Int32(), "a letter") for name in "abc"]
    every = [Glossary(order) for order in permutations(columns)]
    assert len(set(every)) == 1


def test_two_columns_of_one_name_are_refused() -> None:
    column = Column("letters", pl.Int32(), "how many", "mine")
    assert list(Glossary([column, column])) == ["letters"]
    with pytest.raises(ValueError, match=r"two columns are called 'letters', of 'theirs' and of"):
        Glossary([column]).plus([Column("letters", pl.Int32(), "how many", "theirs")])


def test_a_manifest_keeps_what_is_said_of_a_column() -> None:
    kept = orjson.loads(orjson.dumps(GLOSSARY.as_json()))
    assert Glossary.from_json(kept) == GLOSSARY


def test_a_later_version_s_type_is_read_as_unknown() -> None:
    facts = {"name": "shape", "type": "Tensor(3)", "meaning": "a shape", "of": "later", "new": 1}
    assert Column.from_json(facts).dtype == pl.Unknown()
