"""The laws of a repository, each a function that raises where one breaks it."""

import json
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from curate.errors import CurateError, InputError
from curate.release.repositories.base import Repository
from tests.curate.release.repositories.places import Place, read


def release(folder: Path, text: str) -> Path:
    """Write the files of a release whose data are a text."""
    paths = {
        "README.md": f"---\nlanguage: en\n---\n# {text}\n",
        "manifest.json": json.dumps({"dataset_hash": text, "configs": {"default": _SPLITS}}),
        "data/default/train-00000-of-00001.parquet": text * 100,
    }
    for path, content in paths.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return folder


_SPLITS = {"splits": {"train": 1}}


def what_is_published_is_there_byte_for_byte(place: Place, folder: Path) -> None:
    """A version is listed, and fetched as it was written; nothing else lies there."""
    repository = _ready(place)
    assert repository.versions() == []
    assert repository.card() is None
    written = release(folder / "a", "a")
    said = repository.publish(written, "v0.1.0")
    assert place.address in said or str(repository.fetch("v0.1.0")) == said
    for opened in (repository, place.open()):
        assert opened.versions() == ["v0.1.0"]
        assert _fetched(opened, "v0.1.0") == read(written)
    assert place.seen("v0.1.0") == read(written)
    assert place.tidy


def a_part_can_be_left_out(place: Place, folder: Path) -> None:
    """What is asked for without its data still has the manifest."""
    written = release(folder / "a", "a")
    _ready(place).publish(written, "v0.1.0")
    fetched = _fetched(place.open(), "v0.1.0", without="data/")
    assert fetched["manifest.json"] == (written / "manifest.json").read_bytes()
    assert fetched.items() <= read(written).items()


def a_version_stays_as_it_is(place: Place, folder: Path) -> None:
    """A second version changes nothing of the first, and has nothing of it that is not its own."""
    first, second = release(folder / "a", "a"), release(folder / "b", "b")
    (first / "data/default/train-00001-of-00002.parquet").write_text("more")
    repository = _ready(place)
    repository.publish(first, "v0.1.0")
    repository.publish(second, "v0.2.0")
    for version, written in (("v0.1.0", first), ("v0.2.0", second)):
        assert place.seen(version) == read(written)
        assert _fetched(place.open(), version) == read(written)
    card = place.open().card()
    assert card is None or card == (second / "README.md").read_text()
    assert place.tidy


def another_content_is_refused(place: Place, folder: Path) -> None:
    """Whoever publishes under a number that is taken is told, and the version stays."""
    first = release(folder / "a", "a")
    repository = _ready(place)
    repository.publish(first, "v0.1.0")
    with pytest.raises(InputError, match=r"v0\.1\.0"):
        repository.publish(release(folder / "b", "b"), "v0.1.0")
    assert place.open().versions() == ["v0.1.0"]
    assert place.seen("v0.1.0") == read(first)
    assert _fetched(place.open(), "v0.1.0") == read(first)


def versions_are_listed_as_numbers(place: Place, folder: Path) -> None:
    """The oldest version comes first, and the newest last, whatever their letters say."""
    numbers = ["v0.9.0", "v0.10.0", "v0.9.1"]
    repository = _ready(place)
    for number in numbers:
        repository.publish(release(folder / number, number), number)
    assert place.open().versions() == ["v0.9.0", "v0.9.1", "v0.10.0"]
    assert place.tidy


def what_is_half_there_is_no_version(place: Place, folder: Path) -> None:
    """Publishing that was cut off leaves no version; trying again makes one and clears up."""
    first = release(folder / "a", "a")
    _ready(place).publish(first, "v0.1.0")
    for number, moment in enumerate(place.halves, 2):
        version = f"v0.{number}.0"
        written = release(folder / version, version)
        before = place.open().versions()
        with place.cut_off(moment), pytest.raises(CurateError):
            place.open().publish(written, version)
        assert place.open().versions() == before
        assert place.seen("v0.1.0") == read(first)
        _ready(place).publish(written, version)
        assert place.open().versions() == [*before, version]
        assert place.seen(version) == read(written)
        assert place.tidy


def what_is_kept_wrongly_is_no_version(place: Place, folder: Path) -> None:
    """What does not read back as it was written gets no number."""
    first, second = release(folder / "a", "a"), release(folder / "b", "b")
    _ready(place).publish(first, "v0.1.0")
    with place.damaging(), pytest.raises(CurateError, match=r"is not what was written"):
        place.open().publish(second, "v0.2.0")
    assert place.open().versions() == ["v0.1.0"]
    assert place.seen("v0.1.0") == read(first)


def what_was_cut_off_at_the_end_is_settled(place: Place, folder: Path) -> None:
    """Once a version is there, settling does what a push that was cut off had still to do."""
    repository = _ready(place)
    repository.publish(release(folder / "a", "a"), "v0.1.0")
    second = release(folder / "b", "b")
    with place.cut_off_late(), suppress(CurateError):
        place.open().publish(second, "v0.2.0")
    assert place.open().versions() == ["v0.1.0", "v0.2.0"]
    for _ in range(2):
        place.open().settle("v0.2.0")
        assert place.tidy
    assert place.seen("v0.2.0") == read(second)


def of_several_at_once_one_is_published(place: Place, folder: Path) -> None:
    """Of those that publish different contents under one number at once, all but one are told."""
    _ready(place)
    written = {text: release(folder / text, text) for text in "abcd"}
    told: list[CurateError] = []
    done: list[str] = []

    def publish(text: str) -> None:
        try:
            place.open().publish(written[text], "v0.1.0")
            done.append(text)
        except CurateError as error:
            told.append(error)

    threads = [threading.Thread(target=publish, args=[text]) for text in written]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(done), len(told)) == (1, 3)
    for error in told:
        assert isinstance(error, InputError) or "is not what was written" in str(error)
    assert place.open().versions() == ["v0.1.0"]
    assert _fetched(place.open(), "v0.1.0") == read(written[done[0]])


def _ready(place: Place) -> Repository:
    """Prepare it, as a push does before it publishes."""
    repository = place.open()
    repository.prepare()
    return repository


def _fetched(repository: Repository, version: str, **asked: str) -> dict[str, bytes]:
    files = read(repository.fetch(version, **asked))
    files.pop(".gitattributes", None)
    return files
