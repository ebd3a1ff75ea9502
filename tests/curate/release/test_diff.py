"""What `curate diff` tells of two releases, against the releases themselves."""

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from curate import cli
from curate.errors import InputError
from curate.release.diff import ABSENT, SELECTED, diff
from curate.release.flat import flat
from tests.curate.imported_sums import do, write

SHORT = "filters.length.max=8"


@pytest.fixture(scope="module")
def shorter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of `sums_run` again with a shorter limit and fewer questions."""
    folder = tmp_path_factory.mktemp("shorter")
    write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        return do(folder, SHORT, "release=0.2.0", limit=50).folder


def ids(run: Path, config: str = "default") -> set[str]:
    files = run / "dataset" / "data" / config / "*.parquet"
    return set(pl.read_parquet(files)["sample_id"])


def test_a_release_is_the_same_as_itself_and_its_copy(sums_run: Path, tmp_path: Path) -> None:
    shutil.copytree(sums_run / "dataset", tmp_path / "copy")
    found = diff(sums_run, tmp_path / "copy")
    assert found.same
    assert (found.added, found.removed, found.kept) == (0, 0, 120)
    told = found.altered, found.moves, found.parameters, found.shifts, found.shares
    assert not any(told)
    assert "the same 120 rows" in found.markdown()


def test_every_row_is_accounted_for(sums_run: Path, shorter: Path) -> None:
    found, before, after = diff(sums_run, shorter), ids(sums_run), ids(shorter)
    assert not found.same
    assert (found.before.rows, found.after.rows) == (len(before), len(after))
    assert (found.added, found.removed, found.kept) == (
        len(after - before), len(before - after), len(before & after),
    )  # fmt: skip
    assert found.removed > 0
    assert found.kept > 0
    assert sum(m.samples for m in found.moves if m.before == SELECTED) == found.removed
    assert sum(m.samples for m in found.moves if m.after == SELECTED) == found.added


def test_moves_name_the_filter_and_the_reason(sums_run: Path, shorter: Path) -> None:
    found = {(m.before, m.after): m for m in diff(sums_run, shorter).moves}
    stopped = found[SELECTED, "length: too_long"]
    assert stopped.example in ids(sums_run) & ids(shorter, "rejected")
    rejected = pl.read_parquet(shorter / "dataset/data/rejected/*.parquet")
    too_long = set(rejected.filter(pl.col("rejected_by") == "length")["sample_id"])
    assert stopped.samples == len(ids(sums_run) & too_long)
    # ten questions of two selected rows each are not asked any more
    assert found[SELECTED, ABSENT].samples == 20


def test_parameters_are_those_the_run_had(sums_run: Path, shorter: Path) -> None:
    found = {c.name: (c.before, c.after) for c in diff(sums_run, shorter).parameters}
    assert found == {
        "limit": (None, "50"),
        "recipe.filters.length.max": ("40", "8"),
    }


def test_sources_without_a_name_are_told_apart() -> None:
    sources = [
        {"use": "generate", "model": "org/big", "samples": 2},
        {"use": "generate", "model": "org/small", "samples": 4},
        {"use": "generate", "model": "org/small", "samples": 8},
    ]
    told = dict(flat({"sources": sources}))
    assert told["sources.big.samples"] == 2
    assert told["sources.small.samples"] == 4
    assert told["sources.small.2.samples"] == 8


def rewritten(run: Path, folder: Path, *changes: pl.Expr) -> Path:
    """Copy a release with some values of its selection changed."""
    shutil.copytree(run / "dataset", folder)
    for path in (folder / "data" / "default").glob("*.parquet"):
        pl.read_parquet(path).with_columns(*changes).write_parquet(path)
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    manifest |= {"dataset_hash": "f" * 32, "digests": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_changed_values_are_counted_and_shown_by_quartile(sums_run: Path, tmp_path: Path) -> None:
    scores = pl.int_range(pl.len()).cast(pl.Float64)
    first = rewritten(sums_run, tmp_path / "a", scores.alias("rd_masked"))
    second = rewritten(
        sums_run,
        tmp_path / "b",
        (scores + 1).alias("rd_masked"),
        pl.when(pl.col("rationale").str.contains("First"))
        .then(pl.lit("other"))
        .otherwise("source")
        .alias("source"),
    )
    found = diff(first, second)
    rows = pl.read_parquet(second / "data/default/*.parquet")
    moved = rows.filter(pl.col("source") == "other").height
    assert found.altered == {"rd_masked": 120, "source": moved}
    assert found.kept == 120
    (shift,) = found.shifts
    assert shift.column == "rd_masked"
    assert all(b - a == pytest.approx(1) for a, b in zip(shift.before, shift.after, strict=True))
    shares = {s.value: (s.before, s.after) for s in found.shares}
    assert shares["other"] == (0, pytest.approx(moved / 120))
    assert shares["pool"] == (1, pytest.approx(1 - moved / 120))


def test_an_empty_selection_is_compared_too(sums_run: Path, tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(tmp_path / "store"))
        nothing = do(tmp_path, "filters.length.max=1").folder
    found = diff(sums_run, nothing)
    assert (found.added, found.removed, found.after.rows, found.after.questions) == (0, 120, 0, 0)
    back = diff(nothing, sums_run)
    assert (back.added, back.removed) == (120, 0)


def test_the_command_prints_tables_or_json(sums_run: Path, shorter: Path) -> None:
    def said(*options: str) -> str:
        done = CliRunner().invoke(cli.app, ["diff", str(sums_run), str(shorter), *options])
        assert done.exit_code == 0, done.output
        return done.output

    assert "length: too_long" in said()
    assert said("--markdown").startswith("## sums 0.1.0 to sums 0.2.0\n")
    assert json.loads(said("--json"))["before"]["rows"] == 120
    with pytest.raises(InputError, match="no finished run at"):
        diff(sums_run, sums_run / "nowhere")
