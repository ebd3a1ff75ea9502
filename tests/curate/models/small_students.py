"""Students of every family, drawn small, and the plain loop that says what their scores are."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
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

from curate.models.students.packing import Target
from curate.models.students.scorer import Scorer

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


def loop(model: Any, target: Target) -> list[float]:
    """The definition, one token sequence at a time: mean NLL of each span."""
    return [-float(np.mean(logs)) for logs, _, _ in loop_by_token(model, target)]


def loop_by_token(model: Any, target: Target) -> list[tuple[list[float], list[float], list[int]]]:
    """Give log-probabilities, entropies and ranks of each span's tokens."""
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
        entropies = -(logs.exp() * logs).sum(dim=-1)

        def rank(t: int) -> int:
            row = logits[0, t - shift]
            return min(1 + int((row > row[target.ids[t]]).sum()), 100)

        return [
            (
                [float(logs[t - shift, target.ids[t]]) for t in range(*span)],
                [float(entropies[t - shift]) for t in range(*span)],
                [rank(t) for t in range(*span)],
            )
            for span in target.spans
        ]


def measured(scorer: Scorer, targets: Sequence[Target]) -> list[list[float]]:
    return [[-of.total / of.tokens for of in sums] for sums in scorer.score(targets)]


def gap(scorer: Scorer, targets: Sequence[Target]) -> float:
    """Largest difference from the loop, in nats a token."""
    pairs = zip(measured(scorer, targets), [loop(scorer.model, t) for t in targets], strict=True)
    return max(abs(a - b) for mine, theirs in pairs for a, b in zip(mine, theirs, strict=True))


def gap_by_token(scorer: Scorer, targets: Sequence[Target]) -> float:
    """Largest difference from the loop in any token's values, in nats, or in ranks."""
    return max(
        abs(a - b)
        for target, sums in zip(targets, scorer.score(targets), strict=True)
        for mine, loops in zip(sums, loop_by_token(scorer.model, target), strict=True)
        for ours, theirs in zip((mine.logs, mine.entropies, mine.ranks), loops, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )


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
