"""GRACE and G-Vendi against their definitions, and the laws that both keep."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from curate.measures import gradient_diversity
from curate.measures.gradient_diversity import Grace, g_vendi, grace, inner_products
from curate.measures.gradient_facts import FEWEST, facts_of, jackknife
from curate.measures.gradient_options import GradientOptions
from curate.store.keys import rank

Floats = NDArray[np.float64]


def drawn(rows: int, dimensions: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Draw unit vectors that lean to one side, and lengths."""
    draw = np.random.default_rng(seed)
    vectors = draw.standard_normal((rows, dimensions)) + 1.0
    lengths = np.linalg.norm(vectors, axis=1)
    return vectors / lengths[:, None], lengths


def vendi_by_definition(vectors: Floats) -> float:
    """Take the entropy of the eigenvalues of the second moment, which are those of G / n."""
    values = np.linalg.eigh(vectors.T @ vectors / len(vectors))[0]
    return float(np.exp(-sum(v * np.log(v) for v in values if v > 1e-15)))


def grace_by_definition(
    vectors: Floats, norms: Floats, questions: Sequence[str], smoothing: float, seed: int
) -> float:
    """Smooth the train side's eigenvalues, invert the matrix, and take the trace."""
    names, traces = sorted(set(questions)), list[float]()
    for split in range(10):
        order = sorted(names, key=lambda name: rank(seed, "split", split, name))
        out = set(order[: max(1, len(names) // 10)])
        train = np.array([v for v, q in zip(vectors, questions, strict=True) if q not in out])
        rest = zip(vectors, norms, questions, strict=True)
        test = np.array([v * n for v, n, q in rest if q in out])
        values, sides = np.linalg.eigh(train.T @ train / len(train))
        values = (1 - smoothing) * values + smoothing * values.mean()
        inverse = sides @ np.diag(1 / values) @ sides.T
        traces.append(float(np.trace(inverse @ (test.T @ test / len(test)))))
    return float(np.mean(traces))


@pytest.mark.parametrize(("rows", "dimensions"), [(40, 12), (40, 200)])
def test_both_are_what_their_definitions_say(rows: int, dimensions: int) -> None:
    vectors, norms = drawn(rows, dimensions)
    questions = [f"q{n // 2}" for n in range(rows)]
    products = inner_products(vectors)
    assert g_vendi(products) == pytest.approx(vendi_by_definition(vectors), rel=1e-9)
    score = grace(products, norms, questions, dimensions, smoothing=1e-2, seed=4)
    ones = np.ones(rows)
    assert score.value == pytest.approx(
        grace_by_definition(vectors, norms, questions, 1e-2, 4), rel=1e-8
    )
    assert score.unit == pytest.approx(
        grace_by_definition(vectors, ones, questions, 1e-2, 4), rel=1e-8
    )


@pytest.mark.parametrize("count", [1, 2, 7])
def test_copies_are_one_row_and_right_angles_are_all_different(count: int) -> None:
    row = drawn(1, 9)[0]
    assert g_vendi(inner_products(np.repeat(row, count, axis=0))) == pytest.approx(1)
    assert g_vendi(inner_products(np.eye(9)[:count])) == pytest.approx(count)


@given(st.integers(0, 2**32), st.permutations(range(24)))
def test_the_order_of_rows_is_irrelevant(seed: int, order: list[int]) -> None:
    vectors, norms = drawn(24, 6, seed)
    questions = [f"q{n // 2}" for n in range(24)]
    moved = [questions[n] for n in order]
    products, other = inner_products(vectors), inner_products(vectors[order])
    assert g_vendi(products) == pytest.approx(g_vendi(other))
    assert grace(products, norms, questions, 6) == pytest.approx(
        grace(other, norms[order], moved, 6)
    )


@given(st.integers(0, 2**32))
def test_turning_all_gradients_changes_nothing(seed: int) -> None:
    vectors, norms = drawn(20, 6, seed)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((6, 6)))[0]
    questions = [f"q{n}" for n in range(20)]
    products, turned = inner_products(vectors), inner_products(vectors @ turn)
    assert g_vendi(products) == pytest.approx(g_vendi(turned))
    assert grace(products, norms, questions, 6) == pytest.approx(grace(turned, norms, questions, 6))


@given(st.integers(0, 2**32), st.integers(1, 12))
def test_g_vendi_lies_between_one_and_the_number_of_rows(seed: int, rows: int) -> None:
    value = g_vendi(inner_products(drawn(rows, 5, seed)[0]))
    assert 1 - 1e-9 <= value <= min(rows, 5) + 1e-9


def test_grace_grows_with_the_length_and_the_newness_of_what_is_held_out() -> None:
    vectors, norms = drawn(40, 64)
    questions = [f"q{n}" for n in range(40)]
    products = inner_products(vectors)
    once, twice = (grace(products, scale * norms, questions, 64) for scale in (1, 2))
    assert twice.value == pytest.approx(4 * once.value)
    assert twice.unit == once.unit
    alike = vectors + 3 * vectors.mean(axis=0)
    alike /= np.linalg.norm(alike, axis=1)[:, None]
    assert grace(inner_products(alike), norms, questions, 64).unit < once.unit


def splitting_questions(original: Callable[..., Grace]) -> Callable[..., Grace]:
    """Hold rows out and not questions, so that a sibling tells of its sibling."""

    def wrong(products: Any, norms: Any, questions: Sequence[str], d: int, **more: Any) -> Grace:
        return original(products, norms, [f"{n}{q}" for n, q in enumerate(questions)], d, **more)

    return wrong


def forgetting_to_smooth(original: Callable[..., Grace]) -> Callable[..., Grace]:
    """Add a ridge of its own instead of a share of the mean eigenvalue."""

    def wrong(products: Any, norms: Any, questions: Any, d: int, **more: Any) -> Grace:
        return original(products, norms, questions, d, **{**more, "smoothing": 1e-6})

    return wrong


def taking_lengths_once(original: Callable[..., Grace]) -> Callable[..., Grace]:
    """Weigh a row by its length and not by the square, as a second moment does."""

    def wrong(products: Any, norms: Any, questions: Any, d: int, **more: Any) -> Grace:
        return original(products, np.sqrt(norms), questions, d, **more)

    return wrong


@pytest.mark.parametrize("mutant", [splitting_questions, forgetting_to_smooth, taking_lengths_once])
def test_a_wrong_grace_is_told(mutant: Callable[..., Callable[..., Grace]]) -> None:
    vectors, norms = drawn(40, 12)
    questions = [f"q{n // 2}" for n in range(40)]
    wrong = mutant(grace)(inner_products(vectors), norms, questions, 12, smoothing=1e-2, seed=4)
    right = grace_by_definition(vectors, norms, questions, 1e-2, 4)
    assert wrong.value != pytest.approx(right, rel=1e-3)


def test_a_g_vendi_of_sums_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The eigenvalues of G itself, which sum to n and not to one, are no shares."""
    original: Callable[[Any], Any] = np.linalg.eigvalsh

    def sums(matrix: Floats) -> Any:
        return original(matrix) * len(matrix)

    monkeypatch.setattr(gradient_diversity.np.linalg, "eigvalsh", sums)
    vectors, _ = drawn(12, 8)
    assert g_vendi(inner_products(vectors)) != pytest.approx(vendi_by_definition(vectors), rel=0.1)


@pytest.mark.parametrize("siblings", [1, 3])
def test_an_interval_holds_the_mean_of_other_draws(siblings: int) -> None:
    """Of 95 % intervals at least nine in ten do, and none is so wide that it says nothing."""
    names = [f"q{n:03d}" for n in range(40) for _ in range(siblings)]
    draw = np.random.default_rng(1)
    scale = np.exp(-np.arange(24) / 6)

    def measured() -> dict[str, dict[str, float]]:
        shared = np.repeat(draw.standard_normal((40, 24)), siblings, axis=0)
        rows = (shared + 0.5 * draw.standard_normal(shared.shape)) * scale
        norms = np.linalg.norm(rows, axis=1)
        vectors = rows / norms[:, None]

        def figures(places: NDArray[np.intp]) -> dict[str, float]:
            products = inner_products(vectors[places])
            asked = [names[int(place)] for place in places]
            score = grace(products, norms[places], asked, 24, splits=4)
            return {"grace": score.value, "g_vendi": g_vendi(products)}

        return jackknife(np.arange(len(names)), names, figures)

    draws = [measured() for _ in range(40)]
    for name in ("grace", "g_vendi"):
        mean = np.mean([one[name]["value"] for one in draws])
        held = [one[name]["low"] <= mean <= one[name]["high"] for one in draws]
        spread = np.std([np.log(one[name]["value"]) for one in draws])
        reach = np.mean([np.log(one[name]["high"] / one[name]["value"]) for one in draws])
        assert np.mean(held) >= 0.9
        assert reach < 6 * spread


def rows(teachers: dict[str, int], siblings: int = 1) -> pl.DataFrame:
    """Draw measured rows: for each teacher so many questions."""
    pairs = [
        (teacher, question, sibling)
        for teacher, count in teachers.items()
        for question in range(count)
        for sibling in range(siblings)
    ]
    vectors, norms = drawn(len(pairs), 16)
    return pl.DataFrame(
        {
            "question_id": [f"{rank(question):016x}" for _, question, _ in pairs],
            "sample_id": [f"{rank(*pair):016x}" for pair in pairs],
            "source": ["pool"] * len(pairs),
            "teacher": [teacher for teacher, _, _ in pairs],
            "gradient": vectors.astype(np.float32).tolist(),
            "gradient_norm": norms,
            "selected": [sibling == 0 for _, _, sibling in pairs],
            "all": [True] * len(pairs),
        },
        schema_overrides={"gradient": pl.List(pl.Float32)},
    )


OPTIONS = GradientOptions(dimensions=16)


def test_teachers_are_compared_on_equal_numbers_of_rows() -> None:
    facts = facts_of(rows({"a": 80, "b": 40, "c": FEWEST - 1}, 2), {"selected": True}, OPTIONS)
    teachers = facts["teachers"]
    assert teachers["c"] == {"reason": "too_few_questions"}
    assert teachers["a"]["rows"] == teachers["b"]["rows"] == 80
    for name in ("a", "b"):
        for figure in ("grace", "grace_unit", "g_vendi"):
            assert 0 < teachers[name][figure]["low"] <= teachers[name][figure]["value"]
            assert teachers[name][figure]["value"] <= teachers[name][figure]["high"]
    assert facts["sources"]["pool"]["rows"] == 298
    assert facts["sources"]["pool"].keys() == {"rows", "questions", "g_vendi"}


def test_an_arm_that_holds_what_was_not_measured_is_told_so() -> None:
    facts = facts_of(rows({"a": 40}, 2), {"selected": True, "all": False}, OPTIONS)
    assert facts["arms"]["selected"]["rows"] == 40
    assert facts["arms"]["all"] == {"reason": "not_all_measured"}


def test_facts_do_not_depend_on_the_order_of_rows() -> None:
    table = rows({"a": 50, "b": 40}, 2)
    facts = facts_of(table, {"selected": True}, OPTIONS)
    assert facts_of(
        table.sample(fraction=1, shuffle=True, seed=1), {"selected": True}, OPTIONS
    ) == (facts)


def test_nothing_measured_is_nothing_said() -> None:
    facts = facts_of(rows({"a": 40}).clear(), {"selected": True}, OPTIONS)
    assert facts == {
        "teachers": {}, "sources": {}, "arms": {"selected": {"reason": "too_few_questions"}},
    }  # fmt: skip
