"""Signals, reflection and CASL against their definitions, on drawn students and on a real one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer

from curate.measures.base import ColumnOptions
from curate.measures.casl import Casl, slope_of_heads
from curate.measures.reflection import Reflection
from curate.measures.score import Score
from curate.measures.score_options import ScoreOptions
from curate.measures.signals import SignalOptions, Signals
from curate.measures.steps import split_steps
from curate.measures.teacher_signals import TeacherSignalsOptions
from curate.measures.variants import StepOptions
from curate.models.references import resolve
from tests.curate.byte_tokenizer import byte_tokenizer
from tests.curate.measures.references import MUTANTS, REFERENCES, Reading, read, reflective
from tests.curate.models.small_students import DECODERS, TOLERANCE

QUESTION, GOLD = "Three boxes hold 6 pens each. How many pens?", "18"
TEXTS = [
    "Each box holds 6 pens. So 3 boxes hold 3 * 6 pens. That is 18.",
    "How many boxes are there? There are 3 of 6 pens, so it is 3 + 6 = 9",
    "Six pens in each of three boxes.\nThat is 18, since 6 + 6 + 6 = 18.",
    "18",
]
FAMILY = ["llama", "phi3"]


def rows(texts: Sequence[str | None] = TEXTS) -> pl.DataFrame:
    """Samples of one question."""
    shared = {"question_id": "q", "question": QUESTION, "gold": GOLD, "gold_type": "number"}
    made = [
        {**shared, "sample_id": f"s{n}", "rationale": text, "answer": None, "choices": None}
        for n, text in enumerate(texts)
    ]
    lists = {"choices": pl.List(pl.String), "answer": pl.String, "rationale": pl.String}
    return pl.DataFrame(made, schema_overrides=lists)


def scored(folder: Path, frame: pl.DataFrame, layout: Any = "plain") -> pl.DataFrame:
    """Write the columns that `score` writes when all its lists are read."""
    options = ScoreOptions(student=str(folder), calibrate=0, layout=layout)
    lists = [name for name, column in Score.writes.items() if column.per_token]
    measure = Score(options, resolve(str(folder)), demand=lists)
    values = dict(measure.compute(measure.items(frame)))
    made = measure.assemble(frame, values, {})
    measure.close()
    return pl.concat([frame, made], how="horizontal")


def signals(frame: pl.DataFrame, **options: Any) -> pl.DataFrame:
    measure = Signals(SignalOptions(**options), tuple(Signals.writes))
    return pl.concat([frame, measure.derive(frame)], how="horizontal")


@pytest.fixture(scope="module", params=FAMILY)
def student(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn student of one family and a tokenizer of its 97 tokens."""
    folder = tmp_path_factory.mktemp(request.param)
    DECODERS[request.param]().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "models" not in request.keywords:
        monkeypatch.setenv("CURATE_STORE", str(request.getfixturevalue("tmp_path")))


def reader(folder: Path, layout: Any) -> Callable[..., Reading]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return lambda text, **how: read(model, tokenizer, layout, (QUESTION, text, GOLD), **how)


def check(folder: Path, layout: Any, near: float) -> None:
    """Hold every column to its definition, and every mutant to its own."""
    made = signals(scored(folder, rows(), layout))
    reading = reader(folder, layout)
    wrong: dict[str, float] = {}
    for row, text in zip(made.iter_rows(named=True), TEXTS, strict=True):
        plain = reading(text)
        assert row["rationale_ranks"] == plain.ranks, "exactly"
        for name, reference in REFERENCES.items():
            assert row[name] == pytest.approx(reference(plain), abs=near, rel=near), name
        for mutant, (names, how) in MUTANTS.items():
            other = how(lambda text=text, **more: reading(text, **more))
            gaps = [abs(np.subtract(REFERENCES[n](other), row[n])) for n in names]
            wrong[mutant] = max(wrong.get(mutant, 0), *gaps)
    for mutant, gap in wrong.items():
        assert gap > 10 * near, f"nobody would notice: {mutant}"
    siblings = Reflection().derive(made)["answer_gain_reflective"].to_list()
    assert siblings == pytest.approx(reflective([reading(text) for text in TEXTS]), abs=near)


@pytest.mark.parametrize("layout", ["plain", "chat"])
def test_every_signal_is_what_its_paper_says(student: Path, layout: Any) -> None:
    check(student, layout, TOLERANCE)


@pytest.mark.models
def test_every_signal_is_what_its_paper_says_of_a_real_student() -> None:
    check(resolve("HuggingFaceTB/SmolLM2-135M-Instruct").path, "chat", 1e-4)


