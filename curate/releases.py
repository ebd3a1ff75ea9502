"""Reading what was released: a run folder, its ``dataset``, or a copy of that from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from curate.errors import InputError
from curate.release import MANIFEST_FORMAT
from curate.runs import find_run


@dataclass(frozen=True, slots=True)
class Release:
    """A release on this machine.

    Attributes:
        folder: holds ``manifest.json`` and ``data``.
        manifest: as written.
        audit: the run's audit folder; None where there is only the release.
    """

    folder: Path
    manifest: Mapping[str, Any]
    audit: Path | None

    @classmethod
    def open(cls, reference: Path) -> "Release":
        """Open a release.

        Args:
            reference: a release folder, a run folder, or ``runs/<name>``.

        Raises:
            InputError: there is none, or one written by a later version.
        """
        folder, audit = reference, None
        if not (reference / "manifest.json").is_file():
            run = find_run(reference)
            folder, audit = run / "dataset", run / "audit"
        manifest = orjson.loads((folder / "manifest.json").read_bytes())
        if manifest.get("format") != MANIFEST_FORMAT:
            raise InputError(
                f"{str(folder)!r} was written in format {manifest.get('format')!r}, and this "
                f"version reads {MANIFEST_FORMAT}; update curate-rationales"
            )
        return cls(folder, manifest, audit)

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.manifest['name']} {self.manifest['release']}"

    def config(self, name: str) -> pl.DataFrame:
        """Read all splits of a config, with the column ``split``; no rows where it has no files.

        Raises:
            InputError: the release has no such config.
        """
        configs: Mapping[str, Any] = self.manifest["configs"]
        if name not in configs:
            raise InputError(f"{self.title} has no config {name!r}; it has {', '.join(configs)}")
        parts = [
            pl.read_parquet(self.folder / "data" / name / f"{split}-*.parquet").with_columns(
                split=pl.lit(split)
            )
            for split in configs[name]["splits"]
        ]
        return pl.concat(parts) if parts else pl.DataFrame()
