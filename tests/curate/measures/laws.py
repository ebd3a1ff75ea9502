"""The laws of curate/measures/base.py, each a function that raises where a measure breaks one.

The first ones hold a measure and a table to what the engine takes for granted; the last ones hold a
kind of measure, as a run would open it, to what plan, record and manifest make of it.
"""

import builtins
import copy
import json
import pickle
import random
import re
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import orjson
import polars as pl
from polars.testing import assert_frame_equal

from curate.measures import MEASURES, known_columns
from curate.measures.base import DerivedMeasure, Item, Measure, MemoMeasure, Setup
from filters.columns import GLOSSARY, VERDICT_PREFIX

IDS: Final = ("sample_id", "question_id")
ALWAYS: Final = frozenset({*IDS, "question", "gold_type", "source"})
"""Columns that no row is without."""
HEAVY: Final = frozenset({"torch", "transformers", "sentence_transformers", "vllm", "aiohttp"})
TOLERANCE: Final = 1e-4
"""A model asked in other company answers with other last bits; what is recorded stays."""
_KEY: Final = re.compile(r"[0-9a-f]{32}")
_CODE: Final = (".py", ".pyc", ".so")

Values = Mapping[str, Mapping[str, Any]]


def measured(
    measure: Measure, frame: pl.DataFrame, facts: Mapping[str, Any] | None = None
) -> pl.DataFrame:
    """Write a measure's columns as the engine does: ids and `reads` are all that it sees.

    Args:
        measure: opened.
        frame: rows with what it reads.
        facts: of the run; none of a run that looked at no pool.
    """
    seen = frame.select(list(dict.fromkeys((*IDS, *measure.reads))))
    if isinstance(measure, DerivedMeasure):
        return measure.derive(seen)
    assert isinstance(measure, MemoMeasure), "neither derived nor remembered"
    return measure.assemble(seen, recorded(measure, measure.items(seen)), facts or {})


def recorded(measure: MemoMeasure, items: Iterable[Item]) -> Values:
    """Measure items, each once, and give the values as they come back from the record."""
    values = measure.compute({item.key: item for item in items}.values())
    return {address: orjson.loads(orjson.dumps(value)) for address, value in values}


def facts_of(measure: Measure, frame: pl.DataFrame) -> Mapping[str, Any]:
    """Look at a table as a measure that looks at a pool does, once a run."""
    request = measure.pool() if isinstance(measure, MemoMeasure) else None
    if request is None or not isinstance(measure, MemoMeasure):
        return {}
    pool = frame.select(request.columns).sort("question_id", "sample_id")
    return measure.conclude(pool, recorded(measure, measure.pool_items(pool)))


def settled(measure: Measure, frame: pl.DataFrame) -> Measure:
    """Let a measure look at all rows first, as the engine does; they may stand in any order."""
    if not isinstance(measure, DerivedMeasure):
        return measure
    seen = frame.select(list(dict.fromkeys((*IDS, *measure.learns_from))))
    return measure.settle(seen.sort("question_id", "sample_id"))


def same_in_same_out(measure: Measure, frame: pl.DataFrame) -> None:
    """Measuring twice gives the same columns, in this process and in a worker's."""
    expected = measured(measure, frame)
    _agree(measure, measured(measure, frame.clone()), expected)
    if isinstance(measure, DerivedMeasure):
        with _sound("it can't be sent to a worker"):
            other = pickle.loads(pickle.dumps(measure))
        _agree(measure, measured(other, frame), expected)
    elif isinstance(measure, MemoMeasure):
        items = list(measure.items(frame))
        with _sound("an item can't be sent anywhere"):
            assert pickle.loads(pickle.dumps(items)) == items


def order_is_irrelevant(measure: Measure, frame: pl.DataFrame) -> None:
    """A value belongs to a row, wherever the row stands."""
    expected = measured(measure, frame)
    dice = random.Random(7)
    for _ in range(2):
        order = list(range(frame.height))
        dice.shuffle(order)
        _agree(measure, measured(measure, frame[order]), expected[order])


