"""Two steps of a TRL trainer on an export, as its README says, with a student in a folder.

    python -m tests.curate.release.export.trl_steps sft STUDENT EXPORT OUT

prints as JSON the losses and, for ``sft``, what of each text the loss is on.
"""

import json
import sys
from pathlib import Path
from typing import Any

from datasets import load_dataset
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

IGNORED = -100


def two_steps(
    kind: str, student: Path, export: Path, out: Path, *, in_order: bool = False
) -> dict[str, Any]:
    """Train two steps; give the losses and the texts that the loss is on, row by row.

    Args:
        kind: ``sft`` or ``dpo``.
        student: folder of a model with its tokenizer.
        export: folder that `curate export` wrote.
        out: for what the trainer writes.
        in_order: keep it from shuffling; texts then come in the order in which they are learnt.
    """
    given: dict[str, Any] = {
        "output_dir": str(out), "max_steps": 2, "per_device_train_batch_size": 4, "bf16": False,
        "report_to": "none", "use_cpu": True, "disable_tqdm": True, "logging_steps": 1,
        "save_strategy": "no",
    }  # fmt: skip
    if in_order:
        given["train_sampling_strategy"] = "sequential"
    rows = load_dataset(
        "json", data_files=str(export / "train.jsonl"), split="train", cache_dir=str(out / "cache")
    )
    if kind == "dpo":
        trainer: Any = DPOTrainer(str(student), args=DPOConfig(**given), train_dataset=rows)
        return {"losses": _losses(trainer)}
    trainer = SFTTrainer(str(student), SFTConfig(**given), train_dataset=rows)
    tokenizer = trainer.processing_class
    learnt = [
        tokenizer.decode([label for label in row.tolist() if label != IGNORED])
        for batch in trainer.get_train_dataloader()
        for row in batch["labels"]
    ]
    return {"losses": _losses(trainer), "learnt": learnt if in_order else sorted(learnt)}


def _losses(trainer: Any) -> list[float]:
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


if __name__ == "__main__":
    which, *folders = sys.argv[1:]
    sys.stdout.write(json.dumps(two_steps(which, *map(Path, folders))) + "\n")
