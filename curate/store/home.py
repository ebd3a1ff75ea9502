"""Paths as people write them, which may begin in somebody's home."""

from pathlib import Path

from curate.errors import InputError


def path_of(text: str) -> Path:
    """Read a path, its ``~`` or ``~somebody`` as the home it stands for.

    Raises:
        InputError: nobody knows where that is, as in a container whose user has no name.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"{text!r} begins in a home that this system does not know; write the path in full "
            "(CURATE_STORE says where the store is)"
        ) from error
