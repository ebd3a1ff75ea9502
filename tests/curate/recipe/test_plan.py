"""The plan: what reads what, and what can't be left out."""

from typing import Any

import pytest
import yaml

from curate.errors import InputError
from curate.recipe.files import parse_recipe
from curate.recipe.plan import Plan, make_plan

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


def test_columns_on_demand_are_refused_with_the_option_that_brings_them() -> None:
    arms = ["lowest:rationale_logprobs"]
    with pytest.raises(InputError, match="per_token: true"):
        planned(arms=arms, measures={"score": {"student": "org/student"}})


def test_the_glossary_of_a_plan_is_of_what_it_writes() -> None:
    glossary = planned(filters=[{"use": "completeness"}]).glossary
    assert {"question", "rationale", "selection_rank"} <= glossary.keys()
    assert not {"embedding", "rd_masked", "cluster"} & glossary.keys()
