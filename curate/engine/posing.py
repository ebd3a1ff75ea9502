"""Have new questions written, and let samples of them say their answers where that is asked for.

All of it comes before the samples of the run, which are drawn of the new questions as of any. What
was drawn to agree on an answer is then found in the record; of questions on whose answer nobody
agrees it is kept in the audit, so that a person can see what was said.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import polars as pl

from curate.engine.asking import Asker, Desk, SourceResult, TeacherSetup
from curate.engine.chain import Chain
from curate.engine.early import EarlyLook
from curate.engine.subjects import Subjects
from curate.errors import InputError
from curate.recipe.model import Recipe
from curate.sources import SampledSource
from curate.sources.lineage import asked_of, voters
from curate.sources.pose import Agreed, Pose
from curate.sources.questions import QuestionsTable
from curate.sources.questions.posed import (
    NOT_AGREED,
    Draft,
    NewQuestions,
    agreed_on,
    pending_of,
)
from curate.sources.sampled import Draw
from curate.store.store import read_parquet, write_parquet


@dataclass
class Posing:
    """Poses the questions of a run.

    Attributes:
        recipe: of the run.
        setups: the sources that ask, by name, each behind those that it goes on from.
        results: of all sources, by name; added to.
        desk: what asking takes.
        chain: finds answers.
        work: scratch that lives as long as the run.
        files: what was written, for the audit.
    """

    recipe: Recipe
    setups: dict[str, TeacherSetup]
    results: dict[str, SourceResult]
    desk: Desk
    chain: Chain
    work: Path
    files: list[Path] = field(default_factory=list[Path])

    def run(self, questions: QuestionsTable) -> QuestionsTable:
        """Add the questions that are posed to those that are there.

        Raises:
            InputError: a teacher is to be shown an answer that is still to be agreed on; nothing
                was paid for.
        """
        sources = [s.source for s in self.setups.values() if isinstance(s.source, Pose)]
        for source in sources:
            self._refuse_shown(source)
        for source in sources:
            questions = self._posed(source, questions)
        return questions

    def _refuse_shown(self, source: Pose) -> None:
        for voter in self._voters(source):
            if self.setups[voter.name].template.gold_shown:
                raise InputError(
                    f"its prompt shows the known answer, and that of the questions of "
                    f"{source.name!r} is still to be agreed on; give it another prompt, or let it "
                    'be about: [""]',
                    f"sources: {voter.name}: prompt",
                )

    def _voters(self, source: Pose) -> list[SampledSource]:
        if not isinstance(source.gold, Agreed):
            return []
        return voters(source, self.recipe.used_sources)

    def _posed(self, source: Pose, questions: QuestionsTable) -> QuestionsTable:
        """Have one source pose, round by round."""
        subjects = _usable(asked_of(source, questions.frame))
        for number in range(1, source.rounds + 1):
            before = questions.frame.height
            questions = self._round(source, subjects, questions, number)
            if isinstance(source.gold, Agreed):
                questions = self._agreed(source, source.gold, questions, number)
            subjects = _usable(questions.frame.slice(before))
        return questions

    def _round(
        self, source: Pose, subjects: pl.DataFrame, questions: QuestionsTable, number: int
    ) -> QuestionsTable:
        """Have questions written from questions; the teacher is gone before others are asked."""
        setup, result = self.setups[source.name], self.results[source.name]
        result.teacher = setup.described
        options, agreed = self.recipe.questions.gold, isinstance(source.gold, Agreed)
        new = NewQuestions(questions, source.name, options, agreed=agreed)
        with closing(Asker(setup, self.desk, result)) as asker:
            for part, rows in enumerate(_rows(asker, setup, subjects)):
                drafts = [_draft(source, row) for row in rows.iter_rows(named=True)]
                outcomes = new.add(drafts)
                self._keep(rows, outcomes, source, f"{number:02d}-{part:05d}")
                result.rows += rows.height
                result.errors += rows.filter(finish_reason="error").height
                for outcome, _ in outcomes:
                    result.posed[outcome] = result.posed.get(outcome, 0) + 1
        return new.joined()

    def _agreed(
        self, source: Pose, gold: Agreed, questions: QuestionsTable, number: int
    ) -> QuestionsTable:
        """Let those who answer a source's questions agree on what is right."""
        pending = pending_of(questions.frame, source.name)
        if pending.is_empty():
            return questions
        look = EarlyLook(self.recipe, pending, self.chain)
        place = self.work / source.name / f"votes-{number:02d}"
        answers: list[pl.DataFrame] = []
        for voter in self._voters(source):
            setup, result = self.setups[voter.name], self.results[voter.name]
            with closing(Asker(setup, self.desk, result)) as asker:
                batches = self._spilled(_rows(asker, setup, pending), place, voter.name)
                answers.append(look.answers(voter, batches, place / voter.name))
            result.counted |= {draw.request.key for draw in _draws(setup, pending)}
        questions = agreed_on(questions, pl.concat(answers), gold.share, gold.fewest, source.name)
        failed = pending.join(
            questions.frame.filter(reason=NOT_AGREED), on="question_id", how="semi"
        )
        if failed.height:
            self.results[source.name].posed[NOT_AGREED] = (
                self.results[source.name].posed.get(NOT_AGREED, 0) + failed.height
            )
        for path in sorted(place.glob("*.parquet")):
            rows = read_parquet(path).join(failed, on="question_id", how="semi")
            self._keep(rows, [(NOT_AGREED, name) for name in rows["question_id"]], source,
                       f"{number:02d}-{path.stem}")  # fmt: skip
        return questions

    def _spilled(
        self, batches: Iterator[pl.DataFrame], place: Path, name: str
    ) -> Iterator[pl.DataFrame]:
        """Keep what voters wrote until it is known who agrees."""
        place.mkdir(parents=True, exist_ok=True)
        for number, batch in enumerate(batches):
            write_parquet(batch, place / f"votes-{name}-{number:05d}.parquet")
            yield batch

    def _keep(
        self,
        rows: pl.DataFrame,
        outcomes: Sequence[tuple[str, str | None]],
        source: Pose,
        part: str,
    ) -> None:
        """Keep what a teacher wrote, with what became of it."""
        if rows.is_empty():
            return
        columns = [pl.Series("outcome", [outcome for outcome, _ in outcomes], dtype=pl.String())]
        columns.append(
            pl.Series("posed_question_id", [name for _, name in outcomes], dtype=pl.String())
        )
        place = self.work / source.name
        place.mkdir(parents=True, exist_ok=True)
        self.files.append(place / f"posed-{source.name}-{part}.parquet")
        write_parquet(rows.with_columns(columns), self.files[-1])


def _draft(source: Pose, row: dict[str, str]) -> Draft:
    fault = {"error": "failed", "length": "cut_off"}.get(row["finish_reason"])
    return Draft(row["question_id"], *source.read(row["raw_output"]), fault)


def _usable(questions: pl.DataFrame) -> pl.DataFrame:
    return questions.filter(pl.col("status") == "ok")


def _rows(asker: Asker, setup: TeacherSetup, questions: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Ask a teacher about questions, and give its rows in batches."""
    asker.ask(partial(_draws, setup, questions))
    for frame in Subjects().about(questions):
        yield setup.source.rows(frame, setup.template, setup.identity, asker.lookup)


def _draws(setup: TeacherSetup, questions: pl.DataFrame) -> Iterator[Draw]:
    for frame in Subjects().about(questions):
        yield from setup.source.draws(frame, setup.template, setup.identity)
