"""``curate run pool.jsonl --gold COLUMN``: a recipe made of nothing but a file of rationales."""

from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

import yaml

from curate.errors import InputError
from curate.reading.tables import TableOptions, read
from curate.recipe_file import RecipeFile, parse_recipe, slug

QUESTION_NAMES: Final = ("question", "instruction", "prompt", "problem", "query", "input")
COMPLETION_NAMES: Final = (
    "completion", "rationale", "output", "response", "solution", "generation", "raw_output", "text",
)  # fmt: skip


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
    if not path.is_file():
        raise InputError(f"no file {str(path)!r}; give a pool of rationales, or a recipe")
    columns = _columns(path)
    question = question or _guess(columns, QUESTION_NAMES, "question")
    completion = completion or _guess(columns, COMPLETION_NAMES, "completion")
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


def _columns(path: Path) -> list[str]:
    """Name the columns of the first rows."""
    chunks = read(TableOptions(path=path.name), path.parent.resolve(), ())
    rows = [row for chunk in islice(chunks, 1) for row in islice(chunk.rows, 20)]
    objects = [cast("dict[str, object]", row) for row in rows if isinstance(row, dict)]
    return list(dict.fromkeys(name for row in objects for name in row))


def _guess(columns: list[str], usual: tuple[str, ...], what: str) -> str:
    for name in usual:
        if name in columns:
            return name
    raise InputError(
        f"no column is called {' or '.join(usual[:3])}; there are {', '.join(columns)}. "
        f"Name the one that holds the {what} with --{what}"
    )
