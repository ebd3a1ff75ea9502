"""The laws of a format (`curate.release.formats`), each a function that raises where one breaks it.

A format is tried on a small pool made here, in which every rationale and answer is a text of its
own, so that it can be found again; and on a finished run, which is exported.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import orjson
import polars as pl
import pyarrow as pa
import pytest
from datasets import Dataset, Features
from pydantic import ValidationError

from curate.errors import InputError
from curate.models.rendering import Layout
from curate.release.export.export import ExportOptions, export
from curate.release.export.lint import lint
from curate.release.formats import Format, Pool
from curate.release.formats.wording import Record, Row, Think, Wording
from curate.release.options import PublishOptions
from curate.release.parquet import arrow_type
from filters.columns import GLOSSARY, QUESTION_COLUMNS, VERDICT_PREFIX
from filters.correctness import Correctness
from tests.curate.models.test_rendering import CHATML, WITHOUT_THINKING
from tests.curate.release.export.templates import THINKING, TURN, tokenizer

LINE: Final = " The answer is {answer}."
WRITTEN: Final = GLOSSARY.of("question", "source", "parse", "select")
"""What every run writes."""
TYPES: Final = {
    **QUESTION_COLUMNS,
    **WRITTEN.types,
    **GLOSSARY.of("release").types,
    f"{VERDICT_PREFIX}correctness": Correctness().verdict_type(),
}
LABELS: Final = ("oak", "elm", "fir", "yew", "ash", "box")


class Case(NamedTuple):
    """A format under trial.

    Attributes:
        form: the format.
        folder: scratch.
        run: a finished run.
    """

    form: Format
    folder: Path
    run: Path

    def records(self, wording: Wording, pool: Pool | None = None) -> list[Record]:
        records = list(self.form.records(pool or pool_of(LABELS), wording))
        assert records or pool, "it makes nothing of the pool"
        return records


Law = Callable[[Case], None]


def pool_of(labels: Sequence[str]) -> Pool:
    """Make the pool of some questions, each with two right samples, a wrong and a hard one.

    One question has choices, and one a sample without a rationale.
    """
    rows = pl.DataFrame(
        [row for label in labels for row in _samples(label)], schema=TYPES, strict=True
    )
    released = [*WRITTEN.published, "split"]
    questions = pl.DataFrame([_question(label) for label in labels], schema=dict(QUESTION_COLUMNS))
    stopped = pl.col("rejected_reason").is_not_null()
    return Pool(
        chosen=rows.filter(~stopped).select(released),
        rejected=rows.filter(stopped).select(*released, *GLOSSARY.of("release")),
        questions=questions,
        samples=rows,
        judge="correctness",
    )


def _question(label: str) -> Row:
    choices = ["many", "few"] if label == "yew" else None
    return {
        "question_id": f"q-{label}", "question": f"How many leaves has an {label}?",
        "gold": "B" if choices else str(7001 + LABELS.index(label)),
        "gold_type": "choice" if choices else "number", "choices": choices,
        "group_id": f"q-{label}", "split": "train", "status": "ok", "times_seen": 1,
    }  # fmt: skip


def _samples(label: str) -> Iterator[Row]:
    question = _question(label)
    right, wrong = question["gold"], str(9001 + LABELS.index(label))
    kinds = (("one", right, None), ("two", right, None), ("bad", wrong, "wrong_answer"),
             ("far", right, "too_difficult"))  # fmt: skip
    for number, (kind, answer, reason) in enumerate(kinds):
        bare = label == "box" and kind == "two"
        yield question | {
            "sample_id": f"{label}-{kind}", "source": "pool", "teacher": "ann", "prompt_id": "cot",
            "sample_index": number, "gold_shown": False, "raw_output": "", "finish_reason": "stop",
            "rationale": None if bare else f"Count what {label} shows by {kind}.",
            "answer": answer, "selection_rank": number,
            "rejected_by": reason and "any", "rejected_reason": reason,
            f"{VERDICT_PREFIX}correctness": {"keep": answer == right, "reason": None},
        }  # fmt: skip


def wordings(form: Format) -> list[Wording]:
    """List the wordings that a format may be asked for; a string has no reasoning field."""
    return [
        Wording(LINE, layout, think)
        for layout in get_args(Layout)
        for think in form.thinks
        if layout == "chat" or think != "field"
    ]


def it_says_what_it_is(case: Case) -> None:
    """It has a name that can be typed, a clause for cards, and columns that are explained."""
    form = case.form
    assert form.name == form.name.lower()
    assert " " not in form.name
    assert len(form.about.split()) > 3
    assert set(form.thinks) <= set(get_args(Think))
    for wording in wordings(form):
        assert all(column.meaning for column in form.columns(wording).values())


def keys_are_the_declared_columns(case: Case) -> None:
    """A record has the keys that are declared, in their order, with values of their types."""
    for wording in wordings(case.form):
        types = case.form.columns(wording).types
        for record in case.records(wording):
            assert list(record) == list(types)
            for key, kind in types.items():
                assert _is_of(record[key], kind), (key, record[key])


def records_are_traced(case: Case) -> None:
    """A record says of which sample, or question, of the pool it was made."""
    ids = contents(case.form)
    for wording in wordings(case.form):
        for record in case.records(wording):
            assert record[case.form.traced_by] in ids
            assert record.get("rejected_sample_id") in {None, *ids}


def rationale_and_answer_are_there_once(case: Case) -> None:
    """The records of a row have its rationale and its answer, and none has either twice.

    Both sides of a pair may state the answer.
    """
    parts, by = contents(case.form), case.form.traced_by
    for wording in wordings(case.form):
        texts: defaultdict[str, list[str]] = defaultdict(list)
        for record in case.records(wording):
            rationale, answer = parts[record[by]]
            columns = [" ".join(strings(value)) for value in record.values()]
            assert sum(text.count(rationale) for text in columns if rationale) <= 1, record
            assert all(text.count(answer) <= 1 for text in columns if answer), record
            texts[record[by]] += columns
        for name, columns in texts.items():
            assert all(any(part in text for text in columns) for part in parts[name] if part), name


def cutting_is_irrelevant(case: Case) -> None:
    """Any cut between questions gives the same records, whatever else is known of others."""
    for wording in wordings(case.form):
        expected = case.records(wording)
        for size in (1, 4):
            pieces = [LABELS[start : start + size] for start in range(0, len(LABELS), size)]
            pools = [pool_of(piece) for piece in pieces]
            apart = [record for pool in pools for record in case.records(wording, pool)]
            assert apart == expected
            whole = pool_of(LABELS)
            more = [replace(p, rejected=whole.rejected, samples=whole.samples) for p in pools]
            assert [r for pool in more for r in case.records(wording, pool)] == expected


def it_loads_as_declared(case: Case) -> None:
    """`datasets` gives records the declared types by itself, and reads JSON lines under them."""
    for number, wording in enumerate(wordings(case.form)):
        records, types = case.records(wording), case.form.columns(wording).types
        schema = pa.schema([pa.field(name, arrow_type(kind)) for name, kind in types.items()])
        declared = Features.from_arrow_schema(schema)
        assert Dataset.from_list(records).features == declared
        path = case.folder / f"{number}.jsonl"
        path.write_bytes(b"\n".join(map(orjson.dumps, records)))
        cache = str(case.folder / "cache")
        loaded = Dataset.from_json(str(path), features=declared, cache_dir=cache)
        assert _without_nulls(loaded.to_list()) == records


def it_is_tried_or_says_why_not(case: Case) -> None:
    """Every record is rendered under the student's template, and what that loses is found."""
    form = case.form
    if form.untried is not None:
        assert len(form.untried.split()) > 3
        return
    parts = contents(form)
    for wording in wordings(form):
        records = case.records(wording)
        names = {record[form.identified_by] for record in records}
        assert not findings(form, records, THINKING)
        assert findings(form, records, THINKING, limit=1) == {(n, "too_long") for n in names}
        replies = [each.reply for record in records for each in form.exchanges(record)]
        if wording.think == "none" or not all(isinstance(reply, list) for reply in replies):
            continue  # nothing that a template could drop alone
        dropping = WITHOUT_THINKING + TURN if wording.think == "inline" else CHATML + TURN
        thought = {r[form.identified_by] for r in records if parts[r[form.traced_by]].rationale}
        assert findings(form, records, dropping) == {(n, "reasoning_lost") for n in thought}


