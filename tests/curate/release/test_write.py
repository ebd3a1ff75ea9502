"""Releases as `datasets` reads them, from real folders."""

import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import InputError
from curate.release.card import CardFacts, ModelFacts
from curate.release.funnel import Funnel, PickCount
from curate.release.parquet import FILE_ROWS, ROW_GROUP, Fingerprint, PartWriter
from curate.release.partition import ReleaseSpec
from curate.release.write import write_release
from filters.columns import QUESTION_COLUMNS
from filters.completeness import Completeness

datasets.disable_progress_bars()

FILTERS = (Completeness(), Completeness(name="second", on_abstain="keep"))
ARMS = ("random", "lowest_nll_rationale")


def spec(**card: Any) -> ReleaseSpec:
    funnel = Funnel(
        samples=7, covered=3, picks=(PickCount(name="selected", rows=2, questions=2, tokens=9),)
    )
    facts: dict[str, Any] = {"name": "eggs", "release": "0.1.0", "funnel": funnel, **card}
    return ReleaseSpec(
        card=CardFacts(**facts), filters=FILTERS, arms=ARMS, recipe="name: eggs\n", lock="{}\n",
        identity={"recipe_digest": "ab12"},
    )  # fmt: skip


def verdict(*, keep: bool | None = True, reason: str | None = None) -> dict[str, Any]:
    evidence = {"finish_reason": "stop", "error": None}
    return {"keep": keep, "reason": reason, "score": 3.0, "evidence": evidence}


def row(sample: str, **given: Any) -> dict[str, Any]:
    """A live sample beyond the budget, unless told otherwise."""
    return {
        "question_id": f"q{sample[-1]}", "question": "How many eggs?", "gold": "3",
        "sample_id": sample, "source": "hen", "teacher": "hen-1", "split": "train",
        "rationale": f"Two and one, {sample}.",
        "answer": "3", "rd_masked": 0.5, "choices": None, "live": True, "selected": False,
        "selection_rank": 9, "arm_random": False, "arm_lowest_nll_rationale": False,
        "verdict_completeness": verdict(), "verdict_second": verdict(), **given,
    }  # fmt: skip


def selected(sample: str, rank: int, **given: Any) -> dict[str, Any]:
    return row(sample, selected=True, selection_rank=rank, **given)


def stopped(sample: str, **given: Any) -> dict[str, Any]:
    gone = {"live": False, "selection_rank": None, "verdict_second": None}
    return row(
        sample, **{**gone, "verdict_completeness": verdict(keep=False, reason="cut_off"), **given}
    )


REFUSED = verdict(keep=False, reason="refusal")
ROWS = [
    stopped("s0"),
    selected("s1", 2, arm_random=True),
    selected("s2", 1, split="validation", choices=["one", "two"]),
    row("s3", arm_random=True, split="validation"),
    stopped("s4", verdict_completeness=verdict(), verdict_second=REFUSED),
    selected(
        "s5", 3, verdict_second=verdict(keep=None, reason="empty"), rationale="``` <b>[x](y)</b>"
    ),
    stopped("s6"),
]


