"""Overrides: a person's verdicts, read from a csv."""

import csv
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import polars as pl

from curate.errors import InputError
from curate.measures.base import DerivedMeasure, Setup
from filters.columns import GLOSSARY, Glossary
from filters.overrides import Overrides as OverridesFilter

_KEEP: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "yes", "keep", "1"), True),
    **dict.fromkeys(("false", "no", "drop", "0"), False),
}
_REQUIRED = ("sample_id", "keep")


class Overrides(DerivedMeasure):
    """Writes ``override_keep`` and ``override_reason``, null where the person said nothing.

    The instrument is the file's content, so an edited file is judged again and a moved one is not.

    Args:
        path: csv with the columns ``sample_id``, ``keep`` (true or false) and optional ``reason``;
            other columns are ignored, so that an audit table can be filled in and handed back.

    Raises:
        InputError: the file can't be read, lacks a column, or holds a line that is not a verdict.
    """

    name: ClassVar[str] = "overrides"
    version: ClassVar[int] = 1
    reads = ("sample_id",)
    writes: Glossary = GLOSSARY.of("overrides")

    def __init__(self, path: Path) -> None:
        try:
            content = path.read_bytes()
            text = content.decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"the file of overrides can't be read ({error}); name a csv in UTF-8 with the "
                "columns sample_id, keep, reason",
                where=str(path),
            ) from error
        self._digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        self._verdicts = _read(text, str(path))

    @classmethod
    def open(cls, setup: Setup) -> Self:
        """Read the file that the filter names."""
        assert isinstance(setup.filter, OverridesFilter)
        return cls(setup.folder / setup.filter.file)

    def instrument(self) -> Mapping[str, Any]:
        """Identify the person's verdicts by content."""
        return {"file": self._digest}

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Look every row up."""
        rows = [self._verdicts.get(key, (None, None)) for key in frame["sample_id"]]
        return pl.DataFrame(
            rows,
            schema=self.writes.types,
            orient="row",
        )


def _read(text: str, path: str) -> dict[str, tuple[bool, str | None]]:
    """Read the verdicts, telling file and line of what is not one."""
    lines = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    verdicts: dict[str, tuple[bool, str | None]] = {}
    try:
        header = lines.fieldnames or ()
        missing = [name for name in _REQUIRED if name not in header]
        if missing:
            raise InputError(
                f"the header {','.join(header)!r} lacks {' and '.join(missing)}; wanted "
                "sample_id,keep,reason",
                where=f"{path}:1",
            )
        for line in lines:
            where = f"{path}:{lines.line_num}"
            sample, verdict = _verdict(line, where)
            if verdicts.setdefault(sample, verdict)[0] != verdict[0]:
                raise InputError(
                    f"sample {sample!r} was given the other verdict above; leave one", where=where
                )
    except csv.Error as error:
        raise InputError(
            f"not a csv line ({error}); quote fields that hold commas or quotes",
            where=f"{path}:{lines.reader.line_num}",
        ) from error
    return verdicts


def _verdict(line: Mapping[str | None, Any], where: str) -> tuple[str, tuple[bool, str | None]]:
    """Read one line."""
    if None in line:
        raise InputError(
            f"more fields than the header has: {line[None]!r}; quote a reason that holds commas",
            where=where,
        )
    sample = str(line["sample_id"] or "").strip()
    word = str(line["keep"] or "").strip()
    if not sample:
        raise InputError("no sample_id; every line names one sample", where=where)
    keep = _KEEP.get(word.lower())
    if keep is None:
        raise InputError(f"keep is {word!r}; wanted true or false", where=where)
    return sample, (keep, str(line.get("reason") or "").strip() or None)
