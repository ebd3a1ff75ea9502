"""Run folders: where a run goes, which one is the latest, and the one reader of a finished one.

``runs/<name>/<n>-<key8>/`` never changes once it is there; ``runs/<name>/latest`` names the last
finished one and is written last, so whoever follows it finds a whole run. What lies where in a run
folder is known to `curate.release.write`, which writes it, and to `Run`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import orjson
import polars as pl
from pydantic import ConfigDict

from curate.errors import InputError
from curate.release.funnel import Funnel
from curate.store.whole import write_whole
from filters import FILTERS
from filters.columns import ARM_PREFIX, GLOSSARY, VERDICT_PREFIX, Glossary
from filters.contract import Filter, Scope

MANIFEST_FORMAT: Final = 1
MADE_WITH: Final = "made_with"
"""Key of the versions under which a run was carried out: of a manifest the part that says nothing
of what is in the release."""
_RUN = re.compile(r"(\d+)-[0-9a-f]{8}")


def next_folder(name: str, key: str, runs: Path) -> Path:
    """Name the folder of the next run of a recipe: a running number and the run's identity."""
    numbers = [
        int(match[1]) for path in (runs / name).glob("*-*") if (match := _RUN.fullmatch(path.name))
    ]
    return runs / name / f"{max(numbers, default=0) + 1:03d}-{key[:8]}"


def mark_latest(folder: Path) -> None:
    """Let ``latest`` name a finished run."""
    write_whole(folder.parent / "latest", f"{folder.name}\n".encode())


def is_run(reference: Path) -> bool:
    """Tell whether `find_run` finds one there."""
    return (reference / "run.json").is_file() or (reference / "latest").is_file()


