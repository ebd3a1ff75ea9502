"""Where a version is published and never changes: a folder, or a data set on the Hub.

To add a repository: write its file with a class that has `Repository`'s methods (base.py), list it
in `SHIPPED` with the addresses that are its own, and say in ``places.py`` of the contract suite how
a test looks at it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from curate.errors import InputError
from curate.release.repositories.base import Repository
from curate.release.repositories.folder import FolderRepository
from curate.release.repositories.hub import HubRepository, is_hub_id
from curate.store.home import path_of
from filters.registry import Registry, instance_of

_FILE: Final = "file://"


@dataclass(frozen=True, slots=True)
class RepositoryKind:
    """A kind of place where versions are published.

    Attributes:
        name: of the kind.
        written: how an address of it looks, for messages.
        owns: tells whether an address is of this kind.
        open: makes the repository of an address; the flag says whether one that is not there yet
            is made private. Nothing is asked of it yet.
        loads_by_name: whether ``datasets.load_dataset`` takes the repository's name.
    """

    name: str
    written: str
    owns: Callable[[str], bool]
    open: Callable[[str, bool], Repository]
    loads_by_name: bool = False


def _is_folder(address: str) -> bool:
    return address.startswith(_FILE) and bool(unquote(address.removeprefix(_FILE)))


def _open_folder(address: str, private: bool) -> Repository:
    del private
    return FolderRepository(path_of(unquote(address.removeprefix(_FILE))))


def _open_hub(address: str, private: bool) -> Repository:
    return HubRepository(address, private=private)


SHIPPED: Final = (
    RepositoryKind(
        "folder", "a folder as file://DIR, for example file://releases", _is_folder, _open_folder
    ),
    RepositoryKind("hub", "owner/name on the Hub", is_hub_id, _open_hub, loads_by_name=True),
)
"""Every kind of repository of this project; the first that owns an address has it."""

REPOSITORIES: Final = Registry[RepositoryKind](
    "repository",
    "curate.repositories",
    SHIPPED,
    lambda kind: kind.name,
    instance_of(RepositoryKind),
)


def kind_of(address: str) -> RepositoryKind:
    """Find the kind of repository that an address is of.

    Raises:
        InputError: of none.
    """
    for kind in REPOSITORIES:
        if kind.owns(address):
            return kind
    raise InputError(
        f"{address!r} is no repository; give "
        f"{', or '.join(kind.written for kind in reversed(tuple(REPOSITORIES)))}",
        "--repo",
    )


def open_repository(address: str, *, private: bool = True) -> Repository:
    """Open a repository by its address.

    Args:
        address: ``owner/name`` on the Hub, or ``file://DIR``; a relative DIR
            (``file://releases``) is relative to here.
        private: whether a repository that is not there yet is made private.

    Raises:
        InputError: neither.
    """
    return kind_of(address).open(address, private)
