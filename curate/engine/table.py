"""The samples table while a run works on it: shards of whole questions, columns in files.

A shard is a unit of work only. Questions stand in order of their id and a shard ends after a
question whose id hashes to 0 modulo `QUESTIONS_PER_SHARD`, so one question more changes one shard.
What a step writes goes into a file of its own (a *part*), holding just the rows the step saw;
reading joins the parts asked for. Memory is bounded by the shards in flight.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import polars as pl

from curate.recipe.model import QUESTIONS_PER_SHARD
from curate.store.store import read_parquet, write_parquet
from filters.columns import PARENT_COLUMNS, QUESTION_COLUMNS, SOURCE_COLUMNS

SPILL_ROWS: Final = 200_000
IDS: Final = ("sample_id", "question_id")


@dataclass(frozen=True, slots=True)
class Part:
    """Columns a step wrote, for the rows it saw.

    Attributes:
        path: Parquet file with `sample_id` and `columns`.
        columns: names of the columns, `sample_id` left out.
        renamed: pairs (name in the file, name in the table) where the two differ.
    """

    path: Path
    columns: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...] = ()

    def read(self, names: Sequence[str]) -> pl.DataFrame:
        """Read `sample_id` and the named columns."""
        stored = {name: inside for inside, name in self.renamed}
        inside = [stored.get(name, name) for name in names]
        frame = read_parquet(self.path, ["sample_id", *inside])
        return frame.rename(dict(zip(inside, names, strict=True)))


@dataclass(slots=True)
class Shard:
    """Whole questions with all their samples.

    Attributes:
        number: place in the table.
        questions: file with the shard's rows of the questions table.
        base: file with the columns the sources wrote, sorted by question, then sample.
        live: one entry a sample, in the order of `base`: every verdict so far is kept.
        parts: what steps added, oldest first.
    """

    number: int
    questions: Path
    base: Path
    live: pl.Series
    parts: list[Part] = field(default_factory=list[Part])

    @property
    def height(self) -> int:
        """Number of samples."""
        return self.live.len()

    def fork(self) -> "Shard":
        """Copy the state, so that a chain can be judged again from here."""
        return Shard(self.number, self.questions, self.base, self.live, list(self.parts))

    def read(self, columns: Iterable[str], seen: pl.Series | None = None) -> pl.DataFrame:
        """Read columns, wherever they lie.

        Args:
            columns: public columns of the sample, its question or its parent; ids are always
                added.
            seen: which rows; all where not given.

        Returns:
            Ids first, then `columns`; null where a step did not see the row.

        Raises:
            KeyError: no step wrote the column.
        """
        wanted = list(dict.fromkeys((*IDS, *columns)))
        of_parents = [name for name in wanted if name in PARENT_COLUMNS]
        frame = self._read([name for name in wanted if name not in of_parents], seen)
        return (self._with_parents(frame, of_parents) if of_parents else frame).select(wanted)

    def _read(self, names: Sequence[str], seen: pl.Series | None) -> pl.DataFrame:
        """Read columns of samples and of their questions."""
        own = [name for name in names if name in SOURCE_COLUMNS]
        frame = read_parquet(self.base, own)
        if seen is not None:
            frame = frame.filter(seen)
        for part in self.parts:
            overlap = [name for name in part.columns if name in names]
            if overlap:
                more = part.read(overlap)
                frame = frame.drop(overlap, strict=False).join(
                    more, on="sample_id", how="left", maintain_order="left"
                )
        missing = [name for name in names if name not in frame.columns]
        question_columns = [name for name in missing if name in QUESTION_COLUMNS]
        if question_columns:
            facts = read_parquet(self.questions, ["question_id", *question_columns])
            frame = frame.join(facts, on="question_id", how="left", maintain_order="left")
        return frame.select(names)

    def _with_parents(self, frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        """Add columns of the samples that rows were made from, which are of the same question."""
        own = [PARENT_COLUMNS[name] for name in names]
        parents = self._read(["sample_id", *own], None).select(
            pl.col("sample_id").alias("parent_id"),
            *(pl.col(column).alias(name) for name, column in zip(names, own, strict=True)),
        )
        children = self._read([*IDS, "parent_id"], None).select("sample_id", "parent_id")
        return frame.join(
            children.join(parents, on="parent_id", how="inner").drop("parent_id"),
            on="sample_id", how="left", maintain_order="left",
        )  # fmt: skip

    def add(self, part: Part) -> None:
        """Add columns a step wrote."""
        self.parts.append(part)


def write_part(path: Path, sample_ids: pl.Series, columns: pl.DataFrame) -> Part:
    """Write a step's columns beside the ids of the rows it saw."""
    write_parquet(columns.with_columns(sample_ids.alias("sample_id")), path)
    return Part(path, tuple(columns.columns))


