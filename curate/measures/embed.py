"""Embed: where a rationale stands in a sentence encoder's space."""

import base64
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, cast

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from curate.measures.base import Item, MemoMeasure, Need, Setup
from curate.models.references import ResolvedModel
from filters.columns import GLOSSARY, Glossary

_BATCH = 256


class EmbedOptions(BaseModel):
    """The sentence encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    model: str = "sentence-transformers/all-MiniLM-L6-v2"
    """Sentence encoder: folder or Hub id of a sentence-transformers model."""
    revision: str | None = None
    """Commit, tag or branch; locked on first use where it is not given."""


class Embed(MemoMeasure):
    """Writes ``embedding``: a vector of unit length a rationale, null where there is none.

    Encoders cut what is longer than their window without a word (MiniLM at 256 tokens), so a long
    rationale is embedded window by window and its vector is the mean of theirs, weighted by the
    tokens they hold and brought back to unit length. Of a model that thinks apart the thought is
    embedded.

    Args:
        options: the encoder, as the recipe names it.
        encoder: the same, found on this machine.
    """

    name: ClassVar[str] = "embed"
    reads = ("rationale",)
    writes: Glossary = GLOSSARY.of("embed")
    section: ClassVar[type[BaseModel] | None] = EmbedOptions
    needs: ClassVar[Collection[Need]] = ("encoder",)
    item_bytes: ClassVar[int] = 2_200

    def __init__(self, options: EmbedOptions, encoder: ResolvedModel) -> None:
        self.options = options
        self._model = encoder
        self._encoder: Any = None

    @classmethod
    def open(cls, setup: Setup) -> Self:
        """Embed with the recipe's encoder."""
        assert isinstance(setup.options, EmbedOptions)
        return cls(setup.options, setup.models["encoder"])

    def instrument(self) -> Mapping[str, Any]:
        """Identify the encoder and how long texts are treated."""
        return {
            "model": self._model.name,
            "revision": self._model.revision,
            "dtype": "float32",
            "long": "windows, mean weighted by tokens",
        }

    def items(self, frame: pl.DataFrame) -> Sequence[Item]:
        """List the rationales that hold any text."""
        texts = cast("list[str | None]", frame["rationale"].to_list())
        return [Item(self.memo_key(text), text) for text in texts if text]

    def compute(self, items: Iterable[Item]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Embed in batches; a vector is recorded as the base64 of its little-endian float32."""
        waiting = list(items)
        if not waiting:
            return
        from curate.models.encoder import Encoder

        self._encoder = self._encoder or Encoder(self._model.path)
        for start in range(0, len(waiting), _BATCH):
            batch = waiting[start : start + _BATCH]
            vectors = self._encoder.encode([item.payload for item in batch])
            for item, vector in zip(batch, vectors, strict=True):
                data = base64.b64encode(np.asarray(vector, dtype="<f4").tobytes())
                yield item.key, {"float32": data.decode("ascii")}

    def assemble(
        self,
        frame: pl.DataFrame,
        values: Mapping[str, Mapping[str, Any]],
        facts: Mapping[str, Any],  # noqa: ARG002 - embedding has none
    ) -> pl.DataFrame:
        """Decode the vectors."""
        vectors = [
            np.frombuffer(base64.b64decode(values[self.memo_key(text)]["float32"]), "<f4").tolist()
            if text
            else None
            for text in cast("list[str | None]", frame["rationale"].to_list())
        ]
        return pl.DataFrame({"embedding": pl.Series(vectors, dtype=self.writes["embedding"].dtype)})

    def close(self) -> None:
        """Free the encoder."""
        self._encoder = None
