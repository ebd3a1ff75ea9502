"""Paths as people write them, which may begin in somebody's home."""

from pathlib import Path
from typing import Final

from curate.errors import InputError

LONGEST_NAME: Final = 255
"""Bytes that a file system gives to the name of a file or folder."""


def path_of(text: str) -> Path:
    """Read a path, its ``~`` or ``~somebody`` as the home it stands for.

    Raises:
        InputError: nobody knows where that is, as in a container whose user has no name; or a name
            in it is longer than one can be.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"{text!r} begins in a home that this system does not know; write the path in full "
            "(CURATE_STORE says where the store is)"
        ) from error
    longest = max((len(part.encode("utf-8", "surrogatepass")) for part in path.parts), default=0)
    if longest > LONGEST_NAME:
        raise InputError(
            f"a name in the path {text!r} has {longest:,} bytes, and at most {LONGEST_NAME} are "
            "possible; name a file that is there"
        )
    return path
