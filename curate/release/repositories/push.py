"""``curate push``: publish a run's release as a version that never changes.

A version is the recipe's ``release`` with a ``v`` before it. What is pushed twice is pushed once; a
changed dataset under a version that is there is refused, with what changed and the version to use.
Releases whose rows come from a teacher without declared terms are refused: what may be done with
them is not ours to guess.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import polars as pl

from curate.errors import InputError, count_of
from curate.release.card import addressed, measured, merged
from curate.release.diff import Diff, diff
from curate.release.effect.facts import Effect
from curate.release.effect.kept import as_json, is_effect, kept
from curate.release.export.trial import trial
from curate.release.files import CARD, hashes
from curate.release.formats import FORMATS
from curate.release.formats.wording import Record
from curate.release.manifest import as_bytes
from curate.release.options import PublishOptions
from curate.release.read import Release
from curate.release.repositories import kind_of, open_repository
from curate.release.repositories.base import Repository, order
from curate.release.runs import MADE_WITH

CHANGES = "# Changes"
"""Heading of the card's section on what changed since the version before."""
_MANIFEST: Final = "manifest.json"
_NOT_KEPT: Final = (CARD, ".gitattributes", "recipe.yaml")
"""The card, which also tells of the version before; what the Hub puts there itself; the recipe's
text, of which the manifest holds all that makes a difference. Effects are none of it either: they
are measured afterwards."""
_LATER: Final = (
    "its effect was measured after it was published, and a version never changes; the next one "
    "carries it"
)
_WAY_OUT: Final = (
    "Set another publish.think, or leave the format out of publish.formats; `curate push "
    "--no-lint` publishes it all the same"
)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was published.

    Attributes:
        version: such as ``v0.1.0``.
        where: how to load it.
        changes: since the version before; None for the first.
        fresh: false where this very release was there already.
        found: what the student's template does to some of the records in it, or what was measured
            too late to be in it.
    """

    version: str
    where: str
    changes: Diff | None
    fresh: bool
    found: tuple[str, ...] = ()

    def closing(self) -> str:
        """Say in a line or two what was published."""
        if not self.fresh:
            return f"{self.version} is published already, with the same content: {self.where}"
        line = f"{self.version}: {self.where}"
        if (change := self.changes) is None:
            return line
        added = count_of(change.added, "row")
        summary = f"{added} added, {change.removed:,} removed, {change.kept:,} kept"
        return f"{summary}\n{line}"

    def as_json(self) -> dict[str, Any]:
        """Say the same to a program."""
        changes = self.changes.model_dump(mode="json") if self.changes else None
        return {
            "version": self.version, "where": self.where, "fresh": self.fresh, "changes": changes,
            "found": list(self.found),
        }  # fmt: skip


def ready(
    options: PublishOptions,
    number: str,
    terms: Mapping[str, str | None],
    made_by: Mapping[str, Any],
) -> None:
    """Find out, before a run costs anything, whether its release could be published.

    Args:
        options: the recipe's ``publish`` section.
        number: the release's, such as ``0.1.0``.
        terms: of each source, None where the recipe declares none.
        made_by: what the manifest will say of the recipe, by the manifest's keys.

    Raises:
        InputError: the recipe names no repository, a source has no terms, or the repository can't
            be written to or has the version with what another recipe made.
        CurateError: the repository can't be reached.
    """
    version = f"v{number}"
    if options.repo is None:
        raise InputError(
            "--push wants a repository: set publish.repo to owner/name, or to file://DIR for a "
            "folder; one that a published recipe names counts with --allow push alone",
            "publish.repo",
        )
    if lacking := [source for source, text in terms.items() if not text]:
        raise InputError(_no_terms(", ".join(lacking)), "sources")
    repository = open_repository(options.repo, private=options.private)
    repository.prepare()
    versions = repository.versions()
    if version not in versions:
        _refuse_older(version, versions, repository)
        return
    manifest = Release.open(repository.fetch(version, without="data/")).manifest
    if other := [name for name, value in made_by.items() if manifest.get(name) != value]:
        raise InputError(
            f"{version} is in {repository.name} already and is never changed, and this run would "
            f"change it ({', '.join(other)}); {_advice(versions[-1])}",
            "release",
        )


def push(
    reference: Path, repo: str | None = None, *, private: bool | None = None, lint: bool = True
) -> Pushed:
    """Publish a release.

    Args:
        reference: a run folder, ``runs/<name>``, or a release folder.
        repo: ``owner/name`` on the Hub, or ``file://DIR``; by default as the recipe says.
        private: whether a repository on the Hub that is not there yet is made private; by default
            as the recipe says, and it is where the recipe says nothing.
        lint: whether records of a format are tried with the student's template.

    Raises:
        InputError: no such release or repository; nothing is selected; a teacher has no terms; the
            student's template would not let what is in a format be learnt; or the version is taken,
            or older than the newest.
        CurateError: the repository can't be written, or does not give back what was written.
    """
    release = Release.open(reference)
    options = release.address
    if repo is None and options.repo is None:
        raise InputError(
            f"{release.title} comes with no repository to publish it to; give one with --repo",
            "--repo",
        )
    address = repo or options.repo or ""
    private = options.private if private is None else private
    repository = open_repository(address, private=private)
    version = f"v{release.manifest['release']}"
    _refuse_empty(release)
    _refuse_unknown_terms(release)
    release.check()
    repository.prepare()
    versions = repository.versions()
    if version in versions:
        published = Release.open(repository.fetch(version))
        if _content(published) == _content(release):
            repository.settle(version)
            notes = _measured_later(published, kept(release.run.folder) if release.run else {})
            return Pushed(version, str(published.folder), None, fresh=False, found=notes)
        raise InputError(_taken(release, published, version, versions))
    _refuse_older(version, versions, repository)
    findings = tuple(_tried(release)) if lint else ()
    changes = diff(repository.fetch(versions[-1]), release.folder) if versions else None
    named = kind_of(address).loads_by_name
    where = _publish(release, repository, version, changes, named=named)
    return Pushed(version, where, changes, fresh=True, found=findings)


def _publish(
    release: Release, repository: Repository, version: str, changes: Diff | None, *, named: bool
) -> str:
    """Publish a copy of the release, with its address and the changes in its card."""
    with tempfile.TemporaryDirectory(prefix="curate-push-") as scratch:
        staged = Path(scratch) / "dataset"
        shutil.copytree(release.folder, staged)
        card = staged / CARD
        text = release.files.text(CARD)
        effects = kept(release.run.folder) if release.run else {}
        _refuse_another_selection(release, effects)
        _take_along(effects, release, staged)
        text = measured(text, list(effects.values()))
        if named:
            text = addressed(text, repository.name, version)
        if before := repository.card():
            text = merged(text, before)
        if changes is not None:
            text += f"\n{CHANGES}\n\n{changes.markdown()}"
        card.write_text(text, encoding="utf-8")
        return repository.publish(staged, version)


def _take_along(effects: Mapping[str, Effect], release: Release, staged: Path) -> None:
    """Put effects into a copy of a release, and their digests into its manifest."""
    if not effects:
        return
    for name, effect in effects.items():
        (staged / name).write_bytes(as_json(effect))
    digests = {**release.manifest.get("digests", {}), **hashes(staged, effects)}
    (staged / _MANIFEST).write_bytes(as_bytes({**release.manifest, "digests": digests}))


def _content(release: Release) -> Mapping[str, Any]:
    """Give what a version must keep: its files, and of its manifest what says what is in it."""
    files = {
        p: d for p, d in hashes(release.folder).items() if p not in _NOT_KEPT and not is_effect(p)
    }
    beside = {"digests", MADE_WITH}
    manifest = {name: value for name, value in release.manifest.items() if name not in beside}
    return {**files, _MANIFEST: manifest}


def _measured_later(published: Release, effects: Mapping[str, Effect]) -> tuple[str, ...]:
    """Say that effects were measured after a version was published, which never changes."""
    if all((published.folder / name).is_file() for name in effects):
        return ()
    return (_LATER,)


def _refuse_another_selection(release: Release, effects: Mapping[str, Effect]) -> None:
    for name, effect in effects.items():
        if effect.dataset_hash != release.manifest["dataset_hash"]:
            raise InputError(
                f"{name} beside the run is of another selection ({effect.dataset_hash}); move it "
                "away"
            )


def _refuse_empty(release: Release) -> None:
    if not release.manifest["configs"]["default"]["splits"]:
        raise InputError(
            f"{release.title} selects no row, so there is nothing to publish; see its funnel"
        )


def _refuse_unknown_terms(release: Release) -> None:
    """Hold that every source whose rows are in the release has declared terms.

    Raises:
        InputError: one has not.
    """
    terms: Mapping[str, Any] = release.manifest.get("terms", {})
    counts: Counter[str] = Counter()
    for config in release.manifest["configs"].values():
        counts.update(config["sources"])
    if lacking := {source: count for source, count in counts.items() if not terms.get(source)}:
        sources = [f"{source} ({count_of(count, 'row')})" for source, count in lacking.items()]
        raise InputError(_no_terms(", ".join(sources)))


def _tried(release: Release) -> Iterator[str]:
    """Try the records of its formats as an export would.

    Raises:
        InputError: nothing could be learnt from some of them.
    """
    publish: dict[str, Any] = release.recipe().get("publish") or {}
    for name in publish.get("formats") or ():
        if FORMATS.get(name) is None:
            yield f"{name}: not tried, since this format is not installed here"
    for name in release.manifest["configs"]:
        kind = FORMATS.get(name)
        rows = release.config(name) if kind and kind.untried is None else pl.DataFrame()
        if kind and rows.height:
            records = partial(map, _without_nulls, rows.iter_rows(named=True))
            for line in trial(release, records, kind(), way_out=_WAY_OUT):
                yield f"{name}: {line}"


def _without_nulls(record: Record) -> Record:
    """Drop the keys that turns lack: a table gives every turn those of all."""
    cleaned = dict(record)
    for name, value in record.items():
        if isinstance(value, list):
            turns = cast("list[Record]", value)
            cleaned[name] = [{k: v for k, v in turn.items() if v is not None} for turn in turns]
    return cleaned


def _no_terms(sources: str) -> str:
    return (
        f"the terms on which the text of {sources} may be used are not declared; add `terms` to "
        "the source in the recipe (a licence, or what its provider demands), or run again with "
        "--exclude-teacher NAME: what was sampled and measured is kept"
    )


def _refuse_older(version: str, versions: list[str], repository: Repository) -> None:
    if versions and order(version) < order(versions[-1]):
        raise InputError(
            f"{version} is older than {versions[-1]}, the newest in {repository.name}; "
            + _advice(versions[-1])
        )


def _taken(release: Release, published: Release, version: str, versions: list[str]) -> str:
    changes = diff(published.folder, release.folder)
    added = count_of(changes.added, "row")
    summary = f"{added} added, {changes.removed:,} removed, {changes.kept:,} kept"
    if changes.parameters:
        summary += "; changed: " + ", ".join(change.name for change in changes.parameters[:5])
    else:
        files, published_files = _content(release), _content(published)
        paths = sorted(
            p
            for p in files.keys() | published_files.keys()
            if files.get(p) != published_files.get(p)
        )
        summary += f"; other files: {', '.join(paths[:5])}"
    return (
        f"{version} is published already and is never changed ({summary}); {_advice(versions[-1])}"
    )


def _advice(newest: str) -> str:
    major, minor, _ = order(newest)
    return f"set `release: {major}.{minor + 1}.0` in the recipe and run again"
