"""Sentence encoders through sentence-transformers, with long texts in windows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.errors import ModelError
from curate.models.threads import use_own_cores

Vectors = NDArray[np.float32]


class Encoder:
    """A loaded sentence encoder.

    Args:
        folder: of a sentence-transformers model.

    Raises:
        ModelError: it can't be loaded.
    """

    def __init__(self, folder: Path) -> None:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as library_logging

        library_logging.disable_progress_bar()
        use_own_cores()
        try:
            self._model: Any = SentenceTransformer(str(folder), trust_remote_code=False)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ModelError(f"no encoder could be loaded from {str(folder)!r}: {error}") from error
        self._tokenizer: Any = self._model.tokenizer
        special = int(self._tokenizer.num_special_tokens_to_add())
        self._window = int(self._model.max_seq_length) - special

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed texts of any length.

        Args:
            texts: not empty strings.

        Returns:
            A unit vector a text (n x d).
        """
        pieces: list[str] = []
        owners: list[int] = []
        weights: list[int] = []
        for number, text in enumerate(texts):
            for piece, weight in self._windows(text):
                pieces.append(piece)
                owners.append(number)
                weights.append(weight)
        vectors: Vectors = self._model.encode(
            pieces, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        sums = np.zeros((len(texts), vectors.shape[1]), dtype=np.float64)
        np.add.at(sums, owners, vectors * np.array(weights, dtype=np.float64)[:, None])
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return (sums / np.maximum(lengths, 1e-12)).astype(np.float32)

    def _windows(self, text: str) -> list[tuple[str, int]]:
        """Cut a text into pieces that fit the window, between tokens, with their token counts."""
        offsets: list[tuple[int, int]] = self._tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]
        pieces: list[tuple[str, int]] = []
        start = 0
        while start < len(offsets):
            end = min(start + self._window, len(offsets))
            if end < len(offsets):
                end = word_border(text, offsets, start, end)
            pieces.append((text[offsets[start][0] : offsets[end - 1][1]], end - start))
            start = end
        return pieces or [(text, 1)]


def word_border(text: str, offsets: Sequence[tuple[int, int]], start: int, end: int) -> int:
    """Move a cut back to where a word begins, since half a word becomes other, maybe more, tokens.

    Args:
        text: what was tokenised.
        offsets: character range of each token.
        start: first token of the window.
        end: token before which to cut.

    Returns:
        The nearest such token not in the first half of the window; `end` where there is none.
    """
    for cut in range(end, start + (end - start) // 2, -1):
        if text[offsets[cut][0] - 1 : offsets[cut][0]].isspace():
            return cut
    return end
