"""Draw the samples of every source: ask for what the record lacks, then make the rows."""

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from curate.engine.inputs import pinned
from curate.engine.limits import Meter
from curate.engine.progress.progress import Progress
from curate.errors import InputError, RecordError, count_of, did_you_mean
from curate.models.references import ResolvedModel
from curate.models.teachers.base import Completion, Request
from curate.models.teachers.open import Access, open_generator
from curate.models.teachers.options import Teacher, default_dtype
from curate.recipe.files import RecipeFile
from curate.recipe.lock import Lock, LockedModel
from curate.recipe.model import is_beside
from curate.sources import SOURCES, ReadSource, SampledSource, Tally
from curate.sources.questions import QuestionsTable
from curate.sources.sampled import TOKENS_SCHEMA, Draw, missing, readable, record_value
from curate.sources.templates import PromptTemplate
from curate.store.keys import key
from curate.store.record import Book
from curate.store.store import Store

QUESTIONS_A_BATCH = 4096


@dataclass(slots=True)
class SourceResult:
    """What one source gave.

    Attributes:
        name: of the source.
        use: the word by which the recipe chooses it.
        rows: samples.
        fresh: samples drawn from a model in this run.
        reused: samples found in the record.
        errors: draws that failed for good.
        excluded: rows of teachers that the recipe excludes.
        damaged: record lines that failed their checksum.
        teacher: identity of the model sampled, for the manifest.
        tally: what became of the rows that it read.
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
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class TeacherSetup:
    """A generating source made ready: its teacher pinned, its template read.

    Attributes:
        source: as in the recipe, its model named as it is wherever it lies.
        teacher: the model at a revision.
        template: of its prompt.
        path: folder of the weights; None where a server has them or nothing will be drawn.
    """

    source: SampledSource
    teacher: Teacher
    template: PromptTemplate
    path: Path | None


class Sampler:
    """Draws all sources of a recipe.

    Args:
        file: the recipe.
        lock: pins models, templates, precisions, and data of the Hub.
        store: where samples are recorded.
        progress: told of every sample.
        replay: refuse to call a model.
        retry: which recorded samples to draw again, see `curate.sources.sampled.is_retried`.
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
        retry: str | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._file = file
        self._lock = lock
        self._store = store
        self._progress = progress
        self._replay = replay
        self._retry = retry
        self._meter = meter or Meter()
        self.results = [
            SourceResult(source.name, SOURCES.name_of(type(source)))
            for source in file.recipe.used_sources
        ]
        self._setups = {
            source.name: self._prepare(source, lock)
            for source in file.recipe.used_sources
            if isinstance(source, SampledSource)
        }

    def _prepare(self, source: SampledSource, lock: Lock) -> TeacherSetup:
        template = source.template(self._file.folder)
        lock.template(template.name, template.digest)
        if self._file.recipe.backend(source.name).remote:
            return TeacherSetup(source, source.teacher(), template, None)
        model = self._pinned(source, lock) or lock.model(source.model, source.revision)
        dtype = source.dtype or lock.dtype(source.name, default_dtype)
        teacher = replace(source.teacher(), model=model.name, revision=model.revision, dtype=dtype)
        named = source.model_copy(update={"model": model.name})
        path = model.path if isinstance(model, ResolvedModel) else None
        return TeacherSetup(named, teacher, template, path)

    def _pinned(self, source: SampledSource, lock: Lock) -> LockedModel | None:
        """Give what the lock file says of a teacher where that is enough: a replay loads nothing.

        So a run can be replayed where the teacher's weights never were.
        """
        model = lock.known_model(source.model) if self._replay else None
        return model if model and source.revision in {None, model.revision} else None

    def prompts(self) -> dict[str, str]:
        """Give the prompts that lie beside the recipe, as they were read: their text by file."""
        return {
            file: setup.template.text
            for setup in self._setups.values()
            for file in setup.source.texts()
            if is_beside(file)
        }

    def recorded(self, questions: QuestionsTable) -> dict[str, tuple[int, int]]:
        """Count, for each generating source, the samples wanted and those the record has."""
        usable = questions.frame.filter(pl.col("status") == "ok")
        counts: dict[str, tuple[int, int]] = {}
        for name, setup in self._setups.items():
            draws, book = self._draws(setup, usable)
            limit = setup.source.sampling.max_tokens
            with book:
                lacking = sum(1 for _ in missing(draws, readable(book.get), limit))
            total = setup.source.wanted(usable.height)
            counts[name] = total, total - lacking
        return counts

    def prompt_tokens(self, questions: QuestionsTable) -> dict[str, list[float] | None]:
        """Add up the prompt tokens of each question's recorded samples, source by source.

        Returns:
            In the order of the questions; None where a backend did not say.
        """
        usable = questions.frame.filter(pl.col("status") == "ok")
        totals: dict[str, list[float] | None] = {}
        for name, setup in self._setups.items():
            draws, book = self._draws(setup, usable)
            sums = dict.fromkeys(usable["question_id"], 0.0)
            with book:
                for draw in draws:
                    value = readable(book.get)(draw.request.key) or {}
                    tokens = value.get("prompt_tokens")
                    if value.get("finish_reason") != "error":  # nobody counts those of a refusal
                        sums[draw.question_id] += float("nan") if tokens is None else tokens
            values = list(sums.values())
            totals[name] = None if any(math.isnan(value) for value in values) else values
        return totals

    def _draws(self, setup: TeacherSetup, usable: pl.DataFrame) -> tuple[Iterator[Draw], Book]:
        """List what a source wants, and open the record of it."""
        draws = setup.source.draws(usable, setup.template, self._identity(setup))
        return draws, self._book(setup)

    def _identity(self, setup: TeacherSetup) -> dict[str, object]:
        return setup.teacher.identity(self._file.recipe.backend(setup.source.name))

    def _book(self, setup: TeacherSetup) -> Book:
        sampling = setup.source.sampling_for(setup.template).identity()
        return self._store.book("samples", key({**self._identity(setup), "sampling": sampling}))

    def tokens(self, shards: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Read from the record which tokens the teachers wrote.

        Args:
            shards: questions, as the table has them.

        Yields:
            For each of these ``sample_id`` and `TOKEN_COLUMNS`, one row a sample of which they are
            known.
        """
        setups = self._setups.values()
        with ExitStack() as stack:
            books = [stack.enter_context(self._book(setup)) for setup in setups]
            for questions in shards:
                usable = questions.filter(pl.col("status") == "ok")
                frames = [
                    setup.source.tokens(
                        usable, setup.template, self._identity(setup), readable(book.get)
                    )
                    for setup, book in zip(setups, books, strict=True)
                ]
                yield pl.concat([pl.DataFrame(schema=TOKENS_SCHEMA), *frames])

    def batches(self, questions: QuestionsTable) -> Iterator[pl.DataFrame]:
        """Yield the rows of every source in turn; `results` is complete after the last.

        Sources that read files come first: whatever is wrong with a file is said before a sample
        is paid for.

        Raises:
            InputError: a teacher that the recipe excludes is none of those met.
        """
        recipe = self._file.recipe
        teachers = set(recipe.writers)
        pairs = list(zip(recipe.used_sources, self.results, strict=True))
        for source, result in pairs:
            if isinstance(source, ReadSource):
                rows = pinned(source, self._lock).rows(questions, self._file.folder, result.tally)
                for batch in self._counted(rows, result):
                    if recipe.exclude_teachers:
                        teachers |= set(batch["teacher"].drop_nulls().unique())
                    yield self._without_excluded(batch, result)
        # A teacher may have written for the questions that are left out alone.
        unknown = sorted(set(recipe.exclude_teachers) - teachers)
        if unknown and questions.beyond.is_empty():
            hint = did_you_mean(unknown[0], sorted(teachers))
            raise InputError(f"no row has the teacher {unknown[0]!r}; {hint}", "exclude_teachers")
        for source, result in pairs:
            if isinstance(source, SampledSource):
                rows = self._sampled(self._setups[source.name], questions, result)
                for batch in self._counted(rows, result):
                    yield self._without_excluded(batch, result)

    def _counted(
        self, batches: Iterator[pl.DataFrame], result: SourceResult
    ) -> Iterator[pl.DataFrame]:
        """Show how far the rows of a source are read."""
        title = f"read {result.name}"
        with self._progress.stage(title, unit="samples", brief=True) as stage:
            for batch in batches:
                stage.advance(batch.height)
                yield batch

    def _without_excluded(self, batch: pl.DataFrame, result: SourceResult) -> pl.DataFrame:
        """Leave out what excluded teachers wrote, and count the rest."""
        excluded = self._file.recipe.exclude_teachers
        rows = batch.filter(~pl.col("teacher").fill_null("").is_in(excluded))
        result.excluded += batch.height - rows.height
        result.rows += rows.height
        result.errors += rows.filter(pl.col("finish_reason") == "error").height
        return rows

    def _sampled(
        self, setup: TeacherSetup, questions: QuestionsTable, result: SourceResult
    ) -> Iterator[pl.DataFrame]:
        source, template = setup.source, setup.template
        options = self._file.recipe.backend(source.name)
        identity = setup.teacher.identity(options)
        sampling = source.sampling_for(template)
        usable = questions.frame.filter(pl.col("status") == "ok")
        result.teacher = {**identity, "sampling": sampling.identity()}
        with self._store.book("samples", key(result.teacher)) as book:
            self._ask(setup, usable, book, result)
            result.damaged += len(book.damaged)
            for batch in usable.iter_slices(QUESTIONS_A_BATCH):
                yield source.rows(batch, template, identity, readable(book.get))

    def _ask(
        self, setup: TeacherSetup, usable: pl.DataFrame, book: Book, result: SourceResult
    ) -> None:
        """Have the teacher sampled for whatever the record lacks."""
        source, template = setup.source, setup.template
        options = self._file.recipe.backend(source.name)
        identity = setup.teacher.identity(options)
        limit = source.sampling.max_tokens

        def draws() -> Iterator[Draw]:
            return source.draws(usable, template, identity)

        odd: set[str] = set()

        def wanted() -> Iterator[Request]:
            return missing(draws(), readable(book.get, odd), limit, self._retry)

        lacking = sum(1 for _ in wanted())
        result.damaged += len(odd)
        result.reused = source.wanted(usable.height) - lacking
        result.fresh = lacking
        if not lacking:
            return
        if self._replay:
            raise RecordError(
                f"--replay: the record lacks {count_of(lacking, 'sample')} of source "
                f"{source.name!r}; run without --replay to draw them"
            )
        folder = self._store.root / "locks"
        access = Access(setup.teacher, source.sampling_for(template), setup.path, folder)
        generator = open_generator(access, options)
        title = f"sample {source.name}"
        price, untold = options.tariff(), 0
        try:
            generator.preflight(wanted())
            # From here on samples are paid for, which are found again by what is locked.
            self._lock.save()
            self._store.describe(book, result.teacher)
            with self._progress.stage(title, lacking, "samples") as stage:

                def sink(completion: Completion) -> None:
                    nonlocal untold
                    untold += completion.tokens is None and completion.finish_reason != "error"
                    book.append(completion.key, record_value(completion, limit))
                    if completion.finish_reason != "error":
                        prompt, reply = completion.prompt_tokens, completion.completion_tokens
                        self._meter.spend(prompt, reply, price)
                    stage.advance(1, completion.completion_tokens or 0)
                    if completion.finish_reason == "length":
                        stage.cut()
                    elif completion.finish_reason == "error":
                        stage.failed(completion.error or "no reason given")

                requests = self._meter.until_reached(wanted())
                generator.generate(requests, sink)
        finally:
            generator.close()
            book.flush()
        if untold and options.wants_tokens():
            self._progress.say(
                f"{source.name}: {count_of(untold, 'sample')} came without the log-probabilities "
                "of their tokens, so teacher_nll and teacher_share will be null there"
            )
        self._meter.check()
