"""Runs that are published, for all kinds of repository."""

from pathlib import Path

import pytest

from tests.curate.imported_sums import TERMS, do, write

FEWER = ("filters.length.max=8", "arms=[random]", "splits.validation=0")


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of three versions, the second with fewer rows and configs; and some to be refused."""
    folder = tmp_path_factory.mktemp("runs")
    write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        return {
            "first": do(folder, TERMS).folder,
            "second": do(folder, TERMS, "release=0.2.0", *FEWER).folder,
            "changed": do(folder, TERMS, "filters.length.max=8").folder,
            "tenth": do(folder, TERMS, "release=0.10.0").folder,
            "unknown": do(folder, "release=0.3.0").folder,
            "empty": do(folder, TERMS, "filters.length.max=1").folder,
        }
