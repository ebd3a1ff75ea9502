"""Damaged runs and releases: every command says in one sentence which file it is, or needs it not.

Each file is damaged in each way and met by each command, in this process and as on the command
line. Which command needs which file is written down here, so that a byte which a reader happens to
accept is found, and what does not need the file is known to work on.
"""

import contextlib
import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate import cli
from curate.errors import InputError
from curate.release.read import Release
from curate.release.repositories.push import push
from tests.curate.imported_sums import TERMS, do, write
from tests.servers.hub import File, Hub

PART = "train-00000-of-00001.parquet"
FOREIGN = {
    ".parquet": lambda path: pl.DataFrame({"a": [1, 2]}).write_parquet(path),
    ".json": lambda path: path.write_text('{"format": 1, "a": [1]}'),
    "": lambda path: path.write_text("a: text\nof: another kind\n"),
}


def flipped(path: Path, place: float = 0.4) -> None:
    """Change one bit of one byte."""
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


def another(path: Path) -> None:
    """Put another file of its kind into its place."""
    FOREIGN[path.suffix if path.suffix in FOREIGN else ""](path)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: Mapping[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "flipped": flipped,
    "not UTF-8": lambda path: path.write_bytes(b"\xff\xfe" + path.read_bytes()),
    "another": another,
    "missing": Path.unlink,
    "a folder": folder_instead,
}

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "show": ("show", "{ref}"),
    "why": ("why", "{ref}", "{sample}"),
    "report": ("report", "{ref}", "--out", "{out}.html"),
    "export": ("export", "{ref}", "--format", "trl", "--out", "{out}"),
    "pairs": ("export", "{ref}", "--format", "dpo", "--out", "{out}"),
    "rates": ("export", "{ref}", "--format", "rl", "--out", "{out}"),
    "control": ("export", "{ref}", "--format", "trl", "--config", "random", "--out", "{out}"),
    "diff": ("diff", "{whole}", "{ref}"),
    "push": ("push", "{ref}", "--repo", "file://{out}"),
    "run": ("run", "{ref}", "{questions}", "{pool}", "--out", "{out}", "--quiet"),
}
OF_RUNS = ("show", "why", "report", "rates", "control")
"""Commands that a release alone does not suffice for."""
EVERYTHING = tuple(COMMANDS)

NEEDED: Mapping[str, tuple[str, ...]] = {
    "../latest": EVERYTHING,
    "run.json": EVERYTHING,
    "dataset/manifest.json": EVERYTHING,
    "dataset/recipe.yaml": ("diff", "push", "run"),
    "dataset/recipe.lock.json": ("push", "run"),
    f"dataset/data/default/{PART}": ("export", "pairs", "rates", "diff", "push"),
    f"dataset/data/messages/{PART}": ("push",),
    f"dataset/data/rejected/{PART}": ("export", "pairs", "control", "diff", "push"),
    f"unpublished/random/{PART}": ("control",),
    "audit/samples-00000-of-00001.parquet": ("show", "why", "report", "rates", "diff"),
    "audit/questions-00000-of-00001.parquet": ("rates",),
}
"""Which commands need which file of a run, and must refuse it where it is not as it was."""


