"""Gradients of a row's loss, against autograd over all weights and a projection written out."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM

from curate.errors import ModelError
from curate.models.students import gradients
from curate.models.students.gradients import GradientReader, last_blocks
from curate.models.students.packing import Target
from curate.models.students.pairs import Pair
from curate.models.students.scorer import Scorer
from curate.models.students.sketch import Sketch
from tests.curate.models import small_students

STUDENT: Final = Path(__file__).parents[3] / "stores" / "sums" / "student"
LINE: Final = " The answer is {answer}."
PAIR: Final = Pair("Ann has 3 nuts and finds 4. How many?", "7", "She has 3 + 4 = 7 nuts.")
BEFORE: Final = f"Question: {PAIR.question}\nAnswer: "
BEHIND: Final = f"{PAIR.rationale} The answer is 7."
OPTIONS: Final = {"blocks": 2, "dimensions": 48, "seed": 3}
FAMILIES: Final = [
    small_students.llama, small_students.gemma, small_students.gemma2, small_students.gpt2,
    small_students.bloom, small_students.qwen3,
]  # fmt: skip
TARGET: Final = Target(tuple((7 * n + 5) % 97 for n in range(30)), ((11, 30),))


@pytest.fixture(scope="module")
def reader() -> GradientReader:
    return GradientReader.load(STUDENT, "float32", "plain", LINE, **OPTIONS)


def slopes(model: Any, ids: Sequence[int], start: int) -> dict[str, Any]:
    """Differentiate the mean NLL of all tokens from `start` by every weight of a model."""
    model.requires_grad_()
    model.zero_grad()
    row = torch.tensor([list(ids)], device=model.device)
    logits = model.eval()(input_ids=row, use_cache=False).logits[0].float()
    logs = torch.log_softmax(logits, dim=-1)
    (-torch.stack([logs[n - 1, ids[n]] for n in range(start, len(ids))]).mean()).backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters()}


def matrix(name: str, size: int, dimensions: int, seed: int) -> NDArray[np.float64]:
    """Write out the projection of one weight: a sign a column, in a row drawn for it."""
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=16).digest()
    words = np.random.Philox(key=np.frombuffer(digest, "<u8")).random_raw(size)
    projection = np.zeros((dimensions, size))
    for column, word in enumerate(int(word) % (2 * dimensions) for word in words):
        projection[word % dimensions, column] = 1 if word < dimensions else -1
    return projection


def expected(model: Any, target: Target, dimensions: int, seed: int) -> NDArray[np.float64]:
    """Project the gradient of every weight of the blocks by the matrices written out."""
    kept = {name: s for name, s in slopes(model, target.ids, target.spans[0][0]).items()
            if ".layers." in name or ".h." in name}  # fmt: skip
    parts = [
        matrix(name, slope.numel(), dimensions, seed) @ slope.double().numpy().ravel()
        for name, slope in kept.items()
    ]
    return np.sum(parts, axis=0)


def reference(target: Target) -> NDArray[np.float64]:
    model: Any = AutoModelForCausalLM.from_pretrained(STUDENT, dtype=torch.float32)
    vector = expected(model, target, OPTIONS["dimensions"], OPTIONS["seed"])
    return vector / np.linalg.norm(vector)


def test_the_loss_is_of_rationale_and_target_line_given_the_question(
    reader: GradientReader,
) -> None:
    tokenizer: Any = reader._tokenizer  # pyright: ignore[reportPrivateUsage]
    ids = tokenizer(BEFORE + BEHIND, return_offsets_mapping=True)
    target = reader.target(PAIR)
    assert target.ids == tuple(ids["input_ids"])
    inside = [n for n, (_, end) in enumerate(ids["offset_mapping"]) if end > len(BEFORE)]
    assert target.spans == ((inside[0], inside[-1] + 1),)


def test_a_gradient_is_autograd_s_projected(reader: GradientReader) -> None:
    gradient = reader.read(PAIR)
    assert gradient is not None
    assert gradient.vector.dtype == np.float32
    assert np.abs(gradient.vector - reference(reader.target(PAIR))).max() < 1e-5
    assert np.linalg.norm(gradient.vector) == pytest.approx(1)


def test_its_length_is_that_of_the_whole_gradient(reader: GradientReader) -> None:
    target = reader.target(PAIR)
    model: Any = AutoModelForCausalLM.from_pretrained(STUDENT, dtype=torch.float32)
    grads = slopes(model, target.ids, target.spans[0][0])
    squares = [float(s.double().square().sum()) for n, s in grads.items() if ".layers." in n]
    assert reader.of(target).norm == pytest.approx(sum(squares) ** 0.5, rel=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_one(family: Callable[[], Any]) -> None:
    reader = GradientReader(None, Scorer(family()), "plain", LINE, **OPTIONS)
    vector = expected(family(), TARGET, OPTIONS["dimensions"], OPTIONS["seed"])
    unit = vector / np.linalg.norm(vector)
    assert np.abs(reader.of(TARGET).vector - unit).max() < 1e-5


def test_only_the_last_blocks_count(reader: GradientReader) -> None:
    model = small_students.llama()
    names = [name for name, _ in last_blocks(model, 1)]
    assert names
    assert all(".layers.1." in name for name in names)
    assert {name for name, weight in model.named_parameters() if weight.requires_grad} == set(names)


def test_a_row_leaves_nothing_behind_for_the_next(reader: GradientReader) -> None:
    first = reader.read(PAIR)
    reader.read(PAIR._replace(rationale="Three and four."))
    again = reader.read(PAIR)
    assert first is not None
    assert again is not None
    assert np.array_equal(first.vector, again.vector)


def test_a_long_span_is_read_in_pieces(
    reader: GradientReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = reader.read(PAIR)
    monkeypatch.setattr(gradients, "_CHUNK", 3)
    pieces = reader.read(PAIR)
    assert whole is not None
    assert pieces is not None
    assert np.abs(whole.vector - pieces.vector).max() < 1e-6


def test_what_the_student_can_not_read_has_none(reader: GradientReader) -> None:
    assert reader.read(PAIR._replace(rationale="so " * 4096)) is None


def test_more_blocks_than_there_are_are_refused() -> None:
    with pytest.raises(ModelError, match=r"blocks: 3 are wanted .* has 2 blocks"):
        last_blocks(small_students.llama(), 3)


def test_a_network_without_blocks_is_refused() -> None:
    bare = small_students.llama()
    del bare.base_model.layers
    with pytest.raises(ModelError, match="no blocks are found in LlamaForCausalLM"):
        last_blocks(bare, 1)


def the_question_too(target: Target) -> Target:
    return target._replace(spans=((1, target.spans[0][1]),))


def a_token_late(target: Target) -> Target:
    return target._replace(spans=((target.spans[0][0] + 1, target.spans[0][1]),))


def without_the_terminator(target: Target) -> Target:
    return target._replace(spans=((target.spans[0][0], target.spans[0][1] - 1),))


@pytest.mark.parametrize("mutant", [the_question_too, a_token_late, without_the_terminator])
def test_another_span_is_told(reader: GradientReader, mutant: Callable[[Target], Target]) -> None:
    target = reader.target(PAIR)
    assert np.abs(reader.of(mutant(target)).vector - reference(target)).max() > 1e-3


def test_a_projection_without_signs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsigned(original: Callable[..., Any]) -> Callable[..., Any]:
        def drawn(name: str, count: int, places: int, seed: int) -> Any:
            return original(name, count, places, seed) % (places // 2)

        return drawn

    from curate.models.students import sketch

    monkeypatch.setattr(sketch, "draws", unsigned(sketch.draws))
    reader = GradientReader.load(STUDENT, "float32", "plain", LINE, **OPTIONS)
    assert (
        np.abs(reader.of(reader.target(PAIR)).vector - reference(reader.target(PAIR))).max() > 0.1
    )


def test_a_projection_keeps_angles_as_well_as_it_says() -> None:
    draws = np.random.default_rng(0)
    vectors = draws.standard_normal((40, 3000)).astype(np.float32)
    vectors[20:] += vectors[:20]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    small = np.array([Sketch(256, 5).project([("w", torch.from_numpy(v))]) for v in unit])
    upper = np.triu_indices(40)
    cosines = (unit @ unit.T)[upper]
    errors = ((small @ small.T)[upper] - cosines) / np.sqrt((1 + cosines**2) / 256)
    assert 0.8 < errors.std() < 1.2
    assert abs(errors.mean()) < 0.2


def test_another_seed_is_another_projection_and_a_weight_has_its_own() -> None:
    weight = torch.ones(500)
    one, other = (Sketch(64, seed).project([("w", weight)]) for seed in (0, 1))
    named = Sketch(64, 0).project([("v", weight)])
    assert not np.allclose(one, other)
    assert not np.allclose(one, named)
    both = Sketch(64, 0).project([("w", weight), ("v", weight)])
    assert np.allclose(both, one + named)
