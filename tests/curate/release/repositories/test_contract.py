"""The contract suite: every law, on every kind of repository, and what a push to each of them does.

Some laws are broken on purpose at the end: a suite that a wrong repository passes proves nothing.
"""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from curate.errors import CurateError, InputError
from curate.release.card import addressed
from curate.release.diff import diff
from curate.release.effect.kept import keep
from curate.release.read import Release
from curate.release.repositories import REPOSITORIES, kind_of, open_repository
from curate.release.repositories.folder import FolderRepository
from curate.release.repositories.push import CHANGES, push
from tests.curate.release.effect.effects import effect_of
from tests.curate.release.repositories import laws
from tests.curate.release.repositories.places import PLACES, FolderPlace, Place, read

# huggingface_hub's own call of its HTTP library.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>'")

Law = Callable[[Place, Path], None]
LAWS: Final[tuple[Law, ...]] = (
    laws.what_is_published_is_there_byte_for_byte,
    laws.a_part_can_be_left_out,
    laws.a_version_stays_as_it_is,
    laws.another_content_is_refused,
    laws.versions_are_listed_as_numbers,
    laws.what_is_half_there_is_no_version,
    laws.what_is_kept_wrongly_is_no_version,
    laws.what_was_cut_off_at_the_end_is_settled,
    laws.of_several_at_once_one_is_published,
)


@pytest.fixture(params=REPOSITORIES.names)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place of each kind."""
    assert request.param in PLACES, "say in places.py how a test looks at a repository of this kind"
    return PLACES[request.param](tmp_path, request)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_every_repository_keeps_every_law(law: Law, place: Place, tmp_path: Path) -> None:
    law(place, tmp_path / "written")


def test_every_address_is_of_one_kind(place: Place) -> None:
    owners = [kind.name for kind in REPOSITORIES if kind.owns(place.address)]
    assert owners == [kind_of(place.address).name]
    assert open_repository(place.address).name == place.address
    assert not place.made, "opening asks nothing"


def card(run: Path, place: Place, version: str) -> str:
    """Give a run's card, saying where it is published if it can be loaded from there by name."""
    text = (run / "dataset/README.md").read_text()
    named = kind_of(place.address).loads_by_name
    return addressed(text, place.address, version) if named else text


def test_two_versions_stand_side_by_side(runs: dict[str, Path], place: Place) -> None:
    first = push(runs["first"], place.address)
    assert (first.version, first.fresh, first.changes) == ("v0.1.0", True, None)
    whole = read(runs["first"] / "dataset")
    assert place.seen("v0.1.0") == whole | {
        "README.md": card(runs["first"], place, "v0.1.0").encode()
    }
    second = push(runs["second"], place.address)
    assert (second.version, second.fresh) == ("v0.2.0", True)
    assert place.open().versions() == ["v0.1.0", "v0.2.0"]
    assert place.seen("v0.2.0").keys() == read(runs["second"] / "dataset").keys()
    assert place.seen("v0.1.0").keys() == whole.keys(), "the first stays as it was"
    published = {version: place.open().fetch(version) for version in ("v0.1.0", "v0.2.0")}
    for version, run in (("v0.1.0", "first"), ("v0.2.0", "second")):
        here, there = Release.open(published[version]), Release.open(runs[run])
        assert here.config("default").equals(there.config("default"))
        assert place.seen(version)["manifest.json"] == read(published[version])["manifest.json"]
    assert second.changes is not None
    assert second.changes == diff(published["v0.1.0"], published["v0.2.0"])
    assert second.changes.removed > 0
    fewer = json.loads(place.seen("v0.2.0")["manifest.json"])
    left = sum(fewer["configs"]["default"]["splits"].values())
    assert (
        left
        == 120 - second.changes.removed
        == Release.open(runs["second"]).config("default").select(pl.len()).item()
    )


def test_a_release_is_fetched_whole(runs: dict[str, Path], place: Place) -> None:
    push(runs["first"], place.address)
    fetched, there = read(place.open().fetch("v0.1.0")), read(runs["first"] / "dataset")
    fetched.pop(".gitattributes", None)
    assert fetched.pop("README.md").decode() == card(runs["first"], place, "v0.1.0")
    there.pop("README.md")
    assert fetched == there


def test_the_card_tells_what_changed_and_loses_nothing(runs: dict[str, Path], place: Place) -> None:
    push(runs["first"], place.address)
    push(runs["second"], place.address)
    assert place.seen("v0.1.0")["README.md"].decode() == card(runs["first"], place, "v0.1.0")
    text = place.seen("v0.2.0")["README.md"].decode()
    assert text.startswith(card(runs["second"], place, "v0.2.0"))
    assert CHANGES in text
    assert "| selected | length: too_long |" in text
    assert "| `recipe.filters.length.max` | 40 | 8 |" in text
    assert place.open().card() in {None, text}


def test_an_effect_goes_along_and_belongs_to_the_release(
    runs: dict[str, Path], place: Place
) -> None:
    kept = keep(effect_of(runs["first"]), runs["first"])
    try:
        push(runs["first"], place.address)
        assert not push(runs["first"], place.address).fresh
    finally:
        kept.unlink()
    (name,) = (path for path in place.seen("v0.1.0") if path.startswith("effect-"))
    published = place.open().fetch("v0.1.0")
    Release.open(published).check()
    assert push(runs["second"], place.address).fresh, "it is no stranger's file, and may go"
    assert not any(path.startswith("effect-") for path in place.seen("v0.2.0"))
    copy = published.parent / "copy"
    shutil.copytree(published, copy)
    (copy / name).write_text("{}")
    with pytest.raises(InputError, match=f"{name}.*is not what was written"):
        Release.open(copy).check()


