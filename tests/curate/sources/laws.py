"""The laws of a source (`curate.sources.base`), each a function that raises where one breaks it.

A source is tried on questions made here: some that cannot be used, one that is asked twice, with
solutions of their own. What it needs beside, its own test file says: `Example`.
"""

import json
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

import polars as pl
import pytest
import yaml
from pydantic import ValidationError

from curate.engine.forecast.preview import preview
from curate.engine.forecast.probe import probe
from curate.engine.progress.progress import Progress, Stage
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import RecordError
from curate.models.teachers.base import Completion
from curate.recipe.files import RecipeFile, read_recipe
from curate.recipe.plan import make_plan
from curate.sources import SOURCES, ReadSource, SampledSource, Source, Tally
from curate.sources.questions import QuestionsOptions, QuestionsTable, load_questions
from curate.sources.sampled import record_value
from curate.sources.templates import PromptTemplate
from filters.columns import SOURCE_COLUMNS
from tests.filters.laws import config_is_the_object
from tests.servers.openai_server import read_book

QuestionRow = Mapping[str, str]
"""A row of the questions' file: ``question``, ``answer``, ``solution`` and ``id``."""

TERMS: Final = "cc0-1.0"
IDENTITY: Final = {"model": "tiny", "revision": "r", "dtype": "float32"}
NOWHERE: Final = "http://127.0.0.1:9/v1"
"""Where nothing listens: whoever asks there fails."""
FEW, ALL = 4, 1000


class Example(NamedTuple):
    """How a source is tried; ``EXAMPLE`` in the test file of its name.

    Attributes:
        config: what a recipe says of it beside `use` and `terms`.
        write: writes the files that it reads into the recipe's folder: of each row one,
            in their order, of which one sample is made.
        beside: what a recipe says of another source, where it needs one: to go on from its
            samples, of which it has one of each question, or to have rows at all.
    """

    config: Mapping[str, Any] = {}
    write: Callable[[Path, Sequence[QuestionRow]], None] = lambda _folder, _rows: None
    beside: Mapping[str, Any] | None = None


class Made(NamedTuple):
    """What a source made of some questions, without an engine.

    Attributes:
        batches: its rows.
        tally: what it said of those that it read.
        questions: as it was given them.
        schema: the columns that it says it has.
    """

    batches: list[pl.DataFrame]
    tally: Tally
    questions: QuestionsTable
    schema: Mapping[str, pl.DataType]

    @property
    def rows(self) -> pl.DataFrame:
        return pl.concat([pl.DataFrame(schema=self.schema), *self.batches])


