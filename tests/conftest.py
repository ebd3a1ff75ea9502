"""Fixtures every test may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real teacher rationales; its README is the catalogue."""
    folder = os.environ.get("CURATE_TEST_DATA")
    if not folder:
        pytest.skip("CURATE_TEST_DATA is not set: no real rationales to test on")
    return Path(folder)
