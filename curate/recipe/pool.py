"""``curate run pool.jsonl``: a recipe made of nothing but a file of rationales."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict

from curate.errors import InputError
from curate.recipe.files import RecipeFile, parse_recipe, slug
from curate.recipe.guesses import columns_of, first_rows, questions_of, usual
from curate.sources.tables import FORMATS, TableOptions, is_saved
from filters.answers import GoldType

_COMPRESSED: Final = (".gz", ".zst")


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
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _COMPRESSED]
    if suffixes[-1:] == [".json"]:
        return path.is_file() and path.read_bytes()[:1000].lstrip().startswith(b"[")
    return is_saved(path) or suffixes[-1:] in [[suffix] for suffix in FORMATS]


def pool_recipe(path: Path, options: PoolOptions, overrides: tuple[str, ...] = ()) -> RecipeFile:
    """Make the recipe: questions and rationales from one file, every filter that needs no model.

    Args:
        path: the pool, in any format questions may have.
        options: its columns.
        overrides: ``key=value``.

    Raises:
        InputError: no such file, or no column of a usual name.
    """
    if path.suffix in {".yaml", ".yml"}:
        raise InputError(
            f"{str(path)!r} is a recipe, and --gold, --question, --completion and --gold-type are "
            "for pools of rationales; a recipe names its columns under questions.columns"
        )
    if not path.is_file() and not is_saved(path):
        raise InputError(f"no file {str(path)!r}; give a pool of rationales, or a recipe")
    rows = first_rows(TableOptions(path=path.name), path.parent)
    questions, gold = questions_of(rows, options.question, options.gold, options.gold_type)
    completion = options.completion or usual(columns_of(rows), "completion")
    data: dict[str, Any] = {
        "name": slug(path.stem),
        "questions": {"path": path.name, "columns": questions, "gold": gold.as_yaml()},
        "sources": [
            {
                "use": "import",
                "name": slug(path.stem),
                "path": path.name,
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
        folder=path.parent.resolve(),
        lock=Path("runs") / data["name"] / f"{data['name']}.lock.json",
        notes=(_columns(path, questions, gold.kind, completion),),
    )


def _columns(path: Path, questions: Mapping[str, str], kind: str, completion: str) -> str:
    """Say which column is taken for what."""
    return (
        f"{path.name}: questions in {questions['question']!r}, known answers in "
        f"{questions['gold']!r} (type {kind}), rationales in {completion!r}; name others with "
        "--question, --gold, --gold-type and --completion"
    )
