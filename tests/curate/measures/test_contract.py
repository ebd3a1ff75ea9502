"""The contract suite: every law, on every registered measure, over random tables.

The second half breaks each law on purpose: a suite that a wrong measure passes proves nothing.
"""

import importlib
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from curate.measures import MEASURES, known_columns
from curate.measures.attributes import Attributes
from curate.measures.base import (
    DerivedMeasure,
    Item,
    Measure,
    MemoMeasure,
    Need,
    PoolRequest,
    Setup,
)
from curate.measures.compliance import Compliance
from curate.measures.score_options import ScoreOptions
from curate.measures.signals import Signals
from curate.models.references import ResolvedModel, resolve
from curate.store.keys import key
from filters.answers.reading import AnswerOptions, TextOptions
from filters.columns import Column, Glossary
from filters.overrides import Overrides as OverridesFilter
from tests.curate.measures import laws
from tests.filters.strategies import rows

STUDENT: Final = Path(__file__).parents[2] / "stores" / "sums" / "student"
"""A student of two layers that says something else of every text."""
ENCODER: Final = "sentence-transformers/all-MiniLM-L6-v2"

ASKED_STUDENT: Final = ScoreOptions(student="student", calibrate=0)
"""How the measures that read more of the student than `score` does ask it."""

SETUPS: Final[dict[str, list[dict[str, Any]]]] = {
    "parse": [
        {},
        {
            "texts": {
                "strict": TextOptions(answer=AnswerOptions(after=("7",)), stop=("again",)),
                "teacher": TextOptions(),
            }
        },
    ],
    "attributes": [
        {"demand": tuple(Attributes.writes)},
        {"demand": ("hedge_words", "format_faults")},
    ],
    "compliance": [
        {"demand": tuple(Compliance.writes)},
        {"demand": ("computations", "retold")},
    ],
    "overrides": [{"filter": OverridesFilter(file="verdicts.csv")}],
    "score": [
        {"options": {"student": "student", "calibrate": 3}},
        {"options": {"student": "student", "calibrate": 0, "per_token": True}},
        {
            "options": {"student": "student", "calibrate": 0},
            "demand": ("rationale_logprobs", "rationale_ranks"),
        },
    ],
    "local": [{"demand": ("nll_local",), "score": ASKED_STUDENT, "options": {"window": 1}}],
    "curve": [{"demand": ("answer_curve", "reveal_step"), "score": ASKED_STUDENT}],
    "importance": [
        {"demand": ("step_importance", "prunable_share"), "score": ASKED_STUDENT},
        {"demand": ("prunable_share",), "score": ASKED_STUDENT, "options": {"least": 0.01}},
    ],
    "teacher_signals": [
        {"demand": ("teacher_nll", "teacher_share")},
        {"demand": ("teacher_nll",)},
    ],
    "signals": [
        {"demand": tuple(Signals.writes)},
        {"demand": ("steps", "hes"), "options": {"split_at": ["="], "hes_share": 0.5}},
    ],
    "gradient": [{"options": {"blocks": 1, "dimensions": 64}}],
}
"""Setups tried besides the default; a measure not named here is tried with its options' own."""
SHARED: Final = (
    {"question": "Tom had 12 apples and ate 5. How many are left?", "gold": "7",
     "gold_type": "number"},
    {"question": "What is half of one?", "gold": "\\frac{1}{2}", "gold_type": "latex"},
    {"question": "Which is warm?", "gold": "B", "gold_type": "choice", "choices": ["ice", "tea"]},
    {"question": "How many legs have 2 cats?", "gold": "8", "gold_type": "number"},
)  # fmt: skip
OWN: Final = (
    (("12 - 5 = 7 apples are left.", "7"), ("12 + 5 = 17 apples.", "17"), (None, None)),
    (("Half of 1 is 0.5.", "0.5"), ("1 / 3 is a third.", "\\frac13"), ("It is \\frac12.", None)),
    (("Ice is cold, so it is tea.", "(B)"), ("", "(A)")),
    (("One has 4. Two have 8.", "8"), ("2 * 4 = 8.\nSo 8 legs.", "8"), ("2 + 4 = 6.", "6")),
)
"""Of each question: rationales and answers."""
VERDICTS: Final = "sample_id,keep,reason\n0000,no,it copies\n0001,yes,\n0002,no,\n"

