"""Reading what was released: a run folder, its ``dataset``, or a copy of that from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.errors import InputError
from curate.errors.strict import mapping, override
from curate.release.card import names_configs
from curate.release.files import CARD, Files
from curate.release.manifest import Recipe
from curate.release.options import PublishOptions
from curate.release.partition import DEFAULT, REJECTED, UNPUBLISHED
from curate.release.runs import AGAIN, MADE_WITH, Run, read_manifest
from filters.columns import GLOSSARY, Glossary

_FETCH: Final = "copy or fetch this release once more, or repeat the run that made it"


@dataclass(frozen=True, slots=True)
class Release:
    """A release on this machine.

    Attributes:
        folder: holds ``manifest.json`` and ``data``.
        manifest: as written.
        run: the run; None where there is only the release.
        files: those of the folder.
    """

    folder: Path
    manifest: Mapping[str, Any]
    run: Run | None
    files: Files

    @classmethod
    def open(cls, reference: Path) -> "Release":
        """Open a release.

        Args:
            reference: a release folder, a run folder, or ``runs/<name>``.

        Raises:
            InputError: there is none, one that is damaged, or one written by a later version.
        """
        run = None if _is_release(reference) else Run.open(reference)
        folder = run.folder / "dataset" if run else reference
        files = Files(folder, {}, "manifest.json", AGAIN if run else _FETCH)
        manifest = run.manifest if run else read_manifest(files, "manifest.json")
        return cls(folder, manifest, run, replace(files, digests=manifest.get("digests", {})))

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.manifest['name']} {self.manifest['release']}"

    def recipe(self) -> dict[str, Any]:
        """Read the recipe as it ran, overrides applied, nothing interpolated.

        Raises:
            InputError: it is damaged.
        """
        if "recipe.yaml" not in self.files.digests and not (self.folder / "recipe.yaml").exists():
            return {}
        text = self.files.text("recipe.yaml")
        try:
            recipe = mapping(text)
            for assignment in self.manifest.get("overrides", []):
                override(recipe, assignment)
        except InputError as error:
            raise self.files.damage("recipe.yaml", f"can't be read ({error})") from error
        self.files.fit("recipe.yaml", recipe, Recipe)
        return recipe

    def check(self) -> None:
        """Hold all files of the release to what was written, the card to be one.

        Raises:
            InputError: one is damaged.
        """
        for name in self.files.digests or ("recipe.yaml", "recipe.lock.json"):
            self.files.check(name)
        for name in self.manifest["configs"]:
            self._tables(name)
        if not names_configs(self.files.text(CARD)):
            raise self.files.damage(CARD, "does not begin with the list of the configs")

    @property
    def address(self) -> PublishOptions:
        """Where the recipe of a run says that it goes; nowhere, where there is no run."""
        account: Mapping[str, Any] = self.run.account if self.run else {}
        return PublishOptions.model_validate(account.get("publish", {}))

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
        parts = [
            pl.read_parquet(paths).with_columns(split=pl.lit(split))
            for split, paths in self._tables(name).items()
        ]
        return pl.concat(parts) if parts else pl.DataFrame()

    def _tables(self, name: str) -> dict[str, list[Path]]:
        """Check the files of a config; give them by split.

        Raises:
            InputError: one is damaged.
        """
        if name not in self.manifest["configs"]:
            return self._unpublished_tables(name)
        columns = self.manifest["columns"] if name in {DEFAULT, REJECTED} else ()
        tables: dict[str, list[Path]] = {}
        for split, rows in sorted(self.manifest["configs"][name]["splits"].items()):
            stem = f"data/{name}/{split}-"
            tables[split] = self.files.table(stem, columns)
            count = pl.scan_parquet(tables[split]).select(pl.len()).collect().item()
            if count != rows:
                problem = f"and its like hold {count} rows, where manifest.json says {rows}"
                raise self.files.damage(self.files.parts(stem)[0], problem)
        return tables

    def _unpublished_tables(self, name: str) -> dict[str, list[Path]]:
        """Check the files of a config that a run keeps to itself; give them by split."""
        folder = f"{UNPUBLISHED}/{name}"
        files = self.run.files if self.run else self.files
        splits = sorted({file.partition("-")[0] for file in files.children(folder)})
        columns = self.manifest["columns"]
        return {split: files.table(f"{folder}/{split}-", columns) for split in splits}

    @property
    def knows_rejected(self) -> bool:
        """Whether the samples that filters stopped are in it."""
        return REJECTED in self.names

    def rejected(self) -> pl.DataFrame:
        """Read the samples that filters stopped; no rows where they are not in the release."""
        return self.config(REJECTED) if self.knows_rejected else pl.DataFrame()

    def _unpublished(self) -> list[str]:
        """Name the configs of a run that are not part of its release."""
        return self.run.files.children(UNPUBLISHED) if self.run else []


def _is_release(reference: Path) -> bool:
    """Tell a release folder, where something may be missing or damaged, from a run's."""
    return (reference / "manifest.json").exists() or (
        (reference / "data").is_dir() and not (reference / "dataset").exists()
    )
