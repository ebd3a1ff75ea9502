"""The scorer against a ten-line loop, and proof that the comparison would notice."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import ModelError
from curate.models.students import trees
from curate.models.students.cached_branches import CachedBranches
from curate.models.students.packed_rows import PackedRows
from curate.models.students.packing import Target
from curate.models.students.scorer import Scorer
from tests.curate.models.mutants import MUTANTS, ROUTES, seeing_siblings
from tests.curate.models.small_students import (
    DECODERS,
    TOLERANCE,
    gap,
    gap_by_token,
    gemma2,
    llama,
    loop,
    measured,
    siblings,
    t5,
)


@pytest.fixture(scope="module", params=sorted(DECODERS))
def decoder(request: pytest.FixtureRequest) -> Scorer:
    return Scorer(DECODERS[request.param]())


@pytest.fixture(scope="module")
def one_llama() -> Any:
    return llama()


def test_a_cap_of_the_scores_is_kept_where_the_default_attention_drops_it() -> None:
    model = gemma2()
    right = loop(model, Target((5, 6, 7, 8, 9, 3, 2), ((4, 7),)))
    model.set_attn_implementation("sdpa")
    assert abs(loop(model, Target((5, 6, 7, 8, 9, 3, 2), ((4, 7),)))[0] - right[0]) > 10 * TOLERANCE
    assert gap(Scorer(model), [Target((5, 6, 7, 8, 9, 3, 2), ((4, 7),))]) < TOLERANCE
    assert loop(model, Target((5, 6, 7, 8, 9, 3, 2), ((4, 7),))) == right


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("stem", [0, 25])
@pytest.mark.parametrize("block", [5, 64])
def test_decoder_agrees_with_the_loop(
    decoder: Scorer, seed: int, stem: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trees.BLOCK, "cpu", block)
    assert gap(decoder, siblings(seed, stem=stem)) < TOLERANCE


def asking(targets: list[Target]) -> list[Target]:
    """Have every other target ask for its single tokens."""
    return [target._replace(per_token=number % 2 == 0) for number, target in enumerate(targets)]


def test_every_token_agrees_with_the_loop(decoder: Scorer) -> None:
    targets = asking(siblings(16, stem=20))
    assert gap_by_token(decoder, targets[::2]) < TOLERANCE
    for target, sums in zip(targets, decoder.score(targets), strict=True):
        assert all(bool(one.logs) == target.per_token for one in sums)
        assert all(bool(one.entropies) == target.per_token for one in sums)
        if target.per_token:
            assert [sum(one.logs) for one in sums] == pytest.approx([one.total for one in sums])


def test_every_token_of_plain_batches_agrees_with_the_loop(one_llama: Any) -> None:
    scorer = Scorer(one_llama)
    scorer.route = None
    assert gap_by_token(scorer, asking(siblings(16))[::2]) < TOLERANCE
    assert gap_by_token(Scorer(t5()), asking(siblings(16, source=True))[::2]) < TOLERANCE


def test_a_prefix_is_run_once_and_shrinks_to_what_stays(
    one_llama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, run = Scorer(one_llama), []
    route = scorer.route
    assert isinstance(route, PackedRows)
    original = route._hidden

    def counted(tokens: Any, tree: Any) -> Any:
        run.append(len(tokens))
        return original(tokens, tree)

    monkeypatch.setattr(route, "_hidden", counted)
    all_of_them = siblings(11, stem=25)
    first, others = all_of_them[:10], all_of_them[10:]
    assert gap(scorer, first) < TOLERANCE
    with_question = run[0]
    assert with_question > 25, "so far the question is shared by all"
    assert gap(scorer, others) < TOLERANCE
    assert route._prefix is not None
    assert len(route._prefix.ids) == 25
    before = len(run)
    assert gap(scorer, first) < TOLERANCE
    behind = {t.inputs[:end] for t in first for end in range(26, len(t.inputs) + 1)}
    assert run[before:] == [len(behind)], "it is not run again, nor is anything else twice"


@pytest.mark.parametrize("seed", [11, 12])
def test_encoder_decoder_agrees_with_the_loop(seed: int) -> None:
    assert gap(Scorer(t5()), siblings(seed, source=True)) < TOLERANCE


def test_padded_batches_agree_with_the_loop(one_llama: Any) -> None:
    scorer = Scorer(one_llama)
    scorer.route = None
    assert gap(scorer, siblings(13)) < TOLERANCE


def test_families_whose_attention_can_be_exchanged_are_packed_and_others_share_a_cache() -> None:
    routes = {name: type(Scorer(make()).route) for name, make in DECODERS.items()}
    own_attention = {"bloom": CachedBranches}
    assert routes == {name: own_attention.get(name, PackedRows) for name in DECODERS}


def test_a_family_that_shows_no_last_layer_is_scored_in_plain_batches(
    one_llama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_llama, "get_output_embeddings", lambda: None)
    scorer = Scorer(one_llama)
    assert scorer.route is None
    assert gap(scorer, siblings(13)) < TOLERANCE


@given(
    rows=st.lists(st.lists(st.integers(1, 3), min_size=2, max_size=9), min_size=1, max_size=12),
    nodes=st.integers(4, 40),
)
def test_packed_scores_do_not_depend_on_company(
    one_llama: Any, rows: list[list[int]], nodes: int
) -> None:
    # Three tokens only, so that sequences share prefixes, contain and repeat one another.
    scorer = Scorer(one_llama)
    scorer._tokens = nodes
    targets = [Target(tuple(row), ((1, len(row)),)) for row in rows]
    assert gap(scorer, targets) < TOLERANCE


@pytest.mark.parametrize(("way", "mistake"), sorted(MUTANTS))
def test_the_comparison_notices(
    way: str, mistake: str, one_llama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name, mutate = MUTANTS[way, mistake]
    scorer = Scorer(t5() if way == "encoder" else one_llama)
    scorer.route = ROUTES[way](scorer.model) if way in ROUTES else None
    # Questions long enough that a cache is worth sharing.
    targets = siblings(11, source=way == "encoder", stem=20 if way == "cached" else 0)
    assert gap(scorer, targets) < TOLERANCE
    monkeypatch.setattr(module, name, mutate(getattr(module, name)))
    assert gap(scorer, targets) > 10 * TOLERANCE


def test_a_family_whose_mask_is_broken_is_not_packed(
    one_llama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "blocks", seeing_siblings(trees.blocks))
    assert isinstance(Scorer(one_llama).route, CachedBranches)


def test_out_of_memory_halves_and_goes_on(one_llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer(one_llama)
    targets, scorer._tokens = siblings(14), 1024
    expected = measured(scorer, targets)
    assert isinstance(scorer.route, PackedRows)
    original, budget = scorer.route._run, 64

    def tight(of: list[Target], pack: Any, prefix: Any) -> Any:
        if len(pack.tokens) > budget:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(of, pack, prefix)

    monkeypatch.setattr(scorer.route, "_run", tight)
    assert np.allclose(np.concatenate(measured(scorer, targets)), np.concatenate(expected))
    assert scorer._tokens == budget


def test_out_of_memory_for_one_rationale_is_an_error(
    one_llama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = Scorer(one_llama)

    def never(of: list[Target], pack: Any, prefix: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(scorer.route, "_run", never)
    with pytest.raises(ModelError, match="not enough memory for one rationale"):
        scorer.score(siblings(15))
