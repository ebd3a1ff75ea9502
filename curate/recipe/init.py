"""``curate init``: a first recipe for somebody's own questions, commented, and ready to run."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from curate.errors import InputError
from curate.models.licences import licence_of
from curate.recipe.files import parse_recipe, slug
from curate.recipe.guesses import NAMES, columns_of, first_rows, gold_of, usual
from curate.recipe.plan import make_plan
from curate.release.templates import environment
from curate.sources.questions.options import QuestionColumns
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


def init(file: Path, options: InitOptions) -> str:
    """Write a recipe that passes `check`.

    Args:
        file: to write; paths in it are relative to its folder.
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
    base = file.absolute().parent
    table = TableOptions(path=options.questions, config=options.config, split=options.split)
    rows = first_rows(table, base)
    columns = columns_of(rows)
    names = {
        "question": _known(columns, "question", options.question),
        "gold": _known(columns, "gold", options.gold),
    }
    choices = next((name for name in NAMES["choices"] if name in columns), None)
    if choices:
        names["choices"] = choices
    reader = QuestionColumns(choices=choices)
    answers = [(row, row.get(names["gold"])) for row in rows]
    golds = [row for row, value in answers if value is not None and str(value).strip()]
    guess = gold_of(
        [str(row[names["gold"]]).strip() for row in golds], [reader.options(row) for row in golds]
    )
    values = options.model_dump() | {
        "file": file.name,
        "name": slug(file.stem if file.stem != "recipe" else Path(options.questions).stem),
        "columns": ", ".join(f"{key}: {json.dumps(name)}" for key, name in names.items()),
        "gold_type": options.gold_type or guess.kind,
        "extract": guess.extract,
        "index_from": guess.index_from if options.gold_type in {None, "choice"} else None,
        "terms": licence_of(options.teacher) if options.teacher else None,
    }
    if options.pool:
        of_pool = columns_of(first_rows(TableOptions(path=options.pool), base))
        same = options.question in of_pool
        values["pool_question"] = options.question if same else usual(of_pool, "question")
        values["pool_completion"] = _known(of_pool, "completion", options.completion)
    return values


def _known(columns: list[str], what: str, column: str | None) -> str:
    if column is None:
        return usual(columns, what)
    if column not in columns:
        raise InputError(f"no column {column!r}; there are {', '.join(columns)}", f"--{what}")
    return column


def _environment_with_json() -> Any:
    """Open the templates with a filter that quotes a value as YAML reads it."""
    made = environment("curate.recipe")
    made.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    return made
