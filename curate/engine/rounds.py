"""The rounds of sources that ask: the next one is planned by what the last one gave.

What was drawn is put by for that, in files, and looked at (`curate.engine.early`) once the source
is through with a round. A source for which questions suffice has one round.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Final

import polars as pl

from curate.engine.asking import SourceResult
from curate.engine.early import EarlyLook
from curate.engine.subjects import Subjects
from curate.release.funnel import EnoughCount
from curate.sources import SampledSource
from curate.sources.adaptive import Adaptive, before_any, counted
from curate.sources.lineage import asked_of
from curate.store.store import read_parquet, write_parquet


class Rounds:
    """Plans the rounds of a run's sources.

    Args:
        sources: those that ask.
        usable: questions that are not quarantined.
        look: judges samples before all are there.
        work: scratch that lives as long as rounds are asked for.
    """

    def __init__(
        self,
        sources: Sequence[SampledSource],
        usable: pl.DataFrame,
        look: EarlyLook,
        work: Path,
    ) -> None:
        self._usable: Final = usable
        self._look: Final = look
        self._work: Final = work
        again = {
            s.name
            for s in sources
            if s.most_rounds > 1 or s.adaptive is not None or s.makes == "facts"
        }
        names = {source.parent for source in sources if source.parent is not None} | again
        self._spills: Final = {name: _Spill(work / name / "samples") for name in names}

    def keep(self, name: str, rows: pl.DataFrame) -> None:
        """Put samples by, where somebody goes on from them.

        Args:
            name: of their source.
            rows: a batch.
        """
        if name in self._spills:
            self._spills[name].add(rows)

    def kept(self, source: SampledSource) -> Iterator[pl.DataFrame]:
        """Give the samples that were put by of a source."""
        return self._spills[source.name].batches()

    def of(self, source: SampledSource, result: SourceResult) -> Iterator[Subjects]:
        """Say what a source asks about, a round at a time.

        Args:
            source: one of those given; whatever it makes must be kept before the next round.
            result: is told whether there was enough.
        """
        if source.parent is not None:
            return self._gone_on(source, source.parent)
        if source.adaptive is not None:
            return self._until_enough(source, source.adaptive, result)
        return iter([Subjects()])

    def _place(self, source: SampledSource, number: int) -> Path:
        return self._work / source.name / f"round-{number}"

    def _gone_on(self, source: SampledSource, parent: str) -> Iterator[Subjects]:
        """Go on from samples of another source, then from those made of these."""
        batches, before, own = self._spills[parent].batches(), None, self._spills.get(source.name)
        for number in range(1, source.most_rounds + 1):
            place = self._place(source, number)
            before = self._look.subjects(source, batches, place, number, before)
            if not before.files:
                return
            start = len(own) if own else 0
            yield before
            batches = own.batches(start) if own else iter(())

    def _until_enough(
        self, source: SampledSource, adaptive: Adaptive, result: SourceResult
    ) -> Iterator[Subjects]:
        """Draw again of questions that lack accepted samples."""
        counts, tokens = before_any(asked_of(source, self._usable)), 0
        own = self._spills[source.name]
        for number in count(1):
            due = adaptive.due(counts)
            if due.is_empty():
                break
            start = len(own)
            yield Subjects(due=due)
            batches, place = own.batches(start), self._place(source, number)
            accepted = self._look.accepted(source, batches, due["question_id"], place)
            counts = counted(counts, due, accepted)
            tokens += int(accepted["tokens"].sum())
        drawn = counts.filter(pl.col("drawn") > 0)
        result.enough = EnoughCount(
            questions=drawn.height,
            reached=drawn.filter(pl.col("accepted") >= adaptive.until.enough).height,
            accepted=int(drawn["accepted"].sum()),
            samples=int(drawn["drawn"].sum()),
            tokens=tokens,
        )


class _Spill:
    """Samples of a source that are gone on from, in files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[Path] = []

    def __len__(self) -> int:
        return len(self._files)

    def add(self, batch: pl.DataFrame) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._files.append(self._folder / f"{len(self._files):05d}.parquet")
        write_parquet(batch, self._files[-1])

    def batches(self, start: int = 0) -> Iterator[pl.DataFrame]:
        for path in self._files[start:]:
            yield read_parquet(path)
