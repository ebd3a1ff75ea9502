"""What the tests of several documents need."""

from pathlib import Path

import pytest

from tests.docs.lessons import copied


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Give a copy of the project."""
    return copied(tmp_path / "project")
