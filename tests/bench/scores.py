"""Every score on one pool, side by side: do they agree, and does any see what is right?

    python -m tests.bench.scores zeroeval STUDENT [QUESTIONS]
    python -m tests.bench.scores verify STUDENT [QUESTIONS]

``zeroeval`` runs twelve teachers' answers to GSM8K test questions (200) through a recipe that
scores right and wrong ones alike, and prints what ``curate scores`` says of the run. ``verify``
scores ChatGPT's solutions of which people said whether the reasoning is valid (100 questions of
each of the number sets), and prints the AUC of right and valid against right and invalid, score by
score. Both are resumable: what was measured lies in the store. Needs CURATE_TEST_DATA.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.measures.signals import Signals
from curate.recipe.files import read_recipe
from curate.store.keys import rank

SIGNALS: Final = list(Signals.writes)
STEPS: Final[Mapping[str, Sequence[str]]] = {
    "local": ("nll_local",),
    "curve": ("reveal_step",),
    "importance": ("prunable_share",),
}


def recipe(name: str, student: str) -> dict[str, Any]:
    """Have every score measured before any filter judges."""
    early = {"before_filters": True}
    return {
        "name": name,
        "questions": {"path": "questions.jsonl", "gold": {"type": "number"}},
        "sources": [
            {
                "use": "import",
                "name": "pool",
                "path": "pool.jsonl",
                "columns": {"question": "question", "completion": "output"},
                "teacher": {"column": "teacher"},
            }
        ],
        "measures": {
            "score": {"student": student},
            "signals": {"columns": SIGNALS, **early},
            "reflection": {"columns": ["answer_gain_reflective"], **early},
            "casl": {"columns": ["casl"], **early},
            **{measure: {"columns": list(columns), **early} for measure, columns in STEPS.items()},
        },
        "filters": [{"use": "correctness"}],
        "select": {"per_question": 1, "order_by": ["rd_masked"]},
        "arms": ["random"],
    }


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def zeroeval(folder: Path, questions: int) -> None:
    """Write the pool: questions that all teachers answered, by hash."""
    source = Path(os.environ["CURATE_TEST_DATA"]) / "zeroeval" / "gsm8k"
    rows = [
        json.loads(line)
        for path in sorted(source.glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    asked = {row["id"]: row for row in rows}
    chosen = sorted(asked, key=lambda id_: rank("bench", id_))[:questions]
    write_lines(
        folder / "questions.jsonl",
        ({"question": asked[i]["question"], "answer": asked[i]["gold"]} for i in chosen),
    )
    wanted = set(chosen)
    write_lines(folder / "pool.jsonl", (row for row in rows if row["id"] in wanted))


def scored(name: str, student: str, folder: Path) -> RunResult:
    """Run the recipe beside its pool."""
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe(name, student), sort_keys=False))
    return run(read_recipe(str(file)), RunOptions(runs=folder / "runs"), Progress())


def main(what: str, student: str, questions: str = "") -> None:
    short = student.rpartition("/")[2].lower()
    folder = Path("bench-scores") / f"{what}-{short}"
    folder.mkdir(parents=True, exist_ok=True)
    if what == "zeroeval":
        zeroeval(folder, int(questions or 200))
    result = scored(f"{what}-{short}", student, folder)
    print(result.folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