@dataclass(slots=True)
class Table:
    """Both tables of a run.

    Attributes:
        questions: one row a question, sorted by id.
        shards: the samples.
    """

    questions: pl.DataFrame
    shards: list[Shard]

    @property
    def height(self) -> int:
        """Number of samples."""
        return sum(shard.height for shard in self.shards)


def shard_numbers(question_ids: pl.Series, size: int = QUESTIONS_PER_SHARD) -> pl.Series:
    """Give each question its shard.

    Args:
        question_ids: sorted hex ids.
        size: mean number of questions a shard.

    Returns:
        Non-decreasing numbers from 0.
    """
    cut = question_ids.str.slice(-8).str.to_integer(base=16) % size == 0
    return cut.cast(pl.Int32).cum_sum().shift(1, fill_value=0)


def build_table(
    questions: pl.DataFrame,
    batches: Iterable[pl.DataFrame],
    folder: Path,
    size: int = QUESTIONS_PER_SHARD,
    more: Mapping[str, pl.DataType] = MappingProxyType({}),
) -> Table:
    """Cut questions and the samples of all sources into shards.

    Args:
        questions: the questions table.
        batches: rows with the columns of `SOURCE_COLUMNS`, in any order and size.
        folder: where the shards' files go.
        size: mean number of questions a shard.
        more: columns that some batches bring beside them; null in the rows of all others.

    Returns:
        A table in which every sample is live whose question is not quarantined.
    """
    ordered = questions.sort("question_id")
    numbers = shard_numbers(ordered["question_id"], size).alias("shard")
    place = ordered.select("question_id").with_columns(numbers)
    count = int(numbers[-1]) + 1 if numbers.len() else 0
    spill = folder / "spill"
    spill.mkdir(parents=True)
    columns = {**SOURCE_COLUMNS, **more}
    pieces = _spill(batches, place, spill, columns)
    shards: list[Shard] = []
    for number in range(count):
        facts = folder / f"questions-{number:05d}.parquet"
        shard_questions = ordered.filter(numbers == number)
        write_parquet(shard_questions, facts)
        rows = _gather(pieces.get(number, ()), columns)
        base = folder / f"samples-{number:05d}.parquet"
        write_parquet(rows, base)
        usable = shard_questions.filter(pl.col("status") == "ok")["question_id"]
        live = rows["question_id"].is_in(usable.implode())
        shards.append(Shard(number, facts, base, live, [Part(base, tuple(more))] if more else []))
    return Table(ordered, shards)


def _spill(
    batches: Iterable[pl.DataFrame],
    place: pl.DataFrame,
    folder: Path,
    columns: Mapping[str, pl.DataType],
) -> dict[int, list[Path]]:
    """Sort incoming rows into files by shard, holding at most `SPILL_ROWS` in memory."""
    pieces: dict[int, list[Path]] = {}
    waiting: list[pl.DataFrame] = []
    for batch in _grouped(batches, waiting, columns):
        routed = batch.join(place, on="question_id", how="left")
        for (number,), rows in routed.partition_by(
            "shard", as_dict=True, include_key=False
        ).items():
            if number is None:
                lost = rows["question_id"][0]
                raise AssertionError(f"a source made a sample of unknown question {lost!r}")
            path = folder / f"{number:05d}-{len(pieces.get(number, ())):05d}.arrow"
            rows.write_ipc(path)
            pieces.setdefault(number, []).append(path)
    return pieces


def _grouped(
    batches: Iterable[pl.DataFrame],
    waiting: list[pl.DataFrame],
    columns: Mapping[str, pl.DataType],
) -> Iterator[pl.DataFrame]:
    for batch in batches:
        lacking = [pl.lit(None, columns[n]).alias(n) for n in columns if n not in batch.columns]
        waiting.append(batch.with_columns(lacking).select(list(columns)))
        if sum(frame.height for frame in waiting) >= SPILL_ROWS:
            yield pl.concat(waiting)
            waiting.clear()
    if waiting:
        yield pl.concat(waiting)


def _gather(paths: Sequence[Path], columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Read one shard's pieces back, in canonical order, and remove them."""
    frames = [pl.read_ipc(path) for path in paths]
    rows = pl.concat([pl.DataFrame(schema=dict(columns)), *frames])
    for path in paths:
        path.unlink()
    twice = rows.filter(pl.col("sample_id").is_duplicated())
    if twice.height:
        raise AssertionError(f"two samples share the id {twice['sample_id'][0]!r}")
    return rows.sort("question_id", "sample_id")
