"""Where rationales lie to each other, on a plane.

By the embeddings that the run recorded, where its store still has them; else by their words. Either
sees wording rather than reasoning (METHODS: two rationales of one path may lie far apart), and a
plane can't keep all distances; the page says both.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.measures.embed import Embed, EmbedOptions
from curate.models.references import ResolvedModel
from curate.report.html.audit import Audit
from curate.store.keys import key
from curate.store.store import Store

Floats = NDArray[np.float64]

MOST: Final = 1_000
"""Points on the plane; the time grows faster than they do."""
_FEWEST: Final = 12
"""Fewer points tell nothing."""
_DIMENSIONS: Final = 32
_SEED: Final = 0
_WORDS: Final = 20_000
"""The most frequent words; with all of them a few long rationales would need a gigabyte."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Some rows on a plane.

    Attributes:
        ids: their sample_id.
        points: all together (n x 2).
        apart: the same with each question's mean taken away, so that only what tells siblings apart
            is left (n x 2); None where siblings are too few.
        by: what the distances are made of, in words.
    """

    ids: list[str]
    points: Floats
    apart: Floats | None
    by: str


def project(audit: Audit, few: pl.DataFrame, texts: pl.DataFrame) -> Projection | None:
    """Lay rows of whole questions out on a plane; None where too few of them differ.

    Args:
        audit: of the run.
        few: as `chosen_few` gives them.
        texts: the same rows with ``rationale``.
    """
    rows = few.select("sample_id", "question_id", "sibling").join(
        texts.select("sample_id", "rationale"), on="sample_id", maintain_order="left"
    )
    rows = rows.filter(pl.col("rationale").fill_null("") != "")
    rows = rows.sort(~pl.col("sibling"), maintain_order=True)
    vectors, by = _embedded(audit, rows["rationale"].to_list())
    if vectors is None:
        rows = rows.head(MOST)
        vectors, by = _worded(rows["rationale"].to_list()), "the words they share (TF-IDF)"
    mask = pl.Series([vector is not None for vector in vectors], dtype=pl.Boolean)
    rows = rows.with_row_index("place").filter(mask).head(MOST)
    if rows.height < _FEWEST:
        return None
    matrix = np.stack([cast("Floats", vectors[place]) for place in rows["place"]])
    codes = rows["question_id"].rank("dense").to_numpy().astype(np.int64) - 1
    apart, several = _apart(matrix, codes)
    points = _plane(matrix)
    if points is None:
        return None
    enough = several >= max(_FEWEST, 0.8 * len(codes))
    return Projection(rows["sample_id"].to_list(), points, _plane(apart) if enough else None, by)


def _embedded(audit: Audit, texts: Sequence[str]) -> tuple[list[Floats | None] | None, str]:
    """Look the rationales up in the record; one that was stopped before has no embedding."""
    entry = audit.manifest["measures"].get("embed")
    if entry is None:
        return None, ""
    instrument = entry["instrument"]
    model = ResolvedModel(Path(), instrument["model"], instrument["revision"], "hub")
    measure = Embed(EmbedOptions(model=model.name), model)
    if measure.instrument() != instrument:  # by a version that embedded otherwise
        return None, ""
    with Store().book(measure.name, key(measure.name, measure.version, instrument)) as book:
        values = [book.get(measure.memo_key(text)) for text in texts]
    if sum(value is not None for value in values) < _FEWEST:
        return None, ""
    vectors = [None if value is None else _vector(value) for value in values]
    return vectors, f"their embeddings by {model.name}"


def _vector(value: Any) -> Floats:
    return np.frombuffer(base64.b64decode(value["float32"]), "<f4").astype(np.float64)


def _worded(texts: Sequence[str]) -> list[Floats | None]:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    if len(texts) < _FEWEST:
        return [None] * len(texts)
    # scikit-learn's own annotations know strings alone, and no sparse matrix
    weigher = TfidfVectorizer(
        analyzer=cast("Any", str.split), sublinear_tf=True, max_features=_WORDS
    )
    counts = cast("Any", weigher.fit_transform([text.lower() for text in texts]))
    dimensions = min(_DIMENSIONS, int(counts.shape[1]) - 1, len(texts) - 1)
    if dimensions < 2:
        return [None] * len(texts)
    svd = TruncatedSVD(dimensions, random_state=_SEED)
    reduced = cast("Floats", svd.fit_transform(counts))
    return list(reduced)


def _apart(matrix: Floats, codes: NDArray[np.int64]) -> tuple[Floats, int]:
    """Take each question's mean away; also count the rows that have a sibling."""
    counts = np.bincount(codes)
    means = np.zeros((len(counts), matrix.shape[1]))
    np.add.at(means, codes, matrix)
    return matrix - (means / counts[:, None])[codes], int((counts[codes] > 1).sum())


def _plane(matrix: Floats) -> Floats | None:
    """Bring vectors to two dimensions by t-SNE from their principal components; None if all alike.

    t-SNE would divide by how far apart the vectors are.
    """
    if len(np.unique(matrix.round(6), axis=0)) < _FEWEST:
        return None
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    dimensions = min(_DIMENSIONS, *matrix.shape)
    reduced = cast("Floats", PCA(dimensions, random_state=_SEED).fit_transform(matrix))
    tsne = TSNE(
        perplexity=min(30.0, (len(matrix) - 1) / 3), init="pca", random_state=_SEED, max_iter=500
    )
    return np.asarray(tsne.fit_transform(reduced), dtype=np.float64)
