"""The files of a run or a release: as they were written, or one sentence that names the file.

A release's manifest says the SHA-256 of the files beside it, a run's ``run.json`` that of the rest.
Whoever reads one of them reads it through `Files`, so that an empty, cut, changed or foreign file
is named before anything is made of it. What earlier versions wrote says no digests; their tables
are read to the end instead.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import orjson
import polars as pl
from pydantic import BaseModel, ValidationError

from curate.errors import InputError
from curate.store.whole import sha256

CARD: Final = "README.md"
"""Held to no digest: people write on it, and a push says in it what changed."""


def hashes(folder: Path, parts: Iterable[str] = ("",)) -> dict[str, str]:
    """Hash files of a folder (SHA-256), by their paths inside.

    Args:
        folder: where they are.
        parts: folders and files in it whose files are meant; by default all.
    """
    places = [folder / part for part in parts]
    paths = sorted(path for place in places for path in (place, *place.rglob("*")))
    return {p.relative_to(folder).as_posix(): sha256(p) for p in paths if p.is_file()}


@dataclass(frozen=True)
class Files:
    """Files of a folder, each held to what was written.

    Attributes:
        folder: of the run or release.
        digests: SHA-256 by path inside, as far as they are known.
        witness: what says them.
        remedy: what can be done where one of the files is damaged.
    """

    folder: Path
    digests: Mapping[str, str]
    witness: str
    remedy: str

    def damage(self, name: str, problem: str) -> InputError:
        """Say in a sentence what is wrong with a file, and what can be done."""
        return InputError(f"{str(self.folder / name)!r} {problem}; {self.remedy}")

    def check(self, name: str) -> Path:
        """Hold a file to what was written, as far as that is known, and give its path.

        Raises:
            InputError: it is not there, empty, or another one.
        """
        path = self.folder / name
        try:
            if path.is_dir():
                raise self.damage(name, "is a folder, where a file belongs")
            if not path.is_file():
                raise self.damage(name, "is missing")
            if not path.stat().st_size:
                raise self.damage(name, "is empty")
            if name in self.digests and sha256(path) != self.digests[name]:
                raise self.damage(
                    name, f"is not what was written: {self.witness} has another digest of it"
                )
        except OSError as error:
            raise self.damage(name, f"can't be read ({error.strerror})") from error
        return path

    def text(self, name: str) -> str:
        """Read a text.

        Raises:
            InputError: it is damaged (see `check`), or not UTF-8.
        """
        try:
            return self.check(name).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise self.damage(name, "is not UTF-8") from error

    def facts(self, name: str, model: type[BaseModel]) -> dict[str, Any]:
        """Read a JSON file as it is written.

        Args:
            name: of the file.
            model: what it must fit.

        Raises:
            InputError: it is damaged (see `check`), or does not fit.
        """
        try:
            facts = orjson.loads(self.check(name).read_bytes())
        except orjson.JSONDecodeError as error:
            raise self.damage(name, f"is not JSON ({error})") from error
        if not isinstance(facts, dict):
            raise self.damage(name, "holds no mapping of keys to values")
        entries = cast("dict[str, Any]", facts)
        self.fit(name, entries, model)
        return entries

    def fit(self, name: str, facts: object, model: type[BaseModel]) -> None:
        """Hold what a file says to what is read of it.

        Raises:
            InputError: it does not fit; the message names the first key that is wrong.
        """
        try:
            model.model_validate(facts)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise self.damage(name, f"is damaged at {place!r}: {first['msg']}") from error

    def children(self, folder: str) -> list[str]:
        """Name what lies in a folder: what was written there, else what is there now."""
        prefix = f"{folder}/"
        paths = [name.removeprefix(prefix) for name in self.digests if name.startswith(prefix)]
        place = self.folder / folder
        here = [path.name for path in place.iterdir()] if place.is_dir() else []
        return sorted({path.partition("/")[0] for path in paths} or here)

    def parts(self, stem: str) -> list[str]:
        """Name the files of a table: those that were written, else those that are there.

        Args:
            stem: what their paths begin with, up to the number.
        """
        if names := sorted(name for name in self.digests if name.startswith(stem)):
            return names
        paths = sorted(self.folder.glob(f"{stem}*-of-*.parquet"))
        count = paths[0].stem.rpartition("-")[2] if paths else "00001"
        if not re.fullmatch(r"\d{5}", count):
            return [path.relative_to(self.folder).as_posix() for path in paths]
        return [f"{stem}{number:05d}-of-{count}.parquet" for number in range(int(count))]

    def table(self, stem: str, columns: Collection[str] = ()) -> list[Path]:
        """Check the files of a table; give their paths.

        Args:
            stem: as for `parts`.
            columns: those that it must have.

        Raises:
            InputError: one is damaged (see `check`), no Parquet, or another table.
        """
        return [self._readable(name, columns) for name in self.parts(stem)]

    def _readable(self, name: str, columns: Collection[str]) -> Path:
        path = self.check(name)
        if name in self.digests:
            return path
        try:
            rows = pl.read_parquet(path)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            reason = str(error).partition("\n")[0][:200]
            raise self.damage(name, f"can't be read as Parquet ({reason})") from error
        if missing := sorted(set(columns) - set(rows.columns)):
            raise self.damage(name, f"is another table: it lacks {listed(missing)}")
        return path


def listed(names: Iterable[str], most: int = 3) -> str:
    """Write the first of some names, and how many more there are."""
    shown = list(names)
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return f"{', '.join(shown[:most])}{more}"
