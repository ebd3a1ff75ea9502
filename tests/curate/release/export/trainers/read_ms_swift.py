"""What ms-swift's own loader makes of an export: run in its environment, prints JSON lines."""

import json
import sys

from swift.dataset import EncodePreprocessor, load_dataset
from swift.model import get_processor
from swift.template import get_template


def main(folder: str, tokenizer: str, _: str) -> None:
    words = get_processor(tokenizer, model_type="qwen2")
    template = get_template(words, template_type="qwen2_5")
    template.set_mode("train")
    rows, _ = load_dataset(f"{folder}/train.jsonl", load_from_cache_file=False)
    for row in EncodePreprocessor(template=template)(rows, num_proc=1):
        learnt = [token for token in row["labels"] if token != -100]
        told = {"whole": words.decode(row["input_ids"]), "learnt": words.decode(learnt)}
        print("READ", json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
