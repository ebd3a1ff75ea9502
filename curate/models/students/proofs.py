"""Proofs, before a student is loaded, that its scores would compare what they say they compare."""

from collections.abc import Sequence
from typing import Any

from curate.errors import ModelError
from curate.models.rendering import Layout, render
from curate.models.students.tokenizing import encode


def prove_comparable(tokenizer: Any, layout: Layout, templates: Sequence[str]) -> None:
    """Prove that RD would compare what it says it compares.

    Raises:
        ModelError: the chat template drops rationales, or the answer's tokens are others with one.
    """
    prove_rationale_shown(tokenizer, layout, templates)
    prove_answer_apart(tokenizer, layout, templates)


def prove_rationale_shown(tokenizer: Any, layout: Layout, templates: Sequence[str]) -> None:
    """Render a probe under every template and look for it.

    Raises:
        ModelError: a rendered text lacks the rationale.
    """
    rationale = "First there are 3 boxes. Each holds 6 pens, so there are 3 * 6 = 18 pens."
    for template in templates:
        rendering = render("How many pens?", rationale, template, "18", tokenizer, layout)
        if rationale not in (rendering.source if layout == "encoder" else rendering.text):
            raise ModelError(
                f"the student's {layout} layout does not show the rationale to it under template "
                f"{template!r}; choose another layout under measures.score"
            )


def prove_answer_apart(tokenizer: Any, layout: Layout, templates: Sequence[str]) -> None:
    """Tokenise a probe with and without a rationale: the answer's tokens must be the same.

    RD compares how likely one and the same tokens are. A tokenizer may merge the answer with what
    stands before it, and without a rationale something else stands there.

    Raises:
        ModelError: they are not.
    """
    begin = layout == "plain"
    for template in templates:
        answers: list[tuple[int, ...]] = []
        for rationale in ("", "There are 3 * 6 = 18 pens.", "so 18", "hence\n18\n"):
            rendering = render("How many pens?", rationale, template, "18", tokenizer, layout)
            target = encode(
                tokenizer, rendering.text, [rendering.answer], rendering.source, begin=begin
            )
            answers.append(target.ids[slice(*target.spans[0])])
        for other in answers[1:]:
            if other != answers[0]:
                pieces = [tokenizer.convert_ids_to_tokens(list(ids)) for ids in (answers[0], other)]
                raise ModelError(
                    f"under template {template!r} the student's tokenizer reads the answer 18 as "
                    f"{pieces[0]} without a rationale and as {pieces[1]} behind one, so their "
                    "likelihoods can't be compared; put a word and a space before {answer} in "
                    "measures.score.templates"
                )
