"""Duplicates: the same rationale twice, or nearly, anywhere in the data set."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from filters.contract import DatasetFilter, Example
from filters.minhash import band_keys, bands_for, stable_hash
from filters.shingles import words

EXACT = 0
"""The part that holds hashes of whole texts; bands are numbered from 1."""


class Duplicates(DatasetFilter):
    """Drop a rationale that repeats one of smaller sample_id, whichever question that belongs to.

    Exact duplicates have equal words, numbers and operators in equal order (case, spacing and
    punctuation aside). Near-duplicates share a MinHash band (`filters.minhash`), so `jaccard` is
    where the S-curve is steep, not a sharp threshold. A row may repeat a row that was itself
    dropped; the smallest id of such a chain is always kept.

    Siblings count like any others; `diversity` compares the same texts within a question exactly.
    Where models think apart, thoughts are compared, not solutions.
    """

    version: ClassVar[int] = 2
    reasons: ClassVar[Mapping[str, str]] = {
        "exact_duplicate": "the same words as a sample of smaller id; evidence names it",
        "near_duplicate": "nearly the words of a sample of smaller id; evidence names it",
        "not_measured": "it has no rationale to compare",
    }
    abstains: ClassVar[Collection[str]] = ("not_measured",)
    evidence: ClassVar[Mapping[str, pl.DataType]] = {
        "leader": pl.String(),  # the sample it repeats, the one it shares most bands with
    }

    example: ClassVar[Example] = Example(
        ({"rationale": "3 + 4 = 7."}, {"rationale": "3 + 4 = 7."}, {"rationale": "4 + 3 is 7."})
    )

    use: Literal["duplicates"] = "duplicates"
    jaccard: float | None = Field(default=0.8, ge=0.3, le=1)
    """Similarity of two sets of word n-grams from which texts are near-duplicates; ``null`` drops
    exact duplicates only.
    """
    ngram: int = Field(default=3, ge=1)
    """Words of an n-gram. Rationales are short: one word changed in 40 leaves a Jaccard of 0.85
    with 3-grams and 0.76 with 5-grams.
    """

    def reads(self) -> Sequence[str]:
        """Name the column needed."""
        return ("rationale",)

    def would_pass(
        self, reason: str, score: float | None, evidence: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Drop exact repetitions alone."""
        del score, evidence
        return {"jaccard": None} if reason == "near_duplicate" else None

    def sketch(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Hash each whole text, and each band of its signature: 25 bytes a row a part."""
        texts = frame.filter(pl.col("rationale").is_not_null()).select("sample_id", "rationale")
        whole = [stable_hash(" ".join(words(text))) for text in texts["rationale"]]
        exact = texts.select(
            pl.lit(EXACT, pl.UInt8).alias("part"),
            "sample_id",
            pl.Series("key", whole, dtype=pl.UInt64),
        )
        if self.jaccard is None:
            return exact
        places, keys = band_keys(texts["rationale"], self.ngram, bands_for(self.jaccard))
        near = (
            keys.with_columns(texts["sample_id"].gather(places))
            .unpivot(index="sample_id", variable_name="part", value_name="key")
            .select(pl.col("part").cast(pl.UInt8), "sample_id", pl.col("key").cast(pl.UInt64))
        )
        return pl.concat([exact, near])

    def resolve(self, part: pl.DataFrame) -> pl.DataFrame:
        """Name the smallest id of each bucket."""
        return (
            part.select("sample_id", leader=pl.col("sample_id").min().over("key"))
            .filter(pl.col("leader") != pl.col("sample_id"))
            .unique()
        )

    def assess(self, frame: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
        """Drop every row that some part found a leader for; the score estimates the Jaccard."""
        most = (
            groups.group_by("sample_id", "leader")
            .agg(
                exact=(pl.col("part") == EXACT).any(),
                shared=pl.col("part").filter(pl.col("part") != EXACT).n_unique(),
            )
            .sort("exact", "shared", "leader", descending=[True, True, False])
            .unique("sample_id", keep="first", maintain_order=True)
        )
        similarity = pl.lit(1.0)
        if self.jaccard is not None:
            bands = bands_for(self.jaccard)
            estimate = (pl.col("shared") / bands.count) ** (1.0 / bands.rows)
            similarity = pl.when("exact").then(1.0).otherwise(estimate)
        joined = frame.join(most, on="sample_id", how="left", maintain_order="left").select(
            reason=pl.when(pl.col("rationale").is_null())
            .then(pl.lit("not_measured"))
            .when("exact")
            .then(pl.lit("exact_duplicate"))
            .when(pl.col("leader").is_not_null())
            .then(pl.lit("near_duplicate")),
            absent=pl.col("rationale").is_null(),
            score=pl.when(pl.col("leader").is_not_null()).then(similarity),
            leader="leader",
        )
        keep = joined.select(pl.when(~pl.col("absent")).then(pl.col("reason").is_null()))
        return self.verdicts(
            keep.to_series(),
            joined["reason"],
            score=joined["score"],
            evidence={"leader": joined["leader"]},
        )
