"""Taking the table apart: each shard's rows into the configs of a release and the audit.

``default`` is the selection, every control arm a config of its own, ``rejected`` the samples that
are not live, each with the filter that stopped it and why; a config for every format that the
recipe publishes holds the selection once more. Live samples beyond the budget are in the audit
alone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.release.card import CardFacts, ConfigFacts
from curate.release.excerpt import Excerpt
from curate.release.formats import columns as columns_of
from curate.release.formats import graded, view, wording_of
from curate.release.formats.rows import Record, Wording
from curate.release.options import AUDIT, PublishOptions
from curate.release.parquet import Fingerprint, PartWriter
from filters.columns import (
    FILTER_COLUMNS,
    MEASURE_COLUMNS,
    QUESTION_COLUMNS,
    SOURCE_COLUMNS,
    VERDICT_PREFIX,
)
from filters.contract import Filter

DEFAULT: Final = "default"
REJECTED: Final = "rejected"
DATA: Final = "dataset/data"
UNPUBLISHED: Final = "unpublished"

PUBLISHED: Final = (
    "question_id", "question", "choices", "gold", "gold_type", "domain", "licence",
    "sample_id", "source", "teacher", "prompt_id", "gold_shown",
    "reasoning", "rationale", "answer", "finish_reason", "completion_tokens", "rationale_tokens",
    "nll_with_rationale", "nll_masked", "nll_without_rationale", "nll_rationale",
    "rd_paper", "rd_masked", "rd_spread", "states_gold",
    "rationale_token_ends", "rationale_logprobs", "rationale_entropies",
    "answer_logprobs_with_rationale", "answer_logprobs_without_rationale",
    "cluster", "selection_rank",
)  # fmt: skip
"""Columns of every published config, in order, where the run wrote them."""
REJECTION: Final[Mapping[str, pl.DataType]] = {
    "rejected_by": pl.String(),  # the first filter that stopped the sample
    "rejected_reason": pl.String(),
}
CHOICE_COLUMNS: Final[Mapping[str, pl.DataType]] = {
    "live": pl.Boolean(),
    "selected": pl.Boolean(),
    "selection_rank": pl.Int64(),
}
NEVER_RELEASED: Final = ("embedding",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSpec:
    """What a release says beside its rows.

    Attributes:
        card: what the card tells; its name and version are the release's.
        gates: the filters in order, as they judged.
        arms: the arms' names as columns spell them (``lowest_nll_rationale``).
        publish: what the dataset holds.
        wording: of the formats in it.
        judge: name of the filter that told right from wrong; ``rl`` wants one.
        recipe: the recipe's text as written.
        prompts: text of the prompts that the recipe names beside itself, by path.
        verdicts: path of a person's verdicts there; of those, the ones on samples of this run.
        lock: the lock file's text.
        identity: JSON-able identity for the manifest: recipe digest, lock, models at revisions,
            parameters, keys, what reproduces. No time, host or path.
        extra_columns: types of columns that plug-in measures wrote.
    """

    card: CardFacts
    gates: tuple[Filter, ...] = ()
    arms: tuple[str, ...] = ()
    publish: PublishOptions = field(default_factory=PublishOptions)
    wording: Wording = field(default_factory=lambda: wording_of({}))
    judge: str | None = None
    recipe: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict[str, str])
    verdicts: str | None = None
    lock: str = ""
    identity: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extra_columns: Mapping[str, pl.DataType] = field(default_factory=dict[str, pl.DataType])

    def schema(self) -> dict[str, pl.DataType]:
        """Declare the type of every column a shard may bring."""
        declared = {
            **QUESTION_COLUMNS, **SOURCE_COLUMNS, **MEASURE_COLUMNS, **FILTER_COLUMNS,
            **self.extra_columns,
        }  # fmt: skip
        for gate in self.gates:
            declared |= gate.writes
        declared |= {f"{VERDICT_PREFIX}{gate.name}": gate.verdict_type() for gate in self.gates}
        declared |= CHOICE_COLUMNS | {f"arm_{arm}": pl.Boolean() for arm in self.arms}
        return {name: kind for name, kind in declared.items() if name not in NEVER_RELEASED}


class _Config:
    """One config under way: a writer a split, and its fingerprint.

    Args:
        name: of the config.
        run: the run folder.
        where: which rows are in it.
        published: whether it is part of the dataset.
    """

    def __init__(self, name: str, run: Path, where: pl.Expr, *, published: bool = True) -> None:
        self.name = name
        self._where = where
        self._published = published
        self._folder = run / (DATA if published else UNPUBLISHED) / name
        self._columns: Mapping[str, pl.DataType] = {}
        self._splits: dict[str, PartWriter] = {}
        self._fingerprint = Fingerprint({})
        self._sources: Counter[str] = Counter()

    def declare(self, columns: Mapping[str, pl.DataType]) -> None:
        self._columns = columns
        by = next(iter(columns)) if "sample_id" not in columns else "sample_id"
        self._fingerprint = Fingerprint({**columns, "split": pl.String()}, by)

    def add(self, rows: pl.DataFrame) -> None:
        mine = rows.filter(self._where)
        if "source" in mine.columns:
            self._sources.update(mine["source"].drop_nulls())
        self._write(mine)

    def close(self) -> ConfigFacts:
        for writer in self._splits.values():
            writer.close()
        splits = {name: self._splits[name].rows for name in sorted(self._splits)}
        sources = {name: self._sources[name] for name in sorted(self._sources)}
        return ConfigFacts(
            self.name, splits, self._fingerprint.hexdigest(), self._published, sources
        )

    def _write(self, rows: pl.DataFrame) -> None:
        if not rows.height:
            return
        self._fingerprint.add(rows)
        for (split,), part in rows.partition_by("split", as_dict=True).items():
            writer = self._splits.get(str(split))
            if writer is None:
                writer = PartWriter(self._folder / str(split), self._columns)
                self._splits[str(split)] = writer
            writer.add(part)


class _View(_Config):
    """The selection in a trainer's format."""

    def __init__(self, form: str, run: Path, spec: ReleaseSpec) -> None:
        super().__init__(form, run, pl.col("selected"))
        self._spec = spec
        self.declare(columns_of(form, spec.wording))

    def add(self, rows: pl.DataFrame) -> None:
        for (split,), part in rows.partition_by("split", as_dict=True).items():
            made = pl.DataFrame(list(self._records(part)), schema=dict(self._columns))
            self._write(made.with_columns(split=pl.lit(str(split))))
            self._count(made, part)

    def _count(self, records: pl.DataFrame, rows: pl.DataFrame) -> None:
        """Count whose text is in the records; a pair has two sides."""
        own = "parent_id" if "parent_id" in records.columns else "sample_id"
        for name in {own, "rejected_sample_id"} & set(records.columns):
            ids = records.select(sample_id=name)
            self._sources.update(ids.join(rows, on="sample_id")["source"])

    def _records(self, rows: pl.DataFrame) -> Iterator[Record]:
        """Make the records of whole questions."""
        wording, judge = self._spec.wording, self._spec.judge
        if self.name == "rl":
            assert judge is not None
            usable = rows.filter(pl.col("status") == "ok")
            questions = usable.unique("question_id", maintain_order=True).select(
                name for name in QUESTION_COLUMNS if name in rows.columns
            )
            return graded(questions, usable, judge, wording)
        return view(rows.filter(self._where), rows.filter(~pl.col("live")), self.name, wording)


