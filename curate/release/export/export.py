"""``curate export``: a release in the files and settings of one trainer.

::

    OUT/train.jsonl, validation.jsonl     one record a line
    OUT/<the trainer's configuration>     where it wants one
    OUT/README.md                         what it is, from what, how to train on it
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

import orjson
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from curate.errors import InputError, count_of
from curate.models.rendering import Layout
from curate.release.export.trainers import Trainer, trainers, unknown
from curate.release.export.trial import trial
from curate.release.formats import FORMATS, Format, Pool, finished, format_of
from curate.release.formats.wording import Record, Think, Wording, wording_of
from curate.release.options import AUDIT, refuse_homeless_solution
from curate.release.read import Release
from curate.release.templates import environment

_CHARACTERS: Final = "characters"
_RATE: Final = "pass_rate"

Order = Literal["rank", "easy"]


class ExportOptions(BaseModel):
    """How a release is exported."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    config: str = "default"
    """Of the release; ``default`` is the selection, an arm is the control for it."""
    layout: Layout | None = None
    """By default the one the student was scored in, else ``chat``."""
    line: str | None = None
    """Target line; by default the first the student was scored under."""
    think: Think = "none"
    """Where the rationale goes; of a model that thinks apart, that is its thought."""
    solution: bool = False
    """Whether a thought is followed by the solution as its teacher wrote it, in place of the target
    line; samples without one keep the line.
    """
    order: Order = "rank"
    """Of the records: by rank of selection, or the easiest for the student first. No trainer reads
    a weight or a stage of a record, so a curriculum is an order, and the export says what keeps its
    trainer from shuffling it.
    """
    out: Path | None = None
    """Folder to write; by default beside the release."""
    student: str | None = None
    """Whose tokenizer and template the records are tried with; by default the one the release was
    made for.
    """
    max_length: int | None = Field(default=None, ge=1)
    """Tokens at which the trainer will cut; by default not looked at."""
    lint: bool = True
    """Whether they are tried at all."""

    @model_validator(mode="after")
    def _solutions_have_a_place(self) -> Self:
        refuse_homeless_solution(self.think, solution=self.solution)
        return self


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
        form: one of `curate.release.export.trainers.trainers`.
        options: how.

    Raises:
        InputError: no such release, trainer or config; the trainer can't take what is asked; there
            is nothing to write; the folder to write is there already; or the student's template
            would not let what is in it be learnt.
    """
    options = options or ExportOptions()
    choices = trainers()
    if form not in choices:
        raise InputError(unknown(form), "--format")
    release = Release.open(reference)
    out = options.out or _beside(release, form, options.config)
    if out.exists():
        raise InputError(f"{str(out)!r} is there already; name another folder", "--out")
    partial = out.absolute().with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        counts, findings = _fill(partial, release, choices[form], options)
    except BaseException:
        shutil.rmtree(partial)
        raise
    partial.rename(out.absolute())
    return Exported(out, counts, findings)


def _fill(
    folder: Path, release: Release, trainer: Trainer, options: ExportOptions
) -> tuple[Mapping[str, int], tuple[str, ...]]:
    """Write everything into a folder; give the records by split, and what is worth knowing."""
    if options.config in (*FORMATS.names, AUDIT):
        raise InputError(
            f"config {options.config!r} is no choice of samples; give default, or an arm's name",
            "--config",
        )
    if options.config not in release.names:
        release.config(options.config)  # says which there are
    wording = _wording(release, options)
    format_ = format_of(trainer.format_of(wording))
    if wording.solution:
        _refuse_lack_of_solutions(release, options.config)
    by = _order_of(release, options, format_)
    counts = {
        split: _write(folder / f"{split}.jsonl", rows)
        for split, rows in _splits(release, options.config, format_, wording, by)
    }
    files = {split: f"{split}.jsonl" for split, count in counts.items() if count}
    for split in counts.keys() - files.keys():
        (folder / f"{split}.jsonl").unlink()
    if "train" not in files:
        raise InputError(_nothing(release, options.config, format_))
    paths = [folder / file for file in files.values()]
    findings = list(_left_out(release, options.config, format_))
    if options.lint and format_.untried is None:
        findings += trial(
            release,
            lambda: _read(paths),
            format_,
            student=options.student,
            max_length=options.max_length,
        )
    config: Mapping[str, str] = {}
    if trainer.config:
        config = trainer.config(release.manifest["name"], files, wording, options.order != "rank")
    file_counts = {file: counts[split] for split, file in files.items()}
    readme = _readme(release, trainer, options, wording, file_counts, by)
    for file, text in {**config, "README.md": readme}.items():
        (folder / file).write_text(text, encoding="utf-8")
    return {split: counts[split] for split in files}, tuple(findings)


def _left_out(release: Release, config: str, format_: Format) -> Iterator[str]:
    """Say how many samples were cut and are therefore no records."""
    rows = release.config(config)
    cut = 0 if format_.of_questions else rows.height - finished(rows).height
    if cut:
        yield f"left out: {count_of(cut, 'sample')} cut at max_tokens, without an end to learn"


def _refuse_lack_of_solutions(release: Release, config: str) -> None:
    rows = release.config(config)
    if "solution" not in rows.columns or not rows["solution"].count():
        raise InputError(
            f"no row of {release.title} has a solution behind a thought, so there is none to "
            "export; leave --solution out, or run again what an earlier version made",
            "--solution",
        )


def _wording(release: Release, options: ExportOptions) -> Wording:
    """Word the rows as the student was scored, where the options say nothing else."""
    measures = release.manifest.get("measures", {})
    scored = wording_of(measures, options.think, solution=options.solution)
    wording = scored._replace(
        line=options.line or scored.line, layout=options.layout or scored.layout
    )
    if wording.line.count("{answer}") != 1:
        raise InputError(f"{wording.line!r} must hold {{answer}} exactly once", "--line")
    return wording


def _splits(
    release: Release, config: str, format_: Format, wording: Wording, by: str
) -> Iterator[tuple[str, Iterable[Record]]]:
    """Give the records of each split."""
    if format_.of_questions:
        questions, samples, judge = _questions(release)
        for split, part in _by_split(questions):
            pool = Pool(questions=part, samples=samples, judge=judge)
            records = format_.records(pool, wording)
            if by == _RATE:
                records = iter(sorted(records, key=lambda record: -record[_RATE]))
            yield split, records
        return
    rejected = finished(release.rejected())
    if format_.pairs and not release.knows_rejected:
        raise InputError(
            f"pairs need the rejected samples, and {release.title} was published without them; "
            "give the run folder"
        )
    for split, rows in _by_split(_ordered(finished(release.config(config)), by)):
        yield split, format_.records(Pool(chosen=rows, rejected=rejected), wording)


def _by_split(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Cut a table into its splits, train before validation."""
    for split in sorted(frame["split"].unique()) if frame.height else ():
        yield split, frame.filter(pl.col("split") == split)