def shard(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    schema = spec().schema()
    names = list(ROWS[0])
    return pl.DataFrame(list(rows), schema={name: schema[name] for name in names})


def load(folder: Path, tmp: Path, *config: str) -> datasets.DatasetDict:
    return datasets.load_dataset(str(folder), *config, cache_dir=str(tmp / "cache"))  # pyright: ignore[reportReturnType]


def samples(found: datasets.DatasetDict) -> dict[str, list[str]]:
    return {name: sorted(rows["sample_id"]) for name, rows in found.items()}


def test_the_run_folder_loads_as_the_selection(tmp_path: Path) -> None:
    run = tmp_path / "run"
    questions = pl.DataFrame(
        [{"question_id": "q1", "status": "ok"}, {"question_id": "q9", "status": "quarantined"}],
        schema={**QUESTION_COLUMNS, "samples_asked": pl.Int32},
    )
    summary = write_release(run, [shard(ROWS[:3]), shard(ROWS[3:])], spec(), questions)
    for folder in (run, run / "dataset"):
        assert samples(load(folder, tmp_path)) == {"train": ["s1", "s5"], "validation": ["s2"]}
        assert samples(load(folder, tmp_path, "random")) == {"train": ["s1"], "validation": ["s3"]}
        assert samples(load(folder, tmp_path, "rejected")) == {"train": ["s0", "s4", "s6"]}
        with pytest.raises(ValueError, match="not found"):
            load(folder, tmp_path, "lowest_nll_rationale")
    found = load(run, tmp_path)["train"]
    assert found.column_names == [
        "question_id", "question", "choices", "gold", "sample_id", "source", "teacher", "rationale",
        "answer", "rd_masked", "selection_rank",
    ]  # fmt: skip
    rejected = {r["sample_id"]: r for r in load(run, tmp_path, "rejected")["train"]}
    reasons = {key: (r["rejected_by"], r["rejected_reason"]) for key, r in rejected.items()}
    assert reasons["s0"] == ("completeness", "cut_off")
    assert reasons["s4"] == ("second", "refusal")
    assert {c.name: c.rows for c in summary.configs} == {
        "default": 3, "random": 2, "lowest_nll_rationale": 0, "rejected": 3,
    }  # fmt: skip
    audit = pl.read_parquet(run / "audit" / "samples-*.parquet")
    assert audit.equals(shard(ROWS).select(audit.columns))
    assert pl.read_parquet(run / "audit" / "questions-*.parquet").height == 2
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_another_release_of_a_like_name_is_not_taken_from_the_cache(tmp_path: Path) -> None:
    kept = [selected("s1", 1, rationale=text) for text in ("once", "twice")]
    for number, one in enumerate(kept):
        run = tmp_path / str(number) / "001-eggs"
        run.parent.mkdir()
        write_release(run, [shard([one, *ROWS[3:4]])], spec())
    for number, one in enumerate(kept):
        run = tmp_path / str(number) / "001-eggs"
        for folder in (run, run / "dataset"):
            assert load(folder, tmp_path)["train"]["rationale"][:] == [one["rationale"]]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_shard_with_nothing_selected_does_no_harm(tmp_path: Path, place: int) -> None:
    shards = [shard(ROWS[1:3]), shard(ROWS[5:6])]
    shards.insert(place, shard([stopped("s7", rationale=None, answer=None, rd_masked=None)]))
    write_release(tmp_path / "run", [shard([]), *shards], spec())
    assert samples(load(tmp_path / "run", tmp_path)) == {
        "train": ["s1", "s5"],
        "validation": ["s2"],
    }


def test_a_filter_that_skipped_every_row_reads_as_what_it_is(tmp_path: Path) -> None:
    rows = [stopped(f"s{i}") for i in range(3)]
    untyped = shard(rows).with_columns(verdict_second=pl.lit(None), rd_masked=pl.lit(None))
    write_release(tmp_path / "run", [untyped, shard([selected("s9", 1)])], spec())
    audit = pl.read_parquet(tmp_path / "run" / "audit" / "samples-*.parquet")
    assert audit.schema["verdict_second"] == Completeness.verdict_type()
    assert audit["verdict_second"].null_count() == 3
    assert load(tmp_path / "run", tmp_path)["train"].features["rd_masked"].dtype == "float64"


def test_nothing_selected_is_said_and_nothing_else_loads_instead(tmp_path: Path) -> None:
    write_release(tmp_path / "run", [shard([stopped("s0"), stopped("s1")])], spec())
    for folder in (tmp_path / "run", tmp_path / "run" / "dataset"):
        with pytest.raises(FileNotFoundError):
            load(folder, tmp_path)
    card = (tmp_path / "run" / "dataset" / "README.md").read_text()
    assert "**Nothing was selected.**" in card
    assert not (tmp_path / "run" / "dataset" / "data" / "default").exists()

    write_release(tmp_path / "two", [shard([stopped("s0"), row("s1", arm_random=True)])], spec())
    with pytest.raises(ValueError, match="Config name is missing"):
        load(tmp_path / "two", tmp_path)
    assert samples(load(tmp_path / "two", tmp_path, "random")) == {"train": ["s1"]}


def test_an_abstention_that_stopped_a_sample_is_its_rejection(tmp_path: Path) -> None:
    unsure = verdict(keep=None, reason="unsure")
    doubted = stopped("s1", verdict_completeness=unsure)
    refused = stopped("s2", verdict_completeness=verdict(), verdict_second=REFUSED)
    write_release(tmp_path / "run", [shard([selected("s0", 1), doubted, refused])], spec())
    found = load(tmp_path / "run", tmp_path, "rejected")["train"]
    assert list(found["rejected_by"]) == ["completeness", "second"]
    assert list(found["rejected_reason"]) == ["unsure", "refusal"]


def test_a_sample_of_an_unknown_teacher_is_shown_without_one(tmp_path: Path) -> None:
    write_release(tmp_path / "run", [shard([selected("s1", 1, teacher=None)])], spec())
    assert "Answer: 3 (gold: 3).\n" in (tmp_path / "run" / "dataset" / "README.md").read_text()


def test_a_run_without_samples_still_leaves_a_folder(tmp_path: Path) -> None:
    summary = write_release(tmp_path / "run", [], spec())
    assert [config.rows for config in summary.configs] == [0, 0, 0, 0]
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "run", tmp_path)


