"""What selecting by each score does for a student: trained on every arm, asked unseen questions.

    python -m tests.bench.effect STUDENT [QUESTIONS] [KEY=VALUE ...]

The pool is that of recipes/import-svamp.yaml (QUESTIONS of 700, 22 rationales each), scored for the
student; the test has the other 300 of SVAMP, ASDiv-A and MAWPS, without what the pool has nearly.
KEY=VALUE are options of ``curate effect`` (``seeds=3``, ``budget=2h``), ``test=N`` takes so many
test questions, by hash. Resumable: what was trained and answered lies in the store. Needs
CURATE_TEST_DATA and the extra ``effect``.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from curate.engine.effect.command import run_effect
from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, run
from curate.recipe.files import read_recipe
from curate.report.effect.page import write_effect
from curate.report.effect.view import EffectView
from curate.store.keys import rank

ARMS: Final = (
    "untrained", "random", "selected", "answer_only", "random_correct", "lowest:rd_paper",
    "lowest:rd_masked", "lowest:nll_rationale", "lowest:rsr", "highest:rsr", "shortest", "longest",
    "wrong",
)  # fmt: skip


def data() -> Path:
    return Path(os.environ["CURATE_TEST_DATA"])


def recipe(student: str, questions: int) -> dict[str, Any]:
    """Give the shipped recipe for the pool, for one student and without embeddings."""
    made: dict[str, Any] = yaml.safe_load(Path("recipes/import-svamp.yaml").read_text())
    made["questions"]["limit"] = questions
    made["measures"] = {"score": {"student": student, "calibrate": 64}}
    made["filters"] = [
        {"use": "completeness"}, {"use": "correctness"}, {"use": "diversity", "by": ["path"]}
    ]  # fmt: skip
    made["arms"] = ["random", "lowest:rsr"]
    return made


def questions() -> Iterator[Mapping[str, str]]:
    """Read the questions of which the pool has none as it stands."""
    pool = {
        row["instruction"] for row in json.loads((data() / "svamp_teachers/gold.json").read_text())
    }
    for row in json.loads((data() / "word_problems/SVAMP.json").read_text()):
        text = f"{row['Body'].rstrip('. ')}. {row['Question']}"
        yield {"instruction": text, "output": f"{row['Answer']:g}"}
    for name in ("asdiv_a", "mawps"):
        for line in (data() / f"word_problems/{name}.jsonl").read_text().splitlines():
            row = json.loads(line)
            if row["question"] not in pool:
                yield {"instruction": row["question"], "output": row["gold"]}


def main(student: str, *words: str) -> None:
    options = dict(word.partition("=")[::2] for word in words if "=" in word)
    size = next((int(word) for word in words if word.isdecimal()), 700)
    folder = Path("bench-effect") / student.rpartition("/")[2].lower()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe(student, size), sort_keys=False))
    asked = sorted(questions(), key=lambda row: rank("bench", row["instruction"]))
    most = int(options.pop("test", len(asked)))
    (folder / "test.json").write_text(json.dumps(asked[:most], ensure_ascii=False))
    done = run(
        read_recipe(str(folder / "recipe.yaml")), RunOptions(runs=folder / "runs"), Progress()
    )
    budget = options.pop("budget", None)
    arms = options.pop("arms", "").split(",") if "arms" in options else ARMS
    effect = run_effect(
        done.folder, folder / "test.json", arms=arms, budget=budget,
        options=["overlap=drop", *(f"{name}={value}" for name, value in options.items())],
    )  # fmt: skip
    (folder / "effect.json").write_text(effect.model_dump_json(indent=1))
    write_effect(effect, folder / "effect.html")
    print(repr(EffectView(effect)))


if __name__ == "__main__":
    main(*sys.argv[1:])
