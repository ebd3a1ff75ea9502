"""Clusters of siblings: by text, by embedding, and the distance at which embeddings are cut.

Everything here is given the rows of one question in sample_id order and uses no random number, so
equal rows give equal clusters wherever and whenever they are judged.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any, Final, Literal, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from filters.shingles import jaccard

Linkage = Literal["average", "complete", "single"]
Matrix = NDArray[np.float64]

DISTANCE_CAP: Final = 0.10
"""Largest automatic distance: beyond it wrong and right siblings fall together."""
DISTANCE_FLOOR: Final = 1e-4
"""Smallest automatic distance: equal texts embed this near each other whatever their batch."""
CHOICE_SHARE: Final = 0.8
"""Share of the questions that must keep at least two clusters."""
POOL_QUESTIONS: Final = 2000
"""Questions looked at to choose a distance; the share is then known to about 2 points."""


def vectors(embeddings: pl.Series) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Stack embeddings into a matrix without a Python object for every number.

    Args:
        embeddings: list of Float32, all of one length, null where a row was not measured.

    Returns:
        The matrix (measured rows x dimensions), and for each row its place in the matrix, -1
        where it was not measured.
    """
    measured = embeddings.is_not_null().to_numpy()
    places = np.where(measured, np.cumsum(measured) - 1, -1).astype(np.intp)
    count = int(measured.sum())
    if not count:
        return np.empty((0, 0), dtype=np.float32), places
    flat = embeddings.drop_nulls().explode().to_numpy()
    return flat.astype(np.float32).reshape(count, -1), places


def cosine_distances(rows: NDArray[np.float32]) -> Matrix:
    """Compare unit vectors (n x d) with each other: n x n, 0 equal to 2 opposite."""
    wide = rows.astype(np.float64)
    distances = np.clip(1.0 - wide @ wide.T, 0.0, 2.0)
    np.fill_diagonal(distances, 0.0)
    return (distances + distances.T) / 2


def text_similarities(texts: Sequence[frozenset[tuple[str, ...]]]) -> Matrix:
    """Compare sets of n-grams with each other: n x n word n-gram Jaccard, 1 on the diagonal."""
    similarities = np.eye(len(texts))
    for row in range(len(texts)):
        for other in range(row):
            similarity = jaccard(texts[row], texts[other])
            similarities[row, other] = similarities[other, row] = similarity
    return similarities


def linked(near: NDArray[np.bool_]) -> list[int]:
    """Number the connected components of a symmetric n x n relation, in order of first member."""
    labels = [-1] * len(near)
    for start in range(len(near)):
        if labels[start] >= 0:
            continue
        label, reached = max(labels) + 1, [start]
        while reached:
            row = reached.pop()
            if labels[row] < 0:
                labels[row] = label
                reached += [int(other) for other in np.flatnonzero(near[row])]
    return labels


def agglomerated(distances: Matrix, distance: float, linkage: Linkage) -> list[int]:
    """Cluster by scikit-learn's agglomerative clustering: merges stop at `distance`.

    With average linkage two clusters can hold members nearer than `distance` to each other
    (medoids were, in 19 of 30 questions measured): it is a cut, not a promise.
    """
    if len(distances) < 2:
        return [0] * len(distances)
    return [int(label) for label in _fit(distances, linkage, distance_threshold=distance).labels_]


def last_merge(distances: Matrix, linkage: Linkage) -> float:
    """Give the distance at which a question's last two clusters merge."""
    fitted = _fit(distances, linkage, distance_threshold=0.0, compute_distances=True)
    return float(fitted.distances_[-1])


def _fit(distances: Matrix, linkage: Linkage, **options: float | bool) -> Any:
    from sklearn.cluster import (  # pyright: ignore[reportMissingTypeStubs] - a slow import
        AgglomerativeClustering,
    )

    model = AgglomerativeClustering(
        n_clusters=cast("Any", None), metric="precomputed", linkage=linkage, **cast("Any", options)
    )
    return cast("Any", model.fit(distances))


def choose_distance(pool: pl.DataFrame, linkage: Linkage) -> float:
    """Choose the largest distance that keeps a choice in most questions.

    Args:
        pool: columns question_id, sample_id and embedding, in any order. The `POOL_QUESTIONS`
            smallest ids decide; ids are hashes, so these are a random draw without a seed.
        linkage: the linkage that will cluster.

    Returns:
        The largest distance at which `CHOICE_SHARE` of the questions with two embedded rows or
        more keep two clusters, between `DISTANCE_FLOOR` and `DISTANCE_CAP`.
    """
    embedded = pool.filter(pl.col("embedding").is_not_null()).sort("question_id", "sample_id")
    merges: list[float] = []
    for _, question in embedded.group_by("question_id", maintain_order=True):
        if question.height < 2:
            continue
        rows, _ = vectors(question["embedding"])
        merges.append(last_merge(cosine_distances(rows), linkage))
        if len(merges) == POOL_QUESTIONS:
            break
    if not merges:
        return DISTANCE_CAP
    chosen = sorted(merges, reverse=True)[ceil(CHOICE_SHARE * len(merges)) - 1]
    return min(max(chosen, DISTANCE_FLOOR), DISTANCE_CAP)


def medoid(similarities: Matrix) -> int:
    """Give the row most similar to all others; ties go to the first."""
    return int(np.argmax(similarities.sum(axis=1).round(9)))
