"""Have a teacher asked for the samples that the record lacks, as often as a source has some."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.engine.limits import Meter
from curate.engine.progress.progress import Progress
from curate.errors import RecordError, count_of
from curate.models.teachers.base import Completion, Generator, Request, Reusable
from curate.models.teachers.open import Access, open_generator
from curate.models.teachers.options import Backend, Teacher
from curate.recipe.lock import Lock
from curate.release.funnel import EnoughCount
from curate.sources import SampledSource, Tally
from curate.sources.base import Makes
from curate.sources.sampled import Draw, missing, readable, record_value
from curate.sources.templates import PromptTemplate
from curate.store.keys import key
from curate.store.record import Book
from curate.store.store import Store


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
        makes: what its samples become.
        counted: log keys of samples that were asked for before the run's own turn.
        posed: what became of samples that were to hold questions, by outcome.
        enough: what became of drawing until it was enough; None where it was known before.
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
    posed: dict[str, int] = field(default_factory=dict[str, int])
    makes: Makes = "rows"
    counted: set[str] = field(default_factory=set[str])
    enough: EnoughCount | None = None


@dataclass(frozen=True, slots=True)
class TeacherSetup:
    """A generating source made ready: its teacher pinned, its template read.

    Attributes:
        source: as in the recipe, its model named as it is wherever it lies.
        teacher: the model at a revision.
        template: of its prompt.
        path: folder of the weights; None where a server has them or nothing will be drawn.
        options: how it is reached.
    """

    source: SampledSource
    teacher: Teacher
    template: PromptTemplate
    path: Path | None
    options: Backend

    @property
    def identity(self) -> dict[str, object]:
        """The teacher, as its generator gives it."""
        return self.teacher.identity(self.options)

    @property
    def described(self) -> dict[str, Any]:
        """The teacher and how it is sampled: what a book of the record is about."""
        sampling = self.source.sampling_for(self.template).identity()
        return {**self.identity, "sampling": sampling}


class LastTeacher:
    """The teacher asked last, which the next source of the same one finds loaded.

    Args:
        folder: where an engine may keep its lock and its log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._of: tuple[Teacher, Backend, Path | None] | None = None
        self._generator: Generator | None = None

    def open(self, setup: TeacherSetup) -> Generator:
        """Give the teacher of a source; another one is ended before."""
        sampling = setup.source.sampling_for(setup.template)
        wanted = setup.teacher, setup.options, setup.path
        if isinstance(self._generator, Reusable) and self._of == wanted:
            self._generator.resample(sampling)
            return self._generator
        self.close()
        access = Access(setup.teacher, sampling, setup.path, self._folder)
        self._of, self._generator = wanted, open_generator(access, setup.options)
        return self._generator

    def leave(self) -> None:
        """Say that a source is through; only a teacher that another could use stays."""
        if not isinstance(self._generator, Reusable):
            self.close()

    def close(self) -> None:
        """End the teacher."""
        generator, self._generator = self._generator, None
        if generator is not None:
            generator.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What asking takes beside a teacher.

    Attributes:
        store: where samples are recorded.
        lock: saved before a sample is paid for.
        progress: told of every sample.
        meter: told what every sample took; ends the drawing at a limit.
        replay: refuse to call a model.
        retry: which recorded samples to draw again, see `curate.sources.sampled.is_retried`.
        last: the teacher asked last.
    """

    store: Store
    lock: Lock
    progress: Progress
    meter: Meter
    replay: bool
    retry: str | None
    last: LastTeacher

    def book(self, setup: TeacherSetup) -> Book:
        """Open the record of a source's samples."""
        return self.store.book("samples", key(setup.described))


class Asker:
    """Asks one teacher; it is loaded for the first sample that the record lacks.

    Args:
        setup: of the source.
        desk: what it takes beside.
        result: is added to.
    """

    def __init__(self, setup: TeacherSetup, desk: Desk, result: SourceResult) -> None:
        self._setup, self._desk, self._result = setup, desk, result
        self._untold = 0
        self.book = desk.book(setup)
        result.damaged += len(self.book.damaged)

    def close(self) -> None:
        """Say what samples came without, let the teacher go, and close the record."""
        try:
            self._desk.last.leave()
        finally:
            self.book.close()
        if self._untold and self._setup.options.wants_tokens():
            self._desk.progress.say(
                f"{self._setup.source.name}: {count_of(self._untold, 'sample')} came without the "
                "log-probabilities of their tokens, so teacher_nll and teacher_share will be null "
                "there"
            )

    def lookup(self, address: str) -> Mapping[str, Any] | None:
        """Give what the record holds under a log key."""
        return readable(self.book.get)(address)

    def ask(self, draws: Callable[[], Iterator[Draw]]) -> None:
        """Have the teacher sampled for whatever the record lacks.

        Args:
            draws: lists what is wanted, the same each time.

        Raises:
            RecordError: this is a replay, and something is lacking.
            SpendingLimitError: a limit was reached; what was drawn is recorded.
        """
        setup, desk, result = self._setup, self._desk, self._result
        limit = setup.source.sampling.max_tokens
        odd: set[str] = set()
        count = 0

        def first() -> Iterator[Draw]:
            nonlocal count
            for draw in draws():
                count += draw.request.key not in result.counted
                yield draw

        def wanted() -> Iterator[Request]:
            return missing(draws(), readable(self.book.get, odd), limit, desk.retry)

        # once over all of them, since each has its prompt rendered
        lookup = readable(self.book.get, odd)
        lacking = sum(1 for _ in missing(first(), lookup, limit, desk.retry))
        result.damaged += len(odd)
        result.reused += count - lacking
        result.fresh += lacking
        if not lacking:
            return
        if desk.replay:
            raise RecordError(
                f"--replay: the record lacks {count_of(lacking, 'sample')} of source "
                f"{setup.source.name!r}; run without --replay to draw them"
            )
        self._draw(wanted, lacking)

    def _draw(self, wanted: Callable[[], Iterator[Request]], lacking: int) -> None:
        setup, desk, book = self._setup, self._desk, self.book
        limit, price = setup.source.sampling.max_tokens, setup.options.tariff()
        generator = desk.last.open(setup)
        try:
            generator.preflight(wanted())
            # From here on samples are paid for, which are found again by what is locked.
            desk.lock.save()
            desk.store.describe(book, setup.described)
            title = f"sample {setup.source.name}"
            with desk.progress.stage(title, lacking, "samples") as stage:

                def sink(completion: Completion) -> None:
                    failed = completion.finish_reason == "error"
                    self._untold += completion.tokens is None and not failed
                    book.append(completion.key, record_value(completion, limit))
                    if not failed:
                        prompt, reply = completion.prompt_tokens, completion.completion_tokens
                        desk.meter.spend(prompt, reply, price)
                    stage.advance(1, completion.completion_tokens or 0)
                    if completion.finish_reason == "length":
                        stage.cut()
                    elif failed:
                        stage.failed(completion.error or "no reason given")

                generator.generate(desk.meter.until_reached(wanted()), sink)
        finally:
            book.flush()
        desk.meter.check()
