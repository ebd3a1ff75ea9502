"""Log-probabilities of spans under a student, on whatever device there is.

There are three ways to run a decoder-only student: over packed trees, in which every shared token
is computed once (`packed_rows`); with copies of a cached past, where a family takes no tree
(`cached_branches`); in plain padded batches (`padded_batches`), as every encoder-decoder is.
Whether a family can be scored in a way is not looked up but tried, on the loaded model, against the
plain way. Under the first two the outputs of many batches meet the vocabulary together
(`vocabulary`).
"""

import gc
import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from curate.errors import ModelError
from curate.models.students import memory as heap
from curate.models.students.cached_branches import CachedBranches
from curate.models.students.packed_rows import PackedRows
from curate.models.students.packing import WORTH_A_PASS, Summed, Target
from curate.models.students.padded_batches import PaddedBatches, by_length
from curate.models.students.tokenizing import context_of
from curate.models.students.vocabulary import ROWS, Read, Vocabulary
from curate.models.threads import use_own_cores

logger = logging.getLogger(__name__)

_TOKENS: Final = {"cpu": 1536, "cuda": 8192}
"""Tokens a batch: fewer repeat more questions, more leave the cache of a CPU."""
_WINDOW: Final = {"cpu": 48, "cuda": 512}
"""Pairs at a time: enough to fill batches, few enough to lose where a run is killed."""
_REFUSALS = (TypeError, ValueError, RuntimeError, AttributeError, LookupError)

Route = PackedRows | CachedBranches


def load_scorer(folder: Path, dtype: str, device: str | None = None) -> "Scorer":
    """Load a student.

    Args:
        folder: the model's.
        dtype: ``float32``, ``bfloat16`` or ``float16``, in which the network computes.
        device: as torch names it; by default cuda where torch finds it.

    Raises:
        ModelError: the folder's model can't be loaded.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM
    from transformers.utils import logging as library_logging

    library_logging.disable_progress_bar()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        config: Any = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
        kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model: Any = kind.from_pretrained(
            str(folder), dtype=getattr(torch, dtype), trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"no student could be loaded from {str(folder)!r}: {error}") from error
    return Scorer(model.to(device))


class Scorer:
    """Scores with a loaded model; the log-softmax is taken in float32 whatever the model's type.

    Args:
        model: a causal or encoder-decoder language model of transformers.

    Attributes:
        route: how it is run; None for plain padded batches.
        window: how many pairs are best given together.
    """

    def __init__(self, model: Any) -> None:
        import torch

        self._torch = torch
        self.model: Any = model.eval()
        if getattr(model.config.get_text_config(), "attn_logit_softcapping", None):
            # Under transformers' default, sdpa, Gemma 2 loses the cap it was trained with.
            model.set_attn_implementation("eager")
        self.device = str(model.device.type)
        if self.device == "cpu":
            use_own_cores()
            heap.keep_freed()
        kind = "cuda" if self.device == "cuda" else "cpu"
        self._tokens, self.window = _TOKENS[kind], _WINDOW[kind]
        self._plain: Any = PaddedBatches(model)
        self.route: Route | None = None if model.config.is_encoder_decoder else self._choose()

    @property
    def context(self) -> int | None:
        """Give the most tokens the student was made to read; None where it does not say."""
        return context_of(self.model.config)

    def score(self, targets: Sequence[Target]) -> list[list[Summed]]:
        """Score every span of every target.

        Args:
            targets: in any order; those that begin alike are best given together.

        Returns:
            For each target, for each of its spans, sum and number of log-probabilities.

        Raises:
            ModelError: memory does not suffice for a single target.
        """
        results: list[list[Summed]] = [[] for _ in targets]
        pending = list(range(len(targets)))
        while pending:
            try:
                for members, sums in self._batches([targets[number] for number in pending]):
                    for member, values in zip(members, sums, strict=True):
                        results[pending[member]] = values
                pending = []
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                self._halve(error)
                pending = [number for number in pending if not results[number]]
        return results

    def close(self) -> None:
        """Free the model."""
        self.model = self._plain = self.route = None
        self.__dict__.pop("_vocabulary", None)
        gc.collect()
        if self.device == "cuda":
            self._torch.cuda.empty_cache()
        heap.give_back()

    def _halve(self, error: BaseException) -> None:
        """Halve the budget after the device ran out of memory."""
        if self._tokens < 32:
            raise ModelError(
                "the student's device has not enough memory for one rationale; use a smaller "
                "student, or a device with more memory"
            ) from error
        self._tokens //= 2
        logger.warning("out of memory; going on with %d tokens at a time", self._tokens)
        gc.collect()
        if self.device == "cuda":
            self._torch.cuda.empty_cache()

    def _batches(self, targets: list[Target]) -> Iterator[tuple[list[int], list[list[Summed]]]]:
        """Give members and their sums, batch by batch."""
        if self.route is not None:
            yield from self._looked_up(self.route, targets)
            return
        for members in by_length(targets, self._tokens):
            yield members, self._plain.score([targets[member] for member in members])

    def _looked_up(
        self, route: Route, targets: list[Target]
    ) -> Iterator[tuple[list[int], list[list[Summed]]]]:
        """Run batches until they have states enough for the vocabulary."""
        waiting: list[Read] = []
        rows = 0
        for read in route.reads(targets, self._tokens):
            waiting.append(read)
            rows += len(read.hidden)
            if rows >= ROWS:
                yield self._vocabulary.look_up(waiting)
                waiting, rows = [], 0
        if waiting:
            yield self._vocabulary.look_up(waiting)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self.model)

    def _choose(self) -> Route | None:
        """Find the fastest way that gives the plain way's values on this very model."""
        name = type(self.model).__name__
        for way in (PackedRows, CachedBranches):
            if self._agrees(way(self.model)):
                if way is not PackedRows:
                    logger.warning("%s takes no packed rows; scoring with a shared cache", name)
                # A new one, since the trial's keeps what the trial's targets began with.
                return way(self.model)
        logger.warning("%s takes neither packed rows nor a shared cache; scoring in batches", name)
        return None

    def _agrees(self, route: Route) -> bool:
        """Try two small branches behind a prefix both ways."""
        top = int(self.model.config.get_text_config().vocab_size)
        size = WORTH_A_PASS + 4
        ids = [(7919 * place + 17) % top for place in range(size + 8)]
        stem, spans = tuple(ids[:size]), ((WORTH_A_PASS + 1, size + 4),)
        ends = ids[size : size + 4], ids[size + 4 :]
        targets = [Target((*stem, *end), spans) for end in ends]
        plain = self._plain.score(targets)
        try:
            batches = list(self._looked_up(route, targets))
        except _REFUSALS as error:
            logger.info("%s refused by the model: %s", type(route).__name__, error)
            return False
        scores = {
            member: sums
            for members, of in batches
            for member, sums in zip(members, of, strict=True)
        }
        tolerance = 1e-3 if self.model.dtype == self._torch.float32 else 0.1
        gaps = [abs(scores[n][0][0] - plain[n][0][0]) / plain[n][0][1] for n in scores]
        return max(gaps) <= tolerance


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text
