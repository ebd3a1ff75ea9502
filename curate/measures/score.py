"""Score: what a rationale does to the student's answer.

    RD = PPL(answer | question, rationale) / PPL(answer | question)
    log RD = NLL(answer | question, rationale) - NLL(answer | question)

with NLL the mean over the answer's tokens in nats (MoRSD, arXiv 2509.23574). Three forms are kept:
as published (`rd_paper`), with the rationale's own final value masked (`rd_masked`: as published it
mostly detects copying), and the NLL of the rationale itself (`nll_rationale`, the score GRAPE
selects on). One target line says little (siblings' order under two lines agrees only weakly), so
log RD is averaged over several and half its range is kept as `rd_spread`.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any, ClassVar, Final, Self

import polars as pl
from pydantic import BaseModel

from curate.errors import ModelError
from curate.measures.asking import Asking
from curate.measures.base import Item, MemoMeasure, Need, PoolRequest, Setup
from curate.measures.calibration import Scored, conclude
from curate.measures.masking import states_value
from curate.measures.probes import choose_probes
from curate.measures.rows import READS, Row, rows_of
from curate.measures.score_options import ScoreOptions
from curate.models.references import ResolvedModel
from curate.models.rendering import Rendered, render
from curate.models.servers.servers import StudentServer
from curate.models.students.pairs import Pair, PairReader
from filters.columns import GLOSSARY, Column, Glossary

_ENTROPIES: Final = "rationale_entropies"
_RECORDED: Final = {"rationale_ranks": "ranks"}
"""Keys of a recorded value that hold lists; the others are below ``per_token``."""


class Score(MemoMeasure):
    """Writes Rationale Difficulty and the NLLs it is made of; null where there is no rationale.

    Where a model thinks apart, the rationale is its thought, and the target line stands where the
    solution was: no score sees the solution.

    Args:
        options: as the recipe gives them.
        student: the same, found on this machine.
        server: where it is, for dtype ``served``; else None.
        demand: columns of single tokens that somebody reads.

    Raises:
        ModelError: an encoder-decoder is wanted of a server.
    """

    name: ClassVar[str] = "score"
    version: ClassVar[int] = 1
    reads = READS
    writes: Glossary = GLOSSARY.of("score")
    section: ClassVar[type[BaseModel] | None] = ScoreOptions
    needs: ClassVar[Collection[Need]] = ("student",)
    item_bytes: ClassVar[int] = 350

    def __init__(
        self,
        options: ScoreOptions,
        student: ResolvedModel,
        server: StudentServer | None = None,
        demand: Collection[str] = (),
    ) -> None:
        self.options = options
        self.writes = self.columns(options, demand)
        lists = self.writes.where(lambda column: column.per_token)
        self.details = sorted({_RECORDED.get(name, "per_token") for name in lists})
        self._asking = Asking(options, student, server)
        self._reader: PairReader | None = None

    @classmethod
    def columns(cls, options: BaseModel | None, demand: Collection[str] = ()) -> Glossary:
        """Leave columns of single tokens out that nobody reads, and entropies that nobody tells.

        What is read only, and not released, lies in scratch. Ranks are younger than `per_token`:
        unless something reads them they are left out, so that what was recorded without suffices.
        """
        assert options is None or isinstance(options, ScoreOptions)
        released = options is not None and options.per_token
        served = options is not None and options.dtype == "served"

        def written() -> Iterator[Column]:
            for column in cls.writes.values():
                wanted = column.name in demand or (released and column.name not in _RECORDED)
                if not column.per_token:
                    yield column
                elif wanted and not (served and column.name == _ENTROPIES):
                    yield column if released else replace(column, published=False, kept=False)

        return Glossary(written())

    @classmethod
    def on_demand(cls, column: str) -> str:
        """Say what keeps a column from being written, or which option brings it."""
        if column == _ENTROPIES:
            return (
                "no server of measures.score tells entropies: drop `dtype: served`, so that the "
                "student is loaded here"
            )
        return "add `per_token: true` under measures.score"

    @classmethod
    def open(cls, setup: Setup) -> Self:
        """Score for the recipe's student."""
        assert isinstance(setup.options, ScoreOptions)
        return cls(setup.options, setup.models["student"], setup.server, setup.demand)

    def instrument(self) -> Mapping[str, Any]:
        """Identify the student and the way it is asked."""
        return {**self._asking.identity, "templates": list(self.options.templates)}

    def pool(self) -> PoolRequest | None:
        """Ask for more questions than are calibrated on: not all have right and wrong siblings."""
        if not self.options.calibrate:
            return None
        return PoolRequest(4 * self.options.calibrate, ("question_id", "sample_id", *READS))

    def pool_items(self, pool: pl.DataFrame) -> Sequence[Item]:
        """List what calibration scores."""
        return [
            item
            for probe in choose_probes(pool, self.options.calibrate, self.options.mask)
            for item in self._items(probe.pair)
        ]

    def conclude(
        self, pool: pl.DataFrame, values: Mapping[str, Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """Test the student (see `curate.measures.calibration`)."""
        scored: list[Scored] = []
        for probe in choose_probes(pool, self.options.calibrate, self.options.mask):
            logs = self._log_rd(probe.pair, values)
            if logs is not None:
                scored.append(Scored(probe.question, probe.kind, *logs))
        return conclude(scored)

    def items(self, frame: pl.DataFrame) -> Sequence[Item]:
        """List every rationale, and each question without one."""
        pairs = (self._pair(row) for row in rows_of(frame))
        return [item for pair in pairs if pair for item in self._items(pair)]

    def compute(self, items: Iterable[Item]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Score in windows; what the texts of a window share is computed once.

        Items are taken question by question, whatever they are wanted for: siblings of several
        sources, and those calibration looks at, begin alike.

        Raises:
            ModelError: the student can't be loaded, or its chat template drops rationales.
        """
        waiting = sorted(items, key=lambda item: item.payload.question)
        if not waiting:
            return
        reader = self._reader = self._reader or PairReader.load(
            self._asking.student.path,
            self._asking.open,
            self._asking.layout,
            self.options.templates,
            per_token=bool(self.details),
        )
        for start in range(0, len(waiting), reader.window):
            window = waiting[start : start + reader.window]
            values = reader.read([item.payload for item in window])
            for item, value in zip(window, values, strict=True):
                yield item.key, value

    def assemble(
        self,
        frame: pl.DataFrame,
        values: Mapping[str, Mapping[str, Any]],
        facts: Mapping[str, Any],
    ) -> pl.DataFrame:
        """Make the columns.

        Raises:
            ModelError: no rationale of several changes the answer's likelihood at all.
        """
        follows = facts.get("student_follows")
        made = [self._columns(row, values) | {"student_follows": follows} for row in rows_of(frame)]
        refuse_no_effect([row["rd_paper"] for row in made], self._asking.student.name)
        return pl.DataFrame(
            [
                pl.Series(name, [row.get(name) for row in made], dtype=dtype)
                for name, dtype in self.writes.types.items()
            ]
        )

    def shown(self, frame: pl.DataFrame) -> Rendered | None:
        """Render the first row that can be scored as the student reads it, masked.

        Args:
            frame: rows with the columns of `READS`.

        Returns:
            Under the first template; its ``answer`` is the span whose likelihood is measured. None
            where no row can be scored.
        """
        from curate.models.students.tokenizing import load_tokenizer

        pair = next((pair for row in rows_of(frame) if (pair := self._pair(row))), None)
        if pair is None:
            return None
        tokenizer = load_tokenizer(self._asking.student.path)
        line, layout = self.options.templates[0], self._asking.layout
        return render(pair.question, pair.masked, line, pair.answer, tokenizer, layout)

    def close(self) -> None:
        """Free the student."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _pair(self, row: Row) -> Pair | None:
        return row.pair(self.options.mask)

    def _items(self, pair: Pair) -> list[Item]:
        """List what a pair's RD is made of: the question alone, and with the rationale."""
        return [Item(self.memo_key(*part), part) for part in (pair.alone(), pair)]

    def _log_rd(
        self, pair: Pair, values: Mapping[str, Mapping[str, Any]]
    ) -> tuple[list[float], list[float]] | None:
        """Give log RD under each template, as published and masked; None where not measured."""
        alone = values.get(self.memo_key(*pair.alone()), {})
        both = values.get(self.memo_key(*pair), {})
        if "answer" not in alone or "paper" not in both:
            return None
        base = _means(alone["answer"])
        paper, masked = (
            [nll - without for nll, without in zip(_means(both[form]), base, strict=True)]
            for form in ("paper", "masked")
        )
        return paper, masked

    def _columns(self, row: Row, values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Make one row; columns that were not measured are left out."""
        pair = self._pair(row)
        logs = self._log_rd(pair, values) if pair else None
        if pair is None or logs is None:
            return {"rd_paper": None}
        both = values[self.memo_key(*pair)]
        alone = values[self.memo_key(*pair.alone())]
        paper, masked = logs
        return {
            "nll_with_rationale": fmean(_means(both["paper"])),
            "nll_masked": fmean(_means(both["masked"])),
            "nll_without_rationale": fmean(_means(alone["answer"])),
            "nll_rationale": _means([both["rationale"]])[0],
            "rd_paper": math.exp(fmean(paper)),
            "rd_masked": math.exp(fmean(masked)),
            "rd_spread": (max(masked) - min(masked)) / 2,
            "states_gold": states_value(pair.rationale, row.gold, row.kind, row.options),
            "score_truncated": both["truncated"],
            **(_lists(row, both, alone) if self.details else {}),
        }


def refuse_no_effect(rd: Sequence[float | None], student: str) -> None:
    """Refuse scores among which every RD is 1: the student can't have seen the rationales.

    Raises:
        ModelError: at least three rationales were scored and none had any effect.
    """
    values = [value for value in rd if value is not None]
    if len(values) >= 3 and all(abs(value - 1) < 1e-9 for value in values):
        raise ModelError(
            f"Rationale Difficulty is 1 for all {len(values)} rationales under {student}: the "
            "student never saw them; set `layout: plain` under measures.score"
        )


def _lists(row: Row, both: Mapping[str, Any], alone: Mapping[str, Any]) -> dict[str, Any]:
    """Make the columns of single tokens; ends count in the row's rationale as it stands there."""
    text = row.rationale or ""
    before = len(text) - len(text.lstrip())
    tokens = both["per_token"]
    return {
        "rationale_token_ends": [before + end for end in tokens["ends"]],
        "rationale_logprobs": tokens["rationale"],
        _ENTROPIES: tokens["entropies"],
        "rationale_ranks": both.get("ranks", ()),
        "answer_logprobs_with_rationale": tokens["answer"],
        "answer_logprobs_without_rationale": alone["per_token"]["answer"],
    }


def _means(parts: Sequence[Mapping[str, float]]) -> list[float]:
    """Give mean nats a token of each part."""
    return [part["nats"] / part["tokens"] for part in parts]
