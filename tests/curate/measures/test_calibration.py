"""What a student's scores on a pool say about the student."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.measures.calibration import Kind, Scored, conclude
from curate.measures.probes import choose_probes
from curate.measures.statistics import FEWEST
from curate.models.rendering import question_text


def pairs(gaps: list[float], noise: float = 0.0) -> list[Scored]:
    """A right and a wrong sibling a question, `gap` apart when masked, nothing apart when not."""
    draw = np.random.default_rng(5)
    rows: list[Scored] = []
    for number, gap in enumerate(gaps):
        base = float(draw.normal(0, noise))
        sides: tuple[tuple[Kind, float], ...] = (("right", base), ("wrong", base + gap))
        rows += [Scored(f"q{number}", kind, (0.0, 0.0), (log, log)) for kind, log in sides]
    return rows


def test_a_student_whose_right_siblings_score_lower_follows() -> None:
    found = conclude(pairs([0.5] * 30 + [-0.5] * 5))
    assert found["student_follows"] is True
    assert found["reason"] == "right_below_wrong"
    assert found["auc_masked"]["value"] == pytest.approx(30 / 35)
    assert 0.5 < found["auc_masked"]["low"] < 30 / 35 < found["auc_masked"]["high"] <= 1
    assert found["auc_unmasked"] == {"value": 0.5, "low": 0.5, "high": 0.5, "questions": 35}


def test_a_student_that_cannot_tell_does_not_follow() -> None:
    found = conclude(pairs([0.5, -0.5] * 15))
    assert found["student_follows"] is False
    assert found["reason"] == "right_and_wrong_alike"


def test_too_few_pairs_conclude_nothing() -> None:
    for gaps in ([], [0.5] * (FEWEST - 1)):
        found = conclude(pairs(gaps))
        assert found["student_follows"] is None
        assert found["reason"] == "too_few_pairs"
    assert conclude(pairs([0.5] * FEWEST))["student_follows"] is True


def test_a_question_without_a_wrong_sibling_counts_for_the_medians_only() -> None:
    rows = [
        *pairs([0.5] * 9),
        Scored("alone", "right", (np.log(0.2),) * 2, (0.0, 0.0)),
        Scored("alone", "planted", (np.log(0.3),) * 2, (0.0, 0.0)),
        Scored("alone", "bare", (np.log(0.25), np.log(1.0)), (0.0, 0.0)),
    ]
    found = conclude(rows)
    assert found["auc_masked"]["questions"] == 9
    assert found["median_rd_true"] == pytest.approx(1.0)
    assert found["median_rd_planted"] == pytest.approx(0.3)
    assert found["median_rd_bare"] == pytest.approx(0.5), "the mean of log RD over the templates"


def test_templates_agree_by_rank() -> None:
    def right(first: float, second: float, number: int) -> Scored:
        return Scored(f"q{number}", "right", (0.0, 0.0), (first, second))

    rising = [right(number, number**3, number) for number in range(20)]
    assert conclude(rising)["template_spearman"] == pytest.approx(1.0)
    falling = [right(number, -number, number) for number in range(20)]
    assert conclude(falling)["template_spearman"] == pytest.approx(-1.0)
    assert conclude([right(1.0, 1.0, number) for number in range(20)])["template_spearman"] is None
    one = [Scored("q", "right", (0.0,), (float(number),)) for number in range(20)]
    assert conclude(one)["template_spearman"] is None


@given(st.lists(st.floats(-3, 3), max_size=40), st.randoms(use_true_random=False))
def test_order_does_not_matter(gaps: list[float], dice: object) -> None:
    rows = pairs(gaps, noise=1.0)
    shuffled = list(rows)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    mine, theirs = conclude(rows), conclude(shuffled)
    assert mine["auc_masked"] == theirs["auc_masked"]
    assert mine["student_follows"] == theirs["student_follows"]


def pool(questions: int) -> pl.DataFrame:
    """Four samples a question; question 0 has no wrong one, question 1 no right one."""
    rows = []
    for number in range(questions):
        gold = 10 + number
        for sample in range(4):
            wrong = number == 1 or (number > 0 and sample >= 2)
            answer = gold + 1 if wrong else gold
            rows.append(
                {
                    "question_id": f"q{number}", "sample_id": f"q{number}s{sample}",
                    "question": f"What is {number} and ten?", "gold": str(gold),
                    "gold_type": "number", "choices": None,
                    "rationale": f"Way {sample}: ten and {number} make {answer}.",
                    "answer": str(answer),
                }
            )  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"choices": pl.List(pl.String)})


def test_probes_are_one_right_and_one_wrong_sibling_of_questions_that_have_both() -> None:
    probes = choose_probes(pool(12), 8, "_")
    for kind in ("right", "wrong"):
        asked = [probe.question for probe in probes if probe.kind == kind]
        assert len(asked) == len(set(asked)) == 8
        assert not {"q0", "q1"} & set(asked)
    for probe in probes:
        if probe.kind in {"right", "wrong"}:
            told = int(probe.pair.rationale.rstrip(".").rpartition(" ")[2])
            assert (told == int(probe.pair.answer)) is (probe.kind == "right")
            assert probe.pair.masked.endswith("make _."), "right and wrong alike"


def test_a_planted_gold_stands_in_another_questions_rationale() -> None:
    planted = [probe for probe in choose_probes(pool(12), 8, "_") if probe.kind == "planted"]
    assert len(planted) == 8
    for probe in planted:
        own = probe.question.removeprefix("q")
        assert probe.pair.question == question_text(f"What is {own} and ten?", None)
        assert f"and {own} make" not in probe.pair.rationale
        assert probe.pair.rationale.endswith(f"make {probe.pair.answer}.")


def test_bare_statements_say_the_gold_alone() -> None:
    bare = [probe.pair for probe in choose_probes(pool(5), 8, "_") if probe.kind == "bare"]
    assert bare
    assert all(pair.rationale == f"It is {pair.answer}." for pair in bare)


def test_probes_do_not_depend_on_the_order_of_the_pool() -> None:
    frame = pool(9)
    assert choose_probes(frame, 5, "_") == choose_probes(frame.reverse(), 5, "_")
