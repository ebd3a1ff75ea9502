"""What a repository must do, and what all of them ask of versions and files."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from curate.errors import CurateError

VERSION: Final = re.compile(r"v\d+\.\d+\.\d+")
"""What a version is called."""


class Repository(Protocol):
    """Something that holds versions of a dataset."""

    @property
    def name(self) -> str:
        """Say where it is, as ``--repo`` takes it."""
        ...

    def prepare(self) -> None:
        """Make sure that it can be written to.

        Raises:
            InputError: it can't.
        """
        ...

    def versions(self) -> list[str]:
        """Name the versions it holds, oldest first."""
        ...

    def card(self) -> str | None:
        """Give the card as it is shown now, if others may have changed it."""
        ...

    def fetch(self, version: str, *, without: str | None = None) -> Path:
        """Give a folder with the files of a version.

        Args:
            version: a tag.
            without: beginning of the paths that need not be there.
        """
        ...

    def settle(self, version: str) -> None:
        """Finish what a push left that was cut off after its version was there."""
        ...

    def publish(self, folder: Path, version: str) -> str:
        """Publish a folder as a new version, all of it or nothing; say where it is.

        Raises:
            InputError: the version is there already.
            CurateError: what was read back is not what was written.
        """
        ...


def order(version: str) -> tuple[int, ...]:
    """Give what versions are ordered by: v0.10.0 is newer than v0.9.0."""
    return tuple(int(number) for number in version.removeprefix("v").split("."))


def compare(written: Mapping[str, str], read: Mapping[str, str], where: str) -> None:
    """Hold that what was read back is what was written.

    Raises:
        CurateError: it is not.
    """
    paths = (written.keys() | read.keys()) - {".gitattributes"}
    if wrong := sorted(path for path in paths if written.get(path) != read.get(path)):
        raise CurateError(
            f"{', '.join(wrong[:3])} of {where} is not what was written to it, so nothing was "
            "published; look at the disk, then push again"
        )
