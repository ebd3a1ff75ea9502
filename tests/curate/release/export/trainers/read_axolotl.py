"""What Axolotl's own loader makes of an export: run in its environment, prints JSON lines."""

import json
import os
import sys
from pathlib import Path

import yaml
from axolotl.cli.config import load_cfg
from axolotl.common.datasets import load_datasets
from axolotl.loaders import load_tokenizer


def main(folder: str, tokenizer: str, _: str) -> None:
    os.chdir(folder)
    # What the export leaves to its reader: the model and the settings of the training.
    theirs = {
        "base_model": tokenizer, "output_dir": "out", "dataset_prepared_path": "prepared",
        "sequence_len": 2048, "micro_batch_size": 1, "gradient_accumulation_steps": 1,
        "num_epochs": 1, "learning_rate": 1e-5, "optimizer": "adamw_torch",
        "lr_scheduler": "cosine", "dataset_num_proc": 1,
    }  # fmt: skip
    ours = yaml.safe_load(Path("axolotl.yaml").read_text())
    Path("whole.yaml").write_text(yaml.safe_dump(ours | theirs))
    settings = load_cfg("whole.yaml")
    words = load_tokenizer(settings)
    for row in load_datasets(cfg=settings).train_dataset:
        learnt = [token for token in row["labels"] if token != -100]
        told = {"whole": words.decode(row["input_ids"]), "learnt": words.decode(learnt)}
        print("READ", json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
