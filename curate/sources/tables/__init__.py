"""Reading rows out of files, data sets and memory, of any format, and values out of rows."""

from curate.sources.tables.memory import digest_in, is_from_memory, keep
from curate.sources.tables.tables import (
    FORMATS,
    Chunk,
    TableOptions,
    Unreadable,
    commit_of,
    find,
    is_here,
    is_saved,
    read,
)

__all__ = [
    "FORMATS",
    "Chunk",
    "TableOptions",
    "Unreadable",
    "commit_of",
    "digest_in",
    "find",
    "is_from_memory",
    "is_here",
    "is_saved",
    "keep",
    "read",
]
