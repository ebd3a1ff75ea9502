"""What a recipe reads, held to what is locked: files by content, data of the Hub by commit."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from curate.recipe.files import RecipeFile
from curate.recipe.lock import Lock
from curate.sources.questions import QuestionsTable, assign_splits, load_questions
from curate.sources.tables import (
    TableOptions,
    commit_of,
    digest_in,
    find,
    is_from_memory,
    is_here,
)
from curate.store.keys import key
from curate.store.whole import sha256

Entry = TypeVar("Entry", bound=BaseModel)


def lock_data(file: RecipeFile, lock: Lock) -> None:
    """Note what the recipe reads: digests of files and tables here, commits of data of the Hub.

    Raises:
        InputError: something is not there, or not as locked.
    """
    recipe = file.recipe
    for entry, paths in (
        (recipe.questions, [recipe.questions.path]),
        *((source, source.inputs()) for source in recipe.used_sources),
    ):
        for path in paths:
            if is_here(path):
                lock.data(path, _digest(path, file.folder))
            elif not (isinstance(entry, TableOptions) and entry.on_hub):
                lock.commit(path, None, lambda: None)  # a plug-in reads it, as it likes
        pinned(entry, lock)


def pinned(entry: Entry, lock: Lock) -> Entry:
    """Give where rows come from, at the commit that is locked; files stay as they are.

    Raises:
        InputError: nothing is locked, and has to be; or there is no such data set.
    """
    if not isinstance(entry, TableOptions) or not entry.on_hub:
        return entry
    commit = lock.commit(entry.path, entry.revision, partial(commit_of, entry))
    return entry.model_copy(update={"revision": commit}) if commit else entry


def read_questions(file: RecipeFile, limit: int | None, lock: Lock | None = None) -> QuestionsTable:
    """Load the recipe's questions and divide them into splits.

    Args:
        file: the recipe.
        limit: use only the first so many.
        lock: says at which commit those of the Hub are read; without one, as they are now.
    """
    recipe = file.recipe
    options = pinned(recipe.questions, lock) if lock else recipe.questions
    questions = load_questions(options, file.folder, limit)
    split = assign_splits(questions.frame, recipe.splits.validation, recipe.select.seed)
    return replace(questions, frame=split)


def _digest(path: str, folder: Path) -> str:
    if is_from_memory(path):
        return digest_in(path)
    return key([sha256(match) for match in find(path, folder)])