@dataclass(frozen=True)
class Case:
    """A source under trial.

    Attributes:
        kind: its class.
        example: how it is tried.
        folder: scratch; every trial gets a folder of its own there.
        url: of a server that answers for any model.
        book: what that server was asked.
    """

    kind: type[Source]
    example: Example
    folder: Path
    url: str
    book: Path

    @property
    def config(self) -> dict[str, Any]:
        return {"use": SOURCES.name_of(self.kind), **self.example.config, "terms": TERMS}

    @property
    def source(self) -> Source:
        return self.kind.model_validate(self.config)

    def place(self, rows: Sequence[QuestionRow] = (), filed: Sequence[QuestionRow] = ()) -> Path:
        """Write questions, and the source's files, which may know of others, into a new folder."""
        folder, rows = self.folder / uuid4().hex, rows or questions()
        folder.mkdir()
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "questions.jsonl").write_text(lines)
        self.example.write(folder, filed or rows)
        return folder

    def make(
        self,
        rows: Sequence[QuestionRow] = (),
        filed: Sequence[QuestionRow] = (),
        limit: int | None = None,
    ) -> Made:
        """Have the rows made; what a teacher would be asked is answered at once."""
        folder, source = self.place(rows, filed), self.source
        options = QuestionsOptions.model_validate(QUESTIONS)
        table, tally = load_questions(options, folder, limit), Tally()
        schema = {**SOURCE_COLUMNS, **source.writes.types}
        if isinstance(source, SampledSource):
            subjects = self.subjects(table, folder)
            template = source.template(folder)
            rows = source.rows(subjects, template, IDENTITY, _answer)
            return Made([rows], tally, table, schema)
        assert isinstance(source, ReadSource)
        return Made(list(source.rows(table, folder, tally)), tally, table, schema)

    def subjects(self, table: QuestionsTable, folder: Path) -> pl.DataFrame:
        """List what it asks about: usable questions, with a sample of each where it needs one."""
        usable, beside = table.frame.filter(status="ok"), self.example.beside
        source = self.source
        if beside is None or (isinstance(source, SampledSource) and source.parent is None):
            return usable
        kind = SOURCES.get(beside["use"])
        assert kind is not None
        other = kind.model_validate(beside)
        assert isinstance(other, ReadSource)
        rows = pl.concat(other.rows(table, folder, Tally())).select(
            "question_id", "round", "gold_shown", pl.lit(1).alias("pass"),
            pl.col("sample_id").alias("parent_id"),
            pl.col("raw_output").alias("rationale"), pl.col("raw_output").alias("output"),
        )  # fmt: skip
        return usable.join(rows, on="question_id", maintain_order="left")

    def asked(self, made: Made) -> tuple[pl.DataFrame, PromptTemplate, Mapping[str, Any]]:
        """Give what a source is asked to list the draws of that it made rows of."""
        source, folder = self.source, self.place()
        assert isinstance(source, SampledSource)
        return self.subjects(made.questions, folder), source.template(folder), IDENTITY

    def read(self, folder: Path, url: str) -> RecipeFile:
        """Give a recipe of this source, whose teacher, if any, is behind a url."""
        beside = [{**self.example.beside, "terms": TERMS}] if self.example.beside else []
        recipe: dict[str, Any] = {
            "name": "contract", "questions": QUESTIONS, "sources": [*beside, self.config],
        }  # fmt: skip
        if issubclass(self.kind, SampledSource):
            backend = {"backend": "openai", "url": url, "in_flight": 1}
            recipe["runtime"] = {"sources": {self.source.name: backend}}
        path = folder / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe, sort_keys=False))
        return read_recipe(str(path))

    def run(
        self, folder: Path, progress: Progress | None = None, url: str = "", *, replay: bool = False
    ) -> RunResult:
        """Run the recipe; the store is in its folder."""
        file = self.read(folder, url or self.url)
        options = RunOptions(runs=folder / "runs", replay=replay)
        with stored_in(folder):
            return run(file, options, progress or Progress(quiet=True))

    def audit(self, folder: Path, progress: Progress | None = None) -> pl.DataFrame:
        """Run the recipe and give its rows."""
        rows = self.written(self.run(folder, progress))
        assert rows.height, "it makes nothing of the example's questions"
        return rows

    def written(self, result: RunResult) -> pl.DataFrame:
        """Give what a run has of it, rows or not."""
        if self.source.makes != "questions":
            return result.audit.filter(source=self.source.name)
        questions = pl.read_parquet(result.folder / "audit" / "questions-*.parquet")
        written = pl.read_parquet(result.folder / "audit" / "posed-*.parquet")
        return written.join(
            questions.select("question_id", "status"), on="question_id"
        ).with_columns(selected=pl.lit(value=False))

    def entries(self) -> list[dict[str, Any]]:
        """List what the server was asked so far."""
        return read_book(self.book)


Law = Callable[[Case], None]

QUESTIONS: Final = {
    "path": "questions.jsonl",
    "columns": {"question": "question", "gold": "answer", "rationale": "solution", "id": "id"},
    "gold": {"type": "number"},
}


def questions(count: int = 10) -> list[QuestionRow]:
    """List questions with solutions: one stands there twice, and of six one cannot be used."""
    rows: list[QuestionRow] = []
    for number in range(count):
        a, b = 20 + number, 3 + number % 7
        rows.append(
            {
                "question": f"Ann has {a} nuts and finds {b}. How many nuts has she?",
                "answer": "a few" if number % 6 == 5 else str(a + b),
                "solution": f"{a} + {b} = {a + b}. The answer is {a + b}.",
                "id": f"k{number}",
            }
        )
    return [*rows, rows[0]]


def example_of(kind: type[Source]) -> Example:
    """Find how a source is tried: as the test file of its name says, or by its defaults."""
    use = SOURCES.name_of(kind)
    module = f"tests.curate.sources.test_{use}"
    own = getattr(import_module(module), "EXAMPLE", None) if find_spec(module) else None
    if isinstance(own, Example):
        return own
    try:
        kind.model_validate({"use": use})
    except ValidationError as error:
        lacking = ", ".join(str(each["loc"][-1]) for each in error.errors())
        pytest.fail(
            f"no example for source {use!r}, which must be told {lacking}: add one, as "
            f"EXAMPLE = Example({{...}}) in tests/curate/sources/test_{use}.py"
        )
    return Example()


