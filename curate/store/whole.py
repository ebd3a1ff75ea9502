"""Files that appear whole or not at all: whoever opens one finds all of it, or what was there."""

import hashlib
import uuid
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a name of its own and rename it; a write that fails leaves nothing.

    Args:
        path: of the file; folders that are missing are made.
        content: all of it.

    Raises:
        OSError: it can't be written; what was there before is there still.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Unique, since others may write the same file now; beside it, since renaming stays on a disk.
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        scratch.write_bytes(content)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Give a file's digest in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
