"""What a student's own template and tokenizer make of exported records, before a trainer does.

Templates drop reasoning, write an empty ``<think>`` block, open a text twice, or put words where
no loss is; trainers cut what is too long from the right, the answer first. None of that is an error
anywhere: the student merely learns something else. So every record is rendered and tokenised as a
trainer does it, and what was to be learnt is looked for where the loss is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from jinja2 import TemplateError

from curate.models.students.packing import common
from curate.release.formats import Format
from curate.release.formats.wording import Record

REASONS: Final[Mapping[str, str]] = {
    "not_rendered": "the chat template fails on such turns",
    "reasoning_lost": "the chat template drops the rationale, so it is never learnt",
    "completion_lost": "the chat template drops what the assistant says",
    "outside_loss": "the completion begins before the loss does, or the template's generation "
    "marks leave it out",
    "prompt_in_loss": "what the prompt is rendered to is no beginning of the whole text, so the "
    "loss is on the question, too",
    "doubled_bos": "the text opens with its begin token twice",
    "empty_think": "the template writes a <think> block with nothing in it",
    "too_long": "the answer stands behind the trainer's length and is cut off",
}
"""What may be found, and what it means."""
REFUSED: Final = (
    "not_rendered", "reasoning_lost", "completion_lost", "outside_loss", "prompt_in_loss",
    "doubled_bos",
)  # fmt: skip
"""What makes an export worthless; the rest is told and left to its reader."""

_THOUGHT: Final = re.compile(r"\A<think>\n(.*)\n</think>\n\n(.*)\Z", re.DOTALL)
_EMPTY_THOUGHT: Final = re.compile(r"<think>\s*</think>")
_MARKS: Final = re.compile(r"\{%-?\s*generation\b")


class NoTemplateError(Exception):
    """A student was given turns, and has no template that makes text of them."""


class Tokenizer(Protocol):
    """What is needed of a fast tokenizer; those of transformers have it."""

    chat_template: Any
    bos_token: str | None

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any:
        """Render chat turns to text, or to tokens."""
        ...

    def __call__(self, text: str, **options: Any) -> Any:
        """Tokenise."""
        ...

    def decode(self, token_ids: Any, **options: Any) -> Any:
        """Turn tokens back into text."""
        ...


class Finding(NamedTuple):
    """Something a trainer would have done silently.

    Attributes:
        reason: one of `REASONS`.
        record: the id that its format gives it.
    """

    reason: str
    record: str


class _Text(NamedTuple):
    """A record as a trainer renders it.

    Attributes:
        whole: prompt and completion.
        prompt: what stands before the completion when it is asked for.
        question: the question in it.
        targets: what is to be learnt, as (reason if it is missing, text).
        special: whether the tokens that open a text are still to be added.
        marked: what the template's generation marks enclose; None where it has none.
    """

    whole: str
    prompt: str
    question: str
    targets: list[tuple[str, str]]
    special: bool
    marked: str | None = None


def lint(
    records: Iterable[Record], form: Format, tokenizer: Tokenizer, max_length: int | None = None
) -> Iterator[Finding]:
    """Render and tokenise records; give what is wrong with each.

    Args:
        records: of one format.
        form: says what of a record a student is asked and is to say.
        tokenizer: the student's, a fast one.
        max_length: tokens at which the trainer cuts; None for no limit.

    Raises:
        NoTemplateError: a record holds turns of a chat, and the tokenizer has no chat template.
    """
    for record in records:
        reasons: list[str] = []
        for prompt, completion in form.exchanges(record):
            try:
                text = _render(prompt, completion, tokenizer)
            except TemplateError:
                reasons.append("not_rendered")
            else:
                reasons += _judge(text, tokenizer, max_length)
        for reason in dict.fromkeys(reasons):
            yield Finding(reason, record[form.identified_by])


def _render(prompt: Any, completion: Any, tokenizer: Tokenizer) -> _Text:
    if isinstance(prompt, str):
        targets = [("completion_lost", completion)]
        return _Text(prompt + completion, prompt, prompt, targets, special=True)
    if tokenizer.chat_template is None:
        raise NoTemplateError("no chat template to put these turns into")
    turn = completion[0]
    thought = _THOUGHT.match(turn["content"])
    reasoning = thought[1] if thought else turn.get("reasoning_content")
    targets = [("reasoning_lost", reasoning)] if reasoning else []
    targets.append(("completion_lost", thought[2] if thought else turn["content"]))
    whole = tokenizer.apply_chat_template([*prompt, *completion], tokenize=False)
    prompt_text = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    marked = _marked(tokenizer, [*prompt, *completion])
    return _Text(
        str(whole), str(prompt_text), prompt[-1]["content"], targets, special=False, marked=marked
    )


def _marked(tokenizer: Tokenizer, turns: Sequence[Mapping[str, Any]]) -> str | None:
    """Read what trainers with a loss on the assistant alone (TRL's `assistant_only_loss`) take."""
    if not _MARKS.search(str(tokenizer.chat_template or "")):
        return None
    tokens = tokenizer.apply_chat_template(
        turns, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    ids = [
        i for i, mask in zip(tokens["input_ids"], tokens["assistant_masks"], strict=True) if mask
    ]
    return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))


def _judge(text: _Text, tokenizer: Tokenizer, max_length: int | None) -> Iterator[str]:
    tokens = tokenizer(
        text.whole, add_special_tokens=text.special, return_offsets_mapping=True, verbose=False
    )
    ids, offsets = list(tokens["input_ids"]), list(tokens["offset_mapping"])
    before = tokenizer(text.prompt, add_special_tokens=text.special, verbose=False)["input_ids"]
    # As TRL does: the loss begins where prompt and whole text part.
    begin = len(common([tuple(ids), tuple(before)]))
    start = offsets[begin][0] if begin < len(offsets) else len(text.whole)
    end = 0
    for reason, part in text.targets:
        at = text.whole.rfind(part.strip())
        if at < 0:
            yield reason
        elif at < start or (text.marked is not None and part.strip() not in text.marked):
            yield "outside_loss"
        else:
            end = max(end, at + len(part.strip()))
    if start < text.whole.find(text.question.strip()) + len(text.question.strip()):
        yield "prompt_in_loss"
    opening = tokenizer.bos_token
    if opening and text.whole.startswith(opening * 2):
        yield "doubled_bos"
    # Where the prompt ends with the whole block, as for students that are not to think, it is not
    # learnt.
    if any(block.end() > start for block in _EMPTY_THOUGHT.finditer(text.whole)):
        yield "empty_think"
    if max_length and sum(first < end for first, _ in offsets) > max_length:
        yield "too_long"
