"""The lock file: which revisions, files and library versions a recipe ran with.

What a recipe leaves open (a model's revision, the precision of a teacher) is resolved on the first
run and kept; later runs use it until ``curate pin`` renews it. A local file that changed is noted
and taken as it is, unless ``--locked`` asks for exactly what was locked.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curate.errors import InputError
from curate.models.references import ResolvedModel, resolve
from curate.store.whole import write_whole

SCHEMA: Final = 1


class LockedModel(BaseModel):
    """A model at a revision."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """What the model is called wherever it lies."""
    revision: str
    """Commit on the Hub, or digest of the files."""
    how: str
    """``folder``, ``hub`` or ``offline-wheels``."""


class LockContent(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid")

    lock: int = SCHEMA
    models: dict[str, LockedModel] = Field(default_factory=dict)
    dtypes: dict[str, str] = Field(default_factory=dict)
    data: dict[str, str] = Field(default_factory=dict)
    templates: dict[str, str] = Field(default_factory=dict)
    libraries: dict[str, str] = Field(default_factory=dict)


def lock_text(content: LockContent) -> str:
    """Give the text of a lock file."""
    style = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(content.model_dump(mode="json"), option=style).decode()


def _lock_file(path: Path) -> str:
    """Read a lock file; what is not UTF-8 is replaced, and is no JSON then.

    Raises:
        InputError: a folder is where it belongs.
    """
    if path.is_dir():
        raise InputError("a folder is where the lock file belongs; move it away", str(path))
    return path.read_text(encoding="utf-8", errors="replace")


def lock_problem(text: str) -> str | None:
    """Say in a few words why a text is no lock file; None where it is one."""
    try:
        LockContent.model_validate_json(text)
    except ValidationError as error:
        return str(error.errors()[0]["msg"])
    return None


class Lock:
    """Resolves what is open, once.

    Args:
        path: the lock file; need not exist.
        locked: refuse to resolve anything, and anything that changed.
        renew: begin anew, whatever the file holds; it stays as it is until `save`.
        start: text of another lock file, with which to begin where there is none.
        written: how the recipe writes models and data whose place a variable holds; they are
            locked under that, since the place is no part of what was made.
        tell: told in one sentence of every change.
    """

    def __init__(
        self,
        path: Path,
        *,
        locked: bool = False,
        renew: bool = False,
        start: str = "",
        written: Mapping[str, str] | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.path = path
        self.locked = locked
        self._tell = tell
        self._written = written or {}
        self._used: dict[str, set[str]] = defaultdict(set)
        self.content = LockContent()
        text = _lock_file(path) if path.exists() else (start or None)
        if text is not None and not renew:
            if problem := lock_problem(text):
                raise InputError(
                    f"not a lock file this version reads: {problem}; remove it or run `curate pin` "
                    "to write a new one",
                    str(path),
                )
            self.content = LockContent.model_validate_json(text)
        elif locked:
            raise InputError(
                f"--locked: there is no lock file {path.name!r}; run `curate pin` first"
            )

    def model(
        self, reference: str, revision: str | None = None, *, weights: bool = True
    ) -> ResolvedModel:
        """Resolve a model reference, to the locked revision where there is one.

        Raises:
            InputError: it differs from what is locked.
            ModelError: it cannot be found.
        """
        entry = self.known_model(reference)
        if entry is None:
            self._refuse(f"model {reference!r} is not in the lock file")
        pin = revision or (entry.revision if entry and entry.how == "hub" else None)
        model = resolve(reference, pin, weights=weights)
        update = LockedModel(name=model.name, revision=model.revision, how=model.how)
        if entry is not None and entry.revision != update.revision:
            self._refuse(f"model {reference!r} is at {update.revision}, locked at {entry.revision}")
            self._tell(f"model {reference!r} changed since it was locked")
        self.content.models[self._written.get(reference, reference)] = update
        return model

    def known_model(self, reference: str) -> LockedModel | None:
        """Give what is locked of a model, if anything is."""
        name = self._written.get(reference, reference)
        self._used["models"].add(name)
        return self.content.models.get(name)

    def dtype(self, source: str, chosen: Callable[[], str]) -> str:
        """Keep the precision a teacher was first sampled in."""
        self._used["dtypes"].add(source)
        if source not in self.content.dtypes:
            self._refuse(f"the precision of source {source!r} is not in the lock file")
            self.content.dtypes[source] = chosen()
        return self.content.dtypes[source]

    def data(self, reference: str, digest: str) -> None:
        """Note what a data file held."""
        self._note("data", "data", self._written.get(reference, reference), digest)

    def commit(self, reference: str, tag: str | None, find: Callable[[], str | None]) -> str | None:
        """Give the commit of a data set of the Hub, the locked one where there is one.

        Args:
            reference: ``hf://datasets/org/name``.
            tag: branch, tag or commit that the recipe names; another one is another entry.
            find: looks at the Hub; None where the commit can't be told.

        Raises:
            InputError: nothing is locked, and has to be.
        """
        name = self._written.get(reference, reference)
        name = f"{name}@{tag}" if tag else name
        self._used["data"].add(name)
        commit = self.content.data.get(name)
        if commit is None:
            self._refuse(f"data {name!r} is not in the lock file")
            commit = find()
        if commit is None:
            self._used["data"].remove(name)
            self._tell(f"data {name!r} can't be pinned: nothing says at which commit it is read")
        else:
            self.content.data[name] = commit
        return commit

    def template(self, name: str, digest: str) -> None:
        """Note a prompt template."""
        self._note("prompt template", "templates", name, digest)

    def libraries(self, names: Sequence[str]) -> None:
        """Note the versions of the libraries that decide something here."""
        for name in names:
            try:
                version = library_version(name)
            except PackageNotFoundError:
                continue
            self._note("library", "libraries", name, version)

    def _note(self, kind: str, section: str, name: str, value: str) -> None:
        entries: dict[str, str] = getattr(self.content, section)
        self._used[section].add(name)
        if entries.get(name) == value:
            return
        if name in entries:
            self._refuse(f"{kind} {name!r} is {value}, locked as {entries[name]}")
            self._tell(f"{kind} {name!r} changed since it was locked")
        else:
            self._refuse(f"{kind} {name!r} is not in the lock file")
        entries[name] = value

    def _refuse(self, what: str) -> None:
        if self.locked:
            raise InputError(
                f"--locked: {what}; run `curate pin` to renew the lock, or leave --locked out"
            )

    @property
    def used(self) -> LockContent:
        """Give what this run asked for; the file may hold more, of runs under other overrides."""
        content = self.content.model_dump()
        kept = {name: {k: content[name][k] for k in keys} for name, keys in self._used.items()}
        return LockContent.model_validate(kept)

    def save(self) -> None:
        """Write the file, whole or not at all, where something changed."""
        text = lock_text(self.content).encode()
        if self.path.exists() and self.path.read_bytes() == text:
            return
        write_whole(self.path, text)
