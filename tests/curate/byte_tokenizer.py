"""A tokenizer for drawn models: one token a printable character, ChatML as its template."""

import string
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from tests.curate.models.test_rendering import CHATML

VOCABULARY = 97


def byte_tokenizer(*, end: bool = False) -> Any:
    """Make it; with `end` it closes texts with its end token, as T5's does."""
    letters = [c for c in string.printable if c not in "\r\t\x0b\x0c"]
    specials = ["<pad>", "</s>"]
    kept = [c for c in letters if c not in "~`^"][: VOCABULARY - len(specials)]
    vocabulary = {token: number for number, token in enumerate([*specials, *kept])}
    bare = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    bare.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    bare.decoder = decoders.Fuse()
    if end:
        closing = ("</s>", vocabulary["</s>"])
        bare.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[closing])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare, eos_token="</s>", pad_token="<pad>", unk_token="<pad>"
    )
    tokenizer.chat_template = CHATML
    return tokenizer
