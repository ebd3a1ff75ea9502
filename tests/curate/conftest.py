"""A finished run that several test files read."""

from pathlib import Path

import pytest

from tests.curate.imported_sums import do, write


@pytest.fixture(scope="session")
def sums_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run on imported sums: 120 rows selected, each with a wrong sibling."""
    folder = tmp_path_factory.mktemp("sums")
    write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        return do(folder).folder