CASES: Final = [
    pytest.param(
        kind,
        chosen,
        id=f"{kind.name}-{number}",
        marks=[pytest.mark.models] if "encoder" in kind.needs else [],
    )
    for kind in MEASURES
    for number, chosen in enumerate(SETUPS.get(kind.name, [{}]))
]
Law = Callable[[Measure, pl.DataFrame], None]
LAWS: Final[tuple[Law, ...]] = (
    laws.same_in_same_out,
    laws.order_is_irrelevant,
    laws.cutting_is_irrelevant,
    laws.keys_are_of_texts_and_instrument,
    laws.values_survive_the_record,
    laws.missing_is_null,
    laws.nothing_is_loaded_for_no_items,
    laws.shape_is_declared,
    laws.manifests_can_hold_it,
)
KindLaw = Callable[[type[Measure], Setup], None]
KIND_LAWS: Final[tuple[KindLaw, ...]] = (
    laws.columns_are_declared,
    laws.opening_loads_nothing,
    laws.places_are_no_part_of_the_instrument,
    laws.models_are_part_of_the_instrument,
)


def setup_of(kind: type[Measure], given: Mapping[str, Any], folder: Path) -> Setup:
    """Make what a run would have for a measure."""
    models: dict[Need, ResolvedModel] = {}
    if "student" in kind.needs:
        one_thread()
        models["student"] = ResolvedModel(STUDENT, "student", "1", "folder")
    if "encoder" in kind.needs:
        models["encoder"] = resolve(ENCODER)
    section = kind.section
    options = section.model_validate(given.get("options", {})) if section else None
    (folder / "verdicts.csv").write_text(VERDICTS)
    more = {name: value for name, value in given.items() if name != "options"}
    return Setup(options=options, models=models, folder=folder, **more)


def one_thread() -> None:
    """Let a model so small compute alone: two threads wait for one another."""
    importlib.import_module("torch").set_num_threads(1)


@pytest.fixture
def threads() -> Iterator[None]:
    """Leave torch as it was."""
    torch = importlib.import_module("torch")
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def columns_for(measure: Measure) -> list[str]:
    """List the ids, what a measure reads, and what it looks at once a run."""
    request = measure.pool() if isinstance(measure, MemoMeasure) else None
    return list(dict.fromkeys((*laws.IDS, *measure.reads, *(request.columns if request else ()))))


def tables(measure: Measure) -> st.SearchStrategy[pl.DataFrame]:
    """Draw tables for a measure."""
    return rows(columns_for(measure), glossary=known_columns(), never_null=laws.ALWAYS)


def as_drawn(text: str) -> dict[str, Any]:
    """Tell of a text what a teacher tells that writes four characters at a time."""
    ends = list(range(4, len(text) + 4, 4))
    logs = [-(end % 7) / 10 for end in ends]
    return {"teacher_token_ends": ends, "teacher_logprobs": logs} if text else {}


def usual(measure: Measure) -> pl.DataFrame:
    """Give a table in which a measure finds something to measure: rows as runs have them."""
    numbers = itertools.count()
    table = [
        {
            **shared,
            "sample_id": f"{next(numbers):04x}",
            "question_id": f"q{question}",
            "source": "teacher",
            "finish_reason": "stop",
            **as_drawn(f"{rationale} The answer is {answer}." if rationale else ""),
            "raw_output": f"{rationale} The answer is {answer}." if rationale else None,
            "rationale": rationale,
            "rationale_words": len(rationale.split()) if rationale else None,
            "answer": answer,
            "parent_rationale": own[0][0],
            **as_read(rationale, answer),
        }
        for question, (shared, own) in enumerate(zip(SHARED, OWN, strict=True))
        for rationale, answer in own
    ]
    glossary = known_columns()
    names = columns_for(measure)
    return pl.DataFrame(
        [{name: row.get(name) for name in names} for row in table],
        schema={name: glossary[name].dtype for name in names},
    )


def as_read(rationale: str | None, answer: str | None) -> dict[str, Any]:
    """Give what a student of words might say of a rationale and of an answer of two tokens."""
    ends = [match.end() for match in re.finditer(r"\S+", rationale or "")]
    if not ends:
        return {}
    logs = [-((7 * end) % 11) / 4 - 0.1 for end in ends]
    heads = [1 / len(ends), -logs[0], -sum(logs) / len(logs)]
    return {
        "rationale_token_ends": ends,
        "rationale_logprobs": logs,
        "rationale_entropies": [0.5 - log for log in logs],
        "rationale_ranks": [1 + int(-9 * log) for log in logs],
        "answer_logprobs_with_rationale": [-0.1 * len(ends), -0.2 * len(answer or "")],
        "answer_logprobs_without_rationale": [-1.5, -0.5],
        **dict(zip(("head_share", "nll_heads", "nll_rationale"), heads, strict=True)),
        "nll_rationale_no_heads": -sum(logs[1:]) / max(1, len(logs) - 1),
    }


