"""Samples from vLLM in process; the one file that knows vLLM's interface.

One request a sample (``n=1``): a sample reaches the record as soon as it is done, not with its
slowest sibling. Siblings follow each other, so that they share the prompt's cached blocks. At most
twice `max_num_seqs` requests are in the engine, and as one leaves the next enters: the batch stays
full without holding the whole pool in memory.

The engine's own seed is drawn anew at every start. With vLLM's default of 0 a second run that asks
for more samples of the same questions would be handed those of the first run again.
"""

import asyncio
import importlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from curate.errors import BackendError, InputError, ModelError, count_of
from curate.models.coroutines import Completer
from curate.models.servers.slots import fill
from curate.models.teachers.base import Completion, Request, Sampling
from curate.models.teachers.bound import end_orphans, owning, release
from curate.models.teachers.options import Teacher, VllmOptions, default_dtype
from curate.models.teachers.stops import cut_at_stop
from curate.models.teachers.vllm_setting import (
    context_of,
    cpu_arguments,
    do_without_compiler,
    quiet_environment,
    use_one_process,
)
from curate.models.teachers.vllm_tokens import tokens_of

if TYPE_CHECKING:
    from vllm import AsyncLLMEngine, SamplingParams

Sink = Callable[[Completion], None]

SEQUENCES: Final = 256
GRACE: Final = 10.0
"""Seconds an engine gets to end by itself (it takes four); killed, it leaves warnings behind."""
ROUNDING: Final = 128
"""A needed context is rounded up to a multiple of this, in tokens."""


