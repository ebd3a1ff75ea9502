"""The rows of one question, and what they are to each other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from filters.clusters import (
    Linkage,
    Matrix,
    agglomerated,
    cosine_distances,
    linked,
    medoid,
    text_similarities,
    vectors,
)
from filters.paths import Path, path
from filters.shingles import shingles

Level = Literal["path", "text", "embedding"]


class Cut(NamedTuple):
    """Where the levels cut: Jaccard for ``text``, cosine distance and linkage for ``embedding``."""

    jaccard: float
    distance: float
    linkage: Linkage


@dataclass(frozen=True)
class Siblings:
    """The rows of one question in sample_id order, read for comparison.

    Attributes:
        ids: sample_id of each row.
        grams: word trigrams of each rationale, None where there is none.
        paths: reasoning path, None where nothing parses or no level asks for it.
        rows: row numbers that have an embedding.
        embeddings: their unit vectors (len(rows) x d).
    """

    ids: Sequence[str]
    grams: Sequence[frozenset[tuple[str, ...]] | None]
    paths: Sequence[Path | None]
    rows: Sequence[int]
    embeddings: NDArray[np.float32]

    @cached_property
    def similarities(self) -> Matrix:
        """Word-trigram Jaccard of every two rows; 0 where one has no rationale."""
        return text_similarities([grams or frozenset() for grams in self.grams]) * np.outer(
            [grams is not None for grams in self.grams], [grams is not None for grams in self.grams]
        )

    @cached_property
    def distances(self) -> Matrix:
        """Cosine distance of every two embedded rows."""
        return cosine_distances(self.embeddings)

    def likeness(self, row: int, other: int) -> float:
        """Give the word-trigram Jaccard of two rows."""
        return float(self.similarities[row, other])

    def most_like(self, row: int) -> int | None:
        """Give the sibling with the most similar words, None where there is nothing to compare."""
        if self.grams[row] is None or sum(grams is not None for grams in self.grams) < 2:
            return None
        others = self.similarities[row].copy()
        others[row] = -1.0
        others[[grams is None for grams in self.grams]] = -1.0
        return int(np.argmax(others))

    def clusters(self, by: Sequence[Level], cut: Cut) -> tuple[list[int | None], list[str | None]]:
        """Split the rows level by level.

        Returns:
            For each row its cluster, numbered from 0 by falling size and then by smallest id (None
            where the row has neither rationale nor embedding), and the level that decided it: the
            last one that split it from a sibling, else the first that could read it.
        """
        embedded = set(self.rows) if "embedding" in by else set[int]()
        compared = [i for i, grams in enumerate(self.grams) if grams is not None or i in embedded]
        decided: list[str | None] = [None] * len(self.ids)
        groups = [compared] if compared else []
        for level in by:
            finer: list[list[int]] = []
            for group in groups:
                parts = self._split(group, level, cut)
                read = {row for part in parts for row in part}
                unread = [row for row in group if row not in read]
                finer += [*parts, unread] if unread else parts
                split = len(parts) + bool(unread) > 1
                for row in read:
                    if split or decided[row] is None:
                        decided[row] = level
            groups = finer
        clusters: list[int | None] = [None] * len(self.ids)
        for number, group in enumerate(sorted(groups, key=lambda g: (-len(g), g[0]))):
            for row in group:
                clusters[row] = number
        return clusters, decided

    def _split(self, group: Sequence[int], level: Level, cut: Cut) -> list[list[int]]:
        """Split the rows of a group that a level can read; the others are left out."""
        if level == "path":
            read = [row for row in group if self.paths[row] is not None]
            keys: Sequence[object] = [self.paths[row] for row in read]
        elif level == "text":
            read = [row for row in group if self.grams[row] is not None]
            keys = linked(self.similarities[np.ix_(read, read)] >= cut.jaccard) if read else []
        else:
            places = {row: place for place, row in enumerate(self.rows)}
            read = [row for row in group if row in places]
            chosen = [places[row] for row in read]
            distances = self.distances[np.ix_(chosen, chosen)] if chosen else np.empty((0, 0))
            keys = agglomerated(distances, cut.distance, cut.linkage)
        parts: dict[object, list[int]] = {}
        for row, key in zip(read, keys, strict=True):
            parts.setdefault(key, []).append(row)
        return list(parts.values())

    def repeats(self, threshold: float) -> dict[int, int]:
        """Find each row that repeats an earlier kept one of its path, and which."""
        survivors: dict[Path | None, list[int]] = {}
        repeats: dict[int, int] = {}
        for row, grams in enumerate(self.grams):
            if grams is None:
                continue
            before = survivors.setdefault(self.paths[row], [])
            most = max(before, key=lambda other: self.likeness(row, other), default=None)
            if most is not None and self.likeness(row, most) >= threshold:
                repeats[row] = most
            else:
                before.append(row)
        return repeats

    def medoids(self, clusters: Sequence[int | None], repeats: Mapping[int, int]) -> dict[int, int]:
        """Choose the row that stands for each cluster, among those that repeat nothing.

        By cosine similarity where all of them have an embedding, else by word trigrams.
        """
        members: dict[int, list[int]] = {}
        for row, cluster in enumerate(clusters):
            if cluster is not None and row not in repeats:
                members.setdefault(cluster, []).append(row)
        places = {row: place for place, row in enumerate(self.rows)}
        chosen: dict[int, int] = {}
        for cluster, rows in members.items():
            if all(row in places for row in rows):
                at = [places[row] for row in rows]
                chosen[cluster] = rows[medoid(1.0 - self.distances[np.ix_(at, at)])]
            else:
                chosen[cluster] = rows[medoid(self.similarities[np.ix_(rows, rows)])]
        return chosen


def read_siblings(ordered: pl.DataFrame, by: Sequence[Level]) -> Iterator[Siblings]:
    """Read each question of a table.

    Args:
        ordered: rows sorted by question_id and sample_id, with the columns that `by` needs.
        by: levels that will be asked for; paths and embeddings are read only where needed.
    """
    use_path, use_embedding = "path" in by, "embedding" in by
    matrix, places = vectors(ordered["embedding"]) if use_embedding else (_NONE, None)
    at = 0
    for count in ordered.group_by("question_id", maintain_order=True).len()["len"]:
        question = ordered.slice(at, count)
        texts: list[str | None] = question["rationale"].to_list()
        paths: list[Path | None] = [None] * count
        if use_path:
            inputs = zip(texts, question["question"], question["choices"].to_list(), strict=True)
            paths = [
                None if text is None else path(text, prompt, options)
                for text, prompt, options in inputs
            ]
        here = [] if places is None else [int(place) for place in places[at : at + count]]
        rows = [row for row, place in enumerate(here) if place >= 0]
        yield Siblings(
            ids=question["sample_id"].to_list(),
            grams=[None if text is None else shingles(text) for text in texts],
            paths=paths,
            rows=rows,
            embeddings=matrix[[here[row] for row in rows]],
        )
        at += count


_NONE = np.empty((0, 0), dtype=np.float32)
