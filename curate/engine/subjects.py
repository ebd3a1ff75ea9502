"""What a source asks its teacher about in one round: questions, or samples that it goes on from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

from curate.sources.templates import VARIABLES
from curate.store.store import read_parquet

QUESTIONS_A_BATCH: Final = 4096
SUBJECT: Final = (
    "question_id", "parent_id", "round", "gold_shown", "pass", "rationale", "answer", "output",
    "problem", "origin_id",
)  # fmt: skip
"""What is known of a sample that another is made from; ``origin_id`` is the one that it was itself
made from.
"""


class SubjectFile(NamedTuple):
    """Samples of a shard that a source goes on from.

    Attributes:
        shard: its number.
        path: of a file with the columns of `SUBJECT`, in order of question and sample.
        first: the first question in it.
        last: the last one.
    """

    shard: int
    path: Path
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Subjects:
    """What is asked about in one round.

    Attributes:
        files: with the samples to go on from; None where it is the questions themselves.
        due: of which questions how many samples are drawn now, see `Adaptive.due`; None for as many
            as the source says of each.
    """

    files: tuple[SubjectFile, ...] | None = None
    due: pl.DataFrame | None = None

    def about(self, usable: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Give those of some questions, with what a prompt may read of each.

        Args:
            usable: questions that are not quarantined.

        Yields:
            What `SampledSource.draws` is given; samples of a question are in one batch.
        """
        if self.files is None:
            if self.due is not None:
                usable = usable.join(self.due, on="question_id", maintain_order="left")
            yield from usable.iter_slices(QUESTIONS_A_BATCH)
            return
        first, last = usable["question_id"].min(), usable["question_id"].max()
        questions = usable.select("question_id", *VARIABLES)
        for file in self.files:
            if usable.is_empty() or str(first) > file.last or str(last) < file.first:
                continue
            samples = read_parquet(file.path)
            frame = samples.join(questions, on="question_id", maintain_order="left")
            if frame.height:
                yield frame

    def of_shard(self, number: int) -> pl.DataFrame | None:
        """Read the samples of one shard; None where there are none."""
        paths = [file.path for file in self.files or () if file.shard == number]
        return read_parquet(paths[0]) if paths else None
