"""The laws of filters/contract.py, each a function that raises where a filter breaks it."""

import random
from itertools import accumulate, pairwise
from typing import Any

import jsonschema
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pydantic import BaseModel, ValidationError

from filters.columns import GLOSSARY, VERDICT_PREFIX
from filters.contract import Contract, DatasetFilter, Filter, Threshold

SKETCH = pl.Schema({"part": pl.UInt8(), "sample_id": pl.String(), "key": pl.UInt64()})
GROUPS = pl.Schema({"part": pl.UInt8(), "sample_id": pl.String(), "leader": pl.String()})


def settled(filter_: Filter, frame: pl.DataFrame) -> Filter:
    """Settle a filter on a table, as the engine does once a run."""
    columns = filter_.pool_columns()
    if not columns:
        return filter_
    ready = filter_.settle(frame.select("sample_id", "question_id", *columns))
    assert not ready.pool_columns(), "a settled filter has nothing left to settle"
    return ready


def same_in_same_out(filter_: Filter, frame: pl.DataFrame) -> None:
    """Judging twice gives the same verdicts."""
    assert_frame_equal(filter_.judge(frame), filter_.judge(frame.clone()))


def order_is_irrelevant(filter_: Filter, frame: pl.DataFrame) -> None:
    """A verdict belongs to a row, wherever the row stands; siblings stay together."""
    expected = _by_id(frame, filter_.judge(frame))
    dice = random.Random(7)
    for _ in range(3):
        if filter_.scope == "question":
            blocks = frame.partition_by("question_id")
            dice.shuffle(blocks)
            moved = pl.concat([_shuffled(b, dice) for b in blocks]) if blocks else frame
        else:
            moved = _shuffled(frame, dice)
        assert_frame_equal(_by_id(moved, filter_.judge(moved)), expected)


def cutting_is_irrelevant(filter_: Filter, frame: pl.DataFrame) -> None:
    """Any cut the scope allows gives the verdicts of the whole."""
    expected = filter_.judge(frame)
    for pieces in _cuts(filter_, frame):
        if isinstance(filter_, DatasetFilter):
            found = _judged_apart(filter_, pieces)
        else:
            found = pl.concat([filter_.judge(piece) for piece in pieces])
        assert_frame_equal(found, expected)


def what_would_let_a_row_pass_does(filter_: Filter, frame: pl.DataFrame) -> None:
    """Under the parameters named for a row, that row is not stopped for that reason."""
    judged = filter_.judge(frame)
    for place, verdict in enumerate(judged.iter_rows(named=True)):
        if verdict["reason"] is None:
            continue
        told = filter_.would_pass(
            verdict["reason"], verdict["score"], verdict.get("evidence") or {}
        )
        if told is None:
            continue
        assert told, "None says that nothing helps"
        places = {
            name: getattr(filter_, name)
            for name, f in type(filter_).model_fields.items()
            if f.exclude
        }
        changed = type(filter_).model_validate({**filter_.model_dump(), **places, **told})
        assert all(getattr(filter_, name) != value for name, value in told.items())
        assert changed.judge(frame)["reason"][place] != verdict["reason"]


def thresholds_are_foreseen(filter_: Filter, frame: pl.DataFrame) -> None:
    """Under a threshold moved, the rows kept are those whose numbers are within all of them."""
    judged = list(filter_.judge(frame).iter_rows(named=True))
    bounds = filter_.thresholds()
    assert {bound.reason for bound in bounds} <= filter_.reasons.keys()
    for bound in bounds:
        numbers = sorted({n for row in judged if (n := _number(row, bound)) is not None})
        for number in (*numbers[:3], *numbers[-2:]):
            try:
                changes = {**filter_.model_dump(), bound.parameter: number}
                changed = type(filter_).model_validate(changes)
            except ValidationError:
                continue  # beyond what the parameter may be
            kept = [
                row["reason"] in {None, *(b.reason for b in bounds)}
                and all(_within(row, b, getattr(changed, b.parameter)) for b in bounds)
                for row in judged
            ]
            assert changed.judge(frame)["keep"].fill_null(value=False).to_list() == kept


