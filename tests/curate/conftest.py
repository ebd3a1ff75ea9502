"""What several test files need: a finished run, and a Hub on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from tenacity import wait_none

from curate.release.repositories import hub as hub_repository
from tests.curate.imported_sums import do, write
from tests.servers.hub import TOKEN, Hub, running_hub


@pytest.fixture(scope="session")
def sums_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run on imported sums: 120 rows selected, each with a wrong sibling."""
    folder = tmp_path_factory.mktemp("sums")
    write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        return do(folder).folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A local Hub that the real client talks to, with a token, an empty cache and no waiting."""
    monkeypatch.setattr(hub_repository, "WAIT", wait_none())
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub
