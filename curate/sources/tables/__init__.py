"""Reading rows out of files and data sets of any format, and values out of rows."""

from curate.sources.tables.tables import (
    FORMATS,
    Chunk,
    TableOptions,
    Unreadable,
    commit_of,
    find,
    is_saved,
    read,
)

__all__ = [
    "FORMATS", "Chunk", "TableOptions", "Unreadable", "commit_of", "find", "is_saved", "read",
]  # fmt: skip
