"""Measure every score on a pool of known truth, or print what was measured so far as tables.

    python -m tests.bench.scores zeroeval|verify_cot|champ [STUDENT [QUESTIONS] [WORD ...]]

With a student, its scores of a pool are measured, of at most so many questions. Words are
``bfloat16`` (else float32) and the measures that read steps anew, each of which takes longer than
all the rest: ``local``, ``curve``, ``importance``; of ``champ`` they are what it is for. Resumable:
what was measured lies in the store. Without a student, Markdown tables are printed of all that were
measured so far. Runs lie in ``bench-scores/POOL/STUDENT``, each a folder for ``curate scores`` and
all else that reads one. Needs CURATE_TEST_DATA, and ``champ`` the package ``champ-dataset`` 1.0.0.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, run
from curate.recipe.files import read_recipe
from tests.bench.scores import steps, teachers, validity
from tests.bench.scores.pools import POOLS
from tests.bench.scores.recipe import ANEW, recipe

FOLDER: Final = Path("bench-scores")
TABLES: Final = {
    "zeroeval": teachers.tables,
    "verify_cot": validity.tables,
    "champ": steps.tables,
}


def measure(
    pool: str, student: str, questions: int | None, dtype: str, anew: Sequence[str]
) -> None:
    """Run a recipe for each part of a pool."""
    for part in POOLS[pool](questions):
        folder = FOLDER / pool / student.rpartition("/")[2].lower() / part.name
        part.write(folder)
        made = recipe(part, student, dtype, anew)
        file = folder / "recipe.yaml"
        file.write_text(yaml.safe_dump(made, sort_keys=False))
        result = run(read_recipe(str(file)), RunOptions(runs=folder / "runs"), Progress())
        print(result.folder)


def main(pool: str, student: str = "", *more: str) -> None:
    if student:
        limit = next((int(word) for word in more if word.isdecimal()), None)
        dtype = "bfloat16" if "bfloat16" in more else "float32"
        measure(pool, student, limit, dtype, [name for name in ANEW if name in more])
    else:
        runs = {
            folder.name: sorted(folder.glob("*/runs/*/latest"))
            for folder in sorted((FOLDER / pool).iterdir())
        }
        print(TABLES[pool]({name: [one.parent for one in of] for name, of in runs.items() if of}))


if __name__ == "__main__":
    main(*sys.argv[1:])
