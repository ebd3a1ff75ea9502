"""Overrides: a person's verdicts, the last filter."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from filters.contract import Example, Filter


class Overrides(Filter):
    """Drop the samples that a person rejected; all others stay.

    A person's "keep" is recorded and changes nothing: an earlier drop is undone by moving the
    threshold that made it, so that every arm of the chain stays what its recipe says.
    """

    version: ClassVar[int] = 1
    reasons: ClassVar[Mapping[str, str]] = {
        "rejected": "a person rejected this sample; evidence holds the reason given"
    }
    evidence: ClassVar[Mapping[str, pl.DataType]] = {
        "override": pl.Boolean(),
        "note": pl.String(),
    }

    example: ClassVar[Example] = Example(
        ({"override_keep": None}, {"override_keep": False, "override_reason": "off topic"}),
        {"file": "verdicts.csv"},
    )

    use: Literal["overrides"] = "overrides"
    file: str = Field(min_length=1, exclude=True)
    """Csv with the columns ``sample_id``, ``keep`` and, if wanted, ``reason``. A place, so no part
    of what identifies the filter: the measure that reads it is known by content.
    """

    def files(self) -> Sequence[str]:
        """The file of the verdicts."""
        return (self.file,)

    def reads(self) -> Sequence[str]:
        """Name the columns needed."""
        return ("override_keep", "override_reason")

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Drop where the person said no."""
        rejected = ~frame["override_keep"].fill_null(value=True)
        reason = frame.select(pl.when(rejected).then(pl.lit("rejected")).alias("reason"))["reason"]
        return self.verdicts(
            ~rejected,
            reason,
            evidence={"override": frame["override_keep"], "note": frame["override_reason"]},
        )
