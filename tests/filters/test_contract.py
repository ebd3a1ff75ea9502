"""The contract suite: every law, on every registered filter, over random tables.

The second half breaks each law on purpose: a suite that a wrong filter passes proves nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict

from filters import FILTERS
from filters.contract import DatasetFilter, Filter, Scope, Threshold
from tests.filters import laws
from tests.filters.strategies import tables

CONFIGS: Final[dict[str, list[dict[str, Any]]]] = {
    "completeness": [{}, {"allow_cut": True, "min_words": 5}],
    "length": [{"unit": "words", "min": 4, "max": 900}, {"max": 64}],
    "band": [
        {"column": "rationale_words", "min": 4, "max": 900},
        {"column": "nll_rationale", "max": 2.0},
        {"column": "gold_shown", "min": 1},
    ],
    "compliance": [
        {"expect": {"*": {"rationale_words": {"min": 4, "max": 900}}}},
        {"expect": {"*a*": {"gold_shown": True, "source": ["a", "b"]}, "?*": {"round": 0}}},
    ],
    "repetition": [{}, {"ngram": 2, "max_ngram_share": 0.1}],
    "consistency": [{}, {"min": 0.2, "max": 0.8, "fewest": 2}],
    "duplicates": [{}, {"jaccard": 0.4, "ngram": 2}, {"jaccard": None}],
    "diversity": [
        {},
        {"by": ["text"], "keep": "medoid"},
        {"by": ["path", "text", "embedding"], "distance": 0.3, "linkage": "complete"},
        {"by": ["embedding"], "keep": "medoid", "near_duplicate": None},
    ],
    "rationale_difficulty": [
        {},
        {"variant": "paper", "min": 0.4, "max": 0.6},
        {"variant": "paper", "min_quantile": 0.3, "max_quantile": 0.6},
    ],
    "overrides": [{"file": "verdicts.csv"}],
}
"""Configurations tried besides none at all; a filter not named here is tried with its defaults."""

CASES: Final = [
    pytest.param(kind, config, id=f"{kind.model_fields['use'].default}-{number}")
    for kind in FILTERS
    for number, config in enumerate(CONFIGS.get(kind.model_fields["use"].default, [{}]))
]
OF_TABLES: Final = [case for case in CASES if issubclass(case.values[0], DatasetFilter)]
OF_ROWS: Final = [case for case in CASES if case not in OF_TABLES]
Law = Callable[[Filter, pl.DataFrame], None]
LAWS: Final[tuple[Law, ...]] = (
    laws.same_in_same_out,
    laws.order_is_irrelevant,
    laws.cutting_is_irrelevant,
    laws.reasons_are_declared,
    laws.shape_is_declared,
    laws.what_would_let_a_row_pass_does,
    laws.thresholds_are_foreseen,
)


@pytest.mark.parametrize(("kind", "config"), OF_ROWS)
@given(data=st.data())
def test_every_filter_keeps_every_law(
    kind: type[Filter], config: dict[str, Any], data: st.DataObject
) -> None:
    keeps_every_law(kind, config, data)


@pytest.mark.parametrize(("kind", "config"), OF_TABLES)
@settings(max_examples=10)  # each resolves dozens of parts, a dozen times
@given(data=st.data())
def test_every_filter_of_whole_tables_keeps_every_law(
    kind: type[Filter], config: dict[str, Any], data: st.DataObject
) -> None:
    keeps_every_law(kind, config, data)


def keeps_every_law(kind: type[Filter], config: dict[str, Any], data: st.DataObject) -> None:
    filter_ = kind.model_validate(config)
    frame = data.draw(tables(filter_))
    ready = laws.settled(filter_, frame)
    for law in LAWS:
        law(ready, frame)


@pytest.mark.parametrize(("kind", "config"), CASES)
def test_every_filter_is_its_parameters(kind: type[Filter], config: dict[str, Any]) -> None:
    filter_ = kind.model_validate(config)
    laws.columns_are_in_the_glossary(filter_)
    places = {name: config[name] for name, field in kind.model_fields.items() if field.exclude}
    laws.config_is_the_object(filter_, places)


@pytest.mark.parametrize("kind", FILTERS)
def test_every_reason_is_explained_and_snake_case(kind: type[Filter]) -> None:
    assert kind.reasons
    for named in (kind.abstains, kind.depends_on_run, kind.worse):
        assert set(named) <= kind.reasons.keys()
    for reason, meaning in kind.reasons.items():
        assert reason == reason.lower()
        assert reason.isidentifier()
        assert len(meaning.split()) > 3


@pytest.mark.parametrize("kind", FILTERS)
def test_every_filter_is_shown_on_rows_that_it_stops(kind: type[Filter]) -> None:
    filter_, frame, judged = kind.work_example()
    assert frame.height == judged.height >= 2
    assert set(judged["reason"].drop_nulls()) & set(filter_.reasons)
    assert judged["keep"].any() or filter_.scope == "question", "and one that it keeps"


# What follows is wrong on purpose.


class Plain(Filter):
    """Reads one column and keeps every row: the sound base of the broken ones."""

    reasons: ClassVar[Mapping[str, str]] = {"no": "it was not to be"}
    use: Literal["plain"] = "plain"

    def reads(self) -> Sequence[str]:
        return ("rationale_words",)

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        return self.drop(pl.Series([False] * frame.height, dtype=pl.Boolean))

    def drop(self, where: pl.Series, reason: str = "no") -> pl.DataFrame:
        reasons = pl.Series([reason if dropped else None for dropped in where], dtype=pl.String)
        return self.verdicts(~where, reasons)


class Forgetful(Plain):
    """Gives another verdict every time it is asked."""

    asked: ClassVar[list[int]] = []

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        self.asked.append(1)
        return self.drop(pl.Series([len(self.asked) % 2 == 0] * frame.height, dtype=pl.Boolean))


class FirstOnly(Plain):
    """Drops by place in the table."""

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        return self.drop(pl.Series(range(frame.height), dtype=pl.Int64) > 0)


class AboveMean(Plain):
    """Says it looks at single rows and compares with the mean of what it was given."""

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        words = frame["rationale_words"].fill_null(0)
        return self.drop(words > (words.mean() or 0))


class AcrossQuestions(AboveMean):
    """Says it looks at siblings and compares with other questions."""

    scope: ClassVar[Scope] = "question"


class Undeclared(Plain):
    """Drops for a reason it never declared."""

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        return self.drop(pl.Series([True] * frame.height, dtype=pl.Boolean), "whim")


class Wavering(Plain):
    """Abstains with a reason by which it says that it drops."""

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        return self.drop(pl.Series([True] * frame.height, dtype=pl.Boolean)).with_columns(
            keep=pl.lit(None, pl.Boolean)
        )


class Talkative(Plain):
    """Gives a reason for rows it keeps."""

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        return super().judge(frame).with_columns(reason=pl.lit("no"))


class Dropping(Plain):
    """Removes rows instead of judging them."""

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        return super().judge(frame).head(1)


class Untyped(Plain):
    """Lets the types of its evidence depend on the rows."""

    evidence: ClassVar[Mapping[str, pl.DataType]] = {"words": pl.Float64()}

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        fact = pl.DataFrame({"words": frame["rationale_words"]}).to_struct("evidence")
        return super().judge(frame).with_columns(fact)


class Boastful(Plain):
    """Names a parameter that would not have kept the row."""

    least: int = 0

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        return self.drop(pl.Series([True] * frame.height, dtype=pl.Boolean))

    def would_pass(self, *_: Any) -> Mapping[str, Any]:
        return {"least": 1}


class Shortsighted(Plain):
    """Calls a threshold what is compared with more than the number it names."""

    least: int = 0

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        few = frame["rationale_words"].fill_null(0) <= self.least
        score = frame["rationale_words"].fill_null(0).cast(pl.Float64)
        return self.drop(few).with_columns(score=score)

    def thresholds(self) -> Sequence[Threshold]:
        return (Threshold("least", "min", "no"),)


class FirstComer(DatasetFilter):
    """Lets the row that happens to stand first lead."""

    reasons: ClassVar[Mapping[str, str]] = {"no": "it was not to be"}
    use: Literal["first_comer"] = "first_comer"

    def reads(self) -> Sequence[str]:
        return ("rationale_words",)

    def sketch(self, frame: pl.DataFrame) -> pl.DataFrame:
        key = pl.col("rationale_words").fill_null(0).cast(pl.UInt64).alias("key")
        return frame.select(pl.lit(0, pl.UInt8).alias("part"), "sample_id", key)

    def resolve(self, part: pl.DataFrame) -> pl.DataFrame:
        led = part.select("sample_id", leader=pl.col("sample_id").first().over("key"))
        return led.filter(pl.col("leader") != pl.col("sample_id"))

    def assess(self, frame: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
        led = frame["sample_id"].is_in(groups["sample_id"].implode())
        reasons = pl.Series(["no" if dropped else None for dropped in led], dtype=pl.String)
        return self.verdicts(~led, reasons)


class Changeable(Plain):
    """Can be changed after it was made."""

    model_config = ConfigDict(frozen=False, extra="forbid")


class Unlisted(Plain):
    """Reads a column nobody declared."""

    def reads(self) -> Sequence[str]:
        return ("mood",)


FRAME: Final = pl.DataFrame(
    {
        "sample_id": ["d", "b", "a", "c", "f", "e"],
        "question_id": ["q0", "q0", "q0", "q1", "q1", "q1"],
        "rationale_words": pl.Series([5, 9, 5, 1, 9, None], dtype=pl.Int32),
    }
)
BROKEN: Final[tuple[tuple[Law, type[Filter]], ...]] = (
    (laws.same_in_same_out, Forgetful),
    (laws.order_is_irrelevant, FirstOnly),
    (laws.order_is_irrelevant, FirstComer),
    (laws.cutting_is_irrelevant, AboveMean),
    (laws.cutting_is_irrelevant, AcrossQuestions),
    (laws.cutting_is_irrelevant, FirstComer),
    (laws.reasons_are_declared, Undeclared),
    (laws.reasons_are_declared, Talkative),
    (laws.reasons_are_declared, Wavering),
    (laws.shape_is_declared, Dropping),
    (laws.shape_is_declared, Untyped),
    (laws.what_would_let_a_row_pass_does, Boastful),
    (laws.thresholds_are_foreseen, Shortsighted),
)


@pytest.mark.parametrize(("law", "kind"), BROKEN)
def test_the_suite_catches_a_filter_that_breaks_a_law(law: Law, kind: type[Filter]) -> None:
    with pytest.raises(AssertionError):
        law(kind.model_validate({}), FRAME)


def test_the_suite_passes_a_sound_filter() -> None:
    for law in LAWS:
        law(Plain.model_validate({}), FRAME)


def test_the_suite_catches_a_config_that_changes() -> None:
    with pytest.raises(pytest.fail.Exception):
        laws.config_is_the_object(Changeable.model_validate({}), {})


def test_the_suite_catches_an_undeclared_column() -> None:
    with pytest.raises(AssertionError, match="mood"):
        laws.columns_are_in_the_glossary(Unlisted.model_validate({}))
