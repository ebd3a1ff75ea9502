"""Tokenizers of students: loading them, and finding in token ids what stands in a text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from curate.models.students.packing import Target

Span = tuple[int, int]


def has_chat_template(folder: Path) -> bool:
    """Tell whether a model's tokenizer has a chat template, reading two small files at most."""
    if (folder / "chat_template.jinja").is_file():
        return True
    config = folder / "tokenizer_config.json"
    return config.is_file() and bool(orjson.loads(config.read_bytes()).get("chat_template"))


def is_encoder_decoder(folder: Path) -> bool:
    """Tell from a model's config whether it has an encoder."""
    return bool(orjson.loads((folder / "config.json").read_bytes()).get("is_encoder_decoder"))


def load_context(folder: Path) -> int | None:
    """Read from a model's configuration how many tokens it was made to read.

    Raises:
        ModelError: transformers can't.
    """
    from transformers import AutoConfig

    from curate.errors import ModelError

    try:
        return context_of(AutoConfig.from_pretrained(str(folder), trust_remote_code=False))
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"no config could be read from {str(folder)!r}: {error}") from error


def context_of(config: Any) -> int | None:
    """Give the most tokens a model was made to read; None where its configuration is silent."""
    text = config.get_text_config()
    limits = [getattr(text, name, None) for name in ("max_position_embeddings", "n_positions")]
    return min((limit for limit in limits if limit), default=None)


def load_tokenizer(folder: Path) -> Any:
    """Load a model's tokenizer.

    Raises:
        ModelError: transformers can't, or the tokenizer can't say where in a text its tokens
            stand.
    """
    from transformers import AutoTokenizer

    from curate.errors import ModelError

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"no tokenizer could be loaded from {str(folder)!r}: {error}") from error
    if not tokenizer.is_fast:
        raise ModelError(
            f"the tokenizer in {str(folder)!r} has no fast version, so answers cannot be found in "
            "its tokens; convert it with `tokenizer.save_pretrained` of its fast class"
        )
    return tokenizer


def count_tokens(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """Count tokens, special ones left out."""
    if not texts:
        return []
    encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False)
    return [len(ids) for ids in encoded["input_ids"]]


def encode(
    tokenizer: Any, text: str, spans: Sequence[Span], source: str = "", *, begin: bool
) -> Target:
    """Tokenise a text whole and find the tokens that hold any part of each span.

    A text is never tokenised in pieces: the ids are those a trainer would make of it, and a token
    across a span's border counts as part of the span.

    Args:
        tokenizer: a fast one.
        text: for the decoder.
        spans: half-open character ranges of `text`.
        source: for the encoder, where there is one.
        begin: add the tokens that open a text; false where a chat template wrote them.
    """
    ids, offsets = _tokens(tokenizer, text, begin=begin)
    ranges = tuple(covering(offsets, span) for span in spans)
    source_ids = tuple(tokenizer(source, verbose=False)["input_ids"]) if source else ()
    return Target(ids, ranges, source_ids)


def token_ends(tokenizer: Any, text: str, span: Span, *, begin: bool) -> list[int]:
    """Say where in a span of a text each of its tokens ends.

    Args:
        tokenizer: a fast one.
        text: tokenised whole, as `encode` does.
        span: half-open character range of `text`.
        begin: add the tokens that open a text.

    Returns:
        For each token that `encode` finds for the span, the number of the span's characters up to
        its end; never more than the span has.
    """
    _, offsets = _tokens(tokenizer, text, begin=begin)
    first, last = covering(offsets, span)
    return [min(end, span[1]) - span[0] for _, end in offsets[first:last]]


def _tokens(tokenizer: Any, text: str, *, begin: bool) -> tuple[tuple[int, ...], list[Span]]:
    """Tokenise a text; give ids, and the half-open character range of each."""
    encoded = tokenizer(text, add_special_tokens=begin, return_offsets_mapping=True, verbose=False)
    return tuple(encoded["input_ids"]), encoded["offset_mapping"]


def covering(offsets: Sequence[Span], span: Span) -> Span:
    """Find the tokens that hold any character of a span.

    Args:
        offsets: half-open character range of each token, empty for tokens that stand for no text.
        span: half-open character range.

    Returns:
        Half-open range of tokens; empty where the span is.
    """
    inside = [
        number
        for number, (start, end) in enumerate(offsets)
        if start < end and start < span[1] and end > span[0]
    ]
    return (inside[0], inside[-1] + 1) if inside else (0, 0)
