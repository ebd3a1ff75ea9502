"""Log-probabilities of spans under a student, on whatever device there is.

Decoder-only students score whole packs (`curate.backends.packing`): one forward pass over a tree
of sequences, in which every token sees its own past alone (`curate.backends.trees`). What all
sequences begin with is run once and its keys and values are kept. Whether a family can be scored
so is not looked up but tried, on the loaded model, against the plain way; one that cannot, and
every encoder-decoder, is scored in padded batches (`curate.backends.padding`).
"""

import gc
import inspect
import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from curate.backends import packing, trees
from curate.backends.packing import Pack, Summed, Target, sums
from curate.backends.padding import PaddedBatches, by_length
from curate.backends.trees import Prefix, Tree
from curate.backends.vocabulary import ROWS, log_probabilities
from curate.errors import ModelError

logger = logging.getLogger(__name__)

_NODES = {"cpu": 1024, "cuda": 8192}
"""Tokens a pack: fewer repeat more questions, more leave the cache of a CPU."""
_PREFIX = 16
"""Tokens from which a prefix is worth a pass of its own."""
_REFUSALS = (TypeError, ValueError, RuntimeError, AttributeError, LookupError)


def load_scorer(folder: Path, dtype: str, device: str | None = None) -> "Scorer":
    """Load a student.

    Args:
        folder: the model's.
        dtype: ``float32``, ``bfloat16`` or ``float16``, in which the network computes.
        device: by default cuda where torch finds it.

    Raises:
        ModelError: the folder's model can't be loaded.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM
    from transformers.utils import logging as library_logging

    library_logging.disable_progress_bar()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        config: Any = AutoConfig.from_pretrained(str(folder))
        kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model: Any = kind.from_pretrained(str(folder), dtype=getattr(torch, dtype))
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"no student could be loaded from {str(folder)!r}: {error}") from error
    return Scorer(model.to(device))


class Scorer:
    """Scores with a loaded model; the log-softmax is taken in float32 whatever the model's type.

    Args:
        model: a causal or encoder-decoder language model of transformers.
    """

    def __init__(self, model: Any) -> None:
        import torch

        self._torch = torch
        self.model: Any = model.eval()
        self.device = str(model.device.type)
        self._nodes = _NODES["cuda" if self.device == "cuda" else "cpu"]
        self._prefix: Prefix | None = None
        self._plain: Any = PaddedBatches(model)
        takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        has_encoder = bool(model.config.is_encoder_decoder)
        self.packs = not has_encoder and takes_positions and self._can_pack()
        if not (self.packs or has_encoder):
            logger.warning(
                "%s cannot score packed rows; scoring in padded batches", type(model).__name__
            )

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
        self.model = self._plain = None
        self._prefix = None
        gc.collect()
        if self.device == "cuda":
            self._torch.cuda.empty_cache()

    def _halve(self, error: BaseException) -> None:
        """Halve the budget after the device ran out of memory."""
        if self._nodes < 32:
            raise ModelError(
                "the student's device has not enough memory for one rationale; use a smaller "
                "student, or a device with more memory"
            ) from error
        self._nodes //= 2
        logger.warning("out of memory; going on with %d tokens at a time", self._nodes)
        gc.collect()
        if self.device == "cuda":
            self._torch.cuda.empty_cache()

    def _batches(self, targets: list[Target]) -> Iterator[tuple[list[int], list[list[Summed]]]]:
        """Give members and their sums, batch by batch."""
        if self.packs:
            with self._attention(trees.NAME):
                yield from self._packed(targets)
            return
        for members in by_length(targets, self._nodes):
            yield members, self._plain.score([targets[member] for member in members])

    @contextmanager
    def _attention(self, name: str) -> Generator[None]:
        """Have the model attend by another function for a while."""
        # transformers has a public way to set it and none to read it.
        before = self.model.config._attn_implementation  # noqa: SLF001
        self.model.set_attn_implementation(name)
        try:
            yield
        finally:
            self.model.set_attn_implementation(before)

    def _packed(self, targets: list[Target]) -> Iterator[tuple[list[int], list[list[Summed]]]]:
        """Score trees of sequences; their outputs meet the vocabulary many rows together."""
        prefix = self._shared_prefix(targets)
        cut = len(prefix.ids) if prefix else 0
        rest = [
            Target(t.ids[cut:], tuple((start - cut, end - cut) for start, end in t.spans))
            for t in targets
        ]
        waiting: list[_Read] = []
        rows = 0
        for pack in packing.packs(rest, self._nodes):
            waiting.append(self._run(rest, pack, prefix))
            rows += len(waiting[-1].hidden)
            if rows >= ROWS:
                yield self._look_up(waiting)
                waiting, rows = [], 0
        if waiting:
            yield self._look_up(waiting)

    def _shared_prefix(self, targets: list[Target]) -> "Prefix | None":
        """Run what all targets begin with, or find it run; None where that does not pay.

        It ends before the place that predicts the first wanted token of any target. The prefix of
        earlier calls is taken, or what it shares with this one: questions come and go, the system
        prompt and worked examples stay.
        """
        ids = packing.common([target.ids for target in targets])
        ids = ids[: min((span[0] - 1 for t in targets for span in t.spans), default=0)]
        known = self._prefix
        if known is not None:
            ids = packing.common([known.ids, ids])
        if len(ids) < _PREFIX:
            return None
        if known is not None and ids == known.ids:
            return known
        prefix = Prefix(ids)
        tokens = np.array(ids, dtype=np.int64)
        self._hidden(tokens, Tree(np.arange(-1, len(ids) - 1), *self._kind, prefix))
        self._prefix = prefix
        return prefix

    def _run(self, targets: list[Target], pack: Pack, prefix: "Prefix | None") -> "_Read":
        """Run the network over one tree; keep what predicts the wanted tokens."""
        reads: list[int] = []
        wanted: list[int] = []
        for path, member in zip(pack.paths, pack.members, strict=True):
            for span in targets[member].spans:
                reads += path[list(packing.readers(span))].tolist()
                wanted += targets[member].ids[span[0] : span[1]]
        places, rows = np.unique(np.array(reads, dtype=np.int64), return_inverse=True)
        hidden = self._hidden(pack.tokens, Tree(pack.parents, *self._kind, prefix))
        kept = hidden[self._torch.from_numpy(places).to(self.device)]
        return _Read(pack.members, [targets[m].spans for m in pack.members], kept, rows, wanted)

    @property
    def _head(self) -> Any:
        return self.model.get_output_embeddings()

    @property
    def _cap(self) -> float | None:
        return getattr(self.model.config.get_text_config(), "final_logit_softcapping", None)

    @property
    def _kind(self) -> tuple[str, Any]:
        return self.device, self.model.dtype

    def _hidden(self, tokens: packing.Ints, tree: Tree) -> Any:
        """Run all layers; give each node's last state (n x width)."""
        torch = self._torch
        with torch.inference_mode(), trees.attending(tree):
            return self.model.base_model(
                input_ids=torch.from_numpy(tokens)[None].to(self.device),
                position_ids=torch.from_numpy(tree.positions)[None].to(self.device),
                use_cache=False,
            ).last_hidden_state[0]

    def _look_up(self, waiting: "list[_Read]") -> tuple[list[int], list[list[Summed]]]:
        """Turn the states of several trees into sums."""
        torch = self._torch
        with torch.inference_mode():
            hidden = torch.cat([read.hidden for read in waiting])
            starts = np.cumsum([0, *(len(read.hidden) for read in waiting)])
            rows = np.concatenate(
                [read.rows + start for read, start in zip(waiting, starts, strict=False)]
            )
            wanted = [token for read in waiting for token in read.wanted]
            scores = log_probabilities(self._head, self._cap, hidden, rows, wanted)
        members = [member for read in waiting for member in read.members]
        return members, sums(scores, [spans for read in waiting for spans in read.spans])

    def _can_pack(self) -> bool:
        """Try two small trees with a prefix both ways on this very model."""
        top = int(self.model.config.get_text_config().vocab_size)
        size = _PREFIX + 4
        ids = [(7919 * place + 17) % top for place in range(size + 8)]
        stem, spans = tuple(ids[:size]), ((_PREFIX + 1, size + 4),)
        ends = ids[size : size + 4], ids[size + 4 :]
        targets = [Target((*stem, *end), spans) for end in ends]
        plain = self._plain.score(targets)
        try:
            trees.register()
            with self._attention(trees.NAME):
                found = list(self._packed(targets))
        except _REFUSALS as error:
            logger.info("packing refused by the model: %s", error)
            return False
        finally:
            self._prefix = None
        packed = {
            member: sums for members, of in found for member, sums in zip(members, of, strict=True)
        }
        allowed = 1e-3 if self.model.dtype == self._torch.float32 else 0.1
        gaps = [abs(packed[n][0][0] - plain[n][0][0]) / plain[n][0][1] for n in packed]
        return max(gaps) <= allowed


class _Read(NamedTuple):
    """What one tree leaves for the vocabulary.

    Attributes:
        members: numbers of its targets.
        spans: of each of them.
        hidden: states that predict wanted tokens (m x width).
        rows: row of each wanted token in `hidden` (n).
        wanted: token ids, target by target, span by span (n).
    """

    members: list[int]
    spans: list[tuple[tuple[int, int], ...]]
    hidden: Any
    rows: packing.Ints
    wanted: list[int]


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text
