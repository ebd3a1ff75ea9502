"""Writing a run folder: the dataset that is published and the audit that is not.

::

    RUN/README.md                     configs that point into dataset/data, never at the audit
    RUN/dataset/README.md             the card
    RUN/dataset/manifest.json         identity: no time, no host, no path; and versions
    RUN/dataset/recipe.yaml, recipe.lock.json, and the prompts it names
    RUN/dataset/data/<config>/<split>-00000-of-0000N.parquet
    RUN/unpublished/<config>/...      configs that `publish.include` leaves out of the dataset
    RUN/audit/samples-*.parquet       every sample with every verdict
    RUN/audit/questions-*.parquet     every question, quarantined ones too
    RUN/audit/posed-*.parquet         what teachers wrote that were to pose questions
    RUN/audit/rollouts-*.parquet      what the student wrote itself, where it was sampled

The table is partitioned here, once, shard by shard (`curate.release.partition`). Everything is
written into a folder of another name beside the final one and renamed when it is whole.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.errors import InputError
from curate.release.card import ConfigFacts, dataset_card, run_card
from curate.release.files import CARD, hashes
from curate.release.manifest import as_bytes
from curate.release.parquet import PartWriter
from curate.release.partition import DEFAULT, Partition, ReleaseSpec
from curate.release.runs import MADE_WITH, MANIFEST, MANIFEST_FORMAT
from filters.columns import GLOSSARY, QUESTION_COLUMNS

QUESTION_FACTS: Final = GLOSSARY.among(["nll_without_rationale"]).types | (
    GLOSSARY.of("question facts").types
)
"""What is measured once a question, beside `QUESTION_COLUMNS`."""


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
    writers = Partition(partial, spec)
    for shard in shards:
        writers.add(shard)
    configs = writers.close()
    if questions is not None:
        _write_questions(partial, questions)
    _write_texts(partial, spec, writers, configs)
    manifest = _manifest(spec, configs, writers.published, hashes(partial / "dataset"))
    (partial / MANIFEST).write_bytes(as_bytes(manifest))
    if complete is not None:
        complete(partial)
    partial.replace(folder)
    return ReleaseSummary(folder, configs[0].dataset_hash, configs, manifest)


def _write_questions(folder: Path, questions: pl.DataFrame) -> None:
    declared = {**QUESTION_COLUMNS, **QUESTION_FACTS}
    columns = {name: kind for name, kind in declared.items() if name in questions.columns}
    writer = PartWriter(folder / "audit" / "questions", columns, always=True)
    writer.add(questions)
    writer.close()


def _manifest(
    spec: ReleaseSpec,
    configs: Iterable[ConfigFacts],
    columns: Mapping[str, pl.DataType],
    digests: Mapping[str, str],
) -> dict[str, Any]:
    listed = {
        c.name: {"splits": c.splits, "dataset_hash": c.dataset_hash, "sources": c.sources}
        for c in configs
        if c.published
    }
    return {
        "format": MANIFEST_FORMAT,
        "name": spec.card.name,
        "release": spec.card.release,
        "dataset_hash": listed[DEFAULT]["dataset_hash"],
        "configs": listed,
        "columns": {name: str(kind) for name, kind in columns.items()},
        "glossary": spec.glossary.where(lambda column: column.kept).as_json(),
        "funnel": spec.card.funnel.model_dump(mode="json"),
        "calibration": spec.card.calibration,
        MADE_WITH: dict(spec.card.made_with),
        "digests": {name: digest for name, digest in digests.items() if name != CARD},
        **spec.identity,
    }


def _write_texts(
    folder: Path,
    spec: ReleaseSpec,
    writers: Partition,
    configs: tuple[ConfigFacts, ...],
) -> None:
    dataset = folder / "dataset"
    texts = {
        **{dataset / name: text for name, text in spec.prompts.items()},
        folder / "README.md": run_card(spec.card, configs),
        dataset / "README.md": dataset_card(
            spec.card,
            [config for config in configs if config.published],
            spec.filters,
            writers.excerpt,
            writers.explained(),
        ),
        dataset / "recipe.yaml": spec.recipe,
        dataset / "recipe.lock.json": spec.lock,
    }
    for path, text in texts.items():
        if text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if spec.verdicts:
        (dataset / spec.verdicts).parent.mkdir(parents=True, exist_ok=True)
        writers.verdicts().write_csv(dataset / spec.verdicts)
