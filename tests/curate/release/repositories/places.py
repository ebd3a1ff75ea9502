"""Where the suite publishes to: a place of each kind, which can be looked at and broken."""

import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Final, Protocol

import pytest
from aiohttp import web

from curate.release.repositories import folder as folders
from curate.release.repositories import open_repository
from curate.release.repositories.base import Repository
from curate.release.repositories.folder import FolderRepository
from tests.servers.hub import File, Handler, Hub

NOW: Final = 400
"""A status that no client takes for a passing fault."""


class Place(Protocol):
    """A place where versions are published, as a test sees it from outside.

    Attributes:
        address: as ``--repo`` takes it.
        halves: moments before a version is there at which publishing can be cut off.
    """

    address: str
    halves: Sequence[str]

    def open(self) -> Repository:
        """Open it anew, as every command does."""
        ...

    def seen(self, version: str) -> dict[str, bytes]:
        """Give the files of a version as a stranger finds them."""
        ...

    @property
    def made(self) -> bool:
        """Whether anything is there at all."""
        ...

    @property
    def tidy(self) -> bool:
        """Whether nothing is there but versions, and what names the newest does so."""
        ...

    @property
    def state(self) -> object:
        """Everything that is there, to be compared."""
        ...

    @property
    def private(self) -> bool | None:
        """Whether strangers are kept out; None where the flag means nothing."""
        ...

    def cut_off(self, moment: str) -> "Breaking":
        """Have publishing fail at a moment, as long as this is entered."""
        ...

    def cut_off_late(self) -> "Breaking":
        """Have what comes after a version is there fail."""
        ...

    def damaging(self) -> "Breaking":
        """Have something else kept than what is written."""
        ...


class Breaking(Protocol):
    """Something that is broken while it is entered."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class FolderPlace:
    """A folder."""

    halves = ("copy", "rename")

    def __init__(self, root: Path, kind: type[FolderRepository] | None = None) -> None:
        self.root = root
        self.address = f"file://{root}"
        self._kind = kind

    def open(self) -> Repository:
        return self._kind(self.root) if self._kind else open_repository(self.address)

    def seen(self, version: str) -> dict[str, bytes]:
        return read(self.root / "versions" / version)

    @property
    def made(self) -> bool:
        return self.root.exists()

    @property
    def tidy(self) -> bool:
        hidden = [path.name for path in self.root.rglob(".*") if path.name != ".lock"]
        latest = (self.root / "latest").read_text()
        return not hidden and latest == f"{FolderRepository(self.root).versions()[-1]}\n"

    @property
    def state(self) -> object:
        return read(self.root)

    @property
    def private(self) -> None:
        return None

    @contextmanager
    def cut_off(self, moment: str) -> Generator[None]:
        def full(source: Path, target: Path) -> None:
            target.mkdir(parents=True)
            shutil.copy(next(p for p in source.rglob("*") if p.is_file()), target)
            raise OSError(28, "No space left on device")

        def refused(self: Path, target: Path) -> Path:
            raise OSError(13, "Permission denied")

        if moment == "copy":
            with copying(full):
                yield
            return
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "rename", refused)
            yield

    @contextmanager
    def cut_off_late(self) -> Generator[None]:
        def full(self: FolderRepository, version: str) -> None:
            raise OSError(28, "No space left on device")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FolderRepository, "_point_to", full)
            yield

    def damaging(self) -> Breaking:
        def damaged(source: Path, target: Path) -> None:
            shutil.copytree(source, target)
            (target / "README.md").write_text("{}")

        return copying(damaged)


class HubPlace:
    """A dataset on the local Hub."""

    address = "org/sums"
    halves = ("/lfs/", "/commit/", "/tag/")

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def open(self) -> Repository:
        return open_repository(self.address)

    def seen(self, version: str) -> dict[str, bytes]:
        repo = self.hub.repos[self.address]
        commit = repo.find(version)
        assert commit is not None
        tree = {path: self.hub.content(file) for path, file in repo.trees[commit].items()}
        tree.pop(".gitattributes", None)
        return tree

    @property
    def made(self) -> bool:
        return bool(self.hub.repos)

    @property
    def tidy(self) -> bool:
        return set(self.hub.repos[self.address].branches) == {"main"}

    @property
    def state(self) -> object:
        repo = self.hub.repos[self.address]
        return dict(repo.trees), dict(repo.branches), dict(repo.tags)

    @property
    def private(self) -> bool:
        return self.hub.repos[self.address].private

    @contextmanager
    def _failing(self, act: Handler, *requests: tuple[str, str]) -> Generator[None]:
        for method, part in requests:
            self.hub.fail(method, part, act, times=99)
        yield
        self.hub._faults.clear()

    def cut_off(self, moment: str) -> Breaking:
        return self._failing(refuse, ("PUT", moment), ("POST", moment))

    def cut_off_late(self) -> Breaking:
        return self._failing(refuse, ("DELETE", "/branch/"))

    def damaging(self) -> Breaking:
        async def damaged(request: web.Request) -> web.StreamResponse:
            answer = await self.hub._commit(request)
            repo = self.hub.repos[self.address]
            head = repo.branches[request.match_info["rev"]]
            repo.trees[head] = {**repo.trees[head], "README.md": File(2, b"{}")}
            return answer

        return self._failing(damaged, ("POST", "/commit/"))


@contextmanager
def copying(copytree: Callable[[Path, Path], None]) -> Generator[None]:
    """Have folders copied otherwise, by the folder's repository alone."""
    with pytest.MonkeyPatch.context() as patch:
        changed = SimpleNamespace(copytree=copytree, rmtree=shutil.rmtree)
        patch.setattr(folders, "shutil", changed)
        yield


async def refuse(_: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "not now"}, status=NOW)


def read(folder: Path) -> dict[str, bytes]:
    """Read every file of a folder, by its path inside."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


PLACES: Final[dict[str, Callable[[Path, pytest.FixtureRequest], Place]]] = {
    "folder": lambda root, _: FolderPlace(root / "repo"),
    "hub": lambda _, request: HubPlace(request.getfixturevalue("hub")),
}
"""One of each kind of repository, by the kind's name."""