def test_no_file_is_ever_empty(tmp_path: Path) -> None:
    write_release(tmp_path / "run", [shard(ROWS), shard([])], spec())
    files = list(tmp_path.rglob("*.parquet"))
    assert len(files) == 6
    assert all(pq.read_metadata(file).num_rows for file in files)


@given(st.permutations(ROWS), st.lists(st.integers(0, len(ROWS)), max_size=3))
def test_the_hash_knows_nothing_of_shards_or_order(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], cuts: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("release")
    edges = [0, *sorted(cuts), len(rows)]
    pieces = [shard(rows[a:b]) for a, b in itertools.pairwise(edges)]
    cut = write_release(folder / "cut", pieces, spec())
    whole = write_release(folder / "whole", [shard(ROWS)], spec())
    assert cut.configs == whole.configs
    own = {"digests": {}}  # of files, where rows stand as they came
    assert {**cut.manifest, **own} == {**whole.manifest, **own}


@pytest.mark.parametrize(
    ("column", "value"),
    [("rationale", "Another"), ("answer", None), ("rd_masked", 0.25), ("split", "validation"),
     ("choices", []), ("selection_rank", 4)],
)  # fmt: skip
def test_the_hash_changes_with_every_published_value(column: str, value: Any) -> None:
    schema = {**spec().schema()}
    columns = {name: schema[name] for name in (*ROWS[0],) if "verdict" not in name}

    def digest(changed: dict[str, Any]) -> str:
        fingerprint = Fingerprint(columns)
        fingerprint.add(shard([selected("s1", 1), row("s2") | changed]))
        return fingerprint.hexdigest()

    assert digest({}) != digest({column: value})


def test_texts_do_not_run_into_each_other_in_the_hash() -> None:
    def digest(question: str | None, gold: str | None) -> str:
        columns: dict[str, pl.DataType] = dict.fromkeys(
            ("sample_id", "question", "gold"), pl.String()
        )
        fingerprint = Fingerprint(columns)
        fingerprint.add(pl.DataFrame({"sample_id": ["s"], "question": [question], "gold": [gold]}))
        return fingerprint.hexdigest()

    pairs = [
        ("ab", "c"),
        ("a", "bc"),
        ("1:a,", ""),
        ("", "1:a,"),
        (None, "-"),
        ("-", None),
        ("", None),
    ]
    assert len({digest(*pair) for pair in pairs}) == len(pairs)


