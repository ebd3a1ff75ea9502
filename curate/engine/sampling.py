"""Draw the samples of every source: ask for what the record lacks, then make the rows.

A source may go on from the samples of another, or of its own: these are drawn first and looked at
(`curate.engine.early`), so that one pass in the order of the sources gives all rows.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl

from curate.engine.asking import Asker, Desk, LastTeacher, SourceResult, TeacherSetup
from curate.engine.chain import Chain
from curate.engine.early import EarlyLook
from curate.engine.inputs import pinned
from curate.engine.limits import Meter
from curate.engine.posing import Posing
from curate.engine.progress.progress import Progress
from curate.engine.rounds import Rounds
from curate.engine.subjects import Subjects
from curate.errors import InputError, did_you_mean
from curate.models.references import ResolvedModel
from curate.models.teachers.options import default_dtype
from curate.recipe.files import RecipeFile
from curate.recipe.lock import Lock, LockedModel
from curate.recipe.model import is_beside
from curate.sources import SOURCES, ReadSource, SampledSource
from curate.sources.lineage import asked_of, parents_first, wanted_of
from curate.sources.questions import QuestionsTable
from curate.sources.questions.posed import NOT_AGREED
from curate.sources.sampled import TOKENS_SCHEMA, Draw, missing, readable
from curate.store.store import Store, write_parquet


class Spent(NamedTuple):
    """Tokens of a source's samples, question by question, in their order.

    What was drawn of a posed question counts for the one that it goes back to.

    Attributes:
        prompt: of all prompts; None where a backend did not say.
        completion: of all completions, as far as they are known.
        samples: how many these are.
    """

    prompt: list[float] | None
    completion: list[float]
    samples: list[float]


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
        self._desk = Desk(
            store=store, lock=lock, progress=progress, meter=meter or Meter(), replay=replay,
            retry=retry, last=LastTeacher(store.root / "locks"),
        )  # fmt: skip
        self.results = [
            SourceResult(source.name, SOURCES.name_of(type(source)), makes=source.makes)
            for source in file.recipe.used_sources
        ]
        self._setups = {
            source.name: self._prepare(source, lock)
            for source in parents_first(file.recipe.used_sources)
        }
        self.posed: list[Path] = []
        """Files of what teachers wrote that were to pose questions."""
        self.rollouts: list[Path] = []
        """Files of what a student wrote, judged; complete behind the last of the `batches`."""
        self._subjects: dict[str, list[Subjects]] = {name: [] for name in self._setups}

    def _prepare(self, source: SampledSource, lock: Lock) -> TeacherSetup:
        template = source.template(self._file.folder)
        lock.template(template.name, template.digest)
        options = self._file.recipe.backend(source.name)
        if options.remote:
            return TeacherSetup(source, source.teacher(), template, None, options)
        model = self._pinned(source, lock) or lock.model(source.model, source.revision)
        dtype = source.dtype or lock.dtype(source.name, default_dtype)
        teacher = replace(source.teacher(), model=model.name, revision=model.revision, dtype=dtype)
        named = source.model_copy(update={"model": model.name})
        path = model.path if isinstance(model, ResolvedModel) else None
        return TeacherSetup(named, teacher, template, path, options)

    def _pinned(self, source: SampledSource, lock: Lock) -> LockedModel | None:
        """Give what the lock file says of a teacher where that is enough: a replay loads nothing.

        So a run can be replayed where the teacher's weights never were.
        """
        model = lock.known_model(source.model) if self._desk.replay else None
        return model if model and source.revision in {None, model.revision} else None

    def close(self) -> None:
        """End the teacher that was asked last, so that there is room for another model."""
        self._desk.last.close()

    def prompts(self) -> dict[str, str]:
        """Give the prompts that lie beside the recipe, as they were read: their text by file."""
        return {
            file: setup.template.text
            for setup in self._setups.values()
            for file in setup.source.texts()
            if is_beside(file)
        }

    def pose(self, questions: QuestionsTable, chain: Chain, work: Path) -> QuestionsTable:
        """Add the questions that sources pose to those that are there.

        Files are read through before, so that what is wrong with one is said first.

        Args:
            questions: as loaded.
            chain: finds answers, where these are to be agreed on.
            work: scratch that lives as long as the run.
        """
        if not any(setup.source.makes == "questions" for setup in self._setups.values()):
            return questions
        trial = {result.name: SourceResult(result.name, result.use) for result in self.results}
        # rows of questions that are still to be posed match none yet
        for _ in self._read(questions, trial, trial=True):
            pass
        results = {result.name: result for result in self.results}
        posing = Posing(self._file.recipe, self._setups, results, self._desk, chain, work)
        questions = posing.run(questions)
        self.posed = posing.files
        for name, setup in self._setups.items():
            if setup.source.makes == "questions":
                self._subjects[name] = [Subjects()]
        return questions

    def recorded(self, questions: QuestionsTable) -> dict[str, tuple[int, int] | None]:
        """Count, for each generating source, the samples wanted and those the record has.

        Returns:
            None for a source that goes on from samples, until these are there.
        """
        usable = questions.frame.filter(pl.col("status") == "ok")
        counts: dict[str, tuple[int, int] | None] = {}
        for name, setup in self._setups.items():
            sources = self._file.recipe.used_sources
            total = wanted_of(setup.source, sources, usable.height)
            if total is None:
                counts[name] = None
                continue
            limit = setup.source.sampling.max_tokens
            with self._desk.book(setup) as book:
                draws = setup.source.draws(usable, setup.template, setup.identity)
                lacking = sum(1 for _ in missing(draws, readable(book.get), limit))
            counts[name] = total, total - lacking
        return counts

    def spent(self, questions: QuestionsTable) -> dict[str, "Spent"]:
        """Add up the tokens of each question's recorded samples, source by source.

        Args:
            questions: of the run, whose samples are drawn.
        """
        tried = (pl.col("status") == "ok") | (pl.col("reason") == NOT_AGREED).fill_null(value=False)
        usable = questions.frame.filter(tried)
        originals = questions.original.filter(pl.col("status") == "ok")["question_id"]
        origins = questions.origins
        totals: dict[str, Spent] = {}
        for name, setup in self._setups.items():
            sums = dict.fromkeys(originals, 0.0)
            replies, samples = dict(sums), dict(sums)
            with self._desk.book(setup) as book:
                for draw in _draws(setup, self._subjects[name], usable):
                    if (value := readable(book.get)(draw.request.key)) is None:
                        continue  # of the last round, from which nothing was made
                    question = origins.get(draw.question_id, draw.question_id)
                    tokens = value.get("prompt_tokens")
                    if value.get("finish_reason") != "error":  # nobody counts those of a refusal
                        sums[question] += float("nan") if tokens is None else tokens
                    replies[question] += value.get("completion_tokens") or 0
                    samples[question] += 1
            prompts = list(sums.values())
            complete = not any(math.isnan(tokens) for tokens in prompts)
            columns = list(replies.values()), list(samples.values())
            totals[name] = Spent(prompts if complete else None, *columns)
        return totals

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
            books = [stack.enter_context(self._desk.book(setup)) for setup in setups]
            for questions in shards:
                usable = questions.filter(pl.col("status") == "ok")
                frames = [
                    setup.source.tokens(
                        subjects, setup.template, setup.identity, readable(book.get)
                    )
                    for setup, book in zip(setups, books, strict=True)
                    for round_ in self._subjects[setup.source.name]
                    for subjects in round_.about(asked_of(setup.source, usable))
                ]
                yield pl.concat([pl.DataFrame(schema=TOKENS_SCHEMA), *frames])

    def batches(
        self, questions: QuestionsTable, look: EarlyLook, work: Path
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of every source in turn; `results` is complete after the last.

        Sources that read files come first: whatever is wrong with a file is said before a sample
        is paid for. A source that goes on from another's samples comes behind it.

        Args:
            questions: of the run.
            look: finds the samples that a source goes on from.
            work: scratch that lives as long as the sampler is asked.

        Raises:
            InputError: a teacher that the recipe excludes is none of those met.
        """
        usable = questions.frame.filter(pl.col("status") == "ok")
        rounds = Rounds([each.source for each in self._setups.values()], usable, look, work)
        results = {result.name: result for result in self.results}
        yield from self._read(questions, results, rounds)
        for setup in self._setups.values():
            source, result = setup.source, results[setup.source.name]
            if source.makes == "questions":
                continue
            rows = self._sampled(setup, usable, result, rounds.of(source, result))
            for batch in self._counted(rows, result):
                taken = self._taken(batch, result, rounds)
                if source.makes == "rows":
                    yield taken
            if source.makes == "facts":
                samples, place = rounds.kept(source), work / source.name / "judged"
                for number, judged in enumerate(look.rollouts(source, samples, place)):
                    self.rollouts.append(place / f"rollouts-{number:05d}.parquet")
                    write_parquet(judged, self.rollouts[-1])

    def _read(
        self,
        questions: QuestionsTable,
        results: Mapping[str, SourceResult],
        rounds: Rounds | None = None,
        *,
        trial: bool = False,
    ) -> Iterator[pl.DataFrame]:
        """Read the sources whose rows are there; then every teacher is met that was excluded."""
        recipe = self._file.recipe
        teachers = set(recipe.writers)
        for source in recipe.used_sources:
            if isinstance(source, ReadSource):
                result = results[source.name]
                data = pinned(source.patient() if trial else source, self._desk.lock)
                rows = data.rows(questions, self._file.folder, result.tally)
                for batch in self._counted(rows, result):
                    if recipe.exclude_teachers:
                        teachers |= set(batch["teacher"].drop_nulls().unique())
                    yield self._taken(batch, result, rounds)
        # A teacher may have written for the questions that are left out alone.
        unknown = sorted(set(recipe.exclude_teachers) - teachers)
        if unknown and questions.beyond.is_empty():
            hint = did_you_mean(unknown[0], sorted(teachers))
            raise InputError(f"no row has the teacher {unknown[0]!r}; {hint}", "exclude_teachers")

    def _counted(
        self, batches: Iterator[pl.DataFrame], result: SourceResult
    ) -> Iterator[pl.DataFrame]:
        """Show how far the rows of a source are read."""
        title = f"read {result.name}"
        with self._desk.progress.stage(title, unit="samples", brief=True) as stage:
            for batch in batches:
                stage.advance(batch.height)
                yield batch

    def _taken(
        self, batch: pl.DataFrame, result: SourceResult, rounds: Rounds | None
    ) -> pl.DataFrame:
        """Leave out what excluded teachers wrote, count the rest, and keep what is gone on from."""
        excluded = self._file.recipe.exclude_teachers
        rows = batch.filter(~pl.col("teacher").fill_null("").is_in(excluded))
        result.excluded += batch.height - rows.height
        result.rows += rows.height
        result.errors += rows.filter(pl.col("finish_reason") == "error").height
        if rounds is not None:
            rounds.keep(result.name, rows)
        return rows

    def _sampled(
        self,
        setup: TeacherSetup,
        usable: pl.DataFrame,
        result: SourceResult,
        rounds: Iterable[Subjects],
    ) -> Iterator[pl.DataFrame]:
        """Have a source's samples drawn, round by round, and make its rows."""
        source, result.teacher = setup.source, setup.described
        usable = asked_of(source, usable)
        with closing(Asker(setup, self._desk, result)) as asker:
            for subjects in rounds:
                self._subjects[source.name].append(subjects)
                asker.ask(partial(_draws, setup, [subjects], usable))
                for frame in subjects.about(usable):
                    yield source.rows(frame, setup.template, setup.identity, asker.lookup)


def _draws(setup: TeacherSetup, rounds: Iterable[Subjects], usable: pl.DataFrame) -> Iterator[Draw]:
    """List what a source wants of some questions, in all of these rounds."""
    usable = asked_of(setup.source, usable)
    for subjects in rounds:
        for frame in subjects.about(usable):
            yield from setup.source.draws(frame, setup.template, setup.identity)
