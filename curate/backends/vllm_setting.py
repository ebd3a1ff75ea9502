"""What vLLM needs around it: environment and arguments that suit a machine without a GPU.

Measured on two cores with AMX, Qwen2.5-Coder-0.5B, 128 samples of at most 160 tokens.
"""

import contextlib
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import psutil

CONTEXT: Final = 4096
SEQUENCES: Final = 64
CACHE_GIB: Final = 4.0


def cpu_arguments(model_context: int) -> dict[str, Any]:
    """Choose engine arguments for a CPU.

    Eager mode and a given cache size together spare the warm-up and the compilation, which cost
    more than they save in runs under an hour.

    Args:
        model_context: longest context of the model, in tokens.
    """
    free = psutil.virtual_memory().available
    return {
        "max_num_seqs": SEQUENCES,
        "max_model_len": min(model_context, CONTEXT),
        "kv_cache_memory_bytes": int(min(free / 4, CACHE_GIB * 2**30)),
        "enforce_eager": True,
    }


@contextlib.contextmanager
def quiet_environment(log: Path) -> Generator[None]:
    """Set what vLLM reads from the environment while an engine starts; what the user set stands.

    All cores this process may use are given to the engine (by default one is kept free, which on
    two cores halves the speed), and its messages go to `log`. vLLM itself sets more (LD_PRELOAD
    among it); afterwards all is as it was, so that nothing of it reaches other child processes.
    """
    settings = {
        "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, sorted(os.sched_getaffinity(0)))),
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        "VLLM_LOGGING_CONFIG_PATH": str(_logging_config(log)),
        "VLLM_NO_USAGE_STATS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    before = dict(os.environ)
    os.environ.update(settings | before)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _logging_config(log: Path) -> Path:
    """Write the logging configuration that sends vLLM's messages to a file."""
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(process)d %(levelname)s %(message)s"}},
        "handlers": {
            "file": {"class": "logging.FileHandler", "filename": str(log), "formatter": "line"}
        },
        "loggers": {"vllm": {"handlers": ["file"], "level": "INFO", "propagate": False}},
    }
    path = log.with_suffix(".logging.json")
    path.write_text(json.dumps(config), encoding="utf-8")
    return path
