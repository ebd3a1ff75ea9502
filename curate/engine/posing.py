"""Have new questions written, and let samples of them say their answers where that is asked for.

All of it comes before the samples of the run, which are drawn of the new questions as of any. What
was drawn to agree on an answer is then found in the record.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from curate.engine.asking import Asker, Desk, SourceResult, TeacherSetup
from curate.engine.chain import Chain
from curate.engine.early import EarlyLook
from curate.engine.subjects import Subjects
from curate.errors import InputError
from curate.recipe.model import Recipe
from curate.sources.lineage import asked_of, voters
from curate.sources.pose import Agreed, Pose
from curate.sources.questions import QuestionsTable
from curate.sources.questions.posed import Draft, agreed_on, with_posed
from curate.sources.sampled import Draw
from curate.store.store import write_parquet


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
            InputError: a teacher is to be shown an answer that is still to be agreed on.
        """
        for setup in self.setups.values():
            if isinstance(setup.source, Pose):
                questions = self._posed(setup, setup.source, questions)
        return questions

    def _posed(
        self, setup: TeacherSetup, source: Pose, questions: QuestionsTable
    ) -> QuestionsTable:
        """Have one source pose, round by round."""
        result, agreed = self.results[source.name], isinstance(source.gold, Agreed)
        result.teacher = setup.described
        asked = _usable(asked_of(source, questions.frame))
        with closing(Asker(setup, self.desk, result)) as asker:
            for number in range(1, source.rounds + 1):
                before = questions.frame.height
                rows = _asked(asker, setup, asked)
                drafts = [
                    Draft(question, *source.read(text))
                    for question, text in rows.select("question_id", "raw_output").iter_rows()
                ]
                options = self.recipe.questions.gold
                questions, outcomes = with_posed(
                    questions, drafts, source.name, options, agreed=agreed
                )
                self._keep(rows, outcomes, source, number)
                result.rows += rows.height
                result.errors += rows.filter(finish_reason="error").height
                for outcome, _ in outcomes:
                    result.posed[outcome] = result.posed.get(outcome, 0) + 1
                if isinstance(source.gold, Agreed):
                    questions = self._agreed(source, source.gold, questions)
                asked = _usable(questions.frame.slice(before))
        return questions

    def _agreed(self, source: Pose, gold: Agreed, questions: QuestionsTable) -> QuestionsTable:
        """Let those who answer a source's questions agree on what is right."""
        own = pl.col("posed_by") == source.name
        pending = _usable(questions.frame.filter(own & pl.col("gold").is_null()))
        if pending.is_empty():
            return questions
        look = EarlyLook(self.recipe, pending, self.chain)
        answers: list[pl.DataFrame] = []
        for voter in voters(source, self.recipe.used_sources):
            setup = self.setups[voter.name]
            if setup.template.gold_shown:
                raise InputError(
                    f"its prompt shows the known answer, and that of the questions of "
                    f"{source.name!r} is still to be agreed on; give it another prompt, or let it "
                    'be about: [""]',
                    f"sources: {voter.name}: prompt",
                )
            drawn = SourceResult(voter.name, "")
            with closing(Asker(setup, self.desk, drawn)) as asker:
                rows = _asked(asker, setup, pending)
            # The run finds them in the record.
            self.results[voter.name].fresh += drawn.fresh
            self.results[voter.name].reused -= drawn.fresh
            answers.append(look.answers(voter, [rows], self.work / source.name / voter.name))
        return agreed_on(questions, pl.concat(answers), gold.share, gold.fewest, source.name)

    def _keep(
        self,
        rows: pl.DataFrame,
        outcomes: Sequence[tuple[str, str | None]],
        source: Pose,
        number: int,
    ) -> None:
        """Keep what a teacher wrote, with what became of it."""
        columns = [pl.Series("outcome", [outcome for outcome, _ in outcomes], dtype=pl.String())]
        columns.append(
            pl.Series("posed_question_id", [name for _, name in outcomes], dtype=pl.String())
        )
        place = self.work / source.name
        place.mkdir(parents=True, exist_ok=True)
        self.files.append(place / f"posed-{source.name}-{number:02d}.parquet")
        write_parquet(rows.with_columns(columns), self.files[-1])


def _usable(questions: pl.DataFrame) -> pl.DataFrame:
    return questions.filter(pl.col("status") == "ok")


def _asked(asker: Asker, setup: TeacherSetup, questions: pl.DataFrame) -> pl.DataFrame:
    """Ask a teacher about questions, and give its rows."""
    source, subjects = setup.source, Subjects()

    def draws() -> Iterator[Draw]:
        for frame in subjects.about(questions):
            yield from source.draws(frame, setup.template, setup.identity)

    asker.ask(draws)
    rows = [
        source.rows(frame, setup.template, setup.identity, asker.lookup)
        for frame in subjects.about(questions)
    ]
    empty: dict[str, Any] = {}
    none = source.rows(questions.clear(), setup.template, setup.identity, empty.get)
    return pl.concat([none, *rows])
