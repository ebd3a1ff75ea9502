"""Writing a run folder: the dataset that is published and the audit that is not.

::

    RUN/README.md                     configs that point into dataset/data, never at the audit
    RUN/dataset/README.md             the card
    RUN/dataset/manifest.json         identity: no time, no host, no path
    RUN/dataset/recipe.yaml, recipe.lock.json, and the prompts it names
    RUN/dataset/data/<config>/<split>-00000-of-0000N.parquet
    RUN/unpublished/<config>/...      configs that `publish.include` leaves out of the dataset
    RUN/audit/samples-*.parquet       every sample with every verdict
    RUN/audit/questions-*.parquet     every question, quarantined ones too

The table is partitioned here, once, shard by shard: ``default`` is the selection, every control arm
a config of its own, ``rejected`` the samples that are not live, each with the filter that stopped
it and why; a config for every format that the recipe publishes holds the selection once more. Live
samples beyond the budget are in the audit alone. Everything is written into a folder of another
name beside the final one and renamed when it is whole.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import polars as pl

from curate.card import CardFacts, ConfigFacts, dataset_card, run_card
from curate.columnar import Fingerprint, PartWriter
from curate.errors import InputError
from curate.excerpt import Excerpt
from curate.formats import Record, Wording
from curate.publish import AUDIT, PublishOptions
from curate.views import columns as columns_of
from curate.views import graded, view, wording_of
from filters.columns import (
    FILTER_COLUMNS,
    MEASURE_COLUMNS,
    QUESTION_COLUMNS,
    SOURCE_COLUMNS,
    VERDICT_PREFIX,
)
from filters.contract import Filter

MANIFEST_FORMAT: Final = 1
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
QUESTION_FACTS: Final[Mapping[str, pl.DataType]] = {
    "nll_without_rationale": pl.Float64(),
    "pass_rate": pl.Float64(),
    "samples_asked": pl.Int32(),
    "samples_received": pl.Int32(),
}
"""What is measured once a question, beside `QUESTION_COLUMNS`."""
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
        files: what else belongs to the recipe, by the path beside it that it names.
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
    files: Mapping[str, Path] = field(default_factory=dict[str, Path])
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


@dataclass(frozen=True, slots=True)
class ReleaseSummary:
    """What was written.

    Attributes:
        folder: the run folder.
        dataset_hash: of the selection.
        configs: every config, empty ones included, ``default`` first.
        manifest: as written.
    """

    folder: Path
    dataset_hash: str
    configs: tuple[ConfigFacts, ...]
    manifest: Mapping[str, Any]


def write_release(
    folder: Path,
    shards: Iterable[pl.DataFrame],
    spec: ReleaseSpec,
    questions: pl.DataFrame | None = None,
    complete: Callable[[Path], None] | None = None,
) -> ReleaseSummary:
    """Write a run folder, all of it or nothing.

    Args:
        folder: the run folder; must not exist, or be empty.
        shards: whole tables of some samples each, with the columns of `ReleaseSpec.schema` that
            the run wrote, the same in every shard; ``embedding`` is left out.
        spec: what is said beside the rows.
        questions: the questions table for the audit.
        complete: called with the folder before it gets its final name, to add what is not ours
            (``run.json``, ``report.html``).

    Raises:
        InputError: the folder holds something already.
        ValueError: a shard lacks a column or brings one without a declared type.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{str(folder)!r} is not empty; a finished run is never changed: name another folder "
            "with --out, or move this one away"
        )
    folder = folder.absolute()
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "dataset").mkdir(parents=True)
    writers = _Writers(partial, spec)
    for shard in shards:
        writers.add(shard)
    configs = writers.close()
    if questions is not None:
        _write_questions(partial, questions)
    manifest = _manifest(spec, configs, writers.published)
    _write_texts(partial, spec, configs, manifest, writers.excerpt)
    if complete is not None:
        complete(partial)
    partial.replace(folder)
    return ReleaseSummary(folder, configs[0].dataset_hash, configs, manifest)


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

    def declare(self, columns: Mapping[str, pl.DataType]) -> None:
        self._columns = columns
        by = next(iter(columns)) if "sample_id" not in columns else "sample_id"
        self._fingerprint = Fingerprint({**columns, "split": pl.String()}, by)

    def add(self, rows: pl.DataFrame) -> None:
        self._write(rows.filter(self._where))

    def close(self) -> ConfigFacts:
        for writer in self._splits.values():
            writer.close()
        splits = {name: self._splits[name].rows for name in sorted(self._splits)}
        return ConfigFacts(self.name, splits, self._fingerprint.hexdigest(), self._published)

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


