"""``curate run pool.jsonl --gold COLUMN``: a recipe made of nothing but a file of rationales."""

from pathlib import Path
from typing import Any

import yaml

from curate.errors import InputError
from curate.recipe.files import RecipeFile, parse_recipe, slug
from curate.recipe.guesses import columns_of, first_rows, usual
from curate.sources.tables import TableOptions, is_saved


def pool_recipe(
    path: Path,
    gold: str,
    question: str | None,
    completion: str | None,
    gold_type: str,
    overrides: tuple[str, ...] = (),
) -> RecipeFile:
    """Make the recipe: questions and rationales from one file, every filter that needs no model.

    Args:
        path: the pool, in any format questions may have.
        gold: column of the known answer.
        question: column of the question; guessed from usual names where not given.
        completion: column of the rationale; guessed likewise.
        gold_type: type of the known answers.
        overrides: ``key=value``.

    Raises:
        InputError: no such file, or no column of a usual name.
    """
    if not path.is_file() and not is_saved(path):
        raise InputError(f"no file {str(path)!r}; give a pool of rationales, or a recipe")
    columns = columns_of(first_rows(TableOptions(path=path.name), path.parent))
    question = question or usual(columns, "question")
    completion = completion or usual(columns, "completion")
    data: dict[str, Any] = {
        "name": slug(path.stem),
        "questions": {
            "path": path.name,
            "columns": {"question": question, "gold": gold},
            "gold": {"type": gold_type},
        },
        "sources": [
            {
                "use": "import",
                "name": slug(path.stem),
                "path": path.name,
                "columns": {"question": question, "completion": completion},
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
    )
