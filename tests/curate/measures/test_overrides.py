"""Overrides: a person's csv, joined by sample and refused where it is not one."""

from pathlib import Path

import polars as pl
import pytest

from curate.errors import InputError
from curate.measures.overrides import Overrides
from filters.contract import Contract
from filters.overrides import Overrides as Gate


def written(folder: Path, text: str, name: str = "verdicts.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_verdicts_are_joined_by_sample(tmp_path: Path):
    text = '\ufeffsample_id,answer,keep,reason\r\ns2,7,no,"copies, badly"\r\ns3,8,TRUE,\r\n'
    measure = Overrides(written(tmp_path, text))
    got = measure.derive(pl.DataFrame({"sample_id": ["s1", "s2", "s3"]}))
    assert got.schema == measure.writes.types
    assert got.rows() == [(None, None), (False, "copies, badly"), (True, None)]
    assert measure.derive(pl.DataFrame({"sample_id": []})).schema == got.schema
    verdicts = Gate(file="verdicts.csv").judge(got)
    assert verdicts["keep"].to_list() == [True, False, True]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("id,keep\ns1,no\n", 1, "lacks sample_id"),
        ("", 1, "lacks sample_id and keep"),
        ("sample_id,keep\ns1,maybe\n", 2, "keep is 'maybe'"),
        ("sample_id,keep\ns1,no\ns2\n", 3, "keep is ''"),
        ("sample_id,keep\n,no\n", 2, "no sample_id"),
        ("sample_id,keep,reason\ns1,no,bad, really\n", 2, "more fields"),
        ("sample_id,keep\ns1,no\ns1,yes\n", 3, "the other verdict"),
        ('sample_id,keep\ns1,"no"x\n', 2, "not a csv line"),
    ],
)
def test_a_line_that_is_no_verdict_is_named(tmp_path: Path, text: str, line: int, message: str):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=message) as raised:
        Overrides(path)
    assert raised.value.where == f"{path}:{line}"


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="can't be read") as raised:
        Overrides(tmp_path / "absent.csv")
    assert raised.value.where == str(tmp_path / "absent.csv")


def test_content_identifies_the_verdicts_and_the_place_does_not(tmp_path: Path):
    one = Overrides(written(tmp_path, "sample_id,keep\ns1,no\n", "a.csv"))
    moved = Overrides(written(tmp_path, "sample_id,keep\ns1,no\n", "b.csv"))
    edited = Overrides(written(tmp_path, "sample_id,keep\ns1,yes\n", "c.csv"))
    assert one.instrument() == moved.instrument()
    assert one.instrument() != edited.instrument()
    assert Contract.of(Gate(file="a.csv")) == Contract.of(Gate(file="b.csv"))
