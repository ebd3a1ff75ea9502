"""What vLLM needs around it: environment and arguments that suit a machine without a GPU."""

import contextlib
import json
import logging
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import psutil

CONTEXT: Final = 4096
"""Longest context on a CPU where nobody measured the prompts, in tokens."""
SEQUENCES: Final = 128
"""Samples decoded together on a CPU; with bfloat16 on two cores with AMX a model of 0.5B makes 125,
265 and 296 tokens/s with 32, 64 and 128."""
BINDING: Final = "curate_bound_engine"
"""Entry point that binds engine processes to ours; a list of allowed plug-ins must hold it."""
BLOCK: Final = 32
"""Tokens of a cached block; the CPU kernels want multiples of 32, and siblings share whole blocks
only, so the default of 128 would share nothing of a short question."""


def cpu_arguments(
    config: Any, dtype: str, *, context: int | None, sequences: int | None
) -> dict[str, Any]:
    """Choose engine arguments for a CPU.

    Eager mode and a given cache size together spare warm-up and compilation, which cost more than
    they save in runs under an hour. The cache holds what runs together and no more, since all of
    it is written once at the start.

    Args:
        config: the model's configuration, its text part.
        dtype: of weights and cache.
        context: in tokens, where it is known what is needed.
        sequences: decoded together, where the user says so.
    """
    context = context or min(context_of(config), CONTEXT)
    sequences = sequences or SEQUENCES
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    number = 4 if dtype == "float32" else 2
    token = 2 * config.num_hidden_layers * heads * width * number
    wanted = sequences * (context + BLOCK) * token
    return {
        "max_num_seqs": sequences,
        "max_model_len": context,
        "block_size": BLOCK,
        "kv_cache_memory_bytes": int(min(wanted, psutil.virtual_memory().available / 2)),
        "enforce_eager": True,
    }


def use_one_process() -> dict[str, Any]:
    """Have a CPU's engine compute in its own process and not in a worker of its own.

    A worker would import vLLM once more (20 s on two cores) and take a core from the one that
    computes for passing messages. vLLM's worker also pins the threads to cores, so that is asked
    for here. Call it inside `quiet_environment` and after torch is imported, which would otherwise
    pin our own threads too.

    Returns:
        The engine arguments that go with it.
    """
    cores = sorted(os.sched_getaffinity(0))
    settings = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "OMP_NUM_THREADS": str(len(cores)),
        "GOMP_CPU_AFFINITY": " ".join(map(str, cores)),
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    return {"distributed_executor_backend": "uni"}


def do_without_compiler() -> None:
    """Have what torch cannot compile run as it is, on a CPU that may have no compiler.

    vLLM compiles a function that ranks sampled tokens, and calls it for log-probabilities, whatever
    `enforce_eager` says; without a C++ compiler the engine would die of it. Call it inside
    `quiet_environment`.
    """
    os.environ.setdefault("TORCHDYNAMO_SUPPRESS_ERRORS", "1")


def context_of(config: Any) -> int:
    """Read the longest context a model was made for, in tokens."""
    return getattr(config, "max_position_embeddings", None) or 2**20


@contextlib.contextmanager
def quiet_environment(log: Path) -> Generator[None]:
    """Set what vLLM reads from the environment while an engine starts; what the user set stands.

    All cores this process may use are given to the engine (by default one is kept free, which on
    two cores halves the speed), and its messages and all that is printed go to `log`. vLLM itself
    sets more (LD_PRELOAD among it); afterwards all is as it was, so that nothing of it reaches
    other child processes.
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
    if allowed := before.get("VLLM_PLUGINS"):
        os.environ["VLLM_PLUGINS"] = f"{allowed},{BINDING}"
    logging.getLogger("vllm").addHandler(logging.NullHandler())
    try:
        with _printing_into(log):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _printing_into(log: Path) -> Generator[None]:
    """Send what this process and those it starts print to a log, past Python too.

    The plug-in that does so inside an engine's processes comes only after their first words.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    streams = sys.stdout, sys.stderr
    for stream in streams:
        stream.flush()
    ours = os.dup(1), os.dup(2)
    with log.open("a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        for number, (stream, kept) in enumerate(zip(streams, ours, strict=True), 1):
            stream.flush()
            os.dup2(kept, number)
            os.close(kept)


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
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config), encoding="utf-8")
    return path
