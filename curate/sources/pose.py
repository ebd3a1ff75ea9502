"""Pose: new questions from old ones, written by a teacher, with a known answer of their own."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from curate.errors import InputError
from curate.sources.sampled import Draw, SampledSource, prompt_key, request_of
from curate.sources.templates import PromptTemplate, TemplateFile


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Stated(_Options):
    """The known answer stands in what the teacher wrote."""

    after: tuple[str, ...] = Field(default=("Answer:",), min_length=1)
    """What stands before it; the last place counts, and the rest of the line is the answer."""


class Agreed(_Options):
    """The known answer is what most of those say who answer the question."""

    share: float = Field(gt=0.5, le=1)
    """Smallest share of all samples of the question that say the same, those without an answer
    counted; which share it was stands in ``gold_support``.
    """
    fewest: int = Field(default=3, ge=1)
    """Fewest samples that must say so."""


class Reading(NamedTuple):
    """What a completion says.

    Attributes:
        question: the new question; None where there is none.
        gold: its known answer; None where it says none, or is to be agreed on.
    """

    question: str | None
    gold: str | None


class Pose(SampledSource):
    """Has new questions written from those there are, `samples` of each.

    They join the questions: all sources answer them that are not told otherwise, in the split and
    group of the question they were made from. What the teacher wrote is kept in the audit.
    """

    use: Literal["pose"] = "pose"
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Unique among the sources."""
    about: tuple[str, ...] = ()
    """The `pose` sources from whose questions new ones are made; by default it is the questions
    that the recipe came with.
    """
    prompt: str | TemplateFile = "diversify"
    """``diversify``, ``complicate``, ``reverse``, or ``{file: mine.jinja}``, a template of your
    own.
    """
    samples: int = Field(default=1, ge=1)
    """New questions of each; more are drawn later without drawing these again."""
    rounds: int = Field(default=1, ge=1)
    """How often: after the first, new ones are made from the new ones."""
    question_after: tuple[str, ...] = Field(default=("Question:",), min_length=1)
    """What stands before the new question; the last place counts."""
    question_before: tuple[str, ...] = ("Answer:",)
    """What stands behind it, where anything does."""
    gold: Stated | Agreed = Stated()
    """How its answer is known: ``{after: ["Answer:"]}``, the teacher states it; or ``{share: 0.6,
    fewest: 3}``, most samples agree on it.
    """

    @model_validator(mode="after")
    def _not_about_itself(self) -> Self:
        if self.name in self.about:
            raise InputError(
                f"{self.name!r} would go on from its own questions; say `rounds: 2` for that",
                "about",
            )
        return self

    @property
    def makes(self) -> Literal["questions"]:
        """Questions, and no rows."""
        return "questions"

    @property
    def asked_about(self) -> Sequence[str] | None:
        """Whose questions it is about; an empty name is for those that came with the recipe."""
        own = (self.name,) if self.rounds > 1 else ()
        return (*(self.about or ("",)), *own)

    @property
    def in_words(self) -> str:
        """How many samples it asks for."""
        rounds = f", in {self.rounds} rounds" if self.rounds > 1 else ""
        whose = f" of {' and '.join(self.about)}" if self.about else ""
        return f"{self.samples} new questions of each question{whose}{rounds}"

    def wanted(self, questions: int) -> int | None:
        """Count the samples wanted; None where that takes new questions."""
        return questions * self.samples if self.rounds == 1 and not self.about else None

    def read(self, text: str) -> Reading:
        """Find the new question in what the teacher wrote, and its answer where it states one."""
        marks = self.gold.after if isinstance(self.gold, Stated) else ()
        for mark in {*self.question_after, *self.question_before, *marks}:
            text = _bare(text, mark)
        start = _end_of_last(text, self.question_after)
        if start is None:
            return Reading(None, None)
        rest = text[start:]
        places = [rest.find(mark) for mark in self.question_before if mark in rest]
        question = rest[: min(places)] if places else rest
        answer = _end_of_last(rest, marks)
        gold = None if answer is None else rest[answer:].strip().partition("\n")[0].strip()
        return Reading(_unmarked(question), _unmarked(gold) if gold else None)

    def draws(
        self, subjects: pl.DataFrame, template: PromptTemplate, identity: Mapping[str, Any]
    ) -> Iterator[Draw]:
        """List `samples` draws of every question."""
        sampled = self.sampling_for(template).identity()
        for row in subjects.iter_rows(named=True):
            rendered = template.render(row)
            stem = prompt_key(identity, rendered, sampled)
            for index in range(self.samples):
                request = request_of(stem, rendered, index, seeded=self.seeds)
                yield Draw(row["question_id"], index, request)


def _bare(text: str, mark: str) -> str:
    """Take the markup off a mark that begins a line: headings, bullets, emphasis."""
    word, colon = re.escape(mark.removesuffix(":")), ":" if mark.endswith(":") else ""
    dressed = rf"^[ \t]*(?:#+[ \t]+|[-*][ \t]+)?[*_]*{word}[*_]*{colon}[*_]*"
    return re.sub(dressed, lambda _: mark, text, flags=re.MULTILINE)


def _unmarked(text: str) -> str | None:
    """Take emphasis off both ends of a text; None where nothing is left."""
    return text.strip().strip("*_").strip() or None


def _end_of_last(text: str, marks: Sequence[str]) -> int | None:
    """Give where the last of these marks ends; None where none is there."""
    ends = [text.rfind(mark) + len(mark) for mark in marks if mark in text]
    return max(ends) if ends else None
