"""Draw the samples of every source: ask for what the record lacks, then make the rows."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from curate.engine.limits import Meter
from curate.engine.progress.progress import Progress
from curate.errors import InputError, RecordError, did_you_mean
from curate.models.references import ResolvedModel
from curate.models.teachers.base import Completion
from curate.models.teachers.open import open_generator
from curate.models.teachers.options import OpenAIOptions, Teacher, default_dtype
from curate.recipe.files import RecipeFile
from curate.recipe.lock import Lock, LockedModel
from curate.recipe.model import Generate, Gold, Import
from curate.sources.generate import Draw, missing, record_value, rows, wanted
from curate.sources.import_ import Tally
from curate.sources.questions import QuestionsTable
from curate.sources.templates import PromptTemplate, load_template
from curate.store.keys import key
from curate.store.record import Book
from curate.store.store import Store

QUESTIONS_A_BATCH = 4096


@dataclass(slots=True)
class Drawn:
    """What one source gave.

    Attributes:
        name: of the source.
        use: ``generate``, ``import`` or ``gold``.
        rows: samples.
        fresh: samples drawn from a model in this run.
        reused: samples found in the record.
        errors: draws that failed for good.
        excluded: rows of teachers that the recipe excludes.
        damaged: record lines that failed their checksum.
        teacher: identity of the model sampled, for the manifest.
        tally: what became of an import's rows.
    """

    name: str
    use: str
    rows: int = 0
    fresh: int = 0
    reused: int = 0
    errors: int = 0
    excluded: int = 0
    damaged: int = 0
    teacher: dict[str, object] = field(default_factory=dict[str, object])
    tally: Tally | None = None


@dataclass(frozen=True, slots=True)
class Teaching:
    """A generating source made ready: its teacher pinned, its template read.

    Attributes:
        source: as in the recipe, its model named as it is wherever it lies.
        teacher: the model at a revision.
        template: of its prompt.
        path: folder of the weights; None where a server has them or nothing will be drawn.
    """

    source: Generate
    teacher: Teacher
    template: PromptTemplate
    path: Path | None


class Drawing:
    """Draws all sources of a recipe.

    Args:
        file: the recipe.
        lock: pins models, templates and precisions.
        store: where samples are recorded.
        progress: told of every sample.
        replay: refuse to call a model.
        meter: told what every sample took; ends the drawing at a limit.
    """

    def __init__(
        self,
        file: RecipeFile,
        lock: Lock,
        store: Store,
        progress: Progress,
        *,
        replay: bool,
        meter: Meter | None = None,
    ) -> None:
        self._file = file
        self._store = store
        self._progress = progress
        self._replay = replay
        self._meter = meter or Meter()
        self.drawn: list[Drawn] = []
        self._teachings = {
            source.name: self._prepare(source, lock)
            for source in file.recipe.used_sources
            if isinstance(source, Generate)
        }

    def _prepare(self, source: Generate, lock: Lock) -> Teaching:
        template = load_template(source.prompt, self._file.folder)
        lock.template(template.name, template.digest)
        if isinstance(self._file.recipe.backend(source.name), OpenAIOptions):
            return Teaching(source, source.teacher(), template, None)
        model = self._pinned(source, lock) or lock.model(source.model, source.revision)
        dtype = source.dtype or lock.dtype(source.name, default_dtype)
        teacher = replace(source.teacher(), model=model.name, revision=model.revision, dtype=dtype)
        named = source.model_copy(update={"model": model.name})
        path = model.path if isinstance(model, ResolvedModel) else None
        return Teaching(named, teacher, template, path)

    def _pinned(self, source: Generate, lock: Lock) -> LockedModel | None:
        """Give what the lock file says of a teacher where that is enough: a replay loads nothing.

        So a run can be replayed where the teacher's weights never were.
        """
        known = lock.known_model(source.model) if self._replay else None
        return known if known and source.revision in {None, known.revision} else None

    def prompts(self) -> dict[str, str]:
        """Give the prompts that lie beside the recipe, as they were read: their text by file."""
        files = self._file.recipe.prompt_files
        return {file: self._teachings[name].template.text for name, file in files.items()}

    def recorded(self, questions: QuestionsTable) -> dict[str, tuple[int, int]]:
        """Count, for each generating source, the samples wanted and those the record has."""
        usable = questions.frame.filter(pl.col("status") == "ok")
        found: dict[str, tuple[int, int]] = {}
        for name, teaching in self._teachings.items():
            draws, book = self._draws(teaching, usable)
            limit = teaching.source.sampling.max_tokens
            with book:
                lacking = sum(1 for _ in missing(draws, book.get, limit))
            total = usable.height * teaching.source.samples
            found[name] = total, total - lacking
        return found

    def prompt_tokens(self, questions: QuestionsTable) -> dict[str, list[float] | None]:
        """Add up the prompt tokens of each question's recorded samples, source by source.

        Returns:
            In the order of the questions; None where a backend did not say.
        """
        usable = questions.frame.filter(pl.col("status") == "ok")
        found: dict[str, list[float] | None] = {}
        for name, teaching in self._teachings.items():
            draws, book = self._draws(teaching, usable)
            sums = dict.fromkeys(usable["question_id"], 0.0)
            with book:
                for draw in draws:
                    value = book.get(draw.request.key) or {}
                    tokens = value.get("prompt_tokens")
                    if value.get("finish_reason") != "error":  # nobody counts those of a refusal
                        sums[draw.question_id] += float("nan") if tokens is None else tokens
            told = list(sums.values())
            found[name] = None if any(math.isnan(value) for value in told) else told
        return found

    def _draws(self, teaching: Teaching, usable: pl.DataFrame) -> tuple[Iterator[Draw], Book]:
        """List what a source wants, and open the record of it."""
        source, template = teaching.source, teaching.template
        identity = teaching.teacher.identity(self._file.recipe.backend(source.name).backend)
        about = {**identity, "sampling": source.sampling_for(template).identity()}
        return wanted(usable, source, template, identity), self._store.book("samples", key(about))

    def batches(self, questions: QuestionsTable) -> Iterator[pl.DataFrame]:
        """Yield the rows of every source in turn; `drawn` is complete after the last.

        Raises:
            InputError: a teacher that the recipe excludes is none of those met.
        """
        recipe = self._file.recipe
        met = set(recipe.writers)
        for source in recipe.used_sources:
            drawn = Drawn(source.name, source.use)
            self.drawn.append(drawn)
            with self._progress.stage(f"read {source.name}", unit="samples", brief=True) as stage:
                for batch in self._rows(source, questions, drawn):
                    if recipe.exclude_teachers:
                        met |= set(batch["teacher"].drop_nulls().unique())
                    used = batch.filter(
                        ~pl.col("teacher").fill_null("").is_in(recipe.exclude_teachers)
                    )
                    drawn.excluded += batch.height - used.height
                    drawn.rows += used.height
                    drawn.errors += used.filter(pl.col("finish_reason") == "error").height
                    stage.advance(batch.height)
                    yield used
        # A teacher may have written for the questions that are left out alone.
        unknown = sorted(set(recipe.exclude_teachers) - met) if questions.beyond.is_empty() else []
        if unknown:
            raise InputError(
                f"no row has the teacher {unknown[0]!r}; {did_you_mean(unknown[0], sorted(met))}",
                "exclude_teachers",
            )

    def _rows(
        self, source: Generate | Import | Gold, questions: QuestionsTable, drawn: Drawn
    ) -> Iterator[pl.DataFrame]:
        match source:
            case Import():
                drawn.tally = Tally()
                return source.rows(questions, self._file.folder, drawn.tally)
            case Gold():
                return source.rows(questions)
            case Generate():
                return self._generated(self._teachings[source.name], questions, drawn)

    def _generated(
        self, teaching: Teaching, questions: QuestionsTable, drawn: Drawn
    ) -> Iterator[pl.DataFrame]:
        source, template = teaching.source, teaching.template
        options = self._file.recipe.backend(source.name)
        identity = teaching.teacher.identity(options.backend)
        sampling = source.sampling_for(template)
        usable = questions.frame.filter(pl.col("status") == "ok")
        drawn.teacher = {**identity, "sampling": sampling.identity()}
        with self._store.book("samples", key(drawn.teacher), about=drawn.teacher) as book:
            self._ask(teaching, usable, book, drawn)
            drawn.damaged = len(book.damaged)
            for batch in usable.iter_slices(QUESTIONS_A_BATCH):
                yield rows(batch, source, template, identity, book.get)

    def _ask(self, teaching: Teaching, usable: pl.DataFrame, book: Book, drawn: Drawn) -> None:
        """Have the teacher sampled for whatever the record lacks."""
        source, template = teaching.source, teaching.template
        options = self._file.recipe.backend(source.name)
        identity = teaching.teacher.identity(options.backend)
        limit = source.sampling.max_tokens

        def draws() -> Iterator[Draw]:
            return wanted(usable, source, template, identity)

        lacking = sum(1 for _ in missing(draws(), book.get, limit))
        drawn.reused = usable.height * source.samples - lacking
        drawn.fresh = lacking
        if not lacking:
            return
        if self._replay:
            raise RecordError(
                f"--replay: {lacking} samples of source {source.name!r} are not in the record; "
                "run without --replay to draw them"
            )
        generator = open_generator(
            teaching.teacher,
            source.sampling_for(template),
            options,
            path=teaching.path,
            folder=self._store.root / "locks",
        )
        title = f"sample {source.name}"
        price = options.price if isinstance(options, OpenAIOptions) else None
        try:
            generator.preflight(missing(draws(), book.get, limit))
            with self._progress.stage(title, lacking, "samples") as stage:

                def sink(completion: Completion) -> None:
                    book.append(completion.key, record_value(completion, limit))
                    if completion.finish_reason != "error":
                        prompt, written = completion.prompt_tokens, completion.completion_tokens
                        self._meter.spend(prompt, written, price)
                    stage.advance(1, completion.completion_tokens or 0)
                    if completion.finish_reason == "length":
                        stage.cut()
                    elif completion.finish_reason == "error":
                        stage.failed(completion.error or "no reason given")

                asked = self._meter.until_reached(missing(draws(), book.get, limit))
                generator.generate(asked, sink)
        finally:
            generator.close()
            book.flush()
        self._meter.check()
