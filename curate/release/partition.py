"""Taking the table apart: each shard's rows into the configs of a release and the audit.

``default`` is the selection, every control arm a config of its own, ``rejected`` the samples that
are not live, each with the filter that stopped it and why; a config for every format that the
recipe publishes holds the selection once more. Live samples beyond the budget are in the audit
alone.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.release.card import CardFacts, ConfigFacts
from curate.release.excerpt import Excerpt
from curate.release.formats import Pool, finished, format_of
from curate.release.formats.wording import Record, Wording, wording_of
from curate.release.options import AUDIT, PublishOptions
from curate.release.parquet import Fingerprint, PartWriter
from curate.release.runs import rejections
from filters.columns import (
    ARM_PREFIX,
    GLOSSARY,
    QUESTION_COLUMNS,
    SOURCE_COLUMNS,
    VERDICT_PREFIX,
    Column,
    Glossary,
)
from filters.contract import Filter

DEFAULT: Final = "default"
REJECTED: Final = "rejected"
DATA: Final = "dataset/data"
UNPUBLISHED: Final = "unpublished"

REJECTION: Final = GLOSSARY.of("release").types
CHOICE_COLUMNS: Final = GLOSSARY.of("select").types


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSpec:
    """What a release says beside its rows.

    Attributes:
        card: what the card tells; its name and version are the release's.
        filters: the filters in order, as they judged.
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
        glossary: every column of the run, but for verdicts and arms.
    """

    card: CardFacts
    filters: tuple[Filter, ...] = ()
    arms: tuple[str, ...] = ()
    publish: PublishOptions = field(default_factory=PublishOptions)
    wording: Wording = field(default_factory=lambda: wording_of({}))
    judge: str | None = None
    recipe: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict[str, str])
    verdicts: str | None = None
    lock: str = ""
    identity: Mapping[str, Any] = field(default_factory=dict[str, Any])
    glossary: Glossary = GLOSSARY

    def schema(self) -> dict[str, pl.DataType]:
        """Declare the type of every column a shard may bring."""
        apart = {"question", "source", "select", "release", "question facts"}
        columns = self.glossary.where(lambda column: column.kept and column.of not in apart)
        declared = {**QUESTION_COLUMNS, **SOURCE_COLUMNS, **columns.types}
        declared |= {
            f"{VERDICT_PREFIX}{filter_.name}": filter_.verdict_type() for filter_ in self.filters
        }
        return declared | CHOICE_COLUMNS | {f"{ARM_PREFIX}{arm}": pl.Boolean() for arm in self.arms}


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
        self.published = published
        self._folder = run / (DATA if published else UNPUBLISHED) / name
        self._columns: Mapping[str, pl.DataType] = {}
        self._splits: dict[str, PartWriter] = {}
        self._fingerprint = Fingerprint({})
        self._sources: Counter[str] = Counter()

    def declare(self, columns: Mapping[str, pl.DataType], unhashed: Collection[str] = ()) -> None:
        self._columns = columns
        by = next(iter(columns)) if "sample_id" not in columns else "sample_id"
        hashed = {name: kind for name, kind in columns.items() if name not in unhashed}
        self._fingerprint = Fingerprint({**hashed, "split": pl.String()}, by)

    def add(self, rows: pl.DataFrame) -> None:
        part = rows.filter(self._where)
        for name in ("source", "posed_by"):
            if name in part.columns:
                self._sources.update(part[name].drop_nulls())
        self._write(part)

    def close(self) -> ConfigFacts:
        for writer in self._splits.values():
            writer.close()
        splits = {name: self._splits[name].rows for name in sorted(self._splits)}
        sources = {name: self._sources[name] for name in sorted(self._sources)}
        return ConfigFacts(
            self.name, splits, self._fingerprint.hexdigest(), self.published, sources
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

    def __init__(self, name: str, run: Path, spec: ReleaseSpec) -> None:
        super().__init__(name, run, pl.col("selected"))
        self._spec = spec
        self.format = format_of(name)
        self.declare(self.format.columns(spec.wording).types)

    def add(self, rows: pl.DataFrame) -> None:
        for (split,), part in rows.partition_by("split", as_dict=True).items():
            records = pl.DataFrame(list(self._records(part)), schema=dict(self._columns))
            self._write(records.with_columns(split=pl.lit(str(split))))
            self._count(records, part)

    def _count(self, records: pl.DataFrame, rows: pl.DataFrame) -> None:
        """Count whose text is in the records; a pair has two sides."""
        own = "parent_id" if "parent_id" in records.columns else "sample_id"
        for name in {own, "rejected_sample_id"} & set(records.columns):
            ids = records.select(sample_id=name)
            self._sources.update(ids.join(rows, on="sample_id")["source"])

    def _records(self, rows: pl.DataFrame) -> Iterator[Record]:
        """Make the records of whole questions."""
        usable = rows.filter(pl.col("status") == "ok")
        pool = Pool(
            chosen=finished(rows.filter(self._where)),
            rejected=finished(rows.filter(~pl.col("live"))),
            questions=usable.unique("question_id", maintain_order=True).select(
                name for name in QUESTION_COLUMNS if name in rows.columns
            ),
            samples=usable,
            judge=self._spec.judge or "",
        )
        return self.format.records(pool, self._spec.wording)


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
        self._published = Glossary()
        self.published: dict[str, pl.DataType] = {}
        included = spec.publish.include
        self.excerpt = Excerpt(spec.glossary)
        self._verdicts: list[pl.DataFrame] = []
        arms = [
            _Config(arm, folder, pl.col(ARM_PREFIX + arm), published="arms" in included)
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
        scratch = self._spec.glossary.where(lambda column: not column.kept)
        shard = shard.drop(list(scratch), strict=False)
        if self._audit is None:
            self._declare(shard.columns)
        if set(shard.columns) != set(self._columns):
            odd = sorted(set(shard.columns) ^ set(self._columns))
            raise ValueError(f"shards differ in columns {odd}; every shard must bring all of them")
        rows = shard.select(pl.col(n).cast(t) for n, t in self._columns.items())
        assert self._audit is not None
        self._audit.add(rows)
        rows = rows.with_columns(
            pl.col("split").fill_null("train"), *rejections(self._spec.filters)
        )
        for config in (*self._configs, *self._views):
            config.add(rows)
        self.excerpt.add(rows)
        if "override_keep" in rows.columns:
            verdicts = rows.filter(pl.col("override_keep").is_not_null())
            self._verdicts.append(verdicts.select("sample_id", keep="override_keep"))

    def verdicts(self) -> pl.DataFrame:
        """Give what a person said of these samples, without the words."""
        none = pl.DataFrame(schema={"sample_id": pl.String(), "keep": pl.Boolean()})
        return pl.concat([none, *self._verdicts]).sort("sample_id")

    def close(self) -> tuple[ConfigFacts, ...]:
        """Write what is left and say what is where, ``default`` first."""
        if self._audit is not None:
            self._audit.close()
        return tuple(config.close() for config in (*self._configs, *self._views))

    def explained(self) -> list[tuple[str, Glossary]]:
        """Give the columns of the dataset with what they mean, group by group."""
        groups = [("every config of samples", self._published)]
        for config in self._configs:
            if config.name == REJECTED and config.published:
                groups.append((REJECTED, GLOSSARY.of("release")))
            elif config.name == AUDIT:
                own = self._spec.glossary.among(self._columns.keys() - self._published.keys())
                groups.append((AUDIT, own.plus(self._judged())))
        return [*groups, *((v.name, v.format.columns(self._spec.wording)) for v in self._views)]

    def _judged(self) -> Iterator[Column]:
        """Describe the columns that belong to single filters and arms."""
        for each in self._spec.filters:
            meaning = f"verdict of filter {each.name}: keep, reason, score, evidence"
            yield Column(f"{VERDICT_PREFIX}{each.name}", each.verdict_type(), meaning)
        for arm in self._spec.arms:
            yield Column(f"{ARM_PREFIX}{arm}", pl.Boolean(), f"whether arm {arm} has it")

    def _declare(self, present: Iterable[str]) -> None:
        schema, names = self._spec.schema(), set(present)
        if unknown := sorted(names - schema.keys()):
            raise ValueError(f"columns {unknown} have no declared type; name them in the glossary")
        required = {"sample_id", "question_id", "split", *CHOICE_COLUMNS}
        required |= {n for n in schema if n.startswith((VERDICT_PREFIX, ARM_PREFIX))}
        if missing := sorted(required - names):
            raise ValueError(f"the shards lack columns {missing}, which a release needs")
        self._columns = {n: t for n, t in schema.items() if n in names}
        self._audit = PartWriter(self._folder / "audit" / "samples", self._columns, always=True)
        self._published = self._spec.glossary.published.among(names)
        self.published = self._published.types
        unhashed = self._published.where(lambda column: not column.hashed)
        for config in self._configs:
            if config.name == AUDIT:
                # `split` says which file a row is in, as in every config
                columns = {n: t for n, t in self._columns.items() if n != "split"}
                config.declare({**columns, **REJECTION})
            else:
                more = REJECTION if config.name == REJECTED else {}
                config.declare({**self.published, **more}, unhashed)