def config_is_written_down_and_read_back(case: Case) -> None:
    """A source is its config, alone and in a recipe; nobody changes it."""
    config_is_the_object(case.source, {})
    assert case.source.name
    recipe = case.read(case.place(), case.url).recipe
    assert recipe.sources[-1] == case.source
    assert type(recipe).model_validate(recipe.model_dump(mode="json")) == recipe


def columns_are_declared(case: Case) -> None:
    """Every batch has the columns of a source, of their types; each row says whose it is."""
    made = case.make()
    for batch in made.batches:
        assert list(batch.schema.items()) == list(made.schema.items())
    rows = made.rows
    assert set(rows["source"]) == {case.source.name}
    required = ("sample_id", "question_id", "sample_index", "source", "gold_shown", "raw_output")
    assert rows.select(required).null_count().sum_horizontal().item() == 0
    siblings = rows.group_by("question_id", "parent_id").agg("sample_index")
    for numbers in siblings["sample_index"]:
        assert sorted(numbers) == list(range(len(numbers)))


def ids_are_unique(case: Case) -> None:
    """No two rows share an id, though two have the same text."""
    assert case.make().rows["sample_id"].is_unique().all()


def ids_are_of_content(case: Case) -> None:
    """A row has its id in any order of the input, and however many others are there."""
    few, more = questions(8), questions(14)
    contents = _contents(case.make(few).rows)
    shuffled = random.Random(7).sample(few, len(few))
    assert _contents(case.make(shuffled).rows) == contents
    larger = _contents(case.make(more[::-1]).rows)
    assert contents.items() <= larger.items()


def rows_are_accounted_for(case: Case) -> None:
    """Rows in are rows out and what the tally says became of the others."""
    filed = questions(12)
    made = case.make(filed[:8], filed, limit=4)
    rows, tally, source = made.rows, made.tally, case.source
    usable = made.questions.frame.filter(status="ok").height
    assert usable == 4
    assert set(rows["question_id"]) <= set(made.questions.frame["question_id"])
    if isinstance(source, SampledSource):
        if (wanted := source.wanted(usable)) is None:
            wanted = len(list(source.draws(*case.asked(made))))
        assert rows.height == wanted, "one row a draw, those that failed included"
        return
    assert bool(tally.rows) == bool(source.inputs()), "who reads files counts their rows"
    if tally.rows:
        lost = tally.unmatched.total()
        assert tally.rows == len(filed)
        assert tally.samples == rows.height
        assert tally.rows == tally.samples + tally.beyond_limit + lost
        assert len(tally.quoted) == min(lost, 3)