@pytest.mark.parametrize(("kind", "chosen"), CASES)
def test_every_measure_keeps_every_law(
    kind: type[Measure], chosen: Mapping[str, Any], tmp_path: Path, threads: None
) -> None:
    measure = kind.open(setup_of(kind, chosen, tmp_path))
    asked = settings().max_examples
    few = asked if isinstance(measure, DerivedMeasure) else min(4 if kind.needs else 12, asked)

    @settings(max_examples=few)
    @example(frame=usual(measure))
    @given(frame=tables(measure))
    def holds(frame: pl.DataFrame) -> None:
        whole = laws.settled(measure, frame)
        for law in LAWS:
            law(whole, frame)

    try:
        made = laws.measured(laws.settled(measure, usual(measure)), usual(measure))
        assert any(column.null_count() < column.len() for column in made), "add to the usual rows"
        holds()
    finally:
        if isinstance(measure, MemoMeasure):
            measure.close()


@pytest.mark.parametrize("law", KIND_LAWS)
@pytest.mark.parametrize(("kind", "chosen"), CASES)
def test_every_measure_is_what_it_says_of_itself(
    kind: type[Measure], chosen: Mapping[str, Any], law: KindLaw, tmp_path: Path, threads: None
) -> None:
    law(kind, setup_of(kind, chosen, tmp_path))


# What follows is wrong on purpose.


class Plain(DerivedMeasure):
    """Counts words: the sound base of the broken ones that are derived."""

    name: ClassVar[str] = "plain"
    reads = ("rationale",)
    writes = Glossary(
        [Column("plain_words", pl.Int32(), "words of the rationale, counted plainly")]
    )

    def instrument(self) -> Mapping[str, Any]:
        return {}

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        return self.column(len(text.split()) if text else None for text in frame["rationale"])

    def column(self, values: Iterable[Any]) -> pl.DataFrame:
        return pl.DataFrame({"plain_words": pl.Series(list(values), dtype=pl.Int32)})


class Forgetful(Plain):
    """Gives other values every time it is asked."""

    asked: ClassVar[list[int]] = []

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        self.asked.append(1)
        return self.column([len(self.asked)] * frame.height)


class Homebound(Plain):
    """Can't be sent to a worker."""

    def __init__(self) -> None:
        self.count = lambda text: len(text.split())


class Numbering(Plain):
    """Measures the place in the table."""

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        return self.column(range(frame.height))


class Comparing(Plain):
    """Measures a row against those that happen to be measured with it."""

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        words = super().derive(frame)["plain_words"]
        return self.column(words - words.max())


class Zeroing(Plain):
    """Says 0 where there is nothing to measure."""

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        return super().derive(frame).fill_null(0)


class Fragile(Plain):
    """Does not expect a row without a rationale."""

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        return self.column(len(text.split()) for text in frame["rationale"])


class Eager(Plain):
    """Imports a library whether there is anything to measure or not."""

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        import torch

        assert torch
        return super().derive(frame)


class Dropping(Plain):
    """Leaves rows out instead of giving nulls."""

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        return super().derive(frame.drop_nulls("rationale"))


class Untyped(Plain):
    """Lets its type depend on the rows."""

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        return pl.DataFrame({"plain_words": super().derive(frame)["plain_words"].to_list()})


class Overflowing(Plain):
    """Writes a column more than it declared."""

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        return super().derive(frame).with_columns(mood=pl.lit("good"))


class Unwritable(Plain):
    """Identifies itself by what JSON does not know."""

    def instrument(self) -> Mapping[str, Any]:
        return {"folder": Path()}


class Uncountable(Plain):
    """Identifies itself by what is no number."""

    def instrument(self) -> Mapping[str, Any]:
        return {"limit": float("nan")}