class EngineGenerator:
    """A teacher in an engine of our own.

    Use it from one thread: the engine starts with the first `generate`, belongs to the thread that
    called it, and ends with `close`, with that thread or with this process, whatever comes first.

    Args:
        teacher: what is sampled.
        sampling: how.
        options: how the engine is run.
        path: folder or Hub id of the weights.
        folder: for the lock and the log of the engine.
    """

    def __init__(
        self,
        teacher: Teacher,
        sampling: Sampling,
        options: VllmOptions,
        *,
        path: str | Path,
        folder: Path,
    ) -> None:
        self._teacher = teacher
        self._sampling = sampling
        self._options = options
        self._path = str(path)
        self._folder = folder
        self._need = 0
        self._completer = Completer()
        self._engine: AsyncLLMEngine | None = None
        self._lock: Path | None = None

    def identity(self) -> Mapping[str, Any]:
        """Identify the teacher for the log key; loads nothing."""
        return self._teacher.identity(self._options)

    def resample(self, sampling: Sampling) -> None:
        """Draw under another `Sampling` from now on; the engine stays."""
        self._sampling = sampling
        self._need = 0

    def preflight(self, requests: Iterable[Request]) -> None:
        """Find the context that is needed, and whether the model has it, before any start.

        Args:
            requests: all of them, siblings together; only the tokenizer is loaded.

        Raises:
            InputError: a prompt leaves no room for `max_tokens` in the context.
            ModelError: the tokenizer cannot be loaded, or there is no chat template.
        """
        limit = self._options.max_model_len or context_of(self._config)
        last_prompt = None
        for request in requests:
            prompt = request.messages or request.prompt
            if prompt is last_prompt and not request.prefix:
                continue
            last_prompt = prompt
            length = len(self._tokens(request)) - request.prefix_tokens
            self._need = max(self._need, length + self._sampling.max_tokens)
            if self._need > limit:
                raise _too_long(request, length, self._sampling.max_tokens, limit)
        if self._engine is not None and self._need > self._engine.model_config.max_model_len:
            self._stop()  # a later round's prompts are longer than those it was started for

    def generate(self, requests: Iterable[Request], sink: Sink) -> None:
        """Draw every request; see `curate.models.teachers.base.Generator`.

        Raises:
            ModelError: the engine cannot be started with this model.
            BackendError: the engine died; the message names its log.
        """
        with quiet_environment(self._log):
            _import_vllm()
        self._completer.run(self._generate(requests, sink))

    def close(self) -> None:
        """End the engine and every process of it."""
        self._stop()
        self._completer.close()

    def _stop(self) -> None:
        if self._engine is not None:
            self._engine.shutdown(timeout=GRACE)
            self._engine = None
        if self._lock is not None:
            release(self._lock)
            self._lock = None

    async def _generate(self, requests: Iterable[Request], sink: Sink) -> None:
        async def serve(request: Request) -> None:
            sink(await self._draw(engine, request))

        try:
            engine = self._engine or self._start()
            running = engine.vllm_config.scheduler_config.max_num_seqs
            await fill(2 * running, requests, serve)
        except (ModelError, BackendError):
            # A terminal sends Ctrl-C to the engine too, which may end before we come to stop.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from None
            raise

    async def _draw(self, engine: "AsyncLLMEngine", request: Request) -> Completion:
        from vllm import TokensPrompt
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        tokens = self._tokens(request)
        left = self._sampling.max_tokens - request.prefix_tokens
        limit = engine.model_config.max_model_len
        if len(tokens) + left > limit:
            raise _too_long(request, len(tokens), left, limit)
        prompt, final = TokensPrompt(prompt_token_ids=tokens), None
        try:
            async for output in engine.generate(prompt, self._parameters(request), request.key):
                final = output.outputs[0]
        except (EngineDeadError, EngineGenerateError) as error:
            raise self._died(str(error)) from error
        if final is None or final.finish_reason not in {"stop", "length"}:
            raise self._died(f"a request ended with {final and final.finish_reason!r}")
        own = tokens_of(final, tokens, self._tokenizer)
        text = request.prefix + final.text
        cut = cut_at_stop(text, self._sampling.stop, len(request.prefix))
        return Completion(
            key=request.key,
            text=text if cut is None else cut,
            finish_reason="length" if final.finish_reason == "length" and cut is None else "stop",
            completion_tokens=len(final.token_ids) + request.prefix_tokens,
            prompt_tokens=len(tokens) - request.prefix_tokens,
            tokens=own and own.behind(request.prefix, request.earlier),
        )

    def _parameters(self, request: Request) -> "SamplingParams":
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            **self._sampling.identity(),
            max_tokens=self._sampling.max_tokens - request.prefix_tokens,
            seed=request.seed,
            logprobs=0,
            flat_logprobs=True,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _tokens(self, request: Request) -> list[int]:
        """Tokenize prompt and prefix as one text, as the model would have seen it."""
        if request.messages is None:
            return self._tokenizer(f"{request.prompt}{request.prefix}").input_ids
        text = self._tokenizer.apply_chat_template(
            list(request.messages),
            tokenize=False,
            add_generation_prompt=True,
            **self._teacher.template_args,
        )
        return self._tokenizer(text + request.prefix, add_special_tokens=False).input_ids

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return self._load(AutoTokenizer)

    @cached_property
    def _config(self) -> Any:
        """The model's configuration, its text part."""
        from transformers import AutoConfig

        return self._load(AutoConfig).get_text_config()

    def _load(self, part: Any) -> Any:
        """Load tokenizer or configuration, which takes no engine.

        Raises:
            ModelError: it is not there or of no known kind.
        """
        try:
            return part.from_pretrained(self._path, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{part.__name__} cannot load {self._teacher.model!r} from {self._path}: "
                f"{str(error).splitlines()[0]}; name a folder or Hub id of a whole model"
            ) from error

    def _start(self) -> "AsyncLLMEngine":
        """Start the engine in this thread, bound to this process.

        Raises:
            ModelError: vLLM cannot load the model.
        """
        end_orphans(self._folder)
        with owning(self._folder) as self._lock, quiet_environment(self._log):
            from vllm import AsyncEngineArgs, AsyncLLMEngine

            try:
                arguments = AsyncEngineArgs(**self._arguments())
                self._engine = AsyncLLMEngine.from_engine_args(arguments)
            except (RuntimeError, ValueError, OSError) as error:
                raise ModelError(
                    f"vLLM could not load {self._teacher.model!r}: {error} The cause stands in "
                    f"{self._log}"
                ) from error
        return self._engine

    def _arguments(self) -> dict[str, Any]:
        """Give vLLM's engine arguments: what suits the machine, and what the user set over it."""
        from vllm.platforms import current_platform

        options, dtype = self._options, self._teacher.dtype or default_dtype()
        context = options.max_model_len or self._needed_context()
        settings: dict[str, Any] = {
            "max_num_seqs": options.max_num_seqs,
            "max_model_len": context,
            "kv_cache_memory_bytes": options.kv_cache_gib and int(options.kv_cache_gib * 2**30),
            "enforce_eager": None if options.compile is None else not options.compile,
        }
        if current_platform.is_cpu():
            machine = cpu_arguments(
                self._config, dtype, context=context, sequences=options.max_num_seqs
            )
            if options.tensor_parallel_size == 1:
                machine |= use_one_process()
            if not options.compile:
                do_without_compiler()
        else:
            machine = {
                "max_num_seqs": SEQUENCES,
                "gpu_memory_utilization": options.gpu_memory_utilization,
            }
        return {
            **machine,
            **{name: value for name, value in settings.items() if value is not None},
            "model": self._path,
            "trust_remote_code": False,
            "dtype": dtype,
            "seed": secrets.randbits(31),
            "tensor_parallel_size": options.tensor_parallel_size,
            "enable_prefix_caching": True,
            "disable_log_stats": True,
        }

    def _needed_context(self) -> int | None:
        """Round the need found by `preflight` up; None where nobody asked."""
        if not self._need:
            return None
        return min(-(-self._need // ROUNDING) * ROUNDING, context_of(self._config))

    @property
    def _log(self) -> Path:
        return self._folder / "engine.log"

    def _died(self, cause: str) -> BackendError:
        return BackendError(
            f"vLLM's engine for {self._teacher.model!r} failed while sampling: {cause}; see "
            f"{self._log}; what arrived is recorded, so a new run goes on where this one ended"
        )


def _import_vllm() -> None:
    """Import vLLM, apart from all that holds an engine.

    Importing it leaves a traceback behind that keeps every frame it passed, with what they hold;
    an engine kept that way until the interpreter ends prints an exception there.

    Raises:
        ModelError: it is not installed, or not for this machine.
    """
    try:
        importlib.import_module("vllm.engine.async_llm_engine")
    except ImportError as error:
        raise ModelError(
            f"vLLM cannot be imported ({error}); install curate-rationales[vllm] on a machine with "
            "a GPU, curate-rationales[cpu] on one without, or reach a server with "
            "runtime.sources: {NAME: {backend: openai, url: ...}}"
        ) from error


def _too_long(request: Request, prompt: int, completion: int, limit: int) -> InputError:
    text = request.messages[-1]["content"] if request.messages else request.prompt or ""
    return InputError(
        f"the prompt {text[:80]!r}... has {count_of(prompt, 'token')}; with {completion:,} more "
        f"for the completion it exceeds the context of {count_of(limit, 'token')}; lower "
        "sampling.max_tokens, remove the question, or raise max_model_len in runtime.sources if "
        "the model allows it"
    )
