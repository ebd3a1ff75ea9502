"""Exports of a whole run, read back by the loaders and by the rules their trainers document."""

import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from curate import cli
from curate.errors import InputError
from curate.release.export.export import ExportOptions, export
from curate.release.export.trainers import trainers
from curate.release.formats import format_of
from curate.release.formats.wording import Wording
from tests.curate.imported_sums import do, write

KEYS = {
    "trl": {"sample_id", "prompt", "completion"},
    "messages": {"sample_id", "messages"},
    "llama-factory": {"sample_id", "messages"},
    "axolotl": {"sample_id", "messages"},
    "torchtune": {"sample_id", "messages"},
    "ms-swift": {"sample_id", "messages"},
    "prompt-completion": {"sample_id", "prompt", "completion"},
    "alpaca": {"sample_id", "instruction", "input", "output"},
    "text": {"sample_id", "prompt", "completion"},
    "tasks": {"sample_id", "parent_id", "prompt", "completion"},
    "dpo": {"sample_id", "rejected_sample_id", "prompt", "chosen", "rejected"},
    "rl": {"question_id", "prompt", "answer", "pass_rate", "samples"},
}
"""Of what is shipped; others are held to what they declare."""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("form", trainers())
def test_every_export_loads_and_holds_its_trainers_keys_alone(
    sums_run: Path, tmp_path: Path, form: str
) -> None:
    keys = KEYS.get(form) or set(format_of(form).columns(Wording("")))
    made = export(sums_run, form, ExportOptions(out=tmp_path / "out"))
    assert set(made.records) == {"train", "validation"}
    loaded = datasets.load_dataset(
        "json", data_files={s: str(made.folder / f"{s}.jsonl") for s in made.records},
        cache_dir=str(tmp_path / "cache"),
    )  # fmt: skip
    for split, count in made.records.items():
        rows = lines(made.folder / f"{split}.jsonl")
        assert len(rows) == count == loaded[split].num_rows
        assert all(row.keys() == keys for row in rows)
    readme = (made.folder / "README.md").read_text()
    assert "sums 0.1.0" in readme
    assert "{" not in readme.replace("{answer}", "")


def test_rows_are_the_selection_in_its_order_and_splits_are_kept(
    sums_run: Path, tmp_path: Path
) -> None:
    made = export(sums_run, "trl", ExportOptions(out=tmp_path / "out"))
    released = pl.concat(
        pl.read_parquet(sums_run / "dataset/data/default" / f"{split}-*.parquet").with_columns(
            split=pl.lit(split)
        )
        for split in ("train", "validation")
    ).sort("selection_rank")
    for split in made.records:
        expected = released.filter(pl.col("split") == split)["sample_id"].to_list()
        assert [row["sample_id"] for row in lines(made.folder / f"{split}.jsonl")] == expected


def test_pairs_are_of_one_question_right_against_wrong(sums_run: Path, tmp_path: Path) -> None:
    made = export(sums_run, "dpo", ExportOptions(out=tmp_path / "out"))
    audit = pl.read_parquet(sums_run / "audit/samples-*.parquet")
    of = dict(zip(audit["sample_id"], audit["question_id"], strict=True))
    right = audit["verdict_correctness"].struct.field("keep").fill_null(value=False)
    correct = dict(zip(audit["sample_id"], right, strict=True))
    pairs = [pair for split in made.records for pair in lines(made.folder / f"{split}.jsonl")]
    assert len(pairs) == 120
    for pair in pairs:
        assert of[pair["sample_id"]] == of[pair["rejected_sample_id"]]
        assert correct[pair["sample_id"]]
        assert not correct[pair["rejected_sample_id"]]


def test_pass_rates_count_what_came_and_was_right(sums_run: Path, tmp_path: Path) -> None:
    made = export(sums_run, "rl", ExportOptions(out=tmp_path / "out"))
    rows = [row for split in made.records for row in lines(made.folder / f"{split}.jsonl")]
    assert len(rows) == 60
    # of five samples three are right, one is wrong and one is empty
    assert {(row["pass_rate"], row["samples"]) for row in rows} == {(0.6, 5)}


def test_an_answer_that_was_stopped_unjudged_counts_as_what_it_is(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(tmp_path / "store"))
        short = do(tmp_path, "filters.length.max=8", limit=6).folder
    made = export(short, "rl", ExportOptions(out=tmp_path / "out"))
    rows = [row for split in made.records for row in lines(made.folder / f"{split}.jsonl")]
    assert {row["pass_rate"] for row in rows} == {0.6}


