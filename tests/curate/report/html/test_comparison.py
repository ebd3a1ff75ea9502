"""The picture of a diff: its numbers against the diff's, and the page in a browser."""

from pathlib import Path

import plotly.graph_objects as go
import pytest

from curate.errors import InputError
from curate.release.diff import Diff, diff
from curate.report.html.comparison import write_comparison
from tests.curate.imported_sums import do, write
from tests.curate.report.html.browser import opened
from tests.curate.report.html.test_page import filled, read


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Diff:
    """Compare a run with one that lets fewer words pass and takes fewer samples."""
    folder = tmp_path_factory.mktemp("compared")
    write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        before = do(folder).folder
        after = do(folder, "filters.length.max=11", "select.budget.rows=40").folder
    return diff(before, after)


@pytest.fixture
def drawn(found: Diff, tmp_path: Path) -> Path:
    return write_comparison(found, tmp_path / "diff.html")


def test_the_flows_are_the_moves(found: Diff, drawn: Path) -> None:
    figures = read(drawn, "figures")
    [flow] = figures["moves"]
    link, labels = flow["data"][0]["link"], flow["data"][0]["node"]["label"]
    flows = {
        (labels[source], labels[target], value)
        for source, target, value in zip(link["source"], link["target"], link["value"], strict=True)
    }
    moves = {(move.before, move.after, move.samples) for move in found.moves}
    assert flows == moves | {("selected", "selected", found.kept)}
    assert len(moves) > 1
    for views in figures.values():
        for view in views:
            go.Figure(filled(view))


def test_every_change_of_a_parameter_is_there(found: Diff, drawn: Path) -> None:
    with opened(drawn) as there:
        told = there.page.inner_text("#parameters")
        for change in found.parameters:
            assert change.name in told
        assert "recipe.filters.length.max" in told
        shown = there.page.locator(".headline > div").all_inner_texts()
        assert [" ".join(one.split()) for one in shown] == [
            f"rows before {found.before.rows}", f"rows after {found.after.rows}",
            f"in both {found.kept}", f"added {found.added}", f"removed {found.removed}",
        ]  # fmt: skip


@pytest.mark.parametrize("width", [1400, 390])
def test_it_opens_quietly_and_is_accessible(drawn: Path, width: int) -> None:
    with opened(drawn, width) as there:
        assert there.violations() == []
        assert there.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert there.said == []
        assert there.asked == []


def test_two_equal_releases_are_said_to_be(sums_run: Path, tmp_path: Path) -> None:
    drawn = write_comparison(diff(sums_run, sums_run), tmp_path / "same.html")
    assert "Both select the same rows with the same content." in drawn.read_text("utf-8")


def test_a_file_that_can_not_be_written_is_said(found: Diff, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't write"):
        write_comparison(found, tmp_path / "file" / "diff.html")