class Partition:
    """Takes shards apart into configs and the audit.

    Args:
        folder: the run folder.
        spec: of the release.
    """

    def __init__(self, folder: Path, spec: ReleaseSpec) -> None:
        self._spec = spec
        self._audit: PartWriter | None = None
        self._folder = folder
        self._columns: dict[str, pl.DataType] = {}
        self.published: dict[str, pl.DataType] = {}
        included = spec.publish.include
        self.excerpt = Excerpt()
        self._verdicts: list[pl.DataFrame] = []
        arms = [
            _Config(arm, folder, pl.col(f"arm_{arm}"), published="arms" in included)
            for arm in spec.arms
        ]
        self._configs = [
            _Config(DEFAULT, folder, pl.col("selected")),
            *arms,
            _Config(REJECTED, folder, ~pl.col("live"), published=REJECTED in included),
        ]
        if AUDIT in included:
            self._configs.append(_Config(AUDIT, folder, pl.lit(value=True)))
        self._views = [_View(form, folder, spec) for form in dict.fromkeys(spec.publish.formats)]

    def add(self, shard: pl.DataFrame) -> None:
        """Take one shard.

        Raises:
            ValueError: it lacks a column, or brings one without a declared type.
        """
        shard = shard.drop(NEVER_RELEASED, strict=False)
        if self._audit is None:
            self._declare(shard.columns)
        if set(shard.columns) != set(self._columns):
            odd = sorted(set(shard.columns) ^ set(self._columns))
            raise ValueError(f"shards differ in columns {odd}; every shard must bring all of them")
        rows = shard.select(pl.col(n).cast(t) for n, t in self._columns.items())
        assert self._audit is not None
        self._audit.add(rows)
        rows = rows.with_columns(pl.col("split").fill_null("train"), *rejections(self._spec.gates))
        for config in (*self._configs, *self._views):
            config.add(rows)
        self.excerpt.add(rows)
        if "override_keep" in rows.columns:
            said = rows.filter(pl.col("override_keep").is_not_null())
            self._verdicts.append(said.select("sample_id", keep="override_keep"))

    def verdicts(self) -> pl.DataFrame:
        """Give what a person said of these samples, without the words."""
        none = pl.DataFrame(schema={"sample_id": pl.String(), "keep": pl.Boolean()})
        return pl.concat([none, *self._verdicts]).sort("sample_id")

    def close(self) -> tuple[ConfigFacts, ...]:
        """Write what is left and say what is where, ``default`` first."""
        if self._audit is not None:
            self._audit.close()
        return tuple(config.close() for config in (*self._configs, *self._views))

    def _declare(self, present: Iterable[str]) -> None:
        schema, names = self._spec.schema(), set(present)
        if unknown := sorted(names - schema.keys()):
            raise ValueError(f"columns {unknown} have no declared type; name it in extra_columns")
        required = {"sample_id", "question_id", "split", *CHOICE_COLUMNS}
        required |= {n for n in schema if n.startswith((VERDICT_PREFIX, "arm_"))}
        if missing := sorted(required - names):
            raise ValueError(f"the shards lack columns {missing}, which a release needs")
        self._columns = {n: t for n, t in schema.items() if n in names}
        self._audit = PartWriter(self._folder / "audit" / "samples", self._columns)
        extra = [n for n in self._spec.extra_columns if n in names]
        order = (*PUBLISHED[:-1], *extra, PUBLISHED[-1])
        self.published = {n: schema[n] for n in order if n in names}
        for config in self._configs:
            if config.name == AUDIT:
                # `split` says which file a row is in, as in every config
                held = {n: t for n, t in self._columns.items() if n != "split"}
                config.declare({**held, **REJECTION})
            else:
                config.declare({**self.published, **(REJECTION if config.name == REJECTED else {})})


def rejections(gates: Iterable[Filter]) -> tuple[pl.Expr, pl.Expr]:
    """Give ``rejected_by`` and ``rejected_reason``: the first filter that stopped each row."""
    by, reason = [pl.lit(None, pl.String)], [pl.lit(None, pl.String)]
    for gate in gates:
        verdict = pl.col(f"{VERDICT_PREFIX}{gate.name}")
        keep = verdict.struct.field("keep").fill_null(gate.on_abstain == "keep")
        stopped = verdict.is_not_null() & ~keep
        by.append(pl.when(stopped).then(pl.lit(gate.name)))
        reason.append(pl.when(stopped).then(verdict.struct.field("reason")))
    return (
        pl.coalesce(by).alias("rejected_by"),
        pl.coalesce(reason).alias("rejected_reason"),
    )
