"""Diversity: which siblings reason differently, and which only repeat each other."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import polars as pl
from pydantic import Field, field_validator

from filters.clusters import Linkage, choose_distance
from filters.columns import GLOSSARY, Glossary
from filters.contract import Example, Filter, Scope
from filters.siblings import Cut, Level, Siblings, read_siblings

_Row = tuple[bool | None, str | None, str | None, str | None, str | None, float | None, int | None]


class Diversity(Filter):
    """Mark clusters of siblings and drop near-duplicates.

    Clusters are nested: the rows of a question are split by the first level of `by`, each group by
    the next. A row that a level cannot read (no equation, no embedding) goes on to the next level
    with the other rows that it cannot read; evidence says which level decided.

    Near-duplicates are compared within a path (where `by` has one), because a rationale with one
    operator changed is nearly the same text and another path. In sample_id order, a row is dropped
    when it repeats a row kept before it.

    By default nothing but near-duplicates is dropped: keeping medoids before scoring loses the row
    of lowest Rationale Difficulty in 71 % of the questions, so `select` chooses inside clusters.
    Every level looks at the rationale: where a model thinks apart, at the thought alone.
    """

    version: ClassVar[int] = 2
    scope: ClassVar[Scope] = "question"
    reasons: ClassVar[Mapping[str, str]] = {
        "near_duplicate": "nearly the words of a sibling that was kept; evidence names it",
        "not_medoid": "another sibling stands for its cluster; evidence names it",
        "not_measured": "neither a rationale nor an embedding to compare",
    }
    abstains: ClassVar[Collection[str]] = ("not_measured",)
    evidence: ClassVar[Mapping[str, pl.DataType]] = {
        "path": pl.String(),  # canonical steps, null where nothing parses
        "decided_by": pl.String(),  # the last level that split the row from a sibling, or read it
        "nearest": pl.String(),  # sample_id of the sibling it repeats, its medoid, or most like it
        "similarity": pl.Float64(),  # word-trigram Jaccard with it
    }
    writes: ClassVar[Glossary] = GLOSSARY.of("diversity")
    libraries: ClassVar[Sequence[str]] = ("scikit-learn",)

    example: ClassVar[Example] = Example(
        (
            {"rationale": "Ann has 3 + 4 = 7 nuts in all."},
            {"rationale": "Ann has 3 + 4 = 7 nuts in total."},
            {"rationale": "4 + 4 = 8 nuts would be one too many, so 8 - 1 = 7."},
        ),
        {"by": ("path", "text"), "near_duplicate": 0.5},
    )

    use: Literal["diversity"] = "diversity"
    by: tuple[Level, ...] = ("path", "embedding")
    """Levels, coarse to fine. ``path``: canonical equations, days or options (`filters.paths`);
    ``text``: word-trigram Jaccard of at least `jaccard`, chained; ``embedding``: agglomerative
    clustering of cosine distances.
    """
    jaccard: float = Field(default=0.7, gt=0, le=1)
    """Word-trigram Jaccard from which ``text`` puts two rationales together."""
    distance: float | Literal["auto"] = "auto"
    """Cosine distance at which merging embeddings stops; ``auto``: the largest that keeps at least
    two clusters in 80 % of the pool's questions, at most 0.10.
    """
    linkage: Linkage = "average"
    """Scikit-learn's word for how clusters are compared."""
    near_duplicate: float | None = Field(default=0.7, gt=0, le=1)
    """Word-trigram Jaccard from which a row counts as a repetition; ``null`` drops none."""
    keep: Literal["all", "medoid"] = "all"
    """``all``, or the ``medoid`` of each cluster for who cannot pay for scoring all."""

    @field_validator("by")
    @classmethod
    def _levels(cls, by: tuple[Level, ...]) -> tuple[Level, ...]:
        if not by or len(set(by)) < len(by):
            raise ValueError(
                f"{list(by)} must name one or more of path, text, embedding, each once"
            )
        return by

    @field_validator("distance")
    @classmethod
    def _cosine(cls, distance: float | Literal["auto"]) -> float | Literal["auto"]:
        if distance != "auto" and not 0 < distance <= 2:
            raise ValueError(f"{distance} is no cosine distance; give one above 0, at most 2")
        return distance

    def reads(self) -> Sequence[str]:
        """Name the columns needed: an encoder is run only where a level compares embeddings."""
        path_columns = ("question", "choices") if "path" in self.by else ()
        return ("rationale", *path_columns, *(("embedding",) if "embedding" in self.by else ()))

    def pool_columns(self) -> Sequence[str]:
        """Ask for the pool's embeddings where the distance is to be chosen from them."""
        return ("embedding",) if self.distance == "auto" and "embedding" in self.by else ()

    def settle(self, pool: pl.DataFrame) -> Self:
        """Turn ``auto`` into a number."""
        if not self.pool_columns():
            return self
        return self.model_copy(update={"distance": choose_distance(pool, self.linkage)})

    def would_pass(
        self, reason: str, score: float | None, evidence: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Drop no repetitions, or keep more than the medoids."""
        del score, evidence
        changes = {"near_duplicate": {"near_duplicate": None}, "not_medoid": {"keep": "all"}}
        return changes.get(reason)

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Cluster every question, then drop what repeats a sibling.

        Raises:
            ValueError: `distance` is ``auto`` and was not settled.
        """
        if self.pool_columns():
            raise ValueError("distance is 'auto': call settle(pool) once before judging")
        ordered = frame.with_row_index("row").sort("question_id", "sample_id")
        judged = [
            row for question in read_siblings(ordered, self.by) for row in self._rows(question)
        ]
        types = {"keep": pl.Boolean(), "reason": pl.String(), **self.evidence, **self.writes.types}
        result = pl.DataFrame(judged, schema=types, orient="row")
        result = result.with_columns(ordered["row"]).sort("row")
        return self.verdicts(
            result["keep"],
            result["reason"],
            score=result["similarity"],
            evidence={name: result[name] for name in self.evidence},
            writes={"cluster": result["cluster"]},
        )

    def _rows(self, question: Siblings) -> list[_Row]:
        """Judge one question: keep, reason, evidence and cluster of each row, in id order."""
        cut = Cut(self.jaccard, 0.0 if self.distance == "auto" else self.distance, self.linkage)
        clusters, decided = question.clusters(self.by, cut)
        repeats = {} if self.near_duplicate is None else question.repeats(self.near_duplicate)
        medoids = question.medoids(clusters, repeats) if self.keep == "medoid" else {}
        rows: list[_Row] = []
        for row, cluster in enumerate(clusters):
            keep, reason, nearest = True, None, question.most_like(row)
            if cluster is None:
                keep, reason = None, "not_measured"
            elif row in repeats:
                keep, reason, nearest = False, "near_duplicate", repeats[row]
            elif medoids.get(cluster, row) != row:
                keep, reason, nearest = False, "not_medoid", medoids[cluster]
            path = question.paths[row]
            rows.append(
                (
                    keep,
                    reason,
                    None if path is None else str(path),
                    decided[row],
                    None if nearest is None else question.ids[nearest],
                    None if nearest is None else question.likeness(row, nearest),
                    cluster,
                )
            )
        return rows
