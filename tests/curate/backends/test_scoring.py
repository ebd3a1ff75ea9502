"""The scorer against a ten-line loop, and proof that the comparison would notice."""

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from curate.backends import cached_branches, packing, padded_batches, trees
from curate.backends.cached_branches import CachedBranches
from curate.backends.packed_rows import PackedRows
from curate.backends.packing import Target
from curate.backends.scoring import Scorer
from curate.errors import ModelError

TOLERANCE = 1e-4
"""Nats a token, in float32."""
VOCABULARY = 97
# At the usual 0.02 attention is so flat that a wrong position moves an NLL by less than the
# tolerance; drawn at 0.3 every mistake shows.
SPREAD = {"vocab_size": VOCABULARY, "initializer_range": 0.3, "pad_token_id": 0}
SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    **SPREAD,
}


def llama() -> Any:
    torch.manual_seed(1)
    return LlamaForCausalLM(LlamaConfig(**SMALL, max_position_embeddings=256))


def gemma() -> Any:
    torch.manual_seed(2)
    kinds = ["sliding_attention", "full_attention"]
    config = Gemma3TextConfig(**SMALL, head_dim=8, sliding_window=8, layer_types=kinds)
    return Gemma3ForCausalLM(config)


def mistral() -> Any:
    torch.manual_seed(3)
    return MistralForCausalLM(MistralConfig(**SMALL, sliding_window=6))


def gpt2() -> Any:
    torch.manual_seed(4)
    return GPT2LMHeadModel(GPT2Config(**SPREAD, n_embd=32, n_layer=2, n_head=4, n_positions=128))


def bloom() -> Any:
    torch.manual_seed(5)
    return BloomForCausalLM(BloomConfig(**SPREAD, hidden_size=32, n_layer=2, n_head=4))


