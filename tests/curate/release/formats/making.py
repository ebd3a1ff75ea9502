"""Records of rows that a test writes down."""

from collections.abc import Iterator, Sequence

from curate.release.formats import RowFormat, format_of
from curate.release.formats.wording import Record, Row, Wording


def records(rows: Sequence[Row], name: str, wording: Wording) -> Iterator[Record]:
    """Make the records of one of the formats that are made row by row."""
    made = format_of(name)
    assert isinstance(made, RowFormat)
    for row in rows:
        yield from made.of_row(row, wording)
