"""What LLaMA-Factory's own loader makes of an export: run in its environment, prints JSON lines."""

import json
import sys

from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer


def main(folder: str, tokenizer: str, layout: str) -> None:
    given = {
        "model_name_or_path": tokenizer, "stage": "sft", "do_train": True,
        "finetuning_type": "lora", "dataset": "sums_train", "dataset_dir": folder,
        "template": "qwen" if layout == "chat" else "default", "cutoff_len": 2048,
        "output_dir": f"{folder}/out", "report_to": "none",
    }  # fmt: skip
    model, data, training, *_ = get_train_args(given)
    loaded = load_tokenizer(model)
    words = loaded["tokenizer"]
    template = get_template_and_fix_tokenizer(words, data)
    made = get_dataset(template, model, data, training, stage="sft", **loaded)
    for row in made["train_dataset"]:
        learnt = [token for token in row["labels"] if token != -100]
        told = {"whole": words.decode(row["input_ids"]), "learnt": words.decode(learnt)}
        print("READ", json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
