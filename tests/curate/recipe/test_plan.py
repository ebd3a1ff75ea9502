"""The plan: what reads what, and what can't be left out."""

from collections.abc import Mapping
from typing import Any, ClassVar

import polars as pl
import pytest
import yaml
from pydantic import BaseModel

from curate.errors import InputError
from curate.measures import MEASURES, DerivedMeasure
from curate.measures.embed import EmbedOptions
from curate.recipe.files import parse_recipe
from curate.recipe.plan import make_plan
from curate.recipe.steps import FilterStep, MeasureStep, Plan
from filters.columns import Column, Glossary
from tests.curate.registering import registered

RECIPE: dict[str, Any] = {
    "name": "planned",
    "questions": {"path": "questions.jsonl", "gold": {"type": "number"}},
    "sources": [{"use": "generate", "model": "org/teacher"}],
}


def planned(**sections: Any) -> Plan:
    return make_plan(parse_recipe(yaml.safe_dump(RECIPE | sections)))


def test_a_measure_stands_just_before_its_first_reader() -> None:
    filters = [{"use": "completeness"}, {"use": "correctness"}, {"use": "diversity"}]
    steps = [line for line in planned(filters=filters).describe() if not line.startswith("load")]
    assert steps[1:7] == [
        "measure parse (for every filter)",
        "filter completeness",
        "measure verify (for filter 'correctness')",
        "filter correctness",
        "measure embed (for filter 'diversity')",
        "filter diversity",
    ]


def test_a_budget_of_tokens_is_counted_by_the_student_before_any_filter() -> None:
    select = {"budget": {"tokens": 1000}}
    with pytest.raises(InputError, match=r"select.budget.tokens: tokens are counted by the stud"):
        planned(select=select)
    score = {"student": "org/student"}
    steps = planned(select=select, measures={"score": score}, filters=[{"use": "completeness"}])
    assert list(steps.describe())[3:5] == [
        "measure tokens (for select.budget)",
        "filter completeness",
    ]


class Counting(DerivedMeasure):
    """Measures nothing; a plan opens no measure."""

    reads = ("rationale",)

    def instrument(self) -> Mapping[str, Any]:
        return {}

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select()


def typed(default: int, parent: type[BaseModel] = BaseModel) -> type[DerivedMeasure]:
    """Define a measure with options, as a cell of a notebook does each time it is run."""

    class Options(parent):
        """Says how."""

        size: int = default

    class Letters(Counting):
        """Writes how many letters a rationale has."""

        name: ClassVar[str] = "letters"
        writes = Glossary([Column("letters", pl.Int32(), "letters", score="lower")])
        section: ClassVar[type[BaseModel] | None] = Options

    return Letters


def test_a_measure_defined_anew_has_the_options_of_its_own_section() -> None:
    ordered = {"select": {"order_by": ["letters"]}}
    for default in (1, 2):  # the cell, and the cell run again
        kind = typed(default)
        MEASURES.register(kind)
        (*_, written) = planned(**ordered, measures={"letters": {"size": 7}}).measures
        (*_, unwritten) = planned(**ordered).measures
        assert kind.section
        assert (written.options, unwritten.options) == (kind.section(size=7), kind.section())
    MEASURES.forget(kind)
    with pytest.raises(InputError, match=r"measures\.letters: unknown key"):
        planned(measures={"letters": {"size": 7}})


def test_options_derived_from_the_encoder_s_leave_the_encoder_alone() -> None:
    with registered(MEASURES, typed(1, EmbedOptions)):
        recipe = planned(measures={"letters": {"model": "org/other"}}).recipe
        assert recipe.encoder == EmbedOptions()


def test_a_measure_whose_column_is_another_s_is_refused() -> None:
    class Twin(Counting):
        name: ClassVar[str] = "twin"
        writes = Glossary([Column("rationale_words", pl.Int32(), "its words")])

    with pytest.raises(ValueError, match=r"two columns are called 'rationale_words', of 'twin'"):
        MEASURES.register(Twin)
    assert "twin" not in MEASURES.names


