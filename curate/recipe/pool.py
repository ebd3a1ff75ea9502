"""``curate run pool.jsonl``: a recipe made of nothing but rationales."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict

from curate.errors import InputError
from curate.recipe.files import RecipeFile, parse_recipe, slug
from curate.recipe.guesses import columns_of, first_rows, questions_of, usual
from curate.sources.tables import FORMATS, TableOptions, is_saved, keep
from filters.answers import GoldType

_COMPRESSED: Final = (".gz", ".zst")
_START: Final = 1000
"""Bytes that are read to tell a list from a recipe."""
_BOM: Final = b"\xef\xbb\xbf"


class PoolOptions(BaseModel):
    """What a pool's columns hold; guessed, as `init` does, where it is not given."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    gold: str | None = None
    """Column of the known answer."""
    question: str | None = None
    """Column of the question."""
    completion: str | None = None
    """Column of the rationale."""
    gold_type: GoldType | None = None
    """Type of the known answers."""


def is_pool(reference: str) -> bool:
    """Tell a file of rationales from a recipe, by its name.

    Both can be ``.json``: what begins with a list is a pool.
    """
    path = Path(reference)
    if path.suffix.lower() == ".json":
        return path.is_file() and _begins_with_list(path)
    name = path.with_suffix("") if path.suffix.lower() in _COMPRESSED else path
    return is_saved(path) or name.suffix.lower() in FORMATS


def _begins_with_list(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(_START).removeprefix(_BOM).lstrip().startswith(b"[")


def pool_recipe(
    pool: object,
    gold: str | None = None,
    question: str | None = None,
    completion: str | None = None,
    gold_type: GoldType | None = None,
    overrides: tuple[str, ...] = (),
    name: str | None = None,
) -> RecipeFile:
    """Make the recipe: questions and rationales from one table, every filter that needs no model.

    Args:
        pool: a file in any format questions may have, or the table itself (see
            `curate.sources.tables.keep`).
        gold: column of the known answer; guessed, as `init` does, like all that is not given.
        question: column of the question.
        completion: column of the rationale.
        gold_type: type of the known answers.
        overrides: ``key=value``.
        name: of the runs and of the release; by default the file's, or ``pool``.

    Raises:
        InputError: no such file, or no column of a usual name.
        ValueError: the pool is no table.
    """
    if isinstance(pool, str | Path):
        path, folder, title = _file(Path(pool))
    else:
        path, folder, title = keep(pool), Path.cwd(), "pool"
    shown = path if isinstance(pool, str | Path) else title
    title = slug(name or title)
    rows = first_rows(TableOptions(path=path), folder)
    questions, answers = questions_of(rows, question, gold, gold_type)
    completion = completion or usual(columns_of(rows), "completion")
    data: dict[str, Any] = {
        "name": title,
        "questions": {"path": path, "columns": questions, "gold": answers.as_yaml()},
        "sources": [
            {
                "use": "import",
                "name": title,
                "path": path,
                "columns": {"question": questions["question"], "completion": completion},
            }
        ],
        "filters": [
            {"use": "completeness"},
            {"use": "repetition"},
            {"use": "correctness"},
            {"use": "duplicates"},
            {"use": "diversity", "by": ["path", "text"]},
        ],
        "select": {"one_per": "cluster"},
        "arms": ["random_correct"],
    }
    text = yaml.safe_dump(data, sort_keys=False)
    return RecipeFile(
        recipe=parse_recipe(text, overrides),
        text=text,
        overrides=overrides,
        folder=folder,
        lock=Path("runs") / title / f"{title}.lock.json",
        notes=(_columns(shown, questions, answers.kind, completion),),
    )


def _columns(shown: str, questions: Mapping[str, str], kind: str, completion: str) -> str:
    """Say which column is taken for what."""
    return (
        f"{shown}: questions in {questions['question']!r}, known answers in "
        f"{questions['gold']!r} (type {kind}), rationales in {completion!r}; name others with "
        "--question, --gold, --gold-type and --completion"
    )


def _file(path: Path) -> tuple[str, Path, str]:
    """Give a pool's path, the folder that begins in, and what it is called."""
    if path.suffix in {".yaml", ".yml"}:
        raise InputError(
            f"{str(path)!r} is a recipe, and --gold, --question, --completion and --gold-type are "
            "for pools of rationales; a recipe names its columns under questions.columns"
        )
    if not path.is_file() and not is_saved(path):
        raise InputError(f"no file {str(path)!r}; give a pool of rationales, or a recipe")
    return path.name, path.parent.resolve(), path.stem
