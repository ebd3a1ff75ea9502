"""A real run of three teachers, and copies of it whose audit has scores of any values."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, run
from curate.recipe.files import read_recipe
from filters.columns import Column, Score

RECIPE = """
name: taught
questions: {path: questions.jsonl, gold: {type: number}}
sources:
  - use: import
    name: pool
    path: pool.jsonl
    columns: {question: question, completion: text}
    teacher: {column: writer}
filters: [{use: completeness}, {use: correctness}, {use: diversity, by: [path, text]}]
select: {per_question: 2, seed: 3}
"""
TEACHERS = ("brief", "careful", "rash")
QUESTIONS = 40

Values = np.ndarray
Scores = Mapping[Column, Callable[[pl.DataFrame], Values]]
"""Columns, each with what makes its values of the audit."""


def completions(a: int, b: int) -> dict[str, list[str]]:
    """Give what each teacher writes about a sum: the rash one is wrong half the time."""
    return {
        "brief": [f"{a} + {b} = {a + b}.", f"{b} + {a} = {a + b}."],
        "careful": [
            f"There are {a}, and {b} more come. So {a} + {b} = {a + b}.",
            f"First {a} + {b - 1} = {a + b - 1}, then {a + b - 1} + 1 = {a + b}.",
        ],
        "rash": [f"{a} - {b} = {a - b}, I think.", f"It must be {a + b}, as {a} and {b} more."],
    }


def write_run(folder: Path, questions: int = QUESTIONS) -> Path:
    """Run on what three teachers wrote, twice each, and give the run's folder."""
    folder.mkdir(exist_ok=True)
    asked, pool = [], []
    for number in range(questions):
        a, b = 30 + number, 3 + number % 5
        question = f"What is {a} plus {b}?"
        asked.append({"question": question, "answer": str(a + b)})
        for writer, texts in completions(a, b).items():
            answers = (a - b if writer == "rash" else a + b, a + b)
            pool += [
                {"question": question, "writer": writer, "text": f"{text} The answer is {answer}"}
                for text, answer in zip(texts, answers, strict=True)
            ]
    for name, rows in (("questions", asked), ("pool", pool)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.yaml").write_text(RECIPE)
    file = read_recipe(str(folder / "recipe.yaml"), ())
    return run(file, RunOptions(runs=folder / "runs"), Progress(quiet=True)).folder


def audit_of(folder: Path) -> pl.DataFrame:
    """Read the audit of a run, ids in order."""
    return pl.read_parquet(folder / "audit" / "samples-*.parquet").sort("sample_id")


def scored(run: Path, folder: Path, scores: Scores, *, reverse: bool = False) -> Path:
    """Copy a run, with more columns in its audit; nothing that it decided changes."""
    shutil.copytree(run, folder)
    account = json.loads((folder / "run.json").read_text())
    del account["digests"]  # what is written here is not what the run wrote
    (folder / "run.json").write_text(json.dumps(account))
    path = folder / "dataset" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["glossary"] += [one.as_json() for one in scores]
    path.write_text(json.dumps(manifest))
    audit = audit_of(run)
    values = [pl.Series(one.name, make(audit), strict=False) for one, make in scores.items()]
    audit = audit.with_columns(each.fill_nan(None) if each.dtype.is_float() else each
                               for each in values)  # fmt: skip
    audit = audit.reverse() if reverse else audit
    audit.write_parquet(next((folder / "audit").glob("samples-*")))
    return folder


def right_of(audit: pl.DataFrame) -> Values:
    """Tell which rows were judged right."""
    keep = audit["verdict_correctness"].struct.field("keep")
    return keep.fill_null(value=False).to_numpy()


def score(name: str, side: Score, **more: bool) -> Column:
    """Declare a score."""
    return Column(name, pl.Float64(), "made up", "tests", score=side, **more)