def test_a_chain_is_not_judged_without_what_a_later_filter_reads() -> None:
    filters = [{"use": "correctness"}, {"use": "consistency", "max": 0.9}]
    assert planned(filters=filters, arms=["without:consistency"]).arms
    with pytest.raises(InputError, match=r"'consistency' reads 'verdict_correctness'.*take the"):
        planned(filters=filters, arms=["without:correctness"])


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ("nll_masket", "which nobody writes; did you mean 'nll_masked'"),
        ("cluster", "add `- use: diversity` to filters"),
        ("rd_masked", "name one under measures: {score: {student"),
        ("verdict_length", "does not stand before it"),
    ],
)
def test_what_nobody_writes_is_refused_with_the_way_out(order: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        planned(select={"order_by": [order]})


STUDENT = {"score": {"student": "org/student"}}


def test_nothing_is_ordered_by_a_list() -> None:
    with pytest.raises(InputError, match=r"'rationale_logprobs' .* holds a list"):
        planned(arms=["lowest:rationale_logprobs"], measures=STUDENT)


def test_a_score_of_single_tokens_has_them_written_and_not_released() -> None:
    plan = planned(select={"order_by": ["rsr"]}, measures=STUDENT)
    assert [step.measure for step in plan.measures] == ["parse", "score", "signals"]
    lists = plan.glossary.where(lambda column: column.per_token)
    assert set(lists) == {"rationale_logprobs", "rationale_ranks"}
    assert not any(column.published or column.kept for column in lists.values())
    assert "rsr" in plan.glossary.published
    assert "hes" not in plan.glossary
    whole = planned(
        select={"order_by": ["rsr"]},
        measures={"score": {"student": "org/student", "per_token": True}},
    )
    lists = whole.glossary.where(lambda column: column.per_token)
    assert "rationale_entropies" in lists
    assert all(column.published for column in lists.values())


def test_a_model_is_asked_once_for_what_several_steps_read() -> None:
    plan = planned(
        filters=[{"use": "rationale_difficulty", "variant": "paper"}],
        select={"order_by": ["rsr", "casl"]},
        arms=["highest:hes", "highest:answer_gain_reflective"],
        measures=STUDENT,
    )
    steps = [step.measure for step in plan.measures]
    assert steps.count("score") == 1
    assert steps.index("score") < plan.steps.index(FilterStep(plan.filters[0]))
    lists = plan.glossary.where(lambda column: column.per_token)
    assert {"rationale_ranks", "rationale_entropies", "rationale_token_ends"} <= lists.keys()
    derived = [step for step in plan.measures if step.measure == "signals"]
    assert {"rsr", "hes", "nll_heads"} <= {name for step in derived for name in step.writes}


def test_a_section_may_ask_for_columns_that_nothing_reads() -> None:
    asked = {**STUDENT, "signals": {"columns": ["hes"]}, "curve": {"columns": ["reveal_step"]}}
    plan = planned(measures=asked)
    assert {"hes", "reveal_step"} <= plan.glossary.published.keys()
    assert "answer_curve" not in plan.glossary
    (curve,) = (line for line in plan.describe() if "curve" in line)
    assert "the answer behind each of its steps" in curve
    assert [step.measure for step in planned(measures=STUDENT).measures] == ["parse"]


def test_what_a_section_asks_for_is_measured_behind_the_filters_or_before_them() -> None:
    def steps(**options: Any) -> list[str]:
        asked = {**STUDENT, "casl": {"columns": ["casl"], **options}}
        plan = planned(filters=[{"use": "completeness"}], measures=asked)
        return [step.measure if isinstance(step, MeasureStep) else "filter" for step in plan.steps]

    chain = ["score", "signals", "casl"]
    assert steps() == ["parse", "filter", *chain]
    assert steps(before_filters=True) == ["parse", *chain, "filter"]


def test_a_section_can_ask_for_its_own_columns_alone() -> None:
    with pytest.raises(InputError, match="'signals' writes no column 'rrs'; did you mean 'rsr'"):
        planned(measures={**STUDENT, "signals": {"columns": ["rrs"]}})


def test_the_glossary_of_a_plan_is_of_what_it_writes() -> None:
    glossary = planned(filters=[{"use": "completeness"}]).glossary
    assert {"question", "rationale", "selection_rank"} <= glossary.keys()
    assert not {"embedding", "rd_masked", "cluster"} & glossary.keys()
