"""A folder in which releases are published.

::

    DIR/versions/v0.1.0/    one release: data, card, manifest, recipe and lock; never changed again
    DIR/latest              a line naming the newest version
"""

import os
import shutil
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from curate.errors import CurateError, InputError
from curate.release.files import hashes
from curate.release.repositories.base import VERSION, compare, order
from curate.store.whole import write_whole


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
                f"{self.name} can't be written: {str(place)!r} is no folder to write to; name "
                "another place"
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
        if not latest.is_file() or latest.read_bytes().strip() != newest.encode():
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
