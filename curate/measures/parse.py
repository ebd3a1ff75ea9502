"""Parse: cut a completion into reasoning, rationale and answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self, cast

import polars as pl

from curate.measures.base import DerivedMeasure, Setup
from curate.measures.thoughts import part
from filters.answers import GoldType, extract_answer, options_of
from filters.answers.latex import unescape
from filters.answers.reading import TextOptions
from filters.columns import GLOSSARY, Glossary

_END_OF_TURN = re.compile(  # begins with a letter, which is found sooner than a choice
    r"<(?:\|(?:im_end|im_start|eot_id|endoftext|end_of_text|eom_id|end|return|user|assistant)\|>"
    r"|\uff5c(?:end\u2581of\u2581sentence|User|Assistant)\uff5c>|end_of_turn>|eos>|/s>)"
)
_INSTRUCTION = re.compile(r"\[/?INST\]")
_TURN = re.compile(r"\n[*#_ ]*(?:Human|User)[*_]*:")
_DANGLING = " \t\r\n,;:*_#>(<[\"'"


class Parsed(NamedTuple):
    """What one completion says; the fields are the columns written."""

    reasoning: str | None = None
    rationale: str | None = None
    answer: str | None = None
    answer_form: str | None = None
    rationale_words: int | None = None
    solution: str | None = None


class Parse(DerivedMeasure):
    """Cuts a completion; writes ``rationale``, ``answer`` and what else is in it.

    The rationale is the reasoning before the answer with the clause that states the answer cut.
    Where a model reasons apart (`curate.measures.thoughts`, or a server's reasoning field), that
    text is the rationale, whole, whatever it states on the way, and the answer is read from what
    the model said afterwards, which is kept whole as the solution; thinking that was never closed
    holds no answer. A closing line from which an answer was only implied stays, because it is a
    step of the reasoning, unless it is nothing but the answer.

    Args:
        options: by name of the source; a source not named here is read with the defaults.
    """

    name: ClassVar[str] = "parse"
    version: ClassVar[int] = 3
    reads = (
        "raw_output",
        "reasoning_field",
        "finish_reason",
        "source",
        "gold_type",
        "choices",
        "question",
    )
    writes: Glossary = GLOSSARY.of("parse")

    def __init__(self, options: Mapping[str, TextOptions] | None = None) -> None:
        self._options = dict(options or {})

    @classmethod
    def open(cls, setup: Setup) -> Self:
        """Read every source as it says."""
        return cls(setup.texts)

    def instrument(self) -> Mapping[str, Any]:
        """Identify the options of every source."""
        return {
            name: options.model_dump(mode="json") for name, options in sorted(self._options.items())
        }

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Parse every row; failed and empty rows give nulls."""
        plain = TextOptions()
        parsed = [
            Parsed()
            if finish == "error"
            else parse(
                raw or "",
                reasoning,
                cast("GoldType", gold_type),
                options_of(choices, question) if gold_type == "choice" else (),
                self._options.get(source, plain),
            )
            for raw, reasoning, finish, source, gold_type, choices, question in zip(
                *(frame[name].to_list() for name in self.reads), strict=True
            )
        ]
        columns = zip(*parsed, strict=True) if parsed else ((),) * len(self.writes)
        return pl.DataFrame(
            [
                pl.Series(name, values, dtype=dtype)
                for (name, dtype), values in zip(self.writes.types.items(), columns, strict=True)
            ]
        )


def parse(
    raw: str,
    reasoning_field: str | None,
    gold_type: GoldType,
    choices: Sequence[str],
    options: TextOptions,
) -> Parsed:
    """Parse one completion.

    Args:
        raw: the completion as the teacher wrote it.
        reasoning_field: a server's separate reasoning text.
        gold_type: what kind of answer to look for.
        choices: texts of the options, for ``choice``.
        options: of the completion's source.
    """
    thought, solution = part(_cut_at(unescape(raw), options.stop), reasoning_field)
    if not (thought or solution.strip()):
        return Parsed()
    extract = extract_answer(solution, gold_type, choices, options.answer.after)
    rationale = thought or (solution[: extract.start] if extract else solution).strip()
    if not thought and len(rationale) < len(solution.strip()):
        rationale = rationale.rstrip(_DANGLING)
    return Parsed(
        thought,
        rationale,
        extract.answer if extract else None,
        extract.form if extract else None,
        len(rationale.split()),
        (solution.strip() or None) if thought else None,
    )


def _cut_at(text: str, stops: Sequence[str]) -> str:
    """Cut run-on text at the first stop string, end-of-turn token or invented turn of a person."""
    ends = [at for at in map(text.find, stops) if at >= 0] if stops else []
    if "<" in text:  # a look for one letter costs a tenth of one for a word
        if "<|channel|>" in text:  # whose tokens end channels
            return text[: min(ends)] if ends else text
        if token := _END_OF_TURN.search(text):
            ends.append(token.start())
    if "[" in text and (token := _INSTRUCTION.search(text)):
        ends.append(token.start())
    if "Human" in text or "User" in text:
        turn = _TURN.search(text)
        ends += [turn.start()] if turn and text[: turn.start()].strip() else []
    return text[: min(ends)] if ends else text
