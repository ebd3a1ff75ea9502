"""Whole runs on imported rationales about sums, right and wrong, without any model."""

import json
from pathlib import Path

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.recipe.files import RecipeFile, read_recipe

RECIPE = """
name: sums
questions: {path: questions.jsonl, gold: {type: number}}
sources:
  - use: import
    name: pool
    path: pool.jsonl
    columns: {question: question, completion: text}
filters:
  - use: completeness
  - {use: length, unit: words, max: 40}
  - use: correctness
  - {use: diversity, by: [path]}
select: {one_per: cluster, order_by: [rationale_words], seed: 17}
arms: [random, all_correct, "without:correctness"]
splits: {validation: 0.25}
"""

TERMS = "sources.pool.terms=cc0-1.0"
"""Override that says on which terms the pool may be used, so that it can be published."""


def texts(a: int, b: int) -> list[str]:
    """Give five completions for a sum: three right, of two paths, one wrong and one empty."""
    return [
        f"We add {a} and {b}: {a} + {b} = {a + b}. The answer is {a + b}",
        f"{a} + {b} = {a + b}. The answer is {a + b}",
        f"First {a} + {b - 1} = {a + b - 1}, then {a + b - 1} + 1 = {a + b}. The answer is {a + b}",
        f"{a} - {b} = {a - b}. The answer is {a - b}",
        "",
    ]


def write(folder: Path) -> None:
    """Write the recipe, 60 questions and five completions of each."""
    pairs = [(a, b) for a in range(20, 40) for b in (3, 7, 11)]
    asked = [f"What is {a} plus {b}?" for a, b in pairs]
    (folder / "questions.jsonl").write_text(
        "".join(
            json.dumps({"question": question, "answer": str(a + b)}) + "\n"
            for question, (a, b) in zip(asked, pairs, strict=True)
        )
    )
    (folder / "pool.jsonl").write_text(
        "".join(
            json.dumps({"question": question, "text": text}) + "\n"
            for question, (a, b) in zip(asked, pairs, strict=True)
            for text in texts(a, b)
        )
    )
    (folder / "recipe.yaml").write_text(RECIPE)


def read(folder: Path, *overrides: str) -> RecipeFile:
    """Read the recipe in a folder."""
    return read_recipe(str(folder / "recipe.yaml"), overrides)


def do(folder: Path, *overrides: str, limit: int | None = None) -> RunResult:
    """Run the recipe in a folder."""
    options = RunOptions(runs=folder / "runs", limit=limit)
    return run(read(folder, *overrides), options, Progress(quiet=True))