def t5() -> Any:
    torch.manual_seed(6)
    config = T5Config(
        vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
        decoder_start_token_id=0, pad_token_id=0, initializer_factor=1.0,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def gemma2() -> Any:
    torch.manual_seed(7)
    kinds = ["sliding_attention", "full_attention"]
    # Caps low enough to bend scores and logits of weights drawn this wide.
    config = Gemma2Config(
        **SMALL, head_dim=8, query_pre_attn_scalar=8, sliding_window=8, layer_types=kinds,
        attn_logit_softcapping=5.0, final_logit_softcapping=3.0,
    )  # fmt: skip
    model = Gemma2ForCausalLM(config)
    # transformers' sdpa leaves the cap of the scores out and says nothing.
    model.set_attn_implementation("eager")
    return model


def qwen2() -> Any:
    torch.manual_seed(8)
    return Qwen2ForCausalLM(Qwen2Config(**SMALL))


def qwen2_with_window() -> Any:
    torch.manual_seed(9)
    kinds = ["full_attention", "sliding_attention"]
    config = Qwen2Config(**SMALL, use_sliding_window=True, sliding_window=7, layer_types=kinds)
    return Qwen2ForCausalLM(config)


def qwen3() -> Any:
    torch.manual_seed(10)
    return Qwen3ForCausalLM(Qwen3Config(**SMALL, head_dim=8))


def phi() -> Any:
    torch.manual_seed(11)
    return PhiForCausalLM(PhiConfig(**SMALL, partial_rotary_factor=0.5))


def phi3() -> Any:
    torch.manual_seed(12)
    return Phi3ForCausalLM(Phi3Config(**SMALL, sliding_window=9))


DECODERS = {
    "bloom": bloom,
    "gemma2": gemma2,
    "gemma3": gemma,
    "gpt2": gpt2,
    "llama": llama,
    "mistral": mistral,
    "phi": phi,
    "phi3": phi3,
    "qwen2": qwen2,
    "qwen2 with a window": qwen2_with_window,
    "qwen3": qwen3,
}


@pytest.fixture(scope="module", params=sorted(DECODERS))
def decoder(request: pytest.FixtureRequest) -> Scorer:
    return Scorer(DECODERS[request.param]())


@pytest.fixture(scope="module")
def one_llama() -> Any:
    return llama()


def loop(model: Any, target: Target) -> list[float]:
    """The definition, one token sequence at a time: mean NLL of each span."""
    with torch.no_grad():
        if target.source:
            begin = model.config.decoder_start_token_id
            ids = torch.tensor([[begin, *target.ids]])
            source = torch.tensor([target.source])
            logits = model(input_ids=source, decoder_input_ids=ids[:, :-1]).logits
            shift = 0
        else:
            logits = model(input_ids=torch.tensor([target.ids])).logits
            shift = 1
        logs = torch.log_softmax(logits[0].double(), dim=-1)
        return [
            -float(np.mean([logs[t - shift, target.ids[t]] for t in range(*span)]))
            for span in target.spans
        ]


def test_a_cap_of_the_scores_is_kept_where_the_default_attention_drops_it() -> None:
    model = gemma2()
    right = loop(model, Target((5, 6, 7, 8, 9, 3, 2), ((4, 7),)))
    model.set_attn_implementation("sdpa")
    assert abs(loop(model, Target((5, 6, 7, 8, 9, 3, 2), ((4, 7),)))[0] - right[0]) > 10 * TOLERANCE
    assert gap(Scorer(model), [Target((5, 6, 7, 8, 9, 3, 2), ((4, 7),))]) < TOLERANCE
    assert loop(model, Target((5, 6, 7, 8, 9, 3, 2), ((4, 7),))) == right


def measured(scorer: Scorer, targets: Sequence[Target]) -> list[list[float]]:
    return [[-nats / tokens for nats, tokens in sums] for sums in scorer.score(targets)]


def gap(scorer: Scorer, targets: Sequence[Target]) -> float:
    """Largest difference from the loop, in nats a token."""
    pairs = zip(measured(scorer, targets), [loop(scorer.model, t) for t in targets], strict=True)
    return max(abs(a - b) for mine, theirs in pairs for a, b in zip(mine, theirs, strict=True))


def siblings(seed: int, *, source: bool = False, stem: int = 0) -> list[Target]:
    """Three questions with four rationales under two target lines, one answer each.

    Args:
        seed: of all tokens.
        source: for an encoder-decoder.
        stem: how many tokens all begin with.
    """
    draw = random.Random(seed)
    begun = tuple(draw.randrange(1, VOCABULARY) for _ in range(stem))

    def some(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw.randrange(1, VOCABULARY) for _ in range(draw.randint(low, high)))

    targets: list[Target] = []
    for _ in range(3):
        question, lines, answer = begun + some(3, 9), (some(1, 4), some(1, 4)), some(1, 3)
        for rationale in [(), *(some(1, 12) for _ in range(4))]:
            for line in lines:
                if source:
                    ids = (*line, *answer)
                    span = (len(line), len(ids))
                    targets.append(Target(ids, (span,), question + rationale))
                else:
                    ids = (*question, *rationale, *line, *answer)
                    own = (len(question), len(question) + len(rationale))
                    spans = [(len(ids) - len(answer), len(ids)), *([own] if rationale else [])]
                    targets.append(Target(ids, tuple(spans)))
    return targets


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("stem", [0, 25])
@pytest.mark.parametrize("block", [5, 64])
def test_decoder_agrees_with_the_loop(
    decoder: Scorer, seed: int, stem: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trees.BLOCK, "cpu", block)
    assert gap(decoder, siblings(seed, stem=stem)) < TOLERANCE


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
    behind = {t.ids[:end] for t in first for end in range(26, len(t.ids) + 1)}
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


ROUTES: dict[str, type[PackedRows] | type[CachedBranches]] = {
    "packed": PackedRows,
    "cached": CachedBranches,
}


def shifted_from_branch(original: Callable[..., Any]) -> Callable[..., Any]:
    def depths(parents: Any) -> Any:
        found = original(parents).copy()
        jumps = [n for n, p in enumerate(parents) if p >= 0 and p != n - 1]
        if jumps:
            found[jumps[0] :] += 1
        return found

    return depths


def seeing_siblings(original: Callable[..., Any]) -> Callable[..., Any]:
    def blocks(parents: Any, size: int) -> Any:
        for block in original(parents, size):
            nodes = np.arange(block.stop)
            yield block._replace(
                path=nodes[: block.start], seen=nodes[None] <= nodes[block.start :, None]
            )

    return blocks


def losing_a_context_token(original: Callable[..., Any]) -> Callable[..., Any]:
    def blocks(parents: Any, size: int) -> Any:
        for block in original(parents, size):
            seen = block.seen.copy()
            seen[3:, 1] = False
            yield block._replace(seen=seen)

    return blocks


def reading_the_next_token(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda span: range(original(span).start + 1, original(span).stop + 1)


def forgetting_the_stem(original: Callable[..., Any]) -> Callable[..., Any]:
    """Run a stem without its first token, so that all that follows stands one place too early."""
    return lambda route, stem: original(route, stem[1:])


def running_on_in_the_next_branch(original: Callable[..., Any]) -> Callable[..., Any]:
    """Put the first tokens of the branch before in front of each, as if it saw its sibling."""

    def pad(rows: Any) -> Any:
        ids, mask = original(rows)
        ids[1:, 0] = ids[:-1, 0]
        return ids, mask

    return pad


def losing_a_branch_token(original: Callable[..., Any]) -> Callable[..., Any]:
    def pad(rows: Any) -> Any:
        ids, mask = original(rows)
        mask[:, 0] = 0
        return ids, mask

    return pad


def not_masking_pads(original: Callable[..., Any]) -> Callable[..., Any]:
    def pad(rows: Any) -> Any:
        ids, mask = original(rows)
        return ids, np.ones_like(mask)

    return pad


def decodes(rows: Any) -> bool:
    """Tell rows for the decoder, which begin with the start token, from sources."""
    return rows[0][0] == 0


def dropping_the_start(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda rows: original([(*row[1:], 0) for row in rows] if decodes(rows) else rows)


def reading_on_in_the_next_source(original: Callable[..., Any]) -> Callable[..., Any]:
    def pad(rows: Any) -> Any:
        if decodes(rows):
            return original(rows)
        longest = max(map(len, rows))
        return original([(*row, *rows[n - 1])[:longest] for n, row in enumerate(rows)])

    return pad


def losing_a_source_token(original: Callable[..., Any]) -> Callable[..., Any]:
    def pad(rows: Any) -> Any:
        ids, mask = original(rows)
        if not decodes(rows):
            mask[:, 1] = 0
        return ids, mask

    return pad


class Mutant(NamedTuple):
    """A mistake: what of which module it puts something else in place of."""

    module: Any
    name: str
    mutate: Callable[[Callable[..., Any]], Callable[..., Any]]


# Packs hold no padding, and a causal model never sees what is padded on the right, so of the five
# mistakes an unmasked pad can only be made with an encoder.
MUTANTS = {
    ("packed", "position off by one"): Mutant(trees, "depths", shifted_from_branch),
    ("packed", "sibling visible"): Mutant(trees, "blocks", seeing_siblings),
    ("packed", "context token lost"): Mutant(trees, "blocks", losing_a_context_token),
    ("packed", "answer token off by one"): Mutant(packing, "readers", reading_the_next_token),
    ("cached", "position off by one"): Mutant(CachedBranches, "_past", forgetting_the_stem),
    ("cached", "sibling visible"): Mutant(cached_branches, "pad", running_on_in_the_next_branch),
    ("cached", "context token lost"): Mutant(cached_branches, "pad", losing_a_branch_token),
    ("cached", "answer token off by one"): Mutant(packing, "readers", reading_the_next_token),
    ("padded", "answer token off by one"): Mutant(packing, "readers", reading_the_next_token),
    ("encoder", "position off by one"): Mutant(padded_batches, "pad", dropping_the_start),
    ("encoder", "sibling visible"): Mutant(padded_batches, "pad", reading_on_in_the_next_source),
    ("encoder", "context token lost"): Mutant(padded_batches, "pad", losing_a_source_token),
    ("encoder", "answer token off by one"): Mutant(packing, "readers", reading_the_next_token),
    ("encoder", "unmasked pad"): Mutant(padded_batches, "pad", not_masking_pads),
}


@pytest.mark.parametrize(("way", "mistake"), sorted(MUTANTS))
def test_the_comparison_notices(
    way: str, mistake: str, one_llama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name, mutate = MUTANTS[way, mistake]
    scorer = Scorer(t5() if way == "encoder" else one_llama)
    scorer.route = ROUTES[way](scorer.model) if way in ROUTES else None
    # One more token, so that there is something after the answer to misread.
    # And questions long enough that a cache is worth sharing.
    drawn = siblings(11, source=way == "encoder", stem=20 if way == "cached" else 0)
    targets = [t._replace(ids=(*t.ids, 5)) for t in drawn]
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
