"""A student as transformers loads it, to train it or to hear what it says."""

from pathlib import Path
from typing import Any, Literal

from curate.errors import ModelError
from curate.models.devices import native_bfloat16
from curate.models.students import memory as heap
from curate.models.threads import use_own_cores

Weights = Literal["float32", "bfloat16"]


def best_weights() -> Weights:
    """Choose bfloat16 where it is multiplied faster."""
    return "bfloat16" if native_bfloat16() else "float32"


def load_model(folder: Path, weights: Weights) -> Any:
    """Load a causal language model, on a GPU where torch finds one.

    Args:
        folder: the model's.
        weights: their type.

    Raises:
        ModelError: it can't be loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging as library_logging

    library_logging.disable_progress_bar()
    library_logging.set_verbosity_error()
    gpu = torch.cuda.is_available()
    if not gpu:
        use_own_cores()
        heap.keep_freed()
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=getattr(torch, weights), trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"no student could be loaded from {str(folder)!r}: {error}") from error
    return model.to("cuda" if gpu else "cpu")