def test_no_row_of_an_arm_is_preferred_to_itself_or_to_another_wrong_one(
    sums_run: Path, tmp_path: Path
) -> None:
    given = ExportOptions(config="without_correctness", out=tmp_path / "out")
    made = export(sums_run, "dpo", given)
    pairs = [pair for split in made.records for pair in lines(made.folder / f"{split}.jsonl")]
    rejected = pl.read_parquet(sums_run / "dataset/data/rejected/*.parquet")["sample_id"]
    assert pairs
    assert not {pair["sample_id"] for pair in pairs} & set(rejected)


def test_tasks_are_traced_by_their_parent_and_what_trl_cuts_is_said(
    sums_run: Path, tmp_path: Path
) -> None:
    def readme(form: str, **given: Any) -> str:
        options = ExportOptions(out=tmp_path / f"{form}{len(given)}", **given)
        return (export(sums_run, form, options).folder / "README.md").read_text()

    assert "`parent_id` leads back" in readme("tasks")
    assert "max_length=None" in readme("trl")
    assert "max_length=300" in readme("trl", max_length=300)


def test_an_arm_is_exported_as_the_selection_is(sums_run: Path, tmp_path: Path) -> None:
    made = export(sums_run, "trl", ExportOptions(config="random", out=tmp_path / "out"))
    manifest = json.loads((sums_run / "dataset/manifest.json").read_text())
    assert made.records == manifest["configs"]["random"]["splits"]


def test_an_arm_with_wrong_samples_states_their_own_answers(sums_run: Path, tmp_path: Path) -> None:
    given = ExportOptions(config="without_correctness", layout="plain", out=tmp_path / "out")
    made = export(sums_run, "trl", given)
    rows = [row for split in made.records for row in lines(made.folder / f"{split}.jsonl")]
    wrong = [row["completion"] for row in rows if " - " in row["completion"]]
    assert wrong
    for text in wrong:
        total = text.partition(" = ")[2].partition(".")[0]
        assert text.endswith(f"The answer is {total}.")


def test_a_sample_that_was_cut_is_no_record_and_that_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "pool.jsonl"
    rows = [json.loads(line) | {"end": "stop"} for line in path.read_text().splitlines()]
    rows[0] |= {"end": "max_tokens", "text": "We add 20 and 3. The answer is 23. To be su"}
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    run = do(
        tmp_path,
        "sources.pool.columns.finish_reason=end",
        "filters.completeness.allow_cut=true",
        "filters.diversity.by=[text]",
        "publish.formats=[messages]",
    )
    manifest = json.loads((run.folder / "dataset/manifest.json").read_text())
    total = {name: sum(c["splits"].values()) for name, c in manifest["configs"].items()}
    cut = run.audit.filter(selected=True, finish_reason="length").height
    assert cut == 1
    assert total["messages"] == total["default"] - cut
    made = export(run.folder, "trl", ExportOptions(out=tmp_path / "out"))
    assert sum(made.records.values()) == total["default"] - cut
    assert made.found == ("left out: 1 sample cut at max_tokens, without an end to learn",)
    told = [(made.folder / f"{split}.jsonl").read_text() for split in made.records]
    assert not any("To be su" in text for text in told)


def test_llama_factory_finds_files_and_columns(sums_run: Path, tmp_path: Path) -> None:
    for layout, form in (("chat", "sharegpt"), ("plain", "alpaca")):
        given = ExportOptions(layout=layout, out=tmp_path / layout)
        folder = export(sums_run, "llama-factory", given).folder
        listed = json.loads((folder / "dataset_info.json").read_text())
        assert list(listed) == ["sums_train", "sums_validation"]
        for told in listed.values():
            row = lines(folder / told["file_name"])[0]
            assert told["formatting"] == form
            assert set(told["columns"].values()) <= row.keys()
            if form == "sharegpt":
                tags, turns = told["tags"], row[told["columns"]["messages"]]
                roles = [turn[tags["role_tag"]] for turn in turns]
                assert roles == [tags["user_tag"], tags["assistant_tag"]]
                assert all(turn[tags["content_tag"]] for turn in turns)


