"""The plain way to score: padded batches of like length, for students that take no tree.

Decoder-only students are padded on the right, where no token sees the padding. Encoder-decoder
students run their encoder once for each source.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from curate.models.students import packing
from curate.models.students.packing import HIGHEST_RANK, Summed, Target, TokenValues


class PaddedBatches:
    """Scores batches with a loaded model.

    Args:
        model: a causal or encoder-decoder language model of transformers.
    """

    def __init__(self, model: Any) -> None:
        import torch

        self._torch = torch
        self._model = model
        self._device = str(model.device)
        self._has_encoder = bool(model.config.is_encoder_decoder)
        self._keeps = "logits_to_keep" in inspect.signature(model.forward).parameters

    def score(self, targets: list[Target]) -> list[list[Summed]]:
        """Score one batch."""
        return self._encoded(targets) if self._has_encoder else self._padded(targets)

    def _padded(self, targets: list[Target]) -> list[list[Summed]]:
        """Score a right-padded batch of a decoder-only student."""
        torch = self._torch
        ids, mask = pad([target.inputs for target in targets])
        places = sorted(
            {at for target in targets for span in target.spans for at in packing.readers(span)}
        )
        with torch.inference_mode():
            logits = self._logits(
                torch.tensor(places, device=self._device),
                input_ids=torch.from_numpy(ids).to(self._device),
                attention_mask=torch.from_numpy(mask).to(self._device),
            )
            return self._read(logits, places, targets)

    def _logits(self, rows: Any, **inputs: Any) -> Any:
        """Run the network; only the wanted positions go through the vocabulary, where it can."""
        kept = {"logits_to_keep": rows} if self._keeps else {}
        logits = self._model(**inputs, use_cache=False, **kept).logits
        return logits if self._keeps else logits[:, rows]

    def _encoded(self, targets: list[Target]) -> list[list[Summed]]:
        """Score a batch of an encoder-decoder student, each source encoded once."""
        torch = self._torch
        sources = list(dict.fromkeys(target.source for target in targets))
        source, source_mask = (torch.from_numpy(part).to(self._device) for part in pad(sources))
        which = torch.tensor([sources.index(t.source) for t in targets], device=self._device)
        begin = self._model.config.decoder_start_token_id
        ids, mask = (
            torch.from_numpy(part).to(self._device)
            for part in pad([(begin, *target.inputs) for target in targets])
        )
        with torch.inference_mode():
            encoded = self._model.get_encoder()(input_ids=source, attention_mask=source_mask)
            encoded.last_hidden_state = encoded.last_hidden_state[which]
            logits = self._model(
                encoder_outputs=encoded,
                attention_mask=source_mask[which],
                decoder_input_ids=ids,
                decoder_attention_mask=mask,
                use_cache=False,
            ).logits
            # The decoder's input is shifted, so place t predicts token t + 1 of (start, ids).
            shifted = [
                t._replace(ids=(begin, *t.ids), spans=tuple((a + 1, b + 1) for a, b in t.spans))
                for t in targets
            ]
            return self._read(logits, list(range(logits.shape[1])), shifted)

    def _read(self, logits: Any, places: list[int], targets: list[Target]) -> list[list[Summed]]:
        """Read the spans of a batch from its logits (batch x places x vocabulary)."""
        column = {place: number for number, place in enumerate(places)}
        results: list[list[Summed]] = []
        for row, target in enumerate(targets):
            rows = [column[at] for span in target.spans for at in packing.readers(span)]
            wanted = [token for a, b in target.spans for token in target.ids[a:b]]
            read = logits[row, rows].float()
            results += packing.sums(
                self._values(read, wanted, per_token=target.per_token), [target]
            )
        return results

    def _values(self, logits: Any, tokens: list[int], *, per_token: bool) -> TokenValues:
        """Look tokens up in the logits they were predicted from (n x vocabulary)."""
        logs = self._torch.log_softmax(logits, dim=-1)
        own = range(len(tokens)), tokens
        values = TokenValues(logs[own].double().tolist())
        if not per_token:
            return values
        entropies = self._torch.special.entr(logs.exp()).sum(dim=-1)
        ranks = (logits > logits[own][:, None]).sum(dim=-1) + 1
        return TokenValues(
            values.logs, entropies.double().tolist(), ranks.clamp(max=HIGHEST_RANK).tolist()
        )


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
    size = [len(target.inputs) + len(target.source) for target in targets]
    batches: list[list[int]] = []
    for number in sorted(range(len(targets)), key=lambda n: (size[n], targets[n].source)):
        if batches and (len(batches[-1]) + 1) * size[number] <= tokens:
            batches[-1].append(number)
        else:
            batches.append([number])
    return batches