class Counted(MemoMeasure):
    """Counts letters: the sound base of the broken ones that are remembered."""

    name: ClassVar[str] = "counted"
    reads = ("rationale",)
    writes = Glossary([Column("letters", pl.Int32(), "letters of the rationale, as text has them")])

    def instrument(self) -> Mapping[str, Any]:
        return {"alphabet": "any"}

    def items(self, frame: pl.DataFrame) -> Sequence[Item]:
        return [Item(self.memo_key(text), text) for text in frame["rationale"].drop_nulls()]

    def compute(self, items: Iterable[Item]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for item in items:
            yield item.key, {"letters": self.count(item.payload)}

    def count(self, text: str) -> Any:
        return len(text)

    def assemble(
        self,
        frame: pl.DataFrame,
        values: Mapping[str, Mapping[str, Any]],
        _facts: Mapping[str, Any],
    ) -> pl.DataFrame:
        found = [values.get(self.memo_key(text), {}) for text in frame["rationale"]]
        letters = [value.get("letters") for value in found]
        return pl.DataFrame({"letters": pl.Series(letters, dtype=pl.Int32)})


class ByRow(Counted):
    """Measures equal texts once for every row."""

    def items(self, frame: pl.DataFrame) -> Sequence[Item]:
        rows = frame.select("sample_id", "rationale").drop_nulls().iter_rows()
        return [Item(self.memo_key(text, sample), text) for sample, text in rows]


class ByPlace(Counted):
    """Measures equal texts once for every place."""

    def items(self, frame: pl.DataFrame) -> Sequence[Item]:
        texts = enumerate(frame["rationale"].drop_nulls())
        return [Item(self.memo_key(text, place), text) for place, text in texts]


class ByLength(Counted):
    """Takes one text for another."""

    def memo_key(self, *texts: Any) -> str:
        return super().memo_key(*(len(text or "") for text in texts))


class ByHand(Counted):
    """Makes keys that the record can't hold."""

    def memo_key(self, *texts: Any) -> str:
        return f"{self.name}-{texts}"


class Unbound(Counted):
    """Takes for its own what another instrument measured."""

    def memo_key(self, *texts: Any) -> str:
        return key(self.name, self.version, texts)


class Unversioned(Counted):
    """Takes for its own what an earlier version measured."""

    def memo_key(self, *texts: Any) -> str:
        return key(self.name, self.instrument(), texts)


class Silent(Counted):
    """Does not answer for what it finds too short."""

    def compute(self, items: Iterable[Item]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        return super().compute(item for item in items if len(item.payload) > 9)


class Repeating(Counted):
    """Answers twice."""

    def compute(self, items: Iterable[Item]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for answer in super().compute(items):
            yield from (answer, answer)


class Unserialisable(Counted):
    """Answers with what JSON does not know."""

    def count(self, text: str) -> Any:
        return np.int32(len(text))


class Unnumbered(Counted):
    """Answers with what is no number, of which the record makes a null."""

    def count(self, _: str) -> Any:
        return float("nan")


class Insatiable(Counted):
    """Wants a detail that it never gives, and so measures everything again in every run."""

    details = ("every_letter",)


class Hasty(Counted):
    """Opens its model before it knows of anything to measure."""

    def compute(self, items: Iterable[Item]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        (STUDENT / "config.json").read_bytes()
        yield from super().compute(items)


class Importing(Counted):
    """Imports what runs its model before it knows of anything to measure."""

    def items(self, frame: pl.DataFrame) -> Sequence[Item]:
        from curate.models.encoder import Encoder

        assert Encoder
        return super().items(frame)


class Opinionated(Counted):
    """Finds out about the run what no manifest can hold."""

    def conclude(self, pool: pl.DataFrame, _: Any) -> Mapping[str, Any]:
        return {"seen": set(pool["question_id"])}

    def pool(self) -> Any:
        return PoolRequest(3, ("question_id", "sample_id", "rationale"))


class Terse(Plain):
    """Explains its column in a word."""

    writes = Glossary([Column("plain_words", pl.Int32(), "words")])


class Disowned(Plain):
    """Says that its column is another's."""

    writes = Glossary([Column("plain_words", pl.Int32(), "words of the rationale, yes", "score")])


class Twin(Plain):
    """Writes a column that another measure writes."""

    writes = Glossary([Column("rationale_words", pl.Int32(), "words of the rationale, again")])


class Wider(Plain):
    """Promises a plan columns that it never declared."""

    @classmethod
    def columns(cls, _: BaseModel | None, demand: Collection[str] = ()) -> Glossary:
        del demand
        return cls.writes.plus(
            [Column("mood", pl.String(), "of the rationale, in a word", "plain")]
        )


class Narrower(Plain):
    """Tells a plan that it writes less than it does."""

    @classmethod
    def columns(cls, _: BaseModel | None, demand: Collection[str] = ()) -> Glossary:
        del demand
        return Glossary()


class Unlisted(Plain):
    """Reads a column nobody writes."""

    reads = ("mood",)


class Circular(Plain):
    """Reads what it writes."""

    reads = ("plain_words",)


class Loading(Plain):
    """Loads its model when a run opens it."""

    @classmethod
    def open(cls, setup: Setup) -> Self:
        import transformers

        assert transformers
        return super().open(setup)


class Modelled(Counted):
    """Asks for a student, and knows it by name and revision."""

    needs: ClassVar[Collection[Need]] = ("student",)

    def __init__(self, student: ResolvedModel) -> None:
        self.student = student

    @classmethod
    def open(cls, setup: Setup) -> Self:
        return cls(setup.models["student"])

    def instrument(self) -> Mapping[str, Any]:
        return {"student": self.student.name, "revision": self.student.revision}


class Settled(Modelled):
    """Knows its student by the folder it lies in."""

    def instrument(self) -> Mapping[str, Any]:
        return {**super().instrument(), "folder": str(self.student.path)}


class Unpinned(Modelled):
    """Takes every revision of its student for the same."""

    def instrument(self) -> Mapping[str, Any]:
        return {"student": self.student.name}


FRAME: Final = pl.DataFrame(
    {
        "sample_id": ["d", "b", "a", "c", "f", "e"],
        "question_id": ["q0", "q0", "q0", "q1", "q1", "q1"],
        "rationale": ["3 + 4 = 7", "It was 7.", "3 + 4 = 7", None, "", "So 3 and 4 make 7."],
    }
)
BROKEN: Final[tuple[tuple[Law, type[Measure]], ...]] = (
    (laws.same_in_same_out, Forgetful),
    (laws.same_in_same_out, Homebound),
    (laws.order_is_irrelevant, Numbering),
    (laws.cutting_is_irrelevant, Numbering),
    (laws.cutting_is_irrelevant, Comparing),
    (laws.keys_are_of_texts_and_instrument, ByRow),
    (laws.keys_are_of_texts_and_instrument, ByPlace),
    (laws.keys_are_of_texts_and_instrument, ByLength),
    (laws.keys_are_of_texts_and_instrument, ByHand),
    (laws.keys_are_of_texts_and_instrument, Unbound),
    (laws.keys_are_of_texts_and_instrument, Unversioned),
    (laws.values_survive_the_record, Silent),
    (laws.values_survive_the_record, Repeating),
    (laws.values_survive_the_record, Unserialisable),
    (laws.values_survive_the_record, Unnumbered),
    (laws.values_survive_the_record, Insatiable),
    (laws.missing_is_null, Zeroing),
    (laws.missing_is_null, Fragile),
    (laws.nothing_is_loaded_for_no_items, Eager),
    (laws.nothing_is_loaded_for_no_items, Hasty),
    (laws.nothing_is_loaded_for_no_items, Importing),
    (laws.shape_is_declared, Dropping),
    (laws.shape_is_declared, Untyped),
    (laws.shape_is_declared, Overflowing),
    (laws.manifests_can_hold_it, Unwritable),
    (laws.manifests_can_hold_it, Uncountable),
    (laws.manifests_can_hold_it, Opinionated),
)
BROKEN_KINDS: Final[tuple[tuple[KindLaw, type[Measure]], ...]] = (
    (laws.columns_are_declared, Terse),
    (laws.columns_are_declared, Disowned),
    (laws.columns_are_declared, Twin),
    (laws.columns_are_declared, Wider),
    (laws.columns_are_declared, Narrower),
    (laws.columns_are_declared, Unlisted),
    (laws.columns_are_declared, Circular),
    (laws.opening_loads_nothing, Loading),
    (laws.places_are_no_part_of_the_instrument, Settled),
    (laws.models_are_part_of_the_instrument, Unpinned),
)
BARE: Final = Setup(models={"student": ResolvedModel(STUDENT, "student", "1", "folder")})


def named(law: object) -> str | None:
    """Name a case by its law and its measure."""
    return getattr(law, "__name__", None)


@pytest.mark.parametrize(("law", "kind"), BROKEN, ids=named)
def test_the_suite_catches_a_measure_that_breaks_a_law(law: Law, kind: type[Measure]) -> None:
    with pytest.raises(AssertionError):
        law(kind(), FRAME)


@pytest.mark.parametrize(("law", "kind"), BROKEN_KINDS, ids=named)
def test_the_suite_catches_a_kind_that_breaks_a_law(law: KindLaw, kind: type[Measure]) -> None:
    with pytest.raises(AssertionError):
        law(kind, BARE)


@pytest.mark.parametrize("kind", [Plain, Counted, Modelled])
def test_the_suite_passes_a_sound_measure(kind: type[Measure]) -> None:
    for law in KIND_LAWS:
        law(kind, BARE)
    for law in LAWS:
        law(kind.open(BARE), FRAME)


def test_every_law_is_broken_by_somebody() -> None:
    assert {law for law, _ in BROKEN} == set(LAWS)
    assert {law for law, _ in BROKEN_KINDS} == set(KIND_LAWS)