def _number(verdict: dict[str, Any], bound: Threshold) -> float | None:
    return verdict["score"] if bound.number == "score" else verdict["evidence"][bound.number]


def _within(verdict: dict[str, Any], bound: Threshold, limit: float) -> bool:
    number = _number(verdict, bound)
    if number is None:
        return False
    return number <= limit if bound.side == "max" else number >= limit


def reasons_are_declared(filter_: Filter, frame: pl.DataFrame) -> None:
    """Whatever is not kept has a declared reason; what is kept has none.

    Of each reason it is known whether the filter abstains with it or drops.
    """
    for keep, reason in filter_.judge(frame).select("keep", "reason").iter_rows():
        if keep:
            assert reason is None, f"kept with reason {reason!r}"
        else:
            assert reason in filter_.reasons, f"keep={keep} with undeclared reason {reason!r}"
            assert (keep is None) == (reason in filter_.abstains), f"keep={keep} for {reason!r}"


def shape_is_declared(filter_: Filter, frame: pl.DataFrame) -> None:
    """One verdict a row, of the declared types, whatever the rows hold."""
    fields = {field.name: field.dtype for field in filter_.verdict_type().fields}
    expected = pl.Schema({**fields, **filter_.writes.types})
    for table in (frame, frame.clear()):
        verdicts = filter_.judge(table)
        assert verdicts.height == table.height
        assert verdicts.schema == expected


def columns_are_in_the_glossary(filter_: Filter) -> None:
    """Every column read, compared or written has a declared type and a meaning."""
    reads = [name for name in filter_.reads() if not name.startswith(VERDICT_PREFIX)]
    for name in (*reads, *filter(None, [filter_.compares()])):
        assert name in GLOSSARY, f"{name!r} is not in the glossary"
    for column in filter_.writes.values():
        assert column.of == filter_.model_dump()["use"]
        assert len(column.meaning.split()) > 3
    Contract.of(filter_)


def config_is_the_object(filter_: BaseModel, required: dict[str, object]) -> None:
    """A filter is its parameters: it can be written down, read back, and not changed.

    Args:
        filter_: the filter; or a source, of which the same is true.
        required: fields that name a place; they are no part of what is written down.
    """
    written = {**required, **filter_.model_dump(mode="json")}
    jsonschema.validate(written, type(filter_).model_json_schema())
    assert type(filter_).model_validate(written) == filter_
    with pytest.raises(ValidationError):
        filter_.name = "other"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValidationError):
        type(filter_).model_validate({**written, "treshold": 1})


def _shuffled(frame: pl.DataFrame, dice: random.Random) -> pl.DataFrame:
    order = list(range(frame.height))
    dice.shuffle(order)
    return frame[order]


def _by_id(frame: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    return verdicts.with_columns(frame["sample_id"]).sort("sample_id")


def _cuts(filter_: Filter, frame: pl.DataFrame) -> list[list[pl.DataFrame]]:
    """Cut into single rows (questions), and into two uneven pieces."""
    if filter_.scope == "question":
        counts = frame.group_by("question_id", maintain_order=True).len()["len"].to_list()
        borders = [0, *accumulate(counts)]
    else:
        borders = list(range(frame.height + 1))
    third = borders[len(borders) // 3]
    return [
        [frame[start:end] for start, end in pairwise(places)]
        for places in (borders, [0, third, frame.height])
        if len(places) > 1
    ]


def _judged_apart(filter_: DatasetFilter, pieces: list[pl.DataFrame]) -> pl.DataFrame:
    """Judge as the engine does: sketch by piece, resolve by part, assess by piece."""
    sketches = pl.concat([filter_.sketch(piece) for piece in pieces])
    assert sketches.schema == SKETCH
    dice = random.Random(11)
    found = [GROUPS.to_frame()]
    for (number,), part in sketches.partition_by("part", as_dict=True).items():
        groups = filter_.resolve(_shuffled(part, dice))
        assert (groups["leader"] != groups["sample_id"]).all()
        found.append(groups.select(pl.lit(number, pl.UInt8).alias("part"), "sample_id", "leader"))
    groups = pl.concat(found)
    return pl.concat(
        [filter_.assess(piece, groups.join(piece, on="sample_id", how="semi")) for piece in pieces]
    )