@dataclass(frozen=True)
class Whole:
    """A run that nothing happened to, and what commands are given."""

    run: Path
    sample: str

    def copy(self, to: Path, *, release: bool) -> Path:
        """Copy it or its release alone; give what commands name."""
        if release:
            return Path(shutil.copytree(self.run / "dataset", to / "release"))
        shutil.copytree(self.run, to / "sums" / self.run.name)
        (to / "sums" / "latest").write_text(f"{self.run.name}\n")
        return to / "sums"

    def arguments(self, command: str, reference: Path | str, out: Path) -> list[str]:
        inputs = self.run.parents[2]
        facts = {
            "ref": reference, "out": out, "sample": self.sample, "whole": self.run,
            "questions": f"questions.path={inputs}/questions.jsonl",
            "pool": f"sources.pool.path={inputs}/pool.jsonl",
        }  # fmt: skip
        return [part.format(**facts) for part in COMMANDS[command]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("whole")
    write(folder)
    published = "publish={formats: [messages], include: [rejected]}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        patch.setenv("COLUMNS", "120")
        run = do(folder, TERMS, published, "splits.validation=0", limit=8)
        yield Whole(run.folder, run.audit["sample_id"][0])


def called(*arguments: str) -> tuple[int, str]:
    """Call the command line in this process; give its exit status and what it says of errors."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["curate", *arguments])
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            try:
                cli.main()
            except SystemExit as leaving:
                return int(leaving.code or 0), said.getvalue()
    return 0, said.getvalue()


def assert_said(code: int, said: str, name: str, *, needed: bool) -> None:
    """Fail unless a command refused the file that it needs, and no other."""
    assert code == (2 if needed else 0), said
    if needed:
        assert_one_sentence(said, name)


def assert_one_sentence(said: str, name: str) -> None:
    """Fail unless it names a file and what can be done."""
    assert len(said.splitlines()) == 1, said
    assert said.startswith("error: ")
    assert name in said
    assert ";" in said


def cases(files: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str, str]]:
    """Give every file, damage and command."""
    for file in files:
        for damage in DAMAGES:
            for command in COMMANDS:
                yield file, damage, command


def few(files: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str, str]]:
    """Give a part of all cases in which every two of a file, a damage and a command meet."""
    number = {name: n for n, name in enumerate(COMMANDS)}
    order = {name: n for n, name in enumerate(DAMAGES)}
    return [
        (file, damage, command)
        for place, file in enumerate(files)
        for damage, command in ((d, c) for d in DAMAGES for c in COMMANDS)
        if (number[command] + place) % len(DAMAGES) == order[damage]
    ]


def meet(whole: Whole, file: str, damage: str, command: str, folder: Path) -> None:
    """Damage a file of a run, have a command meet it, and its release alone where that will do."""
    run = whole.copy(folder, release=False)
    places = [(run, (run / whole.run.name / file).resolve())]
    if file.startswith("dataset/") and command not in OF_RUNS:
        release = whole.copy(folder, release=True)
        places.append((release, release / file.removeprefix("dataset/")))
    for number, (reference, path) in enumerate(places):
        DAMAGES[damage](path)
        code, said = called(*whole.arguments(command, reference, folder / f"out-{number}"))
        # Nothing says the digests of what says those of all others.
        unheld = path.name == "run.json" or path == reference / "manifest.json"
        if unheld and damage == "flipped":
            assert code == 0 or (code == 2 and len(said.splitlines()) == 1), said
        else:
            assert_said(code, said, path.name, needed=command in NEEDED[file])


@pytest.mark.parametrize("file", NEEDED)
def test_a_damaged_file_is_named_by_who_needs_it_and_by_nobody_else(
    whole: Whole, tmp_path: Path, file: str
) -> None:
    for number, case in enumerate(case for case in few(NEEDED) if case[0] == file):
        meet(whole, *case, tmp_path / str(number))


@pytest.mark.slow
@pytest.mark.parametrize("file", NEEDED)
def test_every_damage_is_met_by_every_command(whole: Whole, tmp_path: Path, file: str) -> None:
    for number, case in enumerate(case for case in cases(NEEDED) if case[0] == file):
        meet(whole, *case, tmp_path / str(number))
        shutil.rmtree(tmp_path / str(number))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_card_without_its_configs_is_not_published(
    whole: Whole, tmp_path: Path, damage: str
) -> None:
    reference = whole.copy(tmp_path, release=False)
    card = reference / whole.run.name / "dataset" / "README.md"
    DAMAGES[damage](card)
    assert called(*whole.arguments("export", reference, tmp_path / "out"))[0] == 0
    code, said = called(*whole.arguments("push", reference, tmp_path / "repo"))
    # Anybody may write on a card; what it leads loaders to must stand in it.
    assert_said(code, said, "README.md", needed=damage not in {"cut", "flipped"})


@pytest.mark.parametrize("damage", ["cut", "flipped", "another", "missing", "a folder"])
def test_what_earlier_versions_wrote_is_read_to_its_end(
    whole: Whole, tmp_path: Path, damage: str
) -> None:
    """Nothing says their digests, so that only what can't be read is told."""
    for number, file in enumerate(NEEDED):
        folder = tmp_path / str(number)
        reference = whole.copy(folder, release=False)
        run = reference / whole.run.name
        for path in (run / "run.json", run / "dataset" / "manifest.json"):
            facts: dict[str, Any] = json.loads(path.read_text())
            del facts["digests"]
            path.write_text(json.dumps(facts))
        path = (run / file).resolve()
        DAMAGES[damage](path)
        for command in NEEDED[file][:3]:
            code, said = called(*whole.arguments(command, reference, folder / command))
            assert code in {0, 2}, said
            assert code == 0 or path.name in said or path.parent.name in said
            if damage == "a folder" or (damage == "another" and path.suffix == ".parquet"):
                assert code == 2, (file, command)


def test_every_byte_of_the_selection_is_held_to_the_digest(whole: Whole, tmp_path: Path) -> None:
    release = whole.copy(tmp_path, release=True)
    path = release / "data" / "default" / PART
    content = path.read_bytes()
    for place in range(0, len(content), 97):
        path.write_bytes(content)
        flipped(path, place / len(content))
        with pytest.raises(InputError, match=f"{PART}' is not what was written"):
            Release.open(release).config("default")


@pytest.mark.filterwarnings("ignore:Use 'content=<...>'")
@pytest.mark.parametrize("file", ["manifest.json", "recipe.yaml", "recipe.lock.json"])
def test_what_comes_damaged_from_the_hub_is_named(
    whole: Whole, hub: Hub, tmp_path: Path, file: str
) -> None:
    push(whole.run, "org/sums")
    repo = hub.repos["org/sums"]
    tree = repo.trees[repo.tags["v0.1.0"]]
    for number, damage in enumerate(name for name in DAMAGES if name != "a folder"):
        path = tmp_path / file
        path.write_bytes(hub.content(tree[file]))
        DAMAGES[damage](path)
        others = {name: entry for name, entry in tree.items() if name != file}
        content = path.read_bytes() if path.exists() else None
        more = {} if content is None else {file: File(len(content), content)}
        repo.commit({**others, **more}, f"damaged-{number}")
        reference = f"hf://org/sums@damaged-{number}"
        code, said = called(*whole.arguments("run", reference, tmp_path / str(number)))
        if (file, damage) == ("manifest.json", "flipped") and code == 0:
            continue  # nothing says its digest
        assert_said(code, said, file, needed=True)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_store_is_used_as_far_as_it_is_whole(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    inputs = whole.run.parents[2]
    store = Path(shutil.copytree(inputs / "store", tmp_path / "store"))
    (store / "locks").mkdir(exist_ok=True)
    (store / "locks" / "engine-1.lock").write_text("1 1\n")
    monkeypatch.setenv("CURATE_STORE", str(store))
    for path in [path for path in store.rglob("*") if path.is_file()]:
        DAMAGES[damage](path)
    recipe = str(shutil.copy(inputs / "recipe.yaml", tmp_path))
    for file in ("questions.jsonl", "pool.jsonl"):
        shutil.copy(inputs / file, tmp_path)
    again = ["run", recipe, "--quiet", "--limit", "8", "--out"]
    assert called(*again, str(tmp_path / "a")) == (0, "")
    assert called("store", "du") == (0, "")
    lock = tmp_path / "recipe.lock.json"
    DAMAGES[damage](lock)
    code, said = called(*again, str(tmp_path / "b"))
    if damage != "missing":
        assert_said(code, said, "recipe.lock.json", needed=damage != "flipped" or code != 0)


OUTPUTS = {
    "report": ("report", "{run}", "--out", "{out}.html"),
    "export": ("export", "{run}", "--format", "trl", "--out", "{out}"),
    "page": ("diff", "{run}", "{run}", "--html", "{out}.html"),
    "push": ("push", "{run}", "--repo", "file://{out}"),
    "run": ("run", "{run}", "{questions}", "{pool}", "--out", "{out}"),
    "recipe": ("init", "{out}.yaml", "--questions", "{inputs}/questions.jsonl", "--teacher", "a/b"),
}


@pytest.mark.parametrize("command", OUTPUTS)
def test_a_file_where_a_folder_is_wanted_is_named(
    whole: Whole, tmp_path: Path, command: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    inputs = whole.run.parents[2]
    facts = {
        "run": whole.run, "out": tmp_path / "file" / "out", "inputs": inputs,
        "questions": f"questions.path={inputs}/questions.jsonl",
        "pool": f"sources.pool.path={inputs}/pool.jsonl",
    }  # fmt: skip
    code, said = called(*(part.format(**facts) for part in OUTPUTS[command]))
    assert code in {1, 2}
    assert_one_sentence(said, str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "in the way"
