"""``curate export``: a release in the files and settings of one trainer.

::

    OUT/train.jsonl, validation.jsonl     one record a line
    OUT/<the trainer's configuration>     where it wants one
    OUT/README.md                         what it is, from what, how to train on it
"""

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from curate.backends.tokenizing import load_tokenizer
from curate.card import environment
from curate.errors import CurateError, InputError
from curate.formats import Record, Think, Wording
from curate.lint import REASONS, REFUSED, lint
from curate.models import resolve
from curate.releases import Release
from curate.rendering import Layout
from curate.strict import did_you_mean
from curate.trainers import TRAINERS, Trainer
from curate.views import WORDED, graded, view, wording_of

LINTED: Final = ("messages", "prompt-completion", "tasks", "dpo")
"""Formats that a student's own template is put around."""


class ExportOptions(BaseModel):
    """How a release is exported.

    Attributes:
        config: of the release; ``default`` is the selection, an arm is the control for it.
        layout: by default the one the student was scored in, else ``chat``.
        line: target line; by default the first the student was scored under.
        think: where the rationale goes.
        out: folder to write; by default beside the release.
        student: whose tokenizer and template the records are tried with; by default the one the
            release was made for.
        max_length: tokens at which the trainer will cut; by default not looked at.
        lint: whether they are tried at all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: str = "default"
    layout: Layout | None = None
    line: str | None = None
    think: Think = "none"
    out: Path | None = None
    student: str | None = None
    max_length: int | None = Field(default=None, ge=1)
    lint: bool = True


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        folder: where.
        records: by split.
        found: what the student's template does to some of the records, a line for each reason.
    """

    folder: Path
    records: Mapping[str, int]
    found: tuple[str, ...] = ()


def export(reference: Path, form: str, options: ExportOptions | None = None) -> Exported:
    """Write a release for one trainer.

    Args:
        reference: a run folder, ``runs/<name>``, or a release folder.
        form: one of `curate.trainers.TRAINERS`.
        options: how.

    Raises:
        InputError: no such release, trainer or config; the trainer can't take what is asked; there
            is nothing to write; the folder to write is there already; or the student's template
            would not let what is in it be learnt.
    """
    options = options or ExportOptions()
    if form not in TRAINERS:
        raise InputError(
            f"no trainer is called {form!r}; {did_you_mean(form, list(TRAINERS))}", "--format"
        )
    release = Release.open(reference)
    out = options.out or _beside(release, form, options.config)
    if out.exists():
        raise InputError(f"{str(out)!r} is there already; name another folder", "--out")
    partial = out.absolute().with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        counts, found = _fill(partial, release, TRAINERS[form], options)
    except BaseException:
        shutil.rmtree(partial)
        raise
    partial.rename(out.absolute())
    return Exported(out, counts, found)


def _fill(
    folder: Path, release: Release, trainer: Trainer, options: ExportOptions
) -> tuple[Mapping[str, int], tuple[str, ...]]:
    """Write everything into a folder; give the records by split, and what is worth knowing."""
    if options.config not in release.names:
        release.config(options.config)  # says which there are
    wording = _wording(release, options)
    made = trainer.format_of(wording)
    counts = {
        split: _write(folder / f"{split}.jsonl", rows)
        for split, rows in _splits(release, options.config, made, wording)
    }
    files = {split: f"{split}.jsonl" for split, count in counts.items() if count}
    for split in counts.keys() - files.keys():
        (folder / f"{split}.jsonl").unlink()
    if "train" not in files:
        raise InputError(_nothing(release, options.config, made))
    written = [folder / file for file in files.values()]
    found = tuple(_tried(release, options, made, wording.layout, written))
    config: Mapping[str, str] = {}
    if trainer.config:
        config = trainer.config(release.manifest["name"], files, wording)
    told = {file: counts[split] for split, file in files.items()}
    readme = _readme(release, trainer, options, wording, told)
    for file, text in {**config, "README.md": readme}.items():
        (folder / file).write_text(text, encoding="utf-8")
    return {split: counts[split] for split in files}, found


def _wording(release: Release, options: ExportOptions) -> Wording:
    """Word the rows as the student was scored, where the options say nothing else."""
    scored = wording_of(release.manifest.get("measures", {}), options.think)
    wording = Wording(options.line or scored.line, options.layout or scored.layout, scored.think)
    if wording.line.count("{answer}") != 1:
        raise InputError(f"{wording.line!r} must hold {{answer}} exactly once", "--line")
    return wording


def _splits(
    release: Release, config: str, form: str, wording: Wording
) -> Iterator[tuple[str, Iterable[Record]]]:
    """Give the records of each split."""
    if form == "rl":
        questions, samples, gate = _questions(release)
        for split, asked in _by_split(questions):
            yield split, graded(asked, samples, gate, wording)
        return
    rejected = release.rejected()
    if form == "dpo" and not release.knows_rejected:
        raise InputError(
            f"pairs need the rejected samples, and {release.title} was published without them; "
            "give the run folder"
        )
    for split, rows in _by_split(_ordered(release.config(config))):
        yield split, view(rows, rejected, form, wording)


