"""What a student says of parts of a rationale, against one forward pass a text."""

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from curate.measures.asking import Asking
from curate.measures.curve import Curve, CurveOptions
from curate.measures.importance import Importance, ImportanceOptions
from curate.measures.local import Local, LocalOptions
from curate.measures.score_options import ScoreOptions
from curate.measures.steps import split_steps
from curate.measures.variants import VariantMeasure
from curate.models.references import resolve
from curate.models.rendering import render, render_rationale
from curate.models.students.tokenizing import encode
from tests.curate.byte_tokenizer import byte_tokenizer
from tests.curate.measures.references import LINE
from tests.curate.measures.test_signals import GOLD, QUESTION, TEXTS, rows
from tests.curate.models.small_students import TOLERANCE, llama, loop, t5


def saved(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(llama(), tmp_path_factory.mktemp("llama"))


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path))


def measured(kind: type[VariantMeasure], options: Any, folder: Path, layout: Any) -> pl.DataFrame:
    asking = Asking(ScoreOptions(student=str(folder), layout=layout), resolve(str(folder)))
    measure = kind(options, asking, LINE, tuple(kind.writes))
    values = dict(measure.compute(measure.items(rows())))
    made = measure.assemble(rows(), values, {})
    measure.close()
    return made


class Loop:
    """One text after another through transformers."""

    def __init__(self, folder: Path, layout: Any) -> None:
        kind = AutoModelForSeq2SeqLM if layout == "encoder" else AutoModelForCausalLM
        self.model: Any = kind.from_pretrained(folder)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.layout: Any = layout

    def answer(self, text: str) -> tuple[float, int]:
        """Give mean nats a token of the answer behind a text, and how many tokens it has."""
        shown = render(QUESTION, text, LINE, GOLD, self.tokenizer, self.layout)
        return self._mean(shown.text, shown.answer, shown.source)

    def step(self, text: str, part: tuple[int, int]) -> float:
        """Give mean nats a token of a part of a text that stands in place of a rationale."""
        if self.layout == "encoder":
            shown = render_rationale(QUESTION, text, self.tokenizer)
        else:
            shown = render(QUESTION, text, LINE, GOLD, self.tokenizer, self.layout)
        begin = shown.rationale[0]
        return self._mean(shown.text, (begin + part[0], begin + part[1]), shown.source)[0]

    def _mean(self, text: str, span: tuple[int, int], source: str) -> tuple[float, int]:
        begin = self.layout == "plain"
        target = encode(self.tokenizer, text, [span], source, begin=begin)
        return loop(self.model, target)[0], target.spans[0][1] - target.spans[0][0]


@pytest.mark.parametrize(
    ("layout", "window"), [("plain", 0), ("plain", 9), ("chat", 1), ("encoder", 1)]
)
def test_steps_are_read_behind_their_window_alone(
    student: Path, layout: Any, window: int, tmp_path: Path
) -> None:
    folder = saved(t5(), tmp_path / "t5") if layout == "encoder" else student
    one = Loop(folder, layout)
    options = LocalOptions(window=window)
    asked = None if layout == "encoder" else layout
    made = measured(Local, options, folder, asked)
    for row, text in zip(made.iter_rows(named=True), TEXTS, strict=True):
        steps = split_steps(text)
        means: list[float] = []
        for number, (start, end) in enumerate(steps):
            begin = steps[max(0, number - window)][0]
            # A text is stripped before it is shown, so it ends without its space.
            shown = text[begin:end].rstrip()
            means.append(one.step(shown, (start - begin, len(shown))))
        assert row["step_nll_local"] == pytest.approx(means, abs=TOLERANCE)
        assert row["nll_local"] == pytest.approx(sum(means) / len(means), abs=TOLERANCE)


@pytest.mark.parametrize("layout", ["plain", "chat"])
def test_the_answer_is_read_behind_every_beginning(student: Path, layout: Any) -> None:
    one = Loop(student, layout)
    made = measured(Curve, CurveOptions(), student, layout)
    for row, text in zip(made.iter_rows(named=True), TEXTS, strict=True):
        ends = [0, *(end for _, end in split_steps(text))]
        read = [one.answer(text[:end]) for end in ends]
        curve = [math.exp(-mean * count) for mean, count in read]
        assert row["answer_curve"] == pytest.approx(curve, rel=1e-3)
        step = row["reveal_step"]
        assert curve[step] >= curve[-1] / 2
        assert all(share < curve[-1] / 2 for share in curve[:step])


@pytest.mark.parametrize("layout", ["plain", "chat"])
def test_every_step_is_left_out_once(student: Path, layout: Any) -> None:
    one = Loop(student, layout)
    made = measured(Importance, ImportanceOptions(), student, layout)
    for row, text in zip(made.iter_rows(named=True), TEXTS, strict=True):
        whole = one.answer(text)[0]
        rises = [one.answer(text[:a] + text[b:])[0] - whole for a, b in split_steps(text)]
        assert row["step_importance"] == pytest.approx(rises, abs=2 * TOLERANCE)
        assert row["prunable_share"] == sum(rise <= 0 for rise in rises) / len(rises)


def test_what_has_too_many_steps_is_null(student: Path) -> None:
    made = measured(Curve, CurveOptions(most_steps=2), student, "plain")
    assert made["reveal_step"].is_null().to_list() == [True, False, False, False]


def test_how_much_a_step_must_add_changes_no_key(student: Path) -> None:
    asking = Asking(ScoreOptions(student=str(student)), resolve(str(student)))

    def keys(**options: Any) -> list[str]:
        measure = Importance(ImportanceOptions(**options), asking, LINE, ("prunable_share",))
        return [item.key for item in measure.items(rows())]

    assert keys(least=0.5, columns=["prunable_share"]) == keys()
    assert keys(split_at=["\n"]) != keys()
