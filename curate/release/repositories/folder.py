"""Where releases are published: what a repository must do, and a folder that does it.

::

    DIR/versions/v0.1.0/    one release: data, card, manifest, recipe and lock; never changed again
    DIR/latest              a line naming the newest version
"""

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from filelock import FileLock

from curate.errors import CurateError, InputError
from curate.store.whole import write_whole

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


def hashes(folder: Path) -> dict[str, str]:
    """Hash every file of a folder (SHA-256), by its path inside."""
    digests: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            digests[path.relative_to(folder).as_posix()] = digest
    return digests


class FolderRepository:
    """A folder of versions.

    Args:
        root: is made with the first version.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._versions = root / "versions"

    @property
    def name(self) -> str:
        """Its address."""
        return f"file://{self._root}"

    def prepare(self) -> None:
        """Find out whether it can be written to, without writing.

        Raises:
            InputError: it can't.
        """
        place = self._root.absolute()
        while not place.exists():
            place = place.parent
        if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
            raise InputError(
                f"{self.name} can't be written: {str(place)!r} is no folder to write to"
            )

    def card(self) -> str | None:
        """Nothing: versions never change, and each has a card of its own."""

    def versions(self) -> list[str]:
        """Name the versions, oldest first."""
        names = [path.name for path in self._versions.glob("v*") if path.is_dir()]
        return sorted(filter(VERSION.fullmatch, names), key=order)

    def fetch(self, version: str, *, without: str | None = None) -> Path:
        """Give the version's folder itself; it must not be written to."""
        del without
        return self._versions / version

    def settle(self, version: str) -> None:
        """Have ``latest`` name the newest version."""
        del version
        latest, newest = self._root / "latest", self.versions()[-1]
        if not latest.is_file() or latest.read_text(encoding="utf-8").strip() != newest:
            with self._alone():
                self._point_to(newest)

    def publish(self, folder: Path, version: str) -> str:
        """Copy a folder, read it back, and only then give it its name.

        Raises:
            InputError: the version is there already.
            CurateError: what was read back is not what was written, or nothing can be written.
        """
        scratch = self._versions / f".{version}-{uuid.uuid4().hex}"
        try:
            with self._alone():
                final = self._versions / version
                if final.exists():
                    raise InputError(f"{version} is in {self.name} already")
                for remnant in self._versions.glob(".v*"):  # by a push that was killed
                    shutil.rmtree(remnant)
                shutil.copytree(folder, scratch)
                compare(hashes(folder), hashes(scratch), str(scratch))
                scratch.rename(final)
                self._point_to(max(self.versions(), key=order))
        except OSError as error:
            raise CurateError(f"{self.name} can't be written: {error}") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return str(final)

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Keep others that publish into the same folder out."""
        self._versions.mkdir(parents=True, exist_ok=True)
        with FileLock(self._root / ".lock"):
            yield

    def _point_to(self, version: str) -> None:
        write_whole(self._root / "latest", f"{version}\n".encode())


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
