"""Every score on one pool, side by side: do they agree, and does any see what is right?

    python -m tests.bench.scores zeroeval STUDENT [QUESTIONS [steps]]

Runs twelve teachers' answers to GSM8K test questions (200) through a recipe that scores right and
wrong ones alike; ``curate scores`` of the run's folder, printed at the end, says the rest. With
``steps``, the scores that read steps anew are measured, too, which takes several times as long.
Resumable: what was measured lies in the store. Needs CURATE_TEST_DATA.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, run
from curate.measures.signals import Signals
from curate.recipe.files import read_recipe
from curate.store.keys import rank

SIGNALS: Final = list(Signals.writes)
STEPS: Final[Mapping[str, Sequence[str]]] = {
    "local": ("nll_local",),
    "curve": ("reveal_step",),
    "importance": ("prunable_share",),
}


def recipe(name: str, student: str, *, steps: bool) -> dict[str, Any]:
    """Have every score measured before any filter judges; those that read steps anew if asked."""
    early = {"before_filters": True}
    by_step = {name: {"columns": list(columns), **early} for name, columns in STEPS.items()}
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
            **(by_step if steps else {}),
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
    pool = ({**row, "output": unwrapped(row["output"])} for row in rows if row["id"] in wanted)
    write_lines(folder / "pool.jsonl", pool)


def unwrapped(output: str) -> str:
    """Take the text out of the JSON object that the teachers were told to write.

    With the wrapper, the hardest step of nearly every rationale is the fence it begins with.
    """
    _, brace, rest = output.partition("{")
    try:
        fields, _ = json.JSONDecoder(strict=False).raw_decode(brace + rest)
        return f"{fields['reasoning']}\nThe answer is {fields['answer']}."
    except (ValueError, TypeError, KeyError):
        return output


def main(what: str, student: str, questions: str = "200", steps: str = "") -> None:
    name = f"{what}-{student.rpartition('/')[2].lower()}"
    folder = Path("bench-scores") / name
    folder.mkdir(parents=True, exist_ok=True)
    zeroeval(folder, int(questions))
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe(name, student, steps=bool(steps)), sort_keys=False))
    result = run(read_recipe(str(file)), RunOptions(runs=folder / "runs"), Progress())
    print(result.folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