def test_pushing_twice_publishes_once(runs: dict[str, Path], place: Place) -> None:
    push(runs["first"], place.address)
    assert not push(runs["first"], place.address).fresh
    push(runs["second"], place.address)
    before = place.state
    for run in ("first", "second"):
        again = push(runs[run], place.address)
        assert not again.fresh
        assert "published already, with the same content" in again.closing()
    assert place.state == before


def test_a_version_is_never_changed(runs: dict[str, Path], place: Place) -> None:
    push(runs["first"], place.address)
    before, state = place.seen("v0.1.0"), place.state
    with pytest.raises(
        InputError,
        match=r"v0.1.0 is published already.*\d+ removed.*filters.length.max.*release: 0.2.0",
    ):
        push(runs["changed"], place.address)
    assert place.state == state
    push(runs["tenth"], place.address)
    with pytest.raises(InputError, match=r"v0.2.0 is older than v0.10.0.*release: 0.11.0"):
        push(runs["second"], place.address)
    assert place.seen("v0.1.0") == before
    assert place.open().versions() == ["v0.1.0", "v0.10.0"]


def test_what_may_not_be_published_is_refused(runs: dict[str, Path], place: Place) -> None:
    with pytest.raises(InputError, match=r"terms on which the text of pool \(\d+ rows\).*`terms`"):
        push(runs["unknown"], place.address)
    with pytest.raises(InputError, match="selects no row"):
        push(runs["empty"], place.address)
    assert not place.made


def test_what_reads_back_wrong_is_not_published(runs: dict[str, Path], place: Place) -> None:
    push(runs["first"], place.address)
    before = place.seen("v0.1.0")
    with place.damaging(), pytest.raises(CurateError, match="is not what was written"):
        push(runs["second"], place.address)
    assert place.open().versions() == ["v0.1.0"]
    assert place.seen("v0.1.0") == before
    assert push(runs["second"], place.address).fresh
    assert place.tidy


def test_a_push_that_was_cut_off_at_its_end_is_finished_by_the_next(
    runs: dict[str, Path], place: Place
) -> None:
    push(runs["first"], place.address)
    with place.cut_off_late(), suppress(CurateError):
        push(runs["second"], place.address)
    assert not push(runs["second"], place.address).fresh
    assert place.tidy


@pytest.mark.parametrize("private", [True, False, None])
def test_strangers_are_kept_out_where_that_was_said(
    runs: dict[str, Path], place: Place, private: bool | None
) -> None:
    push(runs["first"], place.address, private=private)
    assert place.private in {None, private is not False}
    assert not push(runs["first"], place.address, private=not private).fresh
    assert place.private in {None, private is not False}, "only a new one is made so"


# What follows is wrong on purpose.


class Overwriting(FolderRepository):
    """Lets a newer content take the place of an older one."""

    def publish(self, folder: Path, version: str) -> str:
        shutil.rmtree(self._versions / version, ignore_errors=True)
        return super().publish(folder, version)


class Obliging(FolderRepository):
    """Says that it published what somebody else did."""

    def publish(self, folder: Path, version: str) -> str:
        try:
            return super().publish(folder, version)
        except InputError:
            return str(self._versions / version)


class Adding(FolderRepository):
    """Publishes on top of the version before."""

    def publish(self, folder: Path, version: str) -> str:
        before = self.versions()
        said = super().publish(folder, version)
        for path in read(self._versions / before[-1]) if before else ():
            target = self._versions / version / path
            if not target.exists():
                shutil.copy(self._versions / before[-1] / path, target)
        return said


class Eager(FolderRepository):
    """Gives a version its name before all of it is there, and leaves it there."""

    def publish(self, folder: Path, version: str) -> str:
        try:
            return super().publish(folder, version)
        except CurateError:
            (self._versions / version).mkdir(exist_ok=True)
            raise


class Trusting(FolderRepository):
    """Never looks at what was kept."""

    def publish(self, folder: Path, version: str) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("curate.release.repositories.folder.compare", lambda *_: None)
            return super().publish(folder, version)


class Alphabetic(FolderRepository):
    """Takes v0.10.0 for older than v0.9.0."""

    def versions(self) -> list[str]:
        return sorted(super().versions())


class Unsettled(FolderRepository):
    """Leaves what was cut off."""

    def settle(self, version: str) -> None:
        del version


class Lossy(FolderRepository):
    """Gives back less than was written."""

    def fetch(self, version: str, *, without: str | None = None) -> Path:
        there = super().fetch(version, without=without)
        less = self._root.parent / "less" / version
        shutil.copytree(there, less, dirs_exist_ok=True)
        (less / "manifest.json").unlink()
        return less


BROKEN: Final[tuple[tuple[Law, type[FolderRepository]], ...]] = (
    (laws.another_content_is_refused, Overwriting),
    (laws.another_content_is_refused, Obliging),
    (laws.of_several_at_once_one_is_published, Obliging),
    (laws.a_version_stays_as_it_is, Adding),
    (laws.what_is_half_there_is_no_version, Eager),
    (laws.what_is_kept_wrongly_is_no_version, Trusting),
    (laws.versions_are_listed_as_numbers, Alphabetic),
    (laws.what_was_cut_off_at_the_end_is_settled, Unsettled),
    (laws.what_is_published_is_there_byte_for_byte, Lossy),
    (laws.a_part_can_be_left_out, Lossy),
)


@pytest.mark.parametrize(("law", "kind"), BROKEN)
def test_the_suite_catches_a_repository_that_breaks_a_law(
    law: Law, kind: type[FolderRepository], tmp_path: Path
) -> None:
    with pytest.raises((AssertionError, KeyError, pytest.fail.Exception)):
        law(FolderPlace(tmp_path / "repo", kind), tmp_path / "written")