def stopped_and_repeated_the_same(case: Case) -> None:
    """A run that was stopped half-way goes on to the rows of one that was not, and asks on."""
    whole = case.audit(case.place())
    folder, before = case.place(), len(case.entries())
    sampled = issubclass(case.kind, SampledSource)
    half = max(whole.height // 2, 1) if sampled else 1
    with pytest.raises(StoppedError):
        case.audit(folder, Stopping(case.source.name, half))
    drawn = len(case.entries()) - before
    assert drawn == (half if sampled else 0)
    again = case.audit(folder)
    entries = case.entries()[before:]
    assert _rows(again, written=not sampled) == _rows(whole, written=not sampled)
    if sampled:
        assert len(entries) == whole.height, "something was asked twice"
        assert sorted(again["raw_output"]) == sorted(entry["text"] for entry in entries)


def replay_asks_nothing(case: Case) -> None:
    """A run is had again from the record, by no model."""
    folder = case.place()
    first, before = case.run(folder), len(case.entries())
    try:
        again = case.run(folder, url=NOWHERE, replay=True)
    except RecordError as error:
        raise AssertionError("it wants other samples than it drew") from error
    assert len(case.entries()) == before
    assert again.tally.sampled == 0
    assert again.summary.dataset_hash == first.summary.dataset_hash


def forecast_counts_it(case: Case) -> None:
    """Plan, preview and probe name it, and foresee its rows."""
    folder, source = case.place(), case.source
    file = case.read(folder, case.url)
    named = f"{SOURCES.name_of(case.kind)} samples: {source.name}"
    assert any(line.startswith(named) for line in make_plan(file.recipe).describe())
    with stored_in(folder):
        shown = preview(file).sources[-1]
        few = probe(file, FEW, Progress(quiet=True)).sources[-1]
        whole = probe(file, ALL, Progress(quiet=True))
    live = case.audit(folder).filter(status="ok").height
    every = whole.sources[-1]
    assert {shown.name, few.name, every.name} == {source.name}
    assert few.rows.middle > 0 or source.makes != "rows"
    if not isinstance(source, SampledSource):
        assert few.asking is shown.wanted is None
    else:
        assert few.asking is not None
        assert shown.prompt is not None
        assert few.rows == (few.asking.wanted if source.makes == "rows" else (0, 0, 0))
        assert few.asking.wanted.low <= live <= few.asking.wanted.high
        if source.parent is None:
            assert few.asking.wanted == (shown.wanted,) * 3
        else:
            assert source.parent in shown.in_words
    rows = live if source.makes == "rows" else 0
    assert every.rows.low == every.rows.high == rows
    assert whole.samples.middle == sum(each.rows.middle for each in whole.sources)


def terms_reach_the_manifest(case: Case) -> None:
    """The terms that a recipe states of its text are in the manifest and in the card."""
    result, source = case.run(case.place()), case.source
    manifest = json.loads((result.folder / "dataset" / "manifest.json").read_bytes())
    assert manifest["terms"][source.name] == TERMS
    named = manifest["configs"]["default"]["sources"]
    assert (source.name in named) == (source.makes == "rows")
    card = (result.folder / "dataset" / "README.md").read_text()
    rows = [line for line in card.splitlines() if line.startswith("| teacher |")]
    (row,) = [row for row in rows if f"`{source.writer}`" in row]
    assert TERMS in row


def quarantined_are_left_alone(case: Case) -> None:
    """A question that cannot be used costs nothing, and nothing of it is selected."""
    before = len(case.entries())
    rows = case.audit(case.place())
    useless = rows.filter(pl.col("status") != "ok")
    assert not useless["selected"].any()
    if issubclass(case.kind, SampledSource):
        assert useless.is_empty()
        prompts = [entry["prompt"] for entry in case.entries()[before:]]
        unusable = [row["question"] for row in questions() if row["answer"] == "a few"]
        assert not [p for p in prompts for question in unusable if question in p]


class StoppedError(Exception):
    """What ends a run half-way."""


class Stopping(Progress):
    """Ends a run as soon as so many rows of a source came.

    Args:
        source: its name.
        after: how many.
        reading: whether those count that are read from the record, not only those drawn.
    """

    def __init__(self, source: str, after: int, *, reading: bool = True) -> None:
        super().__init__(quiet=True)
        self._titles = {f"sample {source}", *([f"read {source}"] if reading else [])}
        self._left = after

    @contextmanager
    def stage(
        self, title: str, total: int = 0, unit: str = "", *, brief: bool = False
    ) -> Generator[Stage]:
        with super().stage(title, total, unit, brief=brief) as stage:
            yield self if title in self._titles else stage

    def advance(self, count: int = 1, *_: int) -> None:
        self._left -= count
        if self._left <= 0:
            raise StoppedError

    def cut(self) -> None: ...

    def failed(self, error: str) -> None: ...


@contextmanager
def stored_in(folder: Path) -> Generator[None]:
    """Have the store in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        yield


def _answer(key: str) -> Mapping[str, Any]:
    """Give what a record could hold under a key: a text of its own, or, of some, a failure."""
    failed = int(key[:4], 16) % 5 == 0
    completion = Completion(
        key=key,
        text="" if failed else f"text of {key}",
        finish_reason="error" if failed else "stop",
        completion_tokens=3,
    )
    return record_value(completion, max_tokens=64)


def _contents(rows: pl.DataFrame) -> dict[str, tuple[Any, ...]]:
    """Give what each id stands for; where a row stands among its siblings is no part of that."""
    contents = rows.drop("sample_id", "sample_index").rows()
    return dict(zip(rows["sample_id"], contents, strict=True))


def _rows(audit: pl.DataFrame, *, written: bool) -> list[tuple[Any, ...]]:
    """Give the rows of a run as its source made them; with what a teacher wrote, if asked for."""
    wrote = set() if written else {"raw_output", "completion_tokens"}
    return sorted(audit.select(name for name in SOURCE_COLUMNS if name not in wrote).rows())