def test_what_nobody_reads_is_not_written() -> None:
    measure = Signals(SignalOptions(), ("hes", "steps"))
    assert list(measure.writes) == ["steps", "hes"]
    assert measure.reads == ("rationale", "rationale_entropies")
    frame = rows().with_columns(rationale_entropies=pl.lit(None, pl.List(pl.Float32)))
    made = measure.derive(frame)
    assert made["hes"].null_count() == len(TEXTS)
    assert made["steps"].to_list() == [3, 2, 2, 1]


def test_heads_and_the_share_of_uncertain_tokens_are_options() -> None:
    frame = pl.DataFrame(
        {
            "rationale": ["a b c. d e f"],
            "rationale_token_ends": [[1, 3, 6, 8, 10, 12]],
            "rationale_logprobs": [[-1.0, -2.0, -4.0, -8.0, -16.0, -32.0]],
            "rationale_ranks": [[1, 2, 3, 4, 5, 100]],
            "rationale_entropies": [[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]],
            "answer_logprobs_with_rationale": [[-0.5]],
            "answer_logprobs_without_rationale": [[-0.5, -0.5]],
        }
    )
    made = signals(frame, head_tokens=2, hes_share=0.5, low_prob=0.5).row(0, named=True)
    assert made["nll_rationale_no_heads"] == (4 + 32) / 2
    assert made["nll_heads"] == (1 + 2 + 8 + 16) / 4
    assert made["head_share"] == 4 / 6
    assert made["hes"] == pytest.approx(1.5)
    assert made["low_prob_share"] == 1.0
    assert made["nll_step_max"] == pytest.approx(56 / 3)
    assert made["step_nll"] == pytest.approx([7 / 3, 56 / 3])
    assert made["answer_gain"] is None, "other tokens of the answer behind the question alone"
    assert signals(frame, split_at=["!"])["steps"].item() == 1


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("One. Two? Three! Four", ["One. ", "Two? ", "Three! ", "Four"]),
        ("1. Add 2.5 and 3.\n2. So 5.5.", ["1. Add 2.5 and 3.\n", "2. So 5.5."]),
        ("First\n\n---\nThen", ["First\n", "\n---\nThen"]),
        ("3 + 4 = 7. 7 * 2 = 14. ", ["3 + 4 = 7. ", "7 * 2 = 14. "]),
        ("It is 14.\n**\n", ["It is 14.\n**\n"]),
        ("14", ["14"]),
        (" \n", []),
        ("", []),
    ],
)
def test_what_says_nothing_is_no_step(text: str, steps: list[str]) -> None:
    assert [text[start:end] for start, end in split_steps(text)] == steps


@pytest.mark.parametrize("options", [SignalOptions, StepOptions, TeacherSignalsOptions])
@pytest.mark.parametrize("split_at", [[], [""], [". ", ""]])
def test_what_ends_a_step_is_never_empty(options: type[ColumnOptions], split_at: list[str]) -> None:
    with pytest.raises(ValidationError, match="split_at"):
        options.model_validate({"split_at": split_at})


def test_a_step_without_a_token_of_its_own_has_no_mean() -> None:
    frame = pl.DataFrame(
        {"rationale": ["a. b. c."], "rationale_token_ends": [[6, 8]],
         "rationale_logprobs": [[-1.0, -2.0]]},
    )  # fmt: skip
    made = Signals(SignalOptions(), ("step_nll", "nll_step_max")).derive(frame).row(0, named=True)
    assert made == {"step_nll": [None, 1.0, 2.0], "nll_step_max": 2.0}


def test_casl_takes_the_slope_of_the_heads_out() -> None:
    dice = np.random.default_rng(5)
    without, heads, share = dice.normal(size=(3, 40))
    nll = 0.3 + 0.8 * without + 0.1 * heads - 2.5 * share + 0.01 * dice.normal(size=40)
    pool = pl.DataFrame(
        {
            "rationale": ["r"] * 40, "nll_rationale": nll, "nll_rationale_no_heads": without,
            "nll_heads": heads, "head_share": share,
        }
    )  # fmt: skip
    table = np.column_stack([np.ones(40), -without, -heads, share])
    slope = np.linalg.solve(table.T @ table, table.T @ -nll)[3]
    assert slope == pytest.approx(2.5, abs=0.05)
    made = Casl().settle(pool).derive(pool)["casl"]
    assert made.to_list() == pytest.approx((-nll - slope * share).tolist())
    alike = pool.with_columns(head_share=pl.lit(0.25))
    assert slope_of_heads(alike) is None, "nothing is to be learned of a share that never changes"
    assert Casl().settle(alike).derive(alike)["casl"].null_count() == 40
