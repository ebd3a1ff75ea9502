"""Files of every format give the same rows, and nothing in them is lost."""

import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import InputError
from curate.sources.tables import TableOptions, Unreadable, find, read
from curate.sources.tables.formats import BLOCK

ROWS: list[dict[str, Any]] = [
    {"question": "Ann has 3 pens and buys 4.\nHow many now?", "answer": "7"},
    {"question": "Zoë says “2, or 3?”", "answer": "007"},
    {"question": "", "answer": "-1.50"},
]


def rows(base: Path, path: str, **options: Any) -> list[object]:
    chunks = read(TableOptions(path=path, **options), base, ["question", "answer"])
    return [row for chunk in chunks for row in chunk.rows]


def write(file: Path) -> None:
    """Write ROWS in the format the name says."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
    match file.name.split(".", 1)[1]:
        case "parquet":
            pl.DataFrame(ROWS).write_parquet(file)
        case "jsonl" | "ndjson" | "lines.json":
            file.write_bytes(lines)
        case "json":
            file.write_text(json.dumps(ROWS, indent=1))
        case "bom.jsonl":
            file.write_bytes(b"\xef\xbb\xbf" + lines)
        case "csv":
            pl.DataFrame(ROWS).write_csv(file)
        case "bom.csv":
            pl.DataFrame(ROWS).write_csv(file, include_bom=True)
        case "tsv":
            pl.DataFrame(ROWS).write_csv(file, separator="\t")
        case "jsonl.gz":
            file.write_bytes(gzip.compress(lines))
        case "json.zst":
            with pa.output_stream(str(file), compression="zstd") as stream:
                stream.write(json.dumps(ROWS).encode())
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize(
    "kind",
    [
        "parquet",
        "jsonl",
        "ndjson",
        "lines.json",
        "json",
        "bom.jsonl",
        "csv",
        "bom.csv",
        "tsv",
        "jsonl.gz",
        "json.zst",
    ],
)
def test_every_format_gives_the_same_rows(tmp_path: Path, kind: str) -> None:
    write(tmp_path / f"pool.{kind}")
    assert rows(tmp_path, f"pool.{kind}") == ROWS


def test_a_folder_opened_as_a_dataset(tmp_path: Path) -> None:
    for split, some in (("train", ROWS[:2]), ("test", ROWS[2:])):
        pl.DataFrame(some).write_parquet(tmp_path / f"{split}.parquet")
    assert rows(tmp_path, ".", split="train") == ROWS[:2]
    assert rows(tmp_path, ".", split="test") == ROWS[2:]
    assert len(rows(tmp_path, ".")) == 3
    with pytest.raises(InputError, match="Unknown split"):
        rows(tmp_path, ".", split="dev")


def test_a_dataset_of_the_hub_needs_a_split_where_it_has_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "org" / "name"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        pl.DataFrame(ROWS).write_parquet(folder / f"{split}.parquet")
    monkeypatch.chdir(tmp_path)  # `datasets` takes org/name from a folder of that name
    assert rows(tmp_path, "hf://datasets/org/name", split="test") == ROWS
    with pytest.raises(InputError, match="has the splits train, test; name one"):
        rows(tmp_path, "hf://datasets/org/name")
    assert rows(tmp_path, "hf://datasets/org/name/train.parquet") == ROWS


def test_an_unreachable_dataset_says_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"could not be opened .* Without a network"):
        rows(tmp_path, "hf://datasets/no-such-org/no-such-name")
    with pytest.raises(InputError, match="wanted hf://datasets/org/name"):
        rows(tmp_path, "hf://gsm8k")


def test_files_come_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        (tmp_path / f"part_{number}.jsonl").write_text(f'"{number}"\n')
    (tmp_path / "README.md").write_text("not data")
    assert rows(tmp_path, "part_*.jsonl") == ["1", "9", "10"]
    assert rows(tmp_path, ".") == ["1", "9", "10"]


def test_a_damaged_line_stands_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "pool.jsonl").write_bytes(
        b'{"question": "a"}\n{"question": \n\n{"question": "b", "x": NaN}\n{"question": "\xff"}\n'
        b'{"question": "\\ud800"}\n'
    )
    first, second, third, fourth, fifth = rows(tmp_path, "pool.jsonl")
    assert first == {"question": "a"}
    assert isinstance(second, Unreadable)
    assert (second.where, second.text) == ("pool.jsonl:2", '{"question":')
    assert third == {"question": "b", "x": None}
    assert isinstance(fourth, Unreadable)
    assert fourth.where == "pool.jsonl:5"
    assert isinstance(fifth, Unreadable)


def test_a_csv_row_with_another_number_of_values_stands_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "pool.csv").write_text('question,answer\na,1\nb,2,3\n\n"c\nd",4\n"e" f,5\ng,6\n')
    read_rows = rows(tmp_path, "pool.csv")
    assert [row for row in read_rows if not isinstance(row, Unreadable)] == [
        {"question": "a", "answer": "1"},
        {"question": "c\nd", "answer": "4"},
        {"question": "g", "answer": "6"},
    ]
    assert [row.where for row in read_rows if isinstance(row, Unreadable)] == [
        "pool.csv:3",
        "pool.csv:7",
    ]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.json", '[{"a": 1}, {"a": ', "not a JSON list: .* after item 1"),
        ("a.json", '[{"a": 1}', "the closing bracket is missing"),
        ("a.json", "[1, 2", "the closing bracket is missing"),
        ("a.json", '{\n "data": [1]\n}', "one JSON object over several lines"),
        ("a.csv", "x,x\n1,2\n", "two columns named 'x'"),
        ("a.txt", "hello", "format '.txt' is not one of .parquet, .jsonl"),
        ("a.parquet", "hello", "not a parquet file"),
    ],
)
def test_a_file_that_is_not_what_it_says(
    tmp_path: Path, name: str, content: str, problem: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=problem):
        rows(tmp_path, name)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("question\ncaf\xe9\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.csv is not UTF-8"):
        rows(tmp_path, "a.csv")


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").touch()
    with pytest.raises(InputError, match=r"did you mean 'questions\.jsonl'"):
        find("question.jsonl", tmp_path)
    with pytest.raises(InputError, match="no file matches"):
        find("*.parquet", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no data file"):
        find("empty", tmp_path)


def test_a_long_list_is_read_across_blocks(tmp_path: Path) -> None:
    items: list[object] = [{"text": "é" * 5000, "n": n} for n in range(400)]
    items += ["x" * (2 * BLOCK), 12345678, 1.5, None, []]
    (tmp_path / "long.json").write_text(json.dumps(items, ensure_ascii=False))
    assert rows(tmp_path, "long.json") == items


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(items=st.lists(JSON, max_size=6), indent=st.sampled_from([None, 0, 2]))
def test_any_list_is_read_as_json_reads_it(
    items: list[object], indent: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("any") / "any.json"
    file.write_text(json.dumps(items, indent=indent))
    assert rows(file.parent, "any.json") == items


SAVED = [{"question": "One?", "answer": "1"}, {"question": "Two?", "answer": "2"}]


@pytest.mark.parametrize("several", [False, True])
def test_what_save_to_disk_wrote_is_read(tmp_path: Path, several: bool) -> None:
    saved = datasets.Dataset.from_list(SAVED)
    whole = datasets.DatasetDict({"train": saved, "test": saved.select([0])}) if several else saved
    whole.save_to_disk(tmp_path / "saved")
    options = TableOptions(path="saved", split="train" if several else None)
    assert [row for chunk in read(options, tmp_path, ()) for row in chunk.rows] == SAVED
    if several:
        with pytest.raises(InputError, match="has the splits train, test; name one"):
            list(read(TableOptions(path="saved"), tmp_path, ()))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.jsonl", json.dumps(SAVED)),
        ("list.jsonl", json.dumps(SAVED, indent=1)),
        ("marked.csv", "sep=;\r\nquestion;answer\r\nOne?;1\r\nTwo?;2\r\n"),
        ("european.csv", "question;answer\nOne?;1\nTwo?;2\n"),
        ("trailing.csv", "question,answer,\nOne?,1,\nTwo?,2,\n"),
        ("values.csv", "question,answer\nOne?,1,,\nTwo?,2\n"),
    ],
)
def test_what_programs_make_of_a_format_is_read_as_it_is_meant(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    assert [r for c in read(TableOptions(path=name), tmp_path, ()) for r in c.rows] == SAVED


def test_a_list_a_line_stays_a_list_a_line(tmp_path: Path) -> None:
    (tmp_path / "bare.jsonl").write_text('["a", "b"]\n["c"]\n')
    chunks = read(TableOptions(path="bare.jsonl"), tmp_path, ())
    assert [row for chunk in chunks for row in chunk.rows] == [["a", "b"], ["c"]]


LINES = b"".join(json.dumps({"question": f"{n} plus 1?"}).encode() + b"\n" for n in range(5000))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("cut.jsonl.gz", gzip.compress(LINES)[:-200], "was cut short, is damaged"),
        ("no.jsonl.gz", LINES, "is not what its name says"),
        ("cut.jsonl.zst", bytes(pa.compress(LINES, "zstd"))[:-20], "was cut short, is damaged"),
        ("wide.jsonl", '{"question": "One?"}'.encode("utf-16"), "is UTF-16, wanted UTF-8"),
        ("no.parquet", b"PAR1 and no more", "is not a parquet file"),
    ],
)
def test_a_damaged_file_is_said_in_a_sentence(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}.*{problem}"):
        list(read(TableOptions(path=name), tmp_path, ()))
