"""Chat templates that keep reasoning, and a tokenizer that has one of them."""

from typing import Any, Final

from tests.curate.byte_tokenizer import byte_tokenizer
from tests.curate.models.test_rendering import CHATML

TURN: Final = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
THINKING: Final = (
    CHATML.replace(
        "{{ m.content }}",
        "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
        "{{ m.content }}",
    )
    + TURN
)


def tokenizer(template: str | None) -> Any:
    """Make a tokenizer with a begin token and a template."""
    made = byte_tokenizer()
    made.bos_token = "<s>"
    made.chat_template = template
    return made
