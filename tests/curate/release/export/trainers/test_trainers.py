"""Trainers that can't be installed beside us read our exports with their own loaders.

Each has an environment of its own, made by ``make test-trainers``. What is looked at is what they
would train on: the tokens with a loss, decoded, against the records we wrote.
"""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from curate.models.references import resolve
from curate.release.export.export import ExportOptions, export

pytestmark = [pytest.mark.trainers, pytest.mark.models]

ENVIRONMENTS = Path("build/trainers")
QWEN = "Qwen/Qwen2.5-Coder-0.5B-Instruct"
THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a real student's tokenizer, under a template that renders reasoning."""
    folder = tmp_path_factory.mktemp("student")
    there = resolve(QWEN, weights=False).path
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(there / name, folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": THINKING}))
    return folder


def read(trainer: str, folder: Path, student: Path, layout: str) -> list[dict[str, str]]:
    """Have a trainer read a folder; give what it would train on."""
    python = ENVIRONMENTS / trainer.replace("llama-factory", "llamafactory") / "bin" / "python"
    assert python.is_file(), "run this by `make test-trainers`, which installs the trainers"
    script = Path(__file__).with_name(f"read_{trainer.replace('-', '_')}.py")
    done = subprocess.run(
        [str(python.absolute()), str(script), str(folder), str(student), layout],
        env={
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(folder / "home"),
            "AXOLOTL_DO_NOT_TRACK": "1",
        },
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("READ ")]
    return [json.loads(line.removeprefix("READ ")) for line in lines]


def said(record: dict[str, Any]) -> str:
    """Give what a record has the student say."""
    if "messages" not in record:
        return record.get("output", record.get("completion"))
    turn = record["messages"][-1]
    thought = turn.get("reasoning_content")
    return (f"<think>\n{thought}\n</think>\n\n" if thought else "") + turn["content"]


@pytest.mark.parametrize(
    ("trainer", "layout", "think"),
    [
        ("llama-factory", "chat", "none"),
        ("llama-factory", "chat", "inline"),
        ("llama-factory", "plain", "none"),
        ("ms-swift", "chat", "none"),
        ("ms-swift", "chat", "inline"),
        ("ms-swift", "plain", "none"),
        ("axolotl", "chat", "none"),
        ("axolotl", "chat", "inline"),
        ("axolotl", "chat", "field"),
        ("axolotl", "plain", "none"),
    ],
)
def test_a_trainer_learns_what_was_exported(
    sums_run: Path, student: Path, tmp_path: Path, trainer: str, layout: str, think: str
) -> None:
    options = {"layout": layout, "think": think, "order": "easy", "out": tmp_path / "export"}
    made = export(sums_run, trainer, ExportOptions.model_validate(options))
    lines = (made.folder / "train.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    rows = read(trainer, made.folder, student, layout)
    assert len(rows) == len(records) == made.records["train"]
    learnt = [re.sub(r"<\|im_end\|>\n?$", "", row["learnt"]).strip() for row in rows]
    assert Counter(learnt) == Counter(said(record).strip() for record in records)
    if trainer == "axolotl":
        assert learnt == [said(record).strip() for record in records], "it was told not to shuffle"
    assert all("What is" in row["whole"] and "What is" not in row["learnt"] for row in rows)