def test_lists_of_any_kind_have_a_hash_of_their_own() -> None:
    def digest(kind: pl.DataType, *values: Any) -> str:
        fingerprint = Fingerprint({"sample_id": pl.String(), "list": pl.List(kind)})
        columns = {"sample_id": [f"s{n}" for n in range(len(values))], "list": values}
        schema = {"sample_id": pl.String(), "list": pl.List(kind)}
        fingerprint.add(pl.DataFrame(columns, schema=schema))
        return fingerprint.hexdigest()

    numbers = [[1.5, 2.0], [1.5], [2.0], [1.5, None], [None], [], None, [-0.0], [0.0]]
    texts = [["a", "b"], ["ab"], ["1:a,b"], ["-"], [None], [], None, [""]]
    for kind, lists in ((pl.Float32(), numbers), (pl.String(), texts)):
        assert len({digest(kind, one) for one in lists}) == len(lists)
        assert (
            len({digest(kind, one, [], other) for one in lists for other in lists})
            == len(lists) ** 2
        )
    assert digest(pl.Int32(), [3], None, [], [4, 5]) != digest(pl.Int32(), [3, 4], None, [], [5])
    assert digest(pl.Int32(), [3]) != digest(pl.Float64(), [3.0])


def test_structs_and_rows_that_share_an_id_have_a_hash() -> None:
    turn = pl.Struct({"role": pl.String(), "content": pl.String()})

    def digest(*rows: tuple[str, Any, Any]) -> str:
        schema = {"sample_id": pl.String(), "turn": turn, "turns": pl.List(turn)}
        fingerprint = Fingerprint(schema)
        for row in rows:  # one at a time: in any pieces
            fingerprint.add(pl.DataFrame([row], schema=schema, orient="row"))
        return fingerprint.hexdigest()

    said, other = {"role": "user", "content": "a"}, {"role": "usera", "content": ""}
    values = [None, said, other, {"role": None, "content": "a"}, {"role": None, "content": None}]
    lists = [None, [], [said], [said, said], [said, other], [other], [None]]
    rows = [("s", value, one) for value in values for one in lists]
    assert len({digest(row) for row in rows}) == len(rows)
    first, second = ("s", said, [said]), ("s", other, [other])
    assert digest(first, second) == digest(second, first) != digest(first, first)


def test_files_and_row_groups_are_cut_by_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.release.parquet.ROW_GROUP", 4)
    monkeypatch.setattr("curate.release.parquet.FILE_ROWS", 8)
    rows = pl.DataFrame({"n": range(19)}, schema={"n": pl.Int64})

    def write(folder: str, sizes: Iterable[int]) -> list[Path]:
        writer = PartWriter(tmp_path / folder / "train", {"n": pl.Int64()})
        start = 0
        for size in sizes:
            writer.add(rows.slice(start, size))
            start += size
        return writer.close()

    one, other = write("one", [19]), write("other", [1, 9, 0, 7, 2])
    assert [file.name for file in one] == [f"train-0000{i}-of-00003.parquet" for i in range(3)]
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in other]
    assert [pq.read_metadata(file).num_row_groups for file in one] == [2, 2, 1]
    assert pl.read_parquet(one)["n"].to_list() == list(range(19))
    assert FILE_ROWS % ROW_GROUP == 0


def test_a_finished_run_is_never_written_over(tmp_path: Path) -> None:
    write_release(tmp_path / "run", [shard(ROWS)], spec())
    with pytest.raises(InputError, match="is not empty; a finished run is never changed"):
        write_release(tmp_path / "run", [shard(ROWS)], spec())
    (tmp_path / "empty").mkdir()
    assert write_release(tmp_path / "empty", [shard(ROWS)], spec()).folder.is_dir()