def thinks_are_kept(case: Case) -> None:
    """Where it says that it can have the rationale it has it; all else is refused."""
    form, parts = case.form, contents(case.form)
    for think in get_args(Think):
        options = ExportOptions(think=think, out=case.folder / think)
        if think not in form.thinks:
            with pytest.raises(InputError):
                export(case.run, form.name, options)
            if form.worded:
                with pytest.raises(ValidationError):
                    PublishOptions(formats=(form.name,), think=think)
            continue
        assert export(case.run, form.name, options).records
        assert PublishOptions(formats=(form.name,), think=think)
        texts: defaultdict[str, list[str]] = defaultdict(list)
        for record in case.records(Wording(LINE, "chat", think)):
            texts[record[form.traced_by]] += strings(record)
        for name, of_row in texts.items():
            if rationale := parts[name].rationale:
                places = [text for text in of_row if rationale in text]
                assert places
                for text in places:
                    assert (f"<think>\n{rationale}\n</think>" in text) == (think == "inline")
                    assert think != "field" or text == rationale


class Contents(NamedTuple):
    """What the records of a row are to hold.

    Attributes:
        rationale: None where the row has none.
        answer: as a student is to print it; None where options in the question state it, too.
    """

    rationale: str | None
    answer: str | None


def contents(form: Format) -> dict[str, Contents]:
    """Give, by id, what the samples of the pool hold, or the questions for a format of these."""
    pool = pool_of(LABELS)
    rows = pool.questions if form.of_questions else pool.samples
    by = "question_id" if form.of_questions else "sample_id"
    return {
        row[by]: Contents(row.get("rationale"), None if row["choices"] else row["gold"])
        for row in rows.iter_rows(named=True)
    }


def findings(
    form: Format, records: Sequence[Record], template: str, limit: int | None = None
) -> set[tuple[str, str]]:
    """Try records under a template; give which were found wanting, and why."""
    tried = lint(records, form, tokenizer(template), limit)
    return {(finding.record, finding.reason) for finding in tried}


def strings(value: object) -> Iterator[str]:
    """List every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def _without_nulls(value: Any) -> Any:
    """Drop the keys that turns lack: a table gives every turn those of all."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _is_of(value: object, kind: pl.DataType) -> bool:
    """Tell whether a value is of a declared type; turns may lack keys that others have."""
    if isinstance(kind, pl.List):
        return isinstance(value, list) and all(_is_of(item, kind.inner) for item in value)
    if isinstance(kind, pl.Struct):
        fields = {field.name: field.dtype for field in kind.fields}
        return (
            isinstance(value, dict)
            and value.keys() <= fields.keys()
            and all(_is_of(inner, fields[key]) for key, inner in value.items())
        )
    wanted = str if kind == pl.String else bool if kind == pl.Boolean else int
    return type(value) is (float if kind.is_float() else wanted)
