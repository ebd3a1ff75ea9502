"""What a teacher is and how it is reached, without importing what reaches it.

A recipe is read and its keys are computed on every run; the libraries behind the two backends
(vllm: 20 s to import, aiohttp: 0.4 s) are imported only by `open_generator`, when there is a
sample to draw.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from curate.models.servers.servers import Price, ServerOptions

DType = Literal["float32", "bfloat16", "float16"]


class Backend(BaseModel):
    """How a teacher is reached; none of it is in a key but whether the weights are loaded here."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    remote: ClassVar[bool] = False
    """Whether somebody else has the weights, whose precision is then not known."""

    backend: str
    """The word by which a recipe chooses it."""

    def tariff(self) -> Price | None:
        """Give what tokens cost; None where nobody says."""
        return None

    def wants_tokens(self) -> bool:
        """Tell whether the log-probabilities of tokens are asked for."""
        return True

    def gpus(self) -> int:
        """Count the GPUs of this machine that sampling occupies."""
        return 0


class VllmOptions(Backend):
    """How the in-process engine is run; none of it is in a key."""

    backend: Literal["vllm"] = "vllm"  # pyright: ignore[reportIncompatibleVariableOverride]
    max_num_seqs: int | None = Field(default=None, ge=1)
    """Most samples decoded together; default 256, on a CPU 128."""
    max_model_len: int | None = Field(default=None, ge=16)
    """Context in tokens; default what the longest prompt needs."""
    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    """Share of a GPU's memory the engine may take."""
    kv_cache_gib: float | None = Field(default=None, gt=0)
    """Memory for the key-value cache in GiB; by default on a CPU what `max_num_seqs` samples of
    full length need, on a GPU what `gpu_memory_utilization` leaves.
    """
    tensor_parallel_size: int = Field(default=1, ge=1)
    """GPUs of this machine that share the model, for one that is too large for a single one."""
    compile: bool | None = None
    """Compile the model before sampling; default on a GPU only, since on a CPU the compilation
    costs more time than it saves in runs under an hour.
    """

    def gpus(self) -> int:
        """Those that share the model, where there is one at all."""
        return self.tensor_parallel_size if Path("/dev/nvidiactl").exists() else 0


class OpenAIOptions(ServerOptions, Backend):
    """How an OpenAI-compatible server is reached; none of it is in a key."""

    remote: ClassVar[bool] = True

    backend: Literal["openai"]  # pyright: ignore[reportIncompatibleVariableOverride]
    continue_cut: bool = False
    """The server understands vLLM's ``continue_final_message``, so samples that were cut at a
    smaller `max_tokens` are continued; otherwise they are drawn again.
    """
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Name under which the server takes the token limit; OpenAI's reasoning models want
    ``max_completion_tokens``.
    """
    logprobs: bool = True
    """Ask for the log-probability of every token, which nobody can tell later. A server that
    refuses to be asked is asked without it.
    """
    price: Price | None = None
    """What the server asks for a million tokens, for `curate plan` and ``max_cost``."""

    def wants_tokens(self) -> bool:
        """Whatever `logprobs` says."""
        return self.logprobs

    def tariff(self) -> Price | None:
        """The price, where the recipe gives one."""
        return self.price


@dataclass(frozen=True, slots=True)
class Teacher:
    """A model at a revision, as far as it decides what is sampled.

    Attributes:
        model: as the recipe names it: a Hub id, a folder or the name a server gives.
        revision: commit or content digest it is pinned to; pins the chat template too.
        dtype: of the weights under vLLM, None where a server decides.
        template_args: arguments of the model's chat template (``enable_thinking: false``).
    """

    model: str
    revision: str | None = None
    dtype: DType | None = None
    template_args: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def identity(self, reached: Backend) -> dict[str, Any]:
        """Give the teacher's part of the log key, JSON-able.

        A server's url is no part of it: the same model elsewhere draws from the same
        distribution. Its own precision is unknown, hence the backend's name in its place.
        """
        return {
            "model": self.model,
            "revision": self.revision,
            "adapter": None,
            "dtype": reached.backend if reached.remote else self.dtype,
            "template_args": dict(self.template_args),
        }


def default_dtype() -> DType:
    """Choose the precision that this machine samples fastest in, without importing torch.

    A GPU gets bfloat16. So does a CPU with matrix units for it (AMX); one without computes
    bfloat16 about ten times slower than float32.
    """
    if Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists():
        return "bfloat16"
    flags = Path("/proc/cpuinfo")
    if flags.exists() and "amx_bf16" in flags.read_text(encoding="utf-8"):
        return "bfloat16"
    return "float32"