def cutting_is_irrelevant(measure: Measure, frame: pl.DataFrame) -> None:
    """Single rows, or questions of compared siblings, and two pieces, are measured as the whole."""
    expected = measured(measure, frame)
    places = range(frame.height + 1)
    if isinstance(measure, DerivedMeasure) and measure.scope == "question":
        ids = frame["question_id"].to_list()
        starts = [n for n, id_ in enumerate(ids) if n == 0 or ids[n - 1] != id_]
        places = (*starts, frame.height)
    for borders in (places, (0, places[len(places) // 3], frame.height)):
        pieces = [measured(measure, frame[a:b]) for a, b in pairwise(borders)]
        if pieces:
            _agree(measure, pl.concat(pieces), expected)


def keys_are_of_texts_and_instrument(measure: Measure, frame: pl.DataFrame) -> None:
    """Equal texts have equal keys whosever they are, and none under another instrument."""
    if not isinstance(measure, MemoMeasure):
        return
    items = measure.items(frame)
    keys: dict[str, str] = {}
    payloads: dict[str, Any] = {}
    for item in items:
        assert _KEY.fullmatch(item.key), f"{item.key!r} is not what curate.store.keys makes"
        assert payloads.setdefault(item.key, item.payload) == item.payload, "one key, two things"
        assert keys.setdefault(repr(item.payload), item.key) == item.key, "one thing, two keys"
    elsewhere = frame.reverse().select(
        pl.format("s-{}", "sample_id").alias("sample_id"),
        pl.format("q-{}", "question_id").alias("question_id"),
        pl.exclude(IDS),
    )
    assert {item.key for item in measure.items(elsewhere)} == set(payloads), "keys hold ids"
    rows = [item.key for n in range(frame.height) for item in measure.items(elsewhere[n : n + 1])]
    assert set(rows) == set(payloads), "keys hold places"
    for change in ("instrument", "version", "name"):
        other = copy.copy(measure)
        value = {**measure.instrument(), "another": 1}
        changed = {"instrument": lambda value=value: value, "version": -1, "name": "another"}
        setattr(other, change, changed[change])
        assert not {item.key for item in other.items(frame)} & set(payloads), f"not of its {change}"


def values_survive_the_record(measure: Measure, frame: pl.DataFrame) -> None:
    """Every item is answered once, in values that JSON holds, and columns are made of these."""
    if not isinstance(measure, MemoMeasure):
        return
    items = {item.key: item for item in measure.items(frame)}
    answers = list(measure.compute(items.values()))
    assert sorted(address for address, _ in answers) == sorted(items), "not every item once"
    for _, value in answers:
        assert isinstance(value, Mapping), "a value is a mapping: a later version adds to it"
        _is_json(value)
        assert set(measure.details) <= value.keys(), "it would be measured every time"
    read = {address: orjson.loads(orjson.dumps(value)) for address, value in answers}
    expected = measure.assemble(frame, dict(answers), {})
    assert_frame_equal(measure.assemble(frame, read, {}), expected, check_exact=True)


def missing_is_null(measure: Measure, frame: pl.DataFrame) -> None:
    """Where there is nothing to measure columns are null, and nothing missing is an error."""
    nullable = [name for name in frame.columns if name not in ALWAYS]
    for gaps in (*((name,) for name in nullable), nullable):
        # No row without a rationale, and none without anything, has a value. Nor does a person's
        # verdict, which is of a sample: so these samples are new ones.
        hollow = gaps == ("rationale",) or gaps is nullable
        gone = frame.with_columns(pl.lit(None, frame.schema[name]).alias(name) for name in gaps)
        if hollow:
            gone = gone.with_columns(pl.format("new {}", "sample_id").alias("sample_id"))
        with _sound(f"null in {gaps}"):
            columns = measured(measure, gone)
        assert columns.height == frame.height
        valued = [column.name for column in columns if column.null_count() < columns.height]
        assert not (hollow and valued), f"{valued} of rows without {gaps}"


def nothing_is_loaded_for_no_items(measure: Measure, frame: pl.DataFrame) -> None:
    """A run whose items are all in the record, or that has no live row, starts no model."""
    empty = frame.clear()
    with _watched() as seen:
        if isinstance(measure, MemoMeasure):
            assert not measure.items(empty)
            assert not list(measure.compute(()))
            assert not list(measure.compute(iter(())))
        measured(measure, empty)
    assert not seen, f"for nothing: {seen}"


def shape_is_declared(measure: Measure, frame: pl.DataFrame) -> None:
    """One value a row in each column declared, of its type, whatever the rows hold."""
    facts = facts_of(measure, frame)
    for table in (frame, frame.clear()):
        columns = measured(measure, table, facts)
        assert columns.height == table.height
        assert dict(columns.schema) == measure.writes.types


def manifests_can_hold_it(measure: Measure, frame: pl.DataFrame) -> None:
    """Instrument and facts are JSON, and an instrument is the same each time it is asked for."""
    _is_json(measure.instrument())
    assert measure.instrument() == measure.instrument()
    _is_json(facts_of(measure, frame))


def columns_are_declared(kind: type[Measure], setup: Setup) -> None:
    """Its columns are its own, explained, and no more than it says; what it reads is there."""
    assert kind.name.isidentifier()
    assert kind.name == kind.name.lower()
    assert kind.version >= 1
    assert kind.writes
    for column in kind.writes.values():
        assert column.of == kind.name, f"{column.name!r} is of {column.of!r}"
        assert len(column.meaning.split()) > 3, f"{column.name!r}: {column.meaning!r}"
        writers = [other.name for other in MEASURES if column.name in other.writes]
        assert set(writers) <= {kind.name}, f"{column.name!r} is written by {writers}"
        assert GLOSSARY.get(column.name, column) == column, f"{column.name!r} is another's"
    written = kind.columns(setup.options, setup.demand)
    assert written.keys() <= kind.writes.keys()
    for name, column in written.items():
        own = kind.writes[name]  # what a recipe does not release is the same column
        assert replace(column, published=own.published, kept=own.kept) == own
    assert dict(kind.open(setup).writes) == dict(written), "plan and engine would not agree"
    for name in kind.writes.keys() - kind.columns(setup.options, tuple(kind.writes)).keys():
        assert kind.name in kind.on_demand(name), f"nobody learns how to ask for {name!r}"
    known = known_columns()
    for name in kind.reads:
        assert name in known or name.startswith(VERDICT_PREFIX), f"nobody writes {name!r}"
        assert name not in kind.writes, f"{name!r} is read before it is written"


def opening_loads_nothing(kind: type[Measure], setup: Setup) -> None:
    """A run opens all its measures before it knows whether any has anything to do."""
    with _watched() as seen:
        kind.open(setup).instrument()
    imported = [name for name in seen if name.startswith("import")]
    assert not imported, imported


def places_are_no_part_of_the_instrument(kind: type[Measure], setup: Setup) -> None:
    """What lies elsewhere, or on another machine, measures the same."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "folder"
        folder.symlink_to(setup.folder.absolute())
        models = {
            need: replace(model, path=_linked(Path(scratch) / f"{need}-elsewhere", model.path))
            for need, model in setup.models.items()
        }
        moved = kind.open(replace(setup, folder=folder, models=models)).instrument()
    assert moved == kind.open(setup).instrument()


def models_are_part_of_the_instrument(kind: type[Measure], setup: Setup) -> None:
    """Another model, or another revision of it, is another instrument."""
    assert set(kind.needs) <= setup.models.keys()
    expected = kind.open(setup).instrument()
    for need in kind.needs:
        for change in ({"name": "another"}, {"revision": "another"}):
            model = replace(setup.models[need], **change)
            other = kind.open(replace(setup, models={**setup.models, need: model}))
            assert other.instrument() != expected, f"{need}: {change}"


def _linked(link: Path, target: Path) -> Path:
    link.symlink_to(target.absolute())
    return link


def _agree(measure: Measure, columns: pl.DataFrame, expected: pl.DataFrame) -> None:
    """Compare columns: exactly where they are derived, nearly where a model was asked again."""
    exact = isinstance(measure, DerivedMeasure)
    near = {} if exact else {"rel_tol": TOLERANCE, "abs_tol": TOLERANCE}
    assert_frame_equal(columns, expected, check_exact=exact, **near)


def _is_json(value: object) -> None:
    """Hold that JSON takes a value as it is; orjson alone would make null of what is no number."""
    with _sound(f"{value!r} is not JSON"):
        told = json.dumps(value, allow_nan=False)
        assert orjson.loads(orjson.dumps(value)) == json.loads(told)


@contextmanager
def _sound(what: str) -> Generator[None]:
    """Count any error for a broken law."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error


_OPENED: list[list[str]] = []
"""Where opened files are noted while somebody watches; an audit hook can't be taken back."""


def _note(event: str, arguments: Sequence[Any]) -> None:
    if event == "open" and _OPENED and not str(arguments[0]).endswith(_CODE):
        _OPENED[-1].append(f"open {arguments[0]!r}")


sys.addaudithook(_note)


@contextmanager
def _watched() -> Generator[list[str]]:
    """Note every file opened, and every import of a heavy library or of the room that runs models.

    Modules are imported once a process, so it is the statement that is noted.
    """
    seen: list[str] = []
    original: Callable[..., Any] = builtins.__import__

    def noting(name: str, *arguments: Any, **named: Any) -> Any:
        if name.partition(".")[0] in HEAVY or f"{name}.".startswith("curate.models."):
            seen.append(f"import {name}")
        return original(name, *arguments, **named)

    builtins.__import__ = noting
    _OPENED.append(seen)
    try:
        yield seen
    finally:
        _OPENED.pop()
        builtins.__import__ = original