def find_run(reference: Path) -> Path:
    """Find a finished run.

    Args:
        reference: a run folder, or ``runs/<name>``, whose latest run is meant.

    Raises:
        InputError: there is none.
    """
    if (reference / "run.json").is_file():
        return reference
    latest = reference / "latest"
    if latest.is_file():
        return reference / latest.read_text(encoding="utf-8").strip()
    folders = sorted(str(path.parent) for path in Path("runs").glob("*/latest"))
    hint = f"there are {', '.join(folders)}" if folders else "no run was finished here yet"
    raise InputError(f"no finished run at {str(reference)!r}; {hint}")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read what a release folder says of itself.

    Raises:
        InputError: it was written by a later version.
    """
    manifest: dict[str, Any] = orjson.loads((folder / "manifest.json").read_bytes())
    if manifest.get("format") != MANIFEST_FORMAT:
        raise InputError(
            f"{str(folder)!r} was written in format {manifest.get('format')!r}, and this "
            f"version reads {MANIFEST_FORMAT}; update curate-rationales"
        )
    return manifest


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: of the run.
        manifest: of its release.
        account: its ``run.json``.
    """

    folder: Path
    manifest: Mapping[str, Any]
    account: Mapping[str, Any]

    @classmethod
    def open(cls, reference: Path) -> Self:
        """Open a run.

        Args:
            reference: as for `find_run`.

        Raises:
            InputError: there is none, or one written by a later version.
        """
        folder = find_run(reference)
        manifest = read_manifest(folder / "dataset")
        return cls(folder, manifest, orjson.loads((folder / "run.json").read_bytes()))

    @property
    def title(self) -> str:
        """Name and version of its release."""
        return f"{self.manifest['name']} {self.manifest['release']}"

    @property
    def made_with(self) -> Mapping[str, str]:
        """Versions under which it was carried out, and on what the models ran that it opened."""
        devices: Sequence[str] = self.account.get("devices", ())
        device = {"device": ", ".join(devices)} if devices else {}
        return {**self.manifest.get(MADE_WITH, {}), **device}

    @property
    def funnel(self) -> Funnel:
        """Where samples and questions went, as the run counted them."""
        return Funnel.model_validate(self.manifest["funnel"])

    @cached_property
    def filters(self) -> tuple[Filter, ...]:
        """Its filters, in order, with the parameters they judged by."""
        return tuple(map(_filter, self.manifest["filters"]))

    @cached_property
    def columns(self) -> Sequence[str]:
        """The names of the columns of its samples."""
        return self._audit.collect_schema().names()

    @cached_property
    def glossary(self) -> Glossary:
        """What is known of these, but for verdicts and arms; of old runs, what this version knows.

        Columns by which the run decided come first, so that they are seen first.
        """
        entries = self.manifest.get("glossary")
        glossary = Glossary.from_json(entries) if entries else GLOSSARY
        glossary = glossary.plus(
            c for c in GLOSSARY.of("release").values() if c.name not in glossary
        )
        present = glossary.among([*self.columns, *GLOSSARY.of("release")])
        first = [present[name] for name in self.deciding if name in present]
        return Glossary([*first, *present.values()])

    @cached_property
    def deciding(self) -> Sequence[str]:
        """The scores that filters compared and that the selection went by, in this order."""
        compared = [each.compares() for each in self.filters]
        ordered = [key.removeprefix("-") for key in self.manifest["select"].get("order_by", ())]
        return tuple(dict.fromkeys(filter(None, (*compared, *ordered))))

    @property
    def arms(self) -> list[str]:
        """Columns of the selection and of the control arms."""
        return ["selected", *(name for name in self.columns if name.startswith(ARM_PREFIX))]

    @property
    def judge(self) -> Filter | None:
        """The filter that told right from wrong."""
        return next((each for each in self.filters if each.tells_right), None)

    @property
    def parts(self) -> list[Path]:
        """The files of its samples."""
        return sorted((self.folder / "audit").glob("samples-*.parquet"))

    def samples(self) -> pl.LazyFrame:
        """Scan every sample with every verdict, and what stopped it (`rejections`)."""
        return self._audit.with_columns(rejections(self.filters))

    def questions(self) -> pl.DataFrame:
        """Read every question, quarantined ones too."""
        return pl.read_parquet(self.folder / "audit" / "questions-*.parquet")

    @property
    def _audit(self) -> pl.LazyFrame:
        return pl.scan_parquet(self.folder / "audit" / "samples-*.parquet")


def rejections(filters: Iterable[Filter]) -> tuple[pl.Expr, pl.Expr]:
    """Give ``rejected_by`` and ``rejected_reason``: the first filter that stopped each row."""
    by, reason = [pl.lit(None, pl.String)], [pl.lit(None, pl.String)]
    for each in filters:
        verdict = pl.col(f"{VERDICT_PREFIX}{each.name}")
        stopped = each.stops(verdict)
        by.append(pl.when(stopped).then(pl.lit(each.name)))
        reason.append(pl.when(stopped).then(verdict.struct.field("reason")))
    return (
        pl.coalesce(by).alias("rejected_by"),
        pl.coalesce(reason).alias("rejected_reason"),
    )


class Absent(Filter):
    """Stands for a filter that is not installed here: its verdicts can be read, not repeated."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="allow")
    scope: ClassVar[Scope] = "dataset"  # what it compares is not known

    use: str

    def reads(self) -> Sequence[str]:
        """Nothing is known of that."""
        return ()

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Refuse."""
        del frame
        raise InputError(
            f"filter {self.use!r} is not installed here; install the package that brings it, or "
            "register it"
        )


def _filter(entry: Mapping[str, Any]) -> Filter:
    """Make a filter of what the manifest tells of it."""
    kind = FILTERS.get(entry["parameters"]["use"]) or Absent
    # a parameter that names a file is in no manifest
    places = {name: "unknown" for name, field in kind.model_fields.items() if field.exclude}
    named = {"name": entry["name"], "on_abstain": entry["on_abstain"]}
    return kind.model_validate({**places, **entry["parameters"], **named})
