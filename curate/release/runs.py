"""Run folders: where a run goes, which one is the latest, and the one reader of a finished one.

``runs/<name>/<n>-<key8>/`` never changes once it is there; ``runs/<name>/latest`` names the last
finished one and is written last, so whoever follows it finds a whole run. What lies where in a run
folder is known to `curate.release.write`, which writes it, and to `Run`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import polars as pl
from pydantic import ConfigDict, ValidationError

from curate.errors import InputError
from curate.release.files import Files
from curate.release.flat import one_line
from curate.release.funnel import Funnel
from curate.release.manifest import Account, Manifest, RunManifest, Written
from curate.store.whole import write_whole
from filters import FILTERS
from filters.columns import ARM_PREFIX, GLOSSARY, VERDICT_PREFIX, Glossary
from filters.contract import Filter, Scope

MANIFEST_FORMAT: Final = 1
MADE_WITH: Final = "made_with"
"""Key of the versions under which a run was carried out: of a manifest the part that says nothing
of what is in the release."""
ACCOUNT: Final = "run.json"
MANIFEST: Final = "dataset/manifest.json"
APART: Final = (MANIFEST, "audit", "unpublished")
"""What of a run its account says the digests of; the release's manifest says those of the rest."""
AGAIN: Final = "run its recipe again: what was sampled and measured is kept"
_WAY_OUT: Final = f"its release in {{!r}} can be read without it, and else {AGAIN}"
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


def find_run(reference: Path) -> Path:
    """Find a finished run.

    Args:
        reference: a run folder, or ``runs/<name>``, whose latest run is meant.

    Returns:
        Its folder, where what it must hold may be missing.

    Raises:
        InputError: there is none.
    """
    if (reference / ACCOUNT).is_file() or (reference / "dataset").is_dir():
        return reference
    latest = reference / "latest"
    folders = [path for path in sorted(reference.glob("*")) if path.is_dir()]
    runs = [str(path) for path in folders if _RUN.fullmatch(path.name)]
    if not (runs or latest.is_file()):
        others = sorted(str(path.parent) for path in Path("runs").glob("*/latest"))
        hint = f"there are {', '.join(others)}" if others else "no run was finished here yet"
        raise InputError(
            f"no finished run at {str(reference)!r}; {hint} (it has no manifest.json, {ACCOUNT} or "
            "latest)"
        )
    name = latest.read_bytes().decode(errors="replace").strip() if latest.is_file() else ""
    if name not in {path.name for path in folders}:
        hint = f"name a run itself: {', '.join(runs)}" if runs else "run its recipe again"
        raise InputError(f"{str(latest)!r}, a file that names the latest run, names none; {hint}")
    return reference / name


def read_manifest(files: Files, name: str, model: type[Manifest] = Manifest) -> dict[str, Any]:
    """Read what a release says of itself.

    Args:
        files: of the release, or of the run around it.
        name: of the manifest among them.
        model: what it must hold.

    Raises:
        InputError: it is damaged, or was written by a later version.
    """
    version = files.facts(name, Written)["format"]
    if version != MANIFEST_FORMAT:
        raise InputError(
            f"{str(files.folder)!r} was written in format {version!r}, and this version reads "
            f"{MANIFEST_FORMAT}; update curate-rationales"
        )
    return files.facts(name, model)


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: of the run.
        manifest: of its release.
        account: its ``run.json``.
        files: its files, but for those of the release.
    """

    folder: Path
    manifest: Mapping[str, Any]
    account: Mapping[str, Any]
    files: Files

    @classmethod
    def open(cls, reference: Path) -> Self:
        """Open a run.

        Args:
            reference: as for `find_run`.

        Raises:
            InputError: there is none, one that is damaged, or one written by a later version.
        """
        folder = find_run(reference)
        files = Files(folder, {}, ACCOUNT, _WAY_OUT.format(str(folder / "dataset")))
        account = files.facts(ACCOUNT, Account)
        files = replace(files, digests=account.get("digests", {}))
        manifest = read_manifest(replace(files, remedy=AGAIN), MANIFEST, RunManifest)
        return cls(folder, manifest, account, files)

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
        """Its filters, in order, with the parameters they judged by.

        Raises:
            InputError: this version knows no filter with such parameters.
        """
        try:
            return tuple(map(_filter, self.manifest["filters"]))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            problem = f"has a {error.title} that can't be read: {first['loc'][-1]}, {first['msg']}"
            raise self.files.damage(MANIFEST, problem) from error

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
        order = one_line(self.manifest["select"].get("order_by") or [])
        ordered = [name for name in re.findall(r"\w+", order) if name in self.columns]
        return tuple(dict.fromkeys(filter(None, (*compared, *ordered))))

    @property
    def arms(self) -> list[str]:
        """Columns of the selection and of the control arms."""
        return ["selected", *(name for name in self.columns if name.startswith(ARM_PREFIX))]

    @property
    def judge(self) -> Filter | None:
        """The filter that told right from wrong."""
        return next((each for each in self.filters if each.tells_right), None)

    @cached_property
    def parts(self) -> list[Path]:
        """The files of its samples.

        Raises:
            InputError: one is damaged.
        """
        verdicts = [f"{VERDICT_PREFIX}{each.name}" for each in self.filters]
        wanted = {*self.manifest["columns"], "live", "selected", *verdicts}
        return self.files.table("audit/samples-", wanted)

    def samples(self) -> pl.LazyFrame:
        """Scan every sample with every verdict, and what stopped it (`rejections`)."""
        return self._audit.with_columns(rejections(self.filters))

    def questions(self) -> pl.DataFrame:
        """Read every question, quarantined ones too."""
        return pl.read_parquet(self.files.table("audit/questions-", ("question_id", "status")))

    @property
    def _audit(self) -> pl.LazyFrame:
        return pl.scan_parquet(self.parts)


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