def test_a_failure_leaves_no_run_folder_and_the_next_try_succeeds(tmp_path: Path) -> None:
    def broken() -> Iterable[pl.DataFrame]:
        yield shard(ROWS)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_release(tmp_path / "run", broken(), spec())
    assert not (tmp_path / "run").exists()

    def add(folder: Path) -> None:
        (folder / "run.json").write_text("{}")

    write_release(tmp_path / "run", [shard(ROWS)], spec(), complete=add)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "README.md", "audit", "dataset", "run.json",
    ]  # fmt: skip


def test_shards_are_held_to_the_declared_columns(tmp_path: Path) -> None:
    whole = shard(ROWS)
    with pytest.raises(ValueError, match=r"columns \['beauty'\] have no declared type"):
        write_release(tmp_path / "a", [whole.with_columns(beauty=pl.lit(1))], spec())
    with pytest.raises(ValueError, match=r"lack columns \['split'\]"):
        write_release(tmp_path / "b", [whole.drop("split")], spec())
    with pytest.raises(ValueError, match=r"differ in columns \['gold'\]"):
        write_release(tmp_path / "c", [whole, whole.drop("gold")], spec())
    vectors = whole.with_columns(pl.lit([0.5], pl.List(pl.Float32)).alias("embedding"))
    write_release(tmp_path / "d", [vectors], spec())
    assert "embedding" not in pl.read_parquet(tmp_path / "d/audit/samples-*.parquet").columns


def test_the_manifest_holds_identity_only(tmp_path: Path) -> None:
    first, second = (write_release(tmp_path / name, [shard(ROWS)], spec()) for name in ("a", "b"))
    manifests = [(s.folder / "dataset" / "manifest.json").read_bytes() for s in (first, second)]
    assert manifests[0] == manifests[1]
    manifest = json.loads(manifests[0])
    assert manifest["recipe_digest"] == "ab12"
    assert manifest["dataset_hash"] == manifest["configs"]["default"]["dataset_hash"]
    assert manifest["configs"]["default"]["splits"] == {"train": 2, "validation": 1}
    assert manifest["funnel"]["samples"] == 7
    assert str(tmp_path) not in manifests[0].decode()


def test_the_card_tells_what_it_knows_and_escapes_what_models_wrote(tmp_path: Path) -> None:
    card = spec(
        licence="mit", language="en", description="Eggs, **counted**.",
        models=(ModelFacts("teacher", "hen-1", "abc", "apache-2.0", "no `ducks` | <geese>"),),
        select={"budget": {"rows": 3}, "order_by": ["rd_masked"]},
        calibration={"student_follows": False, "masked": {"auc": 0.51, "low": 0.39}},
        reproducible="from the record, byte for byte",
    )  # fmt: skip
    rows = [*ROWS[:5], {**ROWS[5], "selection_rank": 0}, *ROWS[6:]]
    summary = write_release(tmp_path / "run", [shard(rows)], card)
    text = (tmp_path / "run" / "dataset" / "README.md").read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "mit"
    assert front["size_categories"] == ["n<1K"]
    assert [config["config_name"] for config in front["configs"]] == [
        "default",
        "random",
        "rejected",
    ]
    for expected in (
        "Eggs, **counted**.", "``` &lt;b&gt;[x](y)&lt;/b&gt;", r"no \`ducks\` \| &lt;geese&gt;",
        "**The student does not follow rationales**", "| `masked.auc` | 0.51 |", "`budget.rows` 3",
        "Without a row, and so without files: `lowest_nll_rationale`", "min_words: 1",
        "2509.23574", "2502.18001", summary.dataset_hash, "from the record, byte for byte",
    ):  # fmt: skip
        assert expected in text
    assert "by `hen-1`." in text
    assert "<b>" not in text
    assert "<geese>" not in text
