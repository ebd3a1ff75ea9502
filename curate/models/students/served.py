"""Log-probabilities of spans under a student that vLLM serves, for those who cannot load it.

Each sequence is a prompt of its own, of which vLLM gives the log-probability of every token
(``prompt_logprobs``); nothing is shared between them, and the whole vocabulary is computed at every
token, so this is slower than loading the student. vLLM reads no cached prefix for such a request,
or there would be no logits to read; before it saw to that itself, a server had to be started with
``--no-enable-prefix-caching``, so an answer with fewer entries than tokens is refused.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from curate.errors import BackendError, count_of
from curate.models.coroutines import complete
from curate.models.servers.faults import GarbledError, RefusedError
from curate.models.servers.patient_client import PatientClient
from curate.models.servers.servers import StudentServer
from curate.models.servers.slots import fill
from curate.models.students import packing
from curate.models.students.packing import HIGHEST_RANK, Summed, Target, TokenValues
from curate.models.students.tokenizing import load_context

_WINDOW: Final = 48
"""Pairs at a time at least; each is several requests."""


class ServedScorer:
    """Scores through a server.

    Args:
        folder: the student's; its configuration is read.
        model: the student's name, where the options give none.
        options: where it is, and how patiently it is asked.

    Attributes:
        context: most tokens the student was made to read, less the one it must generate. Where
            its server reads fewer, a text that would fit the student is an error and is not cut,
            since scores are kept for good and the next server may read more.
        window: how many pairs are best given together.

    Raises:
        ModelError: the folder holds no configuration of a model.
        BackendError: nobody serves this model there.
    """

    def __init__(self, folder: Path, model: str, options: StudentServer) -> None:
        self._model = options.model or model
        self._options = options
        context = load_context(folder)
        self.context = context and context - 1
        self.window = max(_WINDOW, options.in_flight)
        self._limit = complete(self._ask_limit())

    def score(self, targets: Sequence[Target]) -> list[list[Summed]]:
        """Score every span of every target; see `curate.models.students.scorer.Scorer.score`.

        No server tells entropies, so there are none.

        Raises:
            BackendError: the server refuses a sequence, or does not say how likely its tokens are.
        """
        return complete(self._score(targets))

    def close(self) -> None:
        """Do nothing: connections live only inside `score`."""

    async def _ask_limit(self) -> int | None:
        """Ask how much the server reads at once; None where it does not say."""

        def read(answer: Any) -> int | None:
            try:
                cards = {card["id"]: card for card in answer["data"]}
            except (KeyError, TypeError) as error:
                raise self._no_list() from error
            if self._model not in cards:
                raise BackendError(
                    f"{self._options.address} serves {sorted(map(str, cards))}, not "
                    f"{self._model!r}; give the name it is served under as `model` in "
                    "runtime.student"
                )
            limit = cards[self._model].get("max_model_len")
            return limit if isinstance(limit, int) else None

        async with PatientClient.connected(self._model, self._options) as client:
            try:
                return await client.ask("/models", None, read)
            except RefusedError as refusal:
                raise self._no_list() from refusal

    async def _score(self, targets: Sequence[Target]) -> list[list[Summed]]:
        results: dict[int, list[Summed]] = {}
        async with PatientClient.connected(self._model, self._options) as client:

            async def serve(number: int) -> None:
                target = targets[number]
                tokens = await self._tokens(client, target)
                wanted = [token for a, b in target.spans for token in tokens[a:b]]
                logs, ranks = zip(*wanted, strict=True) if wanted else ((), ())
                (results[number],) = packing.sums(TokenValues(logs, (), ranks), [target])

            await fill(self._options.in_flight, range(len(targets)), serve)
        return [results[number] for number in range(len(targets))]

    async def _tokens(self, client: PatientClient, target: Target) -> list[tuple[float, int]]:
        """Give log-probability and rank of each token of a target, as far as its last span."""
        ids = target.ids[: max(end for _, end in target.spans)]
        if self._limit and len(ids) >= self._limit:
            raise BackendError(
                f"a text to be scored has {count_of(len(ids), 'token')}, and one more must be "
                f"generated, but {client.where('/completions')} reads {self._limit} at most; start "
                "the server with a larger --max-model-len, or with its default"
            )

        def read(answer: Any) -> list[tuple[float, int]]:
            try:
                entries: list[dict[str, Any]] = answer["choices"][0]["prompt_logprobs"]
                rest = [
                    (float(own["logprob"]), min(int(own["rank"]), HIGHEST_RANK))
                    for entry, token in zip(entries[1:], ids[1:], strict=True)
                    for own in [entry[str(token)]]
                ]
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise self._no_vllm(client.where("/completions")) from error
            if not all(math.isfinite(log) and rank > 0 for log, rank in rest):
                raise self._no_vllm(client.where("/completions"))
            return [(0.0, 1), *rest]  # nothing predicts a first token, and nobody wants it

        body = {
            "model": self._model,
            "prompt": list(ids),
            "add_special_tokens": False,
            "max_tokens": 1,
            "temperature": 0,
            "prompt_logprobs": 0,
        }
        try:
            return await client.ask("/completions", body, read)
        except RefusedError as refusal:
            raise BackendError(
                f"{client.where('/completions')} refuses to score a text of "
                f"{count_of(len(ids), 'token')}: {refusal}; see the log of the server"
            ) from refusal

    def _no_list(self) -> BackendError:
        return BackendError(
            f"{self._options.address}/models gave no list of models; check that the url ends where "
            "/completions follows (usually /v1)"
        )

    def _no_vllm(self, where: str) -> GarbledError:
        return GarbledError(
            where,
            "did not give the log-probability of every token of a prompt",
            "a student must be served by `vllm serve`, an old one with --no-enable-prefix-caching",
        )
