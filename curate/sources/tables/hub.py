"""Data sets of the Hub, each at a commit that is known.

Where the Hub can't be reached, `datasets` hands out what it read last, whichever commit it was
asked for. So what it gives is looked at: the commit names the folder of the files it is read from.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from curate.errors import InputError

if TYPE_CHECKING:
    import datasets

    Loaded = datasets.Dataset | datasets.DatasetDict

HUB: Final = "hf://datasets/"
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_OPEN: Final[dict[tuple[str | None, ...], "Loaded"]] = {}
"""What was read by this process, under what was asked for and the commit: each is opened once."""


def load(path: str, config: str | None, split: str | None, revision: str | None) -> "Loaded":
    """Open a data set of the Hub.

    Args:
        path: ``hf://datasets/org/name``, and a file or pattern within it.
        config: of the data set.
        split: likewise; all of them where it is None.
        revision: commit, branch or tag.

    Raises:
        InputError: there is no such data set, or it is to be had at another commit alone.
    """
    name, files = _parts(path)
    if (loaded := _OPEN.get((path, config, split, revision))) is not None:
        return loaded
    loaded = opened(path, name, config, data_files=files, split=split, revision=revision)
    commit = commit_of(loaded)
    if revision and _COMMIT.fullmatch(revision) and commit != revision:
        raise InputError(
            f"{path!r} is wanted at commit {revision}, and what is cached here is at {commit}, "
            "while the Hub can't be reached; try again where it can, or renew the lock with "
            "`curate pin`",
            "path",
        )
    if commit is not None:
        _OPEN[path, config, split, commit] = loaded
    return loaded


def opened(
    path: str,
    name: str,
    config: str | None,
    *,
    data_files: str | None = None,
    split: str | None,
    revision: str | None,
) -> "Loaded":
    """Open a data set through `datasets`.

    Raises:
        InputError: it can't be; the message calls it by its path in the recipe.
    """
    import datasets
    from datasets.exceptions import DatasetsError

    try:
        return datasets.load_dataset(
            name, config, data_files=data_files, split=split, revision=revision
        )
    except (OSError, ValueError, DatasetsError) as error:
        raise InputError(
            f"{path!r} could not be opened as a dataset: {error}. Without a network, "
            "download it first and give the folder or files",
            "path",
        ) from error


def commit_of(loaded: "Loaded") -> str | None:
    """Give the commit at which a data set of the Hub was read; None where that can't be told."""
    import datasets

    splits = [loaded] if isinstance(loaded, datasets.Dataset) else loaded.values()
    entries = (cast("list[dict[str, str]]", one.cache_files) for one in splits)
    files = [Path(entry["filename"]) for listing in entries for entry in listing]
    commits = {name for file in files if _COMMIT.fullmatch(name := file.parent.name)}
    return commits.pop() if len(commits) == 1 else None


def _parts(path: str) -> tuple[str, str | None]:
    """Split a path into the data set's name and the files wanted of it.

    Raises:
        InputError: it is none of a data set.
    """
    parts = path.removeprefix(HUB).strip("/").split("/")
    if not path.startswith(HUB) or len(parts) < 2 or not all(parts[:2]):
        raise InputError(f"got {path!r}, wanted {HUB}org/name", "path")
    return "/".join(parts[:2]), "/".join(parts[2:]) or None