class _Writers:
    """Takes shards apart into configs and the audit."""

    def __init__(self, folder: Path, spec: ReleaseSpec) -> None:
        self._spec = spec
        self._audit: PartWriter | None = None
        self._folder = folder
        self._columns: dict[str, pl.DataType] = {}
        self.published: dict[str, pl.DataType] = {}
        included = spec.publish.include
        self.excerpt = Excerpt()
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
        shard = shard.drop(NEVER_RELEASED, strict=False)
        if self._audit is None:
            self._declare(shard.columns)
        if set(shard.columns) != set(self._columns):
            odd = sorted(set(shard.columns) ^ set(self._columns))
            raise ValueError(f"shards differ in columns {odd}; every shard must bring all of them")
        rows = shard.select(pl.col(n).cast(t) for n, t in self._columns.items())
        assert self._audit is not None
        self._audit.add(rows)
        rows = rows.with_columns(pl.col("split").fill_null("train"), *_rejections(self._spec.gates))
        for config in (*self._configs, *self._views):
            config.add(rows)
        self.excerpt.add(rows)

    def close(self) -> tuple[ConfigFacts, ...]:
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


def _rejections(gates: Iterable[Filter]) -> tuple[pl.Expr, pl.Expr]:
    """Find the first filter that stopped each row."""
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


def _write_questions(folder: Path, questions: pl.DataFrame) -> None:
    declared = {**QUESTION_COLUMNS, **QUESTION_FACTS}
    columns = {name: kind for name, kind in declared.items() if name in questions.columns}
    writer = PartWriter(folder / "audit" / "questions", columns)
    writer.add(questions)
    writer.close()


def _manifest(
    spec: ReleaseSpec, configs: Iterable[ConfigFacts], columns: Mapping[str, pl.DataType]
) -> dict[str, Any]:
    listed = {
        c.name: {"splits": c.splits, "dataset_hash": c.dataset_hash} for c in configs if c.published
    }
    return {
        "format": MANIFEST_FORMAT,
        "name": spec.card.name,
        "release": spec.card.release,
        "dataset_hash": listed[DEFAULT]["dataset_hash"],
        "configs": listed,
        "columns": {name: str(kind) for name, kind in columns.items()},
        "funnel": spec.card.funnel.model_dump(mode="json"),
        "calibration": spec.card.calibration,
        **spec.identity,
    }


def _write_texts(
    folder: Path,
    spec: ReleaseSpec,
    configs: tuple[ConfigFacts, ...],
    manifest: Mapping[str, Any],
    excerpt: Excerpt,
) -> None:
    dataset = folder / "dataset"
    texts = {
        folder / "README.md": run_card(spec.card, configs),
        dataset / "README.md": dataset_card(
            spec.card, [c for c in configs if c.published], spec.gates, excerpt
        ),
        dataset / "recipe.yaml": spec.recipe,
        dataset / "recipe.lock.json": spec.lock,
    }
    for path, text in texts.items():
        if text:
            path.write_text(text, encoding="utf-8")
    for name, source in spec.files.items():
        (dataset / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, dataset / name)
    style = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    (dataset / "manifest.json").write_bytes(orjson.dumps(manifest, option=style))
