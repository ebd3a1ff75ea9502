"""``curate init``: a first recipe for somebody's own questions, commented, and ready to run."""

import json
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from curate.errors import InputError
from curate.models.licences import licence_of
from curate.recipe.files import parse_recipe, slug
from curate.recipe.guesses import column_of, columns_of, first_rows, questions_of, usual
from curate.recipe.plan import make_plan
from curate.release.templates import environment
from curate.sources.tables import TableOptions
from curate.store.whole import write_whole
from filters.answers import GoldType


class InitOptions(BaseModel):
    """What a first recipe needs to know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    questions: str = ""
    """File, folder or ``hf://datasets/owner/name`` with questions and known answers."""
    config: str | None = None
    """Of a data set."""
    split: str | None = None
    """Of a data set."""
    question: str | None = None
    """Its column; guessed from usual names."""
    gold: str | None = None
    """The column of the known answer; guessed likewise."""
    gold_type: GoldType | None = None
    """How answers are compared; guessed from the first rows."""
    teacher: str | None = None
    """A model that will write rationales."""
    url: str | None = None
    """Of a server that has it; without, it is loaded with vLLM."""
    pool: str | None = None
    """File with rationales that were written before."""
    completion: str | None = None
    """Its column of them; guessed from usual names."""
    student: str | None = None
    """The model to be trained; without one nothing is scored."""


def recipe_in(place: Path) -> Path:
    """Name the recipe to write, where a folder may be meant."""
    return place / "recipe.yaml" if place.is_dir() or not place.suffix else place


def init(file: Path, options: InitOptions) -> str:
    """Write a recipe that passes `check`.

    Args:
        file: to write; folders that are missing are made, and paths that begin where we are are
            written as seen from there.
        options: what is known.

    A teacher's licence is written where its card says it; nothing but that is asked of the Hub.

    Returns:
        What was guessed, in a line.

    Raises:
        InputError: the file is there already; the questions can't be read, or lack a column; or
            nobody is to write rationales.
    """
    if file.exists():
        raise InputError(f"{str(file)!r} is there already; name another file")
    if not options.questions:
        raise InputError(
            "no questions; name a file, a folder or hf://datasets/owner/name with --questions"
        )
    if not (options.teacher or options.pool):
        raise InputError(
            "nobody is to write rationales; name a model with --teacher, or a file of rationales "
            "with --pool"
        )
    values = _values(file, options)
    text = _environment_with_json().get_template("recipe.yaml.jinja").render(**values)
    make_plan(parse_recipe(text))
    write_whole(file, text.encode())
    return f"questions in {values['columns']}, answers compared as {values['gold_type']}"


def _values(file: Path, options: InitOptions) -> dict[str, Any]:
    here, folder = Path.cwd(), file.absolute().parent.resolve()
    table = TableOptions(path=options.questions, config=options.config, split=options.split)
    rows = first_rows(table, here)
    names, gold = questions_of(rows, options.question, options.gold, options.gold_type)
    values = options.model_dump() | {
        "file": file.name,
        "name": slug(file.stem if file.stem != "recipe" else Path(options.questions).stem),
        "questions": _seen_from(folder, options.questions),
        "columns": ", ".join(f"{key}: {json.dumps(name)}" for key, name in names.items()),
        "gold_type": gold.kind,
        "extract": gold.extract,
        "index_from": gold.index_from,
        "terms": licence_of(options.teacher) if options.teacher else None,
    }
    if options.pool:
        of_pool = columns_of(first_rows(TableOptions(path=options.pool), here))
        same = options.question in of_pool
        values["pool"] = _seen_from(folder, options.pool)
        values["pool_question"] = options.question if same else usual(of_pool, "question")
        values["pool_completion"] = column_of(of_pool, "completion", options.completion)
    return values


def _seen_from(folder: Path, path: str) -> str:
    """Write a path that begins where we are as one that begins in another folder."""
    if "://" in path or path.startswith("~") or Path(path).is_absolute():
        return path
    return os.path.relpath(path, folder)


def _environment_with_json() -> Any:
    """Open the templates with a filter that quotes a value as YAML reads it."""
    made = environment("curate.recipe")
    made.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    return made
