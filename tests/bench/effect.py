"""What selecting by each score does for a student: trained on every arm, asked unseen questions.

    python -m tests.bench.effect STUDENT [QUESTIONS] [KEY=VALUE ...]

The pool is that of recipes/import-svamp.yaml (QUESTIONS of 700, 22 rationales each), scored for the
student; two rationales a question are selected, and every arm has as many tokens in as many
updates. The test has the other 300 of SVAMP, ASDiv-A and MAWPS, without what the pool has nearly.
KEY=VALUE are options of ``curate effect`` (``seeds=3``, ``budget=2h``, ``arms=random+selected``);
``test=N`` takes so many test questions, by hash, and ``rows=N`` selects fewer rows. Resumable: what
was trained and answered lies in the store, and a call that is killed goes on when it is made again.
Needs CURATE_TEST_DATA and the extra ``effect``.

On a GPU of 24 GB or more the same command takes students of the papers' sizes, untested as yet:

    python -m tests.bench.effect Qwen/Qwen2.5-1.5B-Instruct micro_batches=1 seeds=5
    python -m tests.bench.effect meta-llama/Llama-3.2-1B-Instruct method=full micro_batches=4
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
from curate.models.students.loading import best_weights
from curate.recipe.files import read_recipe
from curate.report.effect.page import write_effect
from curate.report.effect.view import EffectView
from curate.store.keys import rank

ARMS: Final = (
    "untrained", "random", "selected", "answer_only", "random_correct", "lowest:rd_paper",
    "lowest:rd_masked", "lowest:nll_rationale", "lowest:rsr", "one_per:cluster",
    *(f"only:teacher=chatgpt,prompt_id=level{level}" for level in (1, 3, 6)),
    "shortest", "longest", "wrong",
)  # fmt: skip
"""Those of which a difference is claimed somewhere come first."""


def data() -> Path:
    return Path(os.environ["CURATE_TEST_DATA"])


def recipe(student: str, questions: int, rows: int | None) -> dict[str, Any]:
    """Give the shipped recipe for the pool, for one student and without embeddings."""
    made: dict[str, Any] = yaml.safe_load(Path("recipes/import-svamp.yaml").read_text())
    made["questions"]["limit"] = questions
    made["measures"] = {"score": {"student": student, "calibrate": 64, "dtype": best_weights()}}
    made["filters"] = [
        {"use": "completeness"}, {"use": "correctness"}, {"use": "diversity", "by": ["path"]}
    ]  # fmt: skip
    made["select"]["per_question"] = 2
    made["select"]["order_by"] = ["rd_masked", "nll_rationale", "rationale_tokens"]
    if rows is not None:
        made["select"]["budget"] = {"rows": rows}
    made["arms"] = ["random", "lowest:rsr", "lowest:rd_paper", "highest:hes"]
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
    rows = int(options.pop("rows", "0")) or None
    (folder / "recipe.yaml").write_text(
        yaml.safe_dump(recipe(student, size, rows), sort_keys=False)
    )
    asked = sorted(questions(), key=lambda row: rank("bench", row["instruction"]))
    most = int(options.pop("test", len(asked)))
    (folder / "test.json").write_text(json.dumps(asked[:most], ensure_ascii=False))
    done = run(
        read_recipe(str(folder / "recipe.yaml")), RunOptions(runs=folder / "runs"), Progress()
    )
    budget = options.pop("budget", None)
    arms = options.pop("arms").split("+") if "arms" in options else ARMS
    effect = run_effect(
        done.folder, folder / "test.json", arms=arms, budget=budget,
        options=["overlap=drop", *(f"{name}={value}" for name, value in options.items())],
    )  # fmt: skip
    (folder / "effect.json").write_text(effect.model_dump_json(indent=1))
    write_effect(effect, folder / "effect.html")
    print(repr(EffectView(effect)))


if __name__ == "__main__":
    main(*sys.argv[1:])
