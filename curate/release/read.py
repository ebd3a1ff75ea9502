"""Reading what was released: a run folder, its ``dataset``, or a copy of that from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from curate.errors import InputError
from curate.errors.strict import mapping, override
from curate.release.options import PublishOptions
from curate.release.partition import REJECTED, UNPUBLISHED
from curate.release.runs import MADE_WITH, Run, read_manifest
from filters.columns import GLOSSARY, Glossary


@dataclass(frozen=True, slots=True)
class Release:
    """A release on this machine.

    Attributes:
        folder: holds ``manifest.json`` and ``data``.
        manifest: as written.
        run: the run; None where there is only the release.
    """

    folder: Path
    manifest: Mapping[str, Any]
    run: Run | None

    @classmethod
    def open(cls, reference: Path) -> "Release":
        """Open a release.

        Args:
            reference: a release folder, a run folder, or ``runs/<name>``.

        Raises:
            InputError: there is none, or one written by a later version.
        """
        if (reference / "manifest.json").is_file():
            return cls(reference, read_manifest(reference), None)
        run = Run.open(reference)
        return cls(run.folder / "dataset", run.manifest, run)

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.manifest['name']} {self.manifest['release']}"

    def recipe(self) -> dict[str, Any]:
        """Read the recipe as it ran, overrides applied, nothing interpolated."""
        path = self.folder / "recipe.yaml"
        if not path.is_file():
            return {}
        recipe = mapping(path.read_text(encoding="utf-8"))
        for assignment in self.manifest.get("overrides", []):
            override(recipe, assignment)
        return recipe

    @property
    def address(self) -> PublishOptions:
        """Where the recipe of a run says that it goes; nowhere, where there is no run."""
        account: Mapping[str, Any] = self.run.account if self.run else {}
        return PublishOptions.model_validate(account.get("publish") or {})

    @property
    def made_with(self) -> Mapping[str, str]:
        """Versions under which it was made; of a run, also on what its models ran."""
        return self.run.made_with if self.run else self.manifest.get(MADE_WITH, {})

    @property
    def glossary(self) -> Glossary:
        """What is known of its columns; of old releases, what this version knows."""
        if self.run:
            return self.run.glossary
        entries = self.manifest.get("glossary")
        return Glossary.from_json(entries) if entries else GLOSSARY

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its configs, those included that a run does not publish."""
        return (*self.manifest["configs"], *self._unpublished())

    def config(self, name: str) -> pl.DataFrame:
        """Read all splits of a config, with the column ``split``; no rows where it has no files.

        Of a run, configs that it does not publish are read too.

        Raises:
            InputError: there is no such config.
        """
        if name not in self.names:
            names = ", ".join(self.names)
            raise InputError(f"{self.title} has no config {name!r}; it has {names}")
        folder = self._unpublished().get(name, self.folder / "data" / name)
        splits = sorted({path.name.partition("-")[0] for path in folder.glob("*-*.parquet")})
        parts = [
            pl.read_parquet(folder / f"{split}-*.parquet").with_columns(split=pl.lit(split))
            for split in splits
        ]
        return pl.concat(parts) if parts else pl.DataFrame()

    @property
    def knows_rejected(self) -> bool:
        """Whether the samples that filters stopped are in it."""
        return REJECTED in self.names

    def rejected(self) -> pl.DataFrame:
        """Read the samples that filters stopped; no rows where they are not in the release."""
        return self.config(REJECTED) if self.knows_rejected else pl.DataFrame()

    def _unpublished(self) -> dict[str, Path]:
        """List the configs of a run that are not part of its release."""
        folder = self.run.folder / UNPUBLISHED if self.run else None
        if folder is None or not folder.is_dir():
            return {}
        return {path.name: path for path in sorted(folder.iterdir())}