@pytest.mark.parametrize("layout", ["chat", "plain"])
def test_axolotl_and_torchtune_name_files_and_fields(
    sums_run: Path, tmp_path: Path, layout: Any
) -> None:
    folder = export(sums_run, "axolotl", ExportOptions(layout=layout, out=tmp_path / "a")).folder
    config = yaml.safe_load((folder / "axolotl.yaml").read_text())
    for part in (*config["datasets"], *config["test_datasets"]):
        row = lines(folder / part["path"])[0]
        if layout == "chat":
            assert part["type"] == "chat_template"
            assert {part["message_property_mappings"][k] for k in ("role", "content")} <= row[
                part["field_messages"]
            ][0].keys()
        else:
            assert {part["type"]["field_instruction"], part["type"]["field_output"]} <= row.keys()
    folder = export(sums_run, "torchtune", ExportOptions(layout=layout, out=tmp_path / "t")).folder
    config = yaml.safe_load((folder / "torchtune.yaml").read_text())
    assert list(config) == ["dataset"]
    for part in config.values():
        row = lines(folder / part["data_files"])[0]
        named = part.get("column_map", {"messages": part.get("conversation_column")})
        assert set(named.values()) <= row.keys()


def scored(sums_run: Path, folder: Path, *, follows: bool) -> Path:
    """Copy a release and give its rows scores that order them in opposite ways."""
    shutil.copytree(sums_run / "dataset", folder)
    for path in (folder / "data" / "default").glob("*.parquet"):
        rows = pl.read_parquet(path)
        count = pl.int_range(pl.len()).cast(pl.Float64)
        rows.with_columns(rd_masked=count, nll_rationale=-count).write_parquet(path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"calibration": {"student_follows": follows}, "digests": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(("follows", "by"), [(True, "rd_masked"), (False, "nll_rationale")])
def test_the_easiest_stand_first_when_asked_for(
    sums_run: Path, tmp_path: Path, follows: bool, by: str
) -> None:
    release = scored(sums_run, tmp_path / "release", follows=follows)
    options = ExportOptions(order="easy", out=tmp_path / "out")
    made = export(release, "trl", options)
    score = dict(
        pl.read_parquet(release / "data/default/*.parquet").select("sample_id", by).iter_rows()
    )
    for split in made.records:
        told = [score[row["sample_id"]] for row in lines(made.folder / f"{split}.jsonl")]
        assert told == sorted(told)
        assert len(set(told)) > 1
    readme = (made.folder / "README.md").read_text()
    assert f"Easiest first, by `{by}`" in readme
    assert 'train_sampling_strategy="sequential"' in readme


def test_without_scores_shorter_is_easier_and_trainers_are_kept_from_shuffling(
    sums_run: Path, tmp_path: Path
) -> None:
    made = export(sums_run, "axolotl", ExportOptions(order="easy", out=tmp_path / "a"))
    sizes = [len(row["messages"][1]["content"]) for row in lines(made.folder / "train.jsonl")]
    assert sizes == sorted(sizes)
    assert yaml.safe_load((made.folder / "axolotl.yaml").read_text())["curriculum_sampling"]
    made = export(sums_run, "torchtune", ExportOptions(order="easy", out=tmp_path / "t"))
    assert yaml.safe_load((made.folder / "torchtune.yaml").read_text())["shuffle"] is False
    made = export(sums_run, "rl", ExportOptions(order="easy", out=tmp_path / "rl"))
    rates = [row["pass_rate"] for row in lines(made.folder / "train.jsonl")]
    assert rates == sorted(rates, reverse=True)


def test_reasoning_goes_into_a_field_where_the_trainer_reads_one(
    sums_run: Path, tmp_path: Path
) -> None:
    given = ExportOptions(think="field", out=tmp_path / "a")
    folder = export(sums_run, "axolotl", given).folder
    config = yaml.safe_load((folder / "axolotl.yaml").read_text())
    turn = lines(folder / "train.jsonl")[0]["messages"][1]
    for part in (*config["datasets"], *config["test_datasets"]):
        assert turn[part["field_thinking"]]
        assert turn[part["message_property_mappings"][part["field_thinking"]]]
    with pytest.raises(InputError, match=r"ms-swift does not read a reasoning.*none or inline"):
        export(sums_run, "ms-swift", ExportOptions(think="field", out=tmp_path / "b"))
    with pytest.raises(InputError, match="a string has no reasoning field"):
        export(sums_run, "trl", ExportOptions(think="field", layout="plain", out=tmp_path / "b"))
    assert not (tmp_path / "b").exists()


def thinking_run(folder: Path) -> Path:
    """Run a pool of which every completion thinks first and then explains itself."""
    write(folder)
    pool = lines(folder / "pool.jsonl")
    (folder / "pool.jsonl").write_text(
        "".join(
            json.dumps(
                {**row, "text": f"<think>\n{rationale}.\n</think>\n\nLook:\n\n**{row['text']}**"}
            )
            + "\n"
            for row in pool
            if (rationale := row["text"].partition(".")[0])
        )
    )
    publish = "publish={formats: [messages], think: inline, solution: true}"
    return do(folder, publish, limit=6).folder


def test_a_solution_is_released_and_exported_behind_its_thought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    run = thinking_run(tmp_path)
    rows = pl.read_parquet(run / "dataset/data/default/*.parquet")
    assert rows["solution"].str.starts_with("Look:\n\n**").all()
    assert (rows["reasoning"] == rows["rationale"]).all()
    given = ExportOptions(think="field", solution=True, out=tmp_path / "both")
    folder = export(run, "messages", given).folder
    solutions = dict(rows.select("sample_id", "solution").iter_rows())
    for record in (r for file in folder.glob("*.jsonl") for r in lines(file)):
        assert record["messages"][-1]["content"] == solutions[record["sample_id"]]
    assert "in place of the line" in (folder / "README.md").read_text()
    bare = export(run, "messages", ExportOptions(think="field", out=tmp_path / "bare")).folder
    for record in (r for file in bare.glob("*.jsonl") for r in lines(file)):
        assert record["messages"][-1]["content"].startswith("The answer is ")
    published = pl.read_parquet(run / "dataset/data/messages/*.parquet")["messages"].list.last()
    assert published.struct.field("content").str.contains("</think>\n\nLook:").all()
    done = CliRunner().invoke(cli.app, ["why", str(run), rows["sample_id"][0]])
    assert "Look:" in done.output


def test_a_solution_wants_a_thought_to_stand_behind(sums_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`think: none` sets none apart"):
        ExportOptions(solution=True)
    given = ExportOptions(think="inline", solution=True, out=tmp_path / "out")
    with pytest.raises(InputError, match=r"no row of sums .* has a solution behind a thought"):
        export(sums_run, "trl", given)
    assert not given.out or not given.out.exists()


def test_what_cannot_be_exported_is_said_and_leaves_nothing(sums_run: Path, tmp_path: Path) -> None:
    release = tmp_path / "copy"
    shutil.copytree(sums_run / "dataset", release)
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no format or trainer is called 'tlr'; did you mean"):
        export(sums_run, "tlr")
    with pytest.raises(InputError, match="no config 'rnadom'; it has all_correct, default, random"):
        export(sums_run, "trl", ExportOptions(config="rnadom", out=out))
    with pytest.raises(InputError, match=r"pass rates need every sample.*lacks the run's audit"):
        export(release, "rl", ExportOptions(out=out))
    with pytest.raises(InputError, match=r"must hold \{answer\} exactly once"):
        export(sums_run, "trl", ExportOptions(line="The answer", out=out))
    assert export(release, "trl", ExportOptions(out=out)).records["train"]
    published = tmp_path / "copy/versions/v0.1.0"
    shutil.copytree(sums_run / "dataset", published)
    with pytest.raises(InputError, match="nothing is written beside a published version"):
        export(published, "trl")
    shutil.rmtree(published.parent)
    with pytest.raises(InputError, match="text takes none; use --think none"):
        export(sums_run, "text", ExportOptions(think="inline", out=tmp_path / "more"))
    with pytest.raises(InputError, match="no config 'rnadom'"):
        export(sums_run, "rl", ExportOptions(config="rnadom", out=tmp_path / "more"))
    with pytest.raises(InputError, match="is there already"):
        export(release, "trl", ExportOptions(out=out))
    (release / "manifest.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="format 99, and this version reads 1"):
        export(release, "trl", ExportOptions(out=tmp_path / "more"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "out"]


def test_the_command_writes_beside_the_run_and_refuses_a_wrong_word(sums_run: Path) -> None:
    done = CliRunner().invoke(cli.app, ["export", str(sums_run.parent), "--format", "messages"])
    assert done.exit_code == 0, done.output
    folder = Path(done.output.splitlines()[-1])
    assert folder.parent == sums_run.parent
    assert (folder / "train.jsonl").is_file()
    with pytest.raises(InputError, match=r"think: got 'filed'"):
        CliRunner().invoke(
            cli.app, ["export", str(sums_run), "--format", "trl", "--think", "filed"],
            catch_exceptions=False,
        )  # fmt: skip
