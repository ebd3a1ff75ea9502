"""Scoring with a shared past: what several sequences begin with is run once, its cache copied.

For decoder-only students that attend in a way of their own and so take no tree (BLOOM, whose
positions are in its attention). A tree shares more: here only what a whole group begins with.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from curate.models.students import packing
from curate.models.students.packing import Target
from curate.models.students.padded_batches import by_length, pad
from curate.models.students.vocabulary import Read, Wanted


class Group(NamedTuple):
    """Targets that begin alike.

    Attributes:
        stem: how many of their first tokens are run once for all of them.
        members: their numbers in the list that was grouped.
    """

    stem: int
    members: list[int]


def groups(targets: Sequence[Target]) -> Iterator[Group]:
    """Group targets so that the most tokens are spared; sorted, so that like stands beside like.

    The stem of a group ends before whatever predicts its first wanted token, and leaves each
    member a token of its own.

    Args:
        targets: in any order.
    """
    stem, members = 0, list[int]()
    for number in sorted(range(len(targets)), key=lambda number: targets[number].ids):
        own = _before_first_read(targets[number])
        if members:
            joint = min(stem, own, packing.shared(targets[members[0]].ids, targets[number].ids))
            # A group of n spares n - 1 stems; the first member alone spares nothing yet.
            if joint >= packing.WORTH_A_PASS and joint * len(members) >= stem * (len(members) - 1):
                stem = joint
                members.append(number)
                continue
            yield Group(stem if len(members) > 1 else 0, members)
        stem, members = own, [number]
    if members:
        yield Group(stem if len(members) > 1 else 0, members)


def _before_first_read(target: Target) -> int:
    return min([start - 1 for start, _ in target.spans], default=len(target.ids) - 1)


class CachedBranches:
    """Scores groups with a loaded model.

    Args:
        model: a causal language model of transformers that keeps a cache.
    """

    def __init__(self, model: Any) -> None:
        import torch

        self._torch = torch
        self._model = model
        self._device = str(model.device)

    def reads(self, targets: list[Target], tokens: int) -> Iterator[Read]:
        """Run all targets; give what each batch leaves for the vocabulary.

        Args:
            targets: in any order.
            tokens: most of a batch, stems and padding counted.
        """
        for stem, members in groups(targets):
            past = self._past(targets[members[0]].ids[:stem]) if stem else None
            for batch in by_length([targets[member] for member in members], tokens):
                yield self._run(targets, stem, past, [members[place] for place in batch])

    def _past(self, stem: tuple[int, ...]) -> Any:
        """Run a stem; give its cache."""
        with self._torch.inference_mode():
            ids = self._torch.tensor([stem], device=self._device)
            return self._model.base_model(input_ids=ids, use_cache=True).past_key_values

    def _run(self, targets: list[Target], stem: int, past: Any, members: list[int]) -> Read:
        """Run what follows a stem, for as many members as fit together."""
        torch = self._torch
        rows = [targets[member].inputs[stem:] for member in members]
        ids, mask = pad(rows)
        mask = np.concatenate([np.ones((len(members), stem), dtype=mask.dtype), mask], axis=1)
        if past is not None:
            past = copy.deepcopy(past)
            past.batch_repeat_interleave(len(members))
        with torch.inference_mode():
            hidden = self._model.base_model(
                input_ids=torch.from_numpy(ids).to(self._device),
                attention_mask=torch.from_numpy(mask).to(self._device),
                past_key_values=past,
                use_cache=past is not None,
            ).last_hidden_state
        width = ids.shape[1]
        paths = [np.arange(-stem, len(ids)) + number * width for number, ids in enumerate(rows)]
        wanted = Wanted.of(members, targets, paths)
        places = torch.from_numpy(wanted.places).to(self._device)
        return Read(wanted, hidden.flatten(0, 1)[places])
