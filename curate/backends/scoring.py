"""Log-probabilities of spans under a student, on whatever device there is.

Decoder-only students score whole packs (`curate.backends.packing`): one forward pass over a tree
of sequences, under a mask by which every token sees its own past alone. Whether a family can take
such a mask is not looked up but tried, on the loaded model, against the plain way; one that cannot
is scored in padded batches. Encoder-decoder students run their encoder once for each source.
"""

import gc
import inspect
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curate.backends import packing
from curate.backends.packing import Pack, Target
from curate.errors import ModelError

logger = logging.getLogger(__name__)

Summed = tuple[float, int]
"""Sum of log-probabilities in nats, and number of tokens."""

_CHUNK = 128
_BUDGETS = {"cpu": (768, 512), "cuda": (4096, 2048)}


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
        self._nodes, self._reads = _BUDGETS["cuda" if self.device == "cuda" else "cpu"]
        parameters = inspect.signature(model.forward).parameters
        self._keeps = "logits_to_keep" in parameters
        self._has_encoder = bool(model.config.is_encoder_decoder)
        self.packs = not self._has_encoder and "position_ids" in parameters and self._can_pack()
        if not (self.packs or self._has_encoder):
            logger.warning(
                "%s cannot score packed rows; scoring in padded batches", type(model).__name__
            )

    def score(self, targets: Sequence[Target]) -> list[list[Summed]]:
        """Score every span of every target.

        Args:
            targets: in any order; long ones cost memory with the square of their length.

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
        self.model = None
        gc.collect()
        if self.device == "cuda":
            self._torch.cuda.empty_cache()

    def _halve(self, error: BaseException) -> None:
        """Halve the budgets after the device ran out of memory."""
        if self._nodes < 32:
            raise ModelError(
                "the student's device has not enough memory for one rationale; use a smaller "
                "student, or a device with more memory"
            ) from error
        self._nodes, self._reads = self._nodes // 2, max(1, self._reads // 2)
        logger.warning("out of memory; going on with %d tokens at a time", self._nodes)
        gc.collect()
        if self.device == "cuda":
            self._torch.cuda.empty_cache()

    def _batches(self, targets: list[Target]) -> Any:
        """Give members and their sums, batch by batch."""
        if self.packs:
            for pack in packing.packs(targets, self._nodes, self._reads):
                yield pack.members, self._packed(targets, pack)
            return
        one: Callable[[list[Target]], list[list[Summed]]] = (
            self._encoded if self._has_encoder else self._padded
        )
        for members in by_length(targets, self._nodes):
            yield members, one([targets[member] for member in members])

    def _packed(self, targets: list[Target], pack: Pack) -> list[list[Summed]]:
        """Score one tree of sequences."""
        torch = self._torch
        reads: list[int] = []
        wanted: list[int] = []
        for path, member in zip(pack.paths, pack.members, strict=True):
            for span in targets[member].spans:
                reads += path[list(packing.readers(span))].tolist() if span[1] > span[0] else []
                wanted += targets[member].ids[span[0] : span[1]]
        depth = packing.depths(pack.parents)
        rows, inverse = np.unique(np.array(reads, dtype=np.int64), return_inverse=True)
        with torch.inference_mode():
            logits = self._logits(
                torch.from_numpy(rows).to(self.device),
                input_ids=torch.from_numpy(pack.tokens)[None].to(self.device),
                position_ids=torch.from_numpy(depth)[None].to(self.device),
                attention_mask=self._masks(pack, depth),
            )[0]
            scores = self._log_probabilities(logits, inverse, wanted)
        return _sums(scores, [targets[member].spans for member in pack.members])

    def _masks(self, pack: Pack, depth: packing.Ints) -> Any:
        """Make the additive mask, one for each kind of layer where a window cuts a sequence."""
        seen = packing.visible(pack.parents)
        full = self._additive(seen)
        config: Any = self.model.config.get_text_config()
        window = getattr(config, "sliding_window", None)
        kinds = set(getattr(config, "layer_types", None) or [])
        slides = "sliding_attention" in kinds or (not kinds and window is not None)
        if not slides or window is None or int(depth.max()) < window:
            return full
        sliding = self._additive(seen & packing.within(depth, window))
        if kinds == {"sliding_attention"} or not kinds:
            return sliding
        return {"full_attention": full, "sliding_attention": sliding}

    def _additive(self, seen: packing.Bools) -> Any:
        torch = self._torch
        lowest = torch.finfo(self.model.dtype).min
        mask = torch.zeros(seen.shape, dtype=self.model.dtype)
        mask.masked_fill_(torch.from_numpy(~seen), lowest)
        return mask[None, None].to(self.device)

    def _logits(self, rows: Any, **inputs: Any) -> Any:
        """Run the network; only the wanted positions go through the vocabulary, where it can."""
        kept = {"logits_to_keep": rows} if self._keeps else {}
        logits = self.model(**inputs, use_cache=False, **kept).logits
        return logits if self._keeps else logits[:, rows]

    def _log_probabilities(self, logits: Any, rows: packing.Ints, wanted: list[int]) -> list[float]:
        """Take the log-softmax in float32, a slice at a time.

        Args:
            logits: a row for each place in the vocabulary's input (m x vocabulary).
            rows: row of each wanted token (n).
            wanted: token ids (n).
        """
        torch = self._torch
        parts: list[Any] = [
            torch.logsumexp(logits[start : start + _CHUNK].float(), dim=-1)
            for start in range(0, logits.shape[0], _CHUNK)
        ]
        if not parts:
            return []
        index = torch.from_numpy(np.asarray(rows)).to(self.device)
        tokens = torch.tensor(wanted, device=self.device)
        scores = logits[index, tokens].float() - torch.cat(parts)[index]
        return scores.double().cpu().tolist()

    def _padded(self, targets: list[Target]) -> list[list[Summed]]:
        """Score a right-padded batch of a decoder-only student."""
        torch = self._torch
        ids, mask = pad([target.ids for target in targets])
        places = sorted(
            {place for target in targets for span in target.spans for place in readers_of(span)}
        )
        with torch.inference_mode():
            logits = self._logits(
                torch.tensor(places, device=self.device),
                input_ids=torch.from_numpy(ids).to(self.device),
                attention_mask=torch.from_numpy(mask).to(self.device),
            )
            return self._read(logits, places, targets)

    def _encoded(self, targets: list[Target]) -> list[list[Summed]]:
        """Score a batch of an encoder-decoder student, each source encoded once."""
        torch = self._torch
        sources = list(dict.fromkeys(target.source for target in targets))
        source, source_mask = (torch.from_numpy(part).to(self.device) for part in pad(sources))
        which = torch.tensor([sources.index(t.source) for t in targets], device=self.device)
        begin = self.model.config.decoder_start_token_id
        ids, mask = (
            torch.from_numpy(part).to(self.device)
            for part in pad([(begin, *target.ids[:-1]) for target in targets])
        )
        with torch.inference_mode():
            encoded = self.model.get_encoder()(input_ids=source, attention_mask=source_mask)
            encoded.last_hidden_state = encoded.last_hidden_state[which]
            logits = self.model(
                encoder_outputs=encoded,
                attention_mask=source_mask[which],
                decoder_input_ids=ids,
                decoder_attention_mask=mask,
                use_cache=False,
            ).logits
            # The decoder's input is shifted, so place t predicts token t + 1 of (start, ids).
            shifted = [
                Target((begin, *t.ids), tuple((a + 1, b + 1) for a, b in t.spans)) for t in targets
            ]
            return self._read(logits, list(range(logits.shape[1])), shifted)

    def _read(self, logits: Any, places: list[int], targets: list[Target]) -> list[list[Summed]]:
        """Read the spans of a batch from its logits (batch x places x vocabulary)."""
        column = {place: number for number, place in enumerate(places)}
        results: list[list[Summed]] = []
        for row, target in enumerate(targets):
            rows = [column[place] for span in target.spans for place in readers_of(span)]
            wanted = [token for a, b in target.spans for token in target.ids[a:b]]
            scores = self._log_probabilities(logits[row], np.array(rows, dtype=np.int64), wanted)
            results += _sums(scores, [target.spans])
        return results

    def _can_pack(self) -> bool:
        """Try a small tree both ways on this very model."""
        top = int(self.model.config.get_text_config().vocab_size)
        ids = [(7919 * place + 17) % top for place in range(12)]
        stem, spans = tuple(ids[:4]), ((1, 8),)
        targets = [Target((*stem, *ids[4:8]), spans), Target((*stem, *ids[8:12]), spans)]
        try:
            (pack,) = packing.packs(targets, 64, 64)
            packed = self._packed(targets, pack)
        except (TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            logger.info("packing refused by the model: %s", error)
            return False
        plain = self._padded([targets[member] for member in pack.members])
        allowed = 1e-3 if self.model.dtype == self._torch.float32 else 0.1
        gaps = [abs(a[0][0] - b[0][0]) / a[0][1] for a, b in zip(packed, plain, strict=True)]
        return max(gaps) <= allowed


def readers_of(span: tuple[int, int]) -> range:
    """Give the places that predict a span, none for an empty one."""
    return packing.readers(span) if span[1] > span[0] else range(0)


def pad(rows: Sequence[Sequence[int]]) -> tuple[packing.Ints, packing.Ints]:
    """Pad on the right with token 0; the mask is 1 on tokens, 0 on padding (n x longest)."""
    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return ids, mask


def by_length(targets: Sequence[Target], tokens: int) -> list[list[int]]:
    """Batch targets of like length, at most so many padded tokens together."""
    size = [len(target.ids) + len(target.source) for target in targets]
    batches: list[list[int]] = []
    for number in sorted(range(len(targets)), key=lambda n: (size[n], targets[n].source)):
        if batches and (len(batches[-1]) + 1) * size[number] <= tokens:
            batches[-1].append(number)
        else:
            batches.append([number])
    return batches


def _sums(scores: list[float], spans: Sequence[tuple[tuple[int, int], ...]]) -> list[list[Summed]]:
    """Cut a run of log-probabilities into the spans it was made of."""
    results: list[list[Summed]] = []
    at = 0
    for of_target in spans:
        sums: list[Summed] = []
        for start, end in of_target:
            sums.append((float(sum(scores[at : at + end - start])), end - start))
            at += end - start
        results.append(sums)
    return results


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text
