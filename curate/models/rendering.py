r"""The one place where a question, a rationale and an answer become the text a student reads.

Scoring and export both render here, so what is scored is what is trained on. A chat template may
drop what it is given (many drop reasoning, two drop ``<think>``), so the rendered text is searched
for the rationale and a template that lost it is refused.

Layouts:

* ``chat``: the question is the user's turn; rationale and target line are the assistant's.
* ``plain``: ``Question: ...\nAnswer: `` and the rest, for students without a chat template.
* ``encoder``: question and rationale go to the encoder, the target line to the decoder.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

from curate.errors import ModelError
from filters.answers import GoldType, canonical, without_options

Layout = Literal["chat", "plain", "encoder"]
Span = tuple[int, int]
_SLOT = "{answer}"
_UNDONE = re.compile(r"\d\s*[+*\u00d7\u00f7]\s*[\d(]|\d\s+[-/]\s+[\d(]|^\(.*\d.*\)$")


class ChatTokenizer(Protocol):
    """What rendering needs of a tokenizer; those of transformers have it."""

    eos_token: str | None

    def apply_chat_template(self, conversation: Any, *, tokenize: bool) -> Any:
        """Render chat turns to text."""
        ...


class Rendered(NamedTuple):
    """A text and where things stand in it.

    Attributes:
        text: what the decoder reads.
        rationale: characters of the rationale; empty span where there is none.
        answer: characters of the answer and its terminator.
        source: what the encoder reads; empty for decoder-only students.
    """

    text: str
    rationale: Span
    answer: Span
    source: str = ""


def question_text(question: str, choices: Sequence[str] | None) -> str:
    """Write a question as a student is asked it, lettered options after it, each once."""
    if not choices:
        return question.strip()
    question = without_options(question, choices)
    options = "\n".join(f"({chr(65 + i)}) {text}" for i, text in enumerate(choices))
    return f"{question.strip()}\n{options}"


def answer_text(gold: str, gold_type: GoldType, options: Sequence[str] = ()) -> str:
    """Write a gold as a student is to print it: as it was given.

    A choice is its letter in brackets, as the options are lettered; its text would only measure
    how well the student copies it. A truth value that was given as a letter or a digit is yes or
    no, and arithmetic that was given undone is done.

    Args:
        gold: the known answer.
        gold_type: of the question.
        options: texts of the options in order, for ``choice``.
    """
    key = canonical(gold, gold_type, options) if gold_type in {"choice", "boolean"} else None
    if gold_type == "choice" and key and len(key) == 1 and key.isupper():
        return f"({key})"
    if gold_type == "boolean" and len(gold) == 1:
        return {"true": "yes", "false": "no"}.get(key or "", gold)
    if gold_type == "number" and _UNDONE.search(gold):
        return canonical(gold, gold_type) or gold
    return gold


def plain_prompt(question: str) -> str:
    """Ask a student that has no chat template."""
    return f"Question: {question}\nAnswer: "


def target_line(template: str, answer: str) -> str:
    """Fill a target line; an answer's own full stop ends it where the line has one too."""
    before, after = _around(template, answer)
    return before + answer + after


def _around(template: str, answer: str) -> tuple[str, str]:
    """Give what a target line says before and after an answer: "U.S.A." needs no second stop."""
    before, _, after = template.partition(_SLOT)
    return before, after[1:] if answer.endswith(".") and after.startswith(".") else after


def render(
    question: str,
    rationale: str,
    template: str,
    answer: str,
    tokenizer: ChatTokenizer,
    layout: Layout,
) -> Rendered:
    r"""Render one text.

    The answer's span ends with the terminator its target has: what the template says after the
    answer, else the end of the turn or text; so 14 does not pass as the beginning of 145.

    Args:
        question: from `question_text`.
        rationale: may be empty; the target line then begins without leading space.
        template: target line with ``{answer}`` once, such as ``" The answer is {answer}."``.
        answer: from `answer_text`.
        tokenizer: of the student.
        layout: of the student.

    Raises:
        ModelError: the chat template does not show what the assistant says.
    """
    before, after = _around(template, answer)
    rationale = rationale.strip()
    before = before if rationale else before.lstrip()
    if layout == "encoder":
        line = before.lstrip() + answer + (after or (tokenizer.eos_token or ""))
        source = f"{question}\n{rationale}" if rationale else question
        return Rendered(line, (0, 0), (len(before.lstrip()), len(line)), source)
    body = rationale + before + answer + after
    if layout == "chat":
        start, text, end = _in_chat(question, body, tokenizer)
        closing = "" if after.strip() or (after and text == body) else end
    else:
        start, text = plain_prompt(question), body
        closing = "" if after else (tokenizer.eos_token or "")
    at = len(start) + len(rationale) + len(before)
    return Rendered(
        start + text + closing,
        (len(start), len(start) + len(rationale)),
        (at, len(start) + len(text) + len(closing)),
    )


def render_rationale(question: str, rationale: str, tokenizer: ChatTokenizer) -> Rendered:
    """Render a rationale as an encoder-decoder's output; others find its span in `render`."""
    text = rationale.strip() + (tokenizer.eos_token or "")
    return Rendered(text, (0, len(rationale.strip())), (0, 0), question)


def _in_chat(question: str, body: str, tokenizer: ChatTokenizer) -> tuple[str, str, str]:
    """Put a body into the assistant's turn: the text before it, the body as it stands, the end.

    Templates may trim a turn; the body is given back as the template left it.

    Raises:
        ModelError: the body is not in what the template made.
    """
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": body}]
    whole = str(tokenizer.apply_chat_template(turns, tokenize=False))
    core = body.rstrip()
    start = whole.rfind(core)
    if start < 0:
        name = getattr(tokenizer, "name_or_path", "") or "the student"
        raise ModelError(
            f"the chat template of {name} drops the rationale: {core[:60]!r} ... is not in what "
            "it renders, so every Rationale Difficulty would be 1; set `layout: plain` under "
            "measures.score, or give a student whose template keeps the assistant's turn"
        )
    kept = body if whole.startswith(body, start) else core
    return whole[:start], kept, whole[start + len(core) :].strip()