def _ordered(frame: pl.DataFrame, by: str) -> pl.DataFrame:
    """Put the rows into the order of a column; those that have nothing there by their ids."""
    if not frame.height:
        return frame
    first = pl.col("rationale").str.len_chars() if by == _CHARACTERS else pl.col(by)
    return frame.sort(first, "sample_id", nulls_last=True)


def _order_of(release: Release, options: ExportOptions, format_: Format) -> str:
    """Name the column that orders the records, ascending.

    The easiest for the student first: by masked Rationale Difficulty where the calibration found
    that it follows rationales, else by how surprising the rationale is to it, else by length.
    """
    if options.order == "rank":
        return "selection_rank"
    if format_.of_questions:
        return _RATE
    rows = release.config(options.config)
    calibration: Mapping[str, Any] = release.manifest.get("calibration") or {}
    follows = calibration.get("student_follows")
    columns = ("nll_rationale", "rationale_tokens", "completion_tokens")
    for name in ("rd_masked", *columns) if follows else columns:
        if name in rows.columns and rows[name].count():
            return name
    return _CHARACTERS


def _questions(release: Release) -> tuple[pl.DataFrame, pl.DataFrame, str]:
    """Give the questions, all samples, and the filter that told right from wrong.

    Raises:
        InputError: the release does not know all samples, or whether they were right.
    """
    run = release.run
    if run is None or run.judge is None:
        judge = "an installed filter that tells right from wrong"
        lacks = judge if run else "the run's audit folder"
        raise InputError(
            f"pass rates need every sample with its verdict, and {release.title} lacks {lacks}; "
            "give the run folder of a run with one, such as `- use: correctness`"
        )
    usable = run.questions().filter(pl.col("status") == "ok").sort("question_id")
    samples = run.samples().collect()
    return usable.with_columns(pl.col("split").fill_null("train")), samples, run.judge.name


def _read(paths: Iterable[Path]) -> Iterator[Record]:
    for path in paths:
        with path.open("rb") as lines:
            yield from map(orjson.loads, lines)


def _nothing(release: Release, config: str, format_: Format) -> str:
    if format_.pairs:
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
    by: str,
) -> str:
    format_ = format_of(trainer.formats[wording.layout])
    name = str(release.manifest["name"]).replace("-", "_").replace(".", "_")
    return environment().get_template("export.md.jinja").render(
        title=release.title,
        about=trainer.about[0].upper() + trainer.about[1:],
        config=None if format_.of_questions else options.config,
        dataset_hash=release.manifest["configs"].get(options.config, {}).get("dataset_hash"),
        counts=counts,
        wording=wording if format_.worded else None,
        order=by if by != "selection_rank" else None,
        in_order=trainer.in_order,
        command=trainer.command.replace("{name}", name).replace(
            "{max_length}", str(options.max_length)
        ),
        traced=format_.traced_by if format_.traced_by != "question_id" else "sample_id",
        language="python" if "import" in trainer.command else "sh",
    )  # fmt: skip
