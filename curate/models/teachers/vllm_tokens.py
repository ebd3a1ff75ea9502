"""What vLLM says of the tokens that it sampled, and what each of them wrote."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from curate.models.teachers.tokens import Tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from vllm.logprobs import FlatLogprobs
    from vllm.outputs import CompletionOutput


def tokens_of(output: "CompletionOutput", prompt: Sequence[int], tokenizer: Any) -> Tokens | None:
    """Find the tokens of a sample, which is drawn with ``logprobs=0, flat_logprobs=True``.

    Args:
        output: the sample.
        prompt: ids of what it continues, on which the first word's spelling may depend.
        tokenizer: of the model.

    Returns:
        None where they do not spell the text, as with a tokenizer that is written in Python, or
        where no log-probabilities were asked for.
    """
    flat = cast("FlatLogprobs | None", output.logprobs)
    if flat is None:
        return None
    logprobs = [flat.logprobs[start] for start in flat.start_indices]
    return Tokens.of(output.text, list(pieces(output.token_ids, prompt, tokenizer)), logprobs)


def pieces(ids: Sequence[int], prompt: Sequence[int], tokenizer: Any) -> Iterator[bytes]:
    """Write the tokens one after the other, by the same means as vLLM wrote the text."""
    from tokenizers.decoders import DecodeStream

    backend: Tokenizer | None = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return
    stream = DecodeStream(ids=list(prompt), skip_special_tokens=True)
    try:
        for number in ids:
            yield (stream.step(backend, number) or "").encode()
    except Exception as error:
        # It has no class of its own. What such bytes are, vLLM only guesses.
        if not str(error).startswith("Invalid prefix"):
            raise
