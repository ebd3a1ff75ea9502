"""Attributes: what can be counted in a rationale's words, without a model.

A count of words is called that: who writes "wait" need not have thought again, and who did need not
have written it (arXiv 2503.19602 counts them all the same). The words are English; in a text of
another language they count for nothing.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Final, Self

import polars as pl
from pydantic import BaseModel

from curate.measures.base import ColumnOptions, DerivedMeasure, Setup
from filters.columns import Column, Glossary

_COUNT: Final = pl.Int32()
_REFLECTION: Final = re.compile(
    r"\b(?:wait\b|hmm+|hold on|on second thought|alternatively"
    r"|let(?:'s|\u2019s| me| us) (?:\w+ )?(?:re-?check|double-?check|check|verify|reconsider"
    r"|re-?think|re-?examine|re-?read)"
    r"|(?:i|we) (?:made|must have made|may have made) (?:a|an) (?:\w+ )?(?:mistake|error)"
    r"|(?:that|this)(?:'s|\u2019s| is| was| can't be| cannot be| isn't| is not)? (?:wrong|not right"
    r"|incorrect|right\?|correct\?)"
    r"|is (?:that|this|it) (?:right|correct)\?)",
    re.IGNORECASE,
)
_HEDGE: Final = re.compile(
    r"\b(?:maybe|perhaps|probably|possibly|presumably|apparently|might|could be|may be|seems?"
    r"|likely|i (?:think|guess|believe|suppose|assume)|not (?:\w+ )?(?:sure|certain)|unsure"
    r"|uncertain)\b(?! of \d)",
    re.IGNORECASE,
)
_SPECIAL: Final = re.compile(
    r"<\|[a-z_]+\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|^#{2,} ?(?:Instruction"
    r"|Response|Human|Assistant)\b",
    re.MULTILINE,
)
_PLACEHOLDER: Final = re.compile(
    r"\[(?:insert|your|fill|todo)\b[^\]]*\]|\bTODO\b|<(?:answer|your answer|number|insert[^>]*)>"
    r"|lorem ipsum|_{4,}",
    re.IGNORECASE,
)
_TURN: Final = re.compile(r"^(?:User|Human|Assistant|System|Student|Teacher):", re.MULTILINE)
_NEUTRAL: Final = frozenset({"GREEK", "MATHEMATICAL", "DOUBLE-STRUCK", "SCRIPT", "BLACK-LETTER"})
"""First words in the names of letters that are symbols in any language."""


def format_faults(text: str) -> Iterator[str]:
    """Name what is wrong with the form of a text, each kind once.

    Args:
        text: as it was written, whole.
    """
    if text.count("```") % 2:
        yield "unclosed_code"
    if text.count("$$") % 2 or text.count(r"\[") != text.count(r"\]"):
        yield "unclosed_formula"
    if _SPECIAL.search(text):
        yield "special_token"
    if _PLACEHOLDER.search(text):
        yield "placeholder"
    if _TURN.search(text):
        yield "turn"


def foreign_letters(text: str, question: str) -> float:
    """Give the share of a text's letters that are of a script the question has not.

    Greek letters and those of formulas are of any language.
    """
    own = {_script(letter) for letter in question if letter.isalpha()}
    scripts = [script for letter in text if letter.isalpha() and (script := _script(letter))]
    return sum(script not in own for script in scripts) / len(scripts) if scripts else 0.0


@lru_cache(maxsize=1 << 14)
def _script(letter: str) -> str:
    """Name the script of a letter; nothing where it is of any language."""
    first = unicodedata.name(letter, "").partition(" ")[0]
    return "" if first in _NEUTRAL else first


_Reads = Callable[[Mapping[str, Any]], Any]
_COLUMNS: Final[tuple[tuple[Column, _Reads], ...]] = (
    (
        Column("reflection_words", _COUNT, "expressions of thinking again in the rationale "
               "(wait, let me check ...), counted", published=True, score="none"),
        lambda row: len(_REFLECTION.findall(row["rationale"])),
    ),
    (
        Column("hedge_words", _COUNT, "expressions of doubt in the rationale (maybe, I think "
               "...), counted", published=True, score="none"),
        lambda row: len(_HEDGE.findall(row["rationale"])),
    ),
    (
        Column("foreign_letters", pl.Float64(), "share of the rationale's letters that are of a "
               "script the question has not", published=True, score="lower"),
        lambda row: foreign_letters(row["rationale"], row["question"]),
    ),
    (
        Column("format_faults", _COUNT, "kinds of formatting faults in all that was written",
               published=True, score="lower"),
        lambda row: sum(1 for _ in format_faults(row["raw_output"] or "")),
    ),
    (
        Column("format_fault_names", pl.List(pl.String()), "which kinds of formatting faults "
               "these are"),
        lambda row: list(format_faults(row["raw_output"] or "")),
    ),
)  # fmt: skip


class AttributeOptions(ColumnOptions):
    """What can be counted in a rationale's words."""


class Attributes(DerivedMeasure):
    """Writes counts of words and of faults of form; null where there is no rationale."""

    name: ClassVar[str] = "attributes"
    section: ClassVar[type[BaseModel] | None] = AttributeOptions
    on_request: ClassVar[bool] = True
    reads = ("rationale", "raw_output", "question")
    writes = Glossary(column for column, _ in _COLUMNS)

    def __init__(self, demand: Collection[str] | None = None) -> None:
        if demand is not None:
            self.writes = type(self).writes.among(demand)

    @classmethod
    def open(cls, setup: Setup) -> Self:
        """Write the columns that somebody reads."""
        return cls(setup.demand)

    def instrument(self) -> Mapping[str, Any]:
        """Identify nothing: the version says all."""
        return {}

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Read every rationale."""
        rows = frame.select(self.reads).to_dicts()
        return pl.DataFrame(
            [
                pl.Series(
                    column.name,
                    [None if row["rationale"] is None else read(row) for row in rows],
                    dtype=column.dtype,
                )
                for column, read in _COLUMNS
                if column.name in self.writes
            ]
        )