def _by_split(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Cut a table into its splits, train before validation."""
    for split in sorted(frame["split"].unique()) if frame.height else ():
        yield split, frame.filter(pl.col("split") == split)


def _ordered(frame: pl.DataFrame) -> pl.DataFrame:
    """Put the rows into the order of their selection; those that have no rank by their ids."""
    return frame.sort("selection_rank", "sample_id", nulls_last=True) if frame.height else frame


def _questions(release: Release) -> tuple[pl.DataFrame, pl.DataFrame, str]:
    """Give the questions, all samples, and the filter that told right from wrong.

    Raises:
        InputError: the release does not know all samples, or whether they were right.
    """
    gates = [
        gate["name"]
        for gate in release.manifest["filters"]
        if gate["parameters"].get("use") == "correctness"
    ]
    if release.audit is None or not gates:
        lacks = "a correctness filter" if release.audit else "the run's audit folder"
        raise InputError(
            f"pass rates need every sample with its verdict, and {release.title} lacks {lacks}; "
            "give the run folder of a run with `- use: correctness`"
        )
    samples = pl.read_parquet(release.audit / "samples-*.parquet")
    questions = pl.read_parquet(release.audit / "questions-*.parquet")
    usable = questions.filter(pl.col("status") == "ok").sort("question_id")
    return usable.with_columns(pl.col("split").fill_null("train")), samples, gates[0]


def _tried(
    release: Release, options: ExportOptions, form: str, layout: Layout, files: Iterable[Path]
) -> Iterator[str]:
    """Try the records with the student's tokenizer; say what is worth knowing.

    Raises:
        InputError: they could not be learnt from.
    """
    student = release.manifest.get("models", {}).get("student", {})
    name = options.student or student.get("name")
    if not options.lint or form not in LINTED or not name:
        return
    try:
        revision = None if options.student else student["revision"]
        tokenizer = load_tokenizer(resolve(name, revision, weights=False).path)
    except CurateError as error:
        yield f"not tried with the student's template: {error}"
        return
    if tokenizer.chat_template is None and (form == "messages" or layout == "chat"):
        raise InputError(
            f"{name} has no chat template to put these turns into; use --layout plain, which gives "
            "strings, or --no-lint where the trainer brings a template",
            "--layout",
        )
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for path in files:
        with path.open("rb") as lines:
            for finding in lint(map(orjson.loads, lines), tokenizer, options.max_length):
                ids[finding.reason].append(finding.sample_id)
    told = {
        reason: f"{reason}: {REASONS[reason]} (records: {len(of)}, such as {of[0]})"
        for reason, of in ids.items()
    }
    if refused := [told[reason] for reason in REFUSED if reason in told]:
        raise InputError(
            f"under the template of {name}, " + "; ".join(refused) + ". Try another --think, "
            "--layout plain, or a student whose template keeps it; --no-lint writes it all the same"
        )
    yield from told.values()


def _nothing(release: Release, config: str, form: str) -> str:
    if form == "dpo":
        return (
            f"no selected row of {release.title} has a rejected sibling that is wrong or too "
            "difficult, so there is nothing to prefer it to; sample more per question"
        )
    return f"config {config!r} of {release.title} has no rows to train on"


def _write(path: Path, rows: Iterable[Record]) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count


def _beside(release: Release, form: str, config: str) -> Path:
    """Name the export after what it is made of; a finished run folder is never changed."""
    run = release.folder.absolute()
    if run.parent.name == "versions":
        raise InputError(
            "nothing is written beside a published version; name a folder with --out", "--out"
        )
    run = run.parent if (run.parent / "run.json").is_file() else run
    suffix = form if config == "default" else f"{config}-{form}"
    return run.with_name(f"{run.name}-{suffix}")


def _readme(
    release: Release,
    trainer: Trainer,
    options: ExportOptions,
    wording: Wording,
    counts: Mapping[str, int],
) -> str:
    made = trainer.formats[wording.layout]
    name = str(release.manifest["name"]).replace("-", "_").replace(".", "_")
    return environment().get_template("export.md.jinja").render(
        title=release.title,
        about=trainer.about[0].upper() + trainer.about[1:],
        config=None if made == "rl" else options.config,
        dataset_hash=release.manifest["configs"].get(options.config, {}).get("dataset_hash"),
        counts=counts,
        wording=wording if made in WORDED else None,
        command=trainer.command.replace("{name}", name).replace(
            "{max_length}", str(options.max_length)
        ),
        traced="parent_id" if made == "tasks" else "sample_id",
        language="python" if "import" in trainer.command else "sh",
    )  # fmt: skip
