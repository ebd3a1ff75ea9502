"""Turn a GGUF file into a model folder: ``python -m curate.models.dequantise SRC DST REF``.

The weights are kept in float16. A dequantised weight is a 5 to 8 bit integer times a float16
scale, so float16 moves it by at most 2**-11 of itself, a fiftieth of a quantisation step; bfloat16
would move it by up to 2**-8, and float32 doubles disk and load time to keep digits that the
quantisation made up. `config.json` still says bfloat16, the type these models were published in,
because Gemma 3's activations overflow float16 and engines compute in the type they read there.
"""

import functools
import sys
from pathlib import Path
from typing import Any

import orjson


def convert(source: Path, target: Path, ref: str) -> None:
    """Write model, tokenizer, chat template and generation config.

    Args:
        source: GGUF file of an architecture that transformers can dequantise.
        target: folder to make.
        ref: Hub id of the model, kept in its config.
    """
    import gguf
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # transformers parses the file once each for tokenizer, config and weights, at 10 to 20 s.
    reader = functools.cache(gguf.GGUFReader)
    gguf.GGUFReader = reader

    folder, file = str(source.parent), source.name
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    # transformers drops this flag, and a Gemma not given its first token predicts noise.
    begins = reader(str(source)).get_field("tokenizer.ggml.add_bos_token")
    if begins is not None and begins.contents():
        tokenizer.add_bos_token = True
    tokenizer.save_pretrained(target)

    # Releases that can also leave the weights packed have a config by which to say no.
    packing: Any = getattr(transformers, "GgufConfig", None)
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=file,
        dtype=torch.float16,
        **({"quantization_config": packing(dequantize=True)} if packing else {}),
    )
    model.hf_quantizer = None
    model.config.__dict__.pop("quantization_config", None)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(target)
    config = target / "config.json"
    settings = orjson.loads(config.read_bytes())
    settings |= {"_name_or_path": ref, "dtype": "bfloat16"}
    settings.pop("_model_name_or_path", None)
    config.write_bytes(orjson.dumps(settings, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
