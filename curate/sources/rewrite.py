"""Rewrite: samples made from other samples, such as a mended, a shorter or a rephrased one."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from curate.errors import InputError
from curate.sources.sampled import Draw, SampledSource, prompt_key, request_of
from curate.sources.templates import PARENT_VARIABLES, VARIABLES, PromptTemplate, TemplateFile
from filters.conditions import Condition


class Rewrite(SampledSource):
    """Has samples of another source written anew, `samples` times each.

    What is written is judged like any other sample. Samples that read the same to the teacher are
    written anew once.
    """

    use: Literal["rewrite"] = "rewrite"
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Unique among the sources."""
    of: str
    """The source whose samples are written anew, a rewriting one too."""
    where: dict[str, Condition] = Field(default_factory=dict[str, Condition])
    """Of these samples only those of which all of this holds: of a filter, by its name, that it
    ``kept``, ``dropped`` or ``abstained``, or the reason; of a column a value, a list of values, or
    ``{min, max}``. ``{correctness: wrong_answer, rationale_words: {max: 200}}``. It takes filters
    and columns that look at one sample, and no model.
    """
    rounds: int = Field(default=1, ge=1)
    """How often: after the first, what was written is written anew where it meets `where`. It ends
    before that where nothing is left to do, or nothing changes any more.
    """
    prompt: str | TemplateFile = "rephrase"
    """``rephrase``, ``repair``, one of ``level-1`` to ``level-6`` or of the ``format-...``, or
    ``{file: mine.jinja}``, a template of your own. Beside the question it may read ``rationale``,
    ``answer``, ``output`` (all that was written) and ``problem`` (what `where` found wrong).
    """
    samples: int = Field(default=1, ge=1)
    """How many of each; more are drawn later without drawing these again."""

    @model_validator(mode="after")
    def _not_of_itself(self) -> Self:
        if self.of == self.name:
            raise InputError(
                f"{self.name!r} would be made of its own samples; name another source, and say "
                "`rounds: 2` to have these written anew",
                "of",
            )
        return self

    @property
    def parent(self) -> str | None:
        """The source whose samples it goes on from."""
        return self.of

    @property
    def conditions(self) -> Mapping[str, Condition]:
        """What holds of these samples."""
        return self.where

    @property
    def most_rounds(self) -> int:
        """How often, at most."""
        return self.rounds

    @property
    def in_words(self) -> str:
        """How many samples it asks for: so many of which."""
        where = "".join(f", where {name} is {value}" for name, value in self.where.items())
        rounds = f", in {self.rounds} rounds at most" if self.rounds > 1 else ""
        return f"{self.samples} for each sample of {self.of}{where}{rounds}"

    @property
    def variables(self) -> tuple[str, ...]:
        """What its prompt may read: of the question, and of the other sample."""
        return (*VARIABLES, *PARENT_VARIABLES)

    def wanted(self, questions: int) -> int | None:
        """Nobody knows before the other samples are there."""
        del questions

    def draws(
        self, subjects: pl.DataFrame, template: PromptTemplate, identity: Mapping[str, Any]
    ) -> Iterator[Draw]:
        """List `samples` draws of every sample that reads like none before it."""
        sampled = self.sampling_for(template).identity()
        question, stems = None, set[str]()
        for row in subjects.iter_rows(named=True):
            if row["question_id"] != question:
                question, stems = row["question_id"], set[str]()
            rendered = template.render(row)
            stem = prompt_key(identity, rendered, sampled)
            if stem in stems:
                continue
            stems.add(stem)
            for index in range(self.samples):
                again = row["pass"]
                request = request_of(stem, rendered, index, seeded=self.seeds, again=again)
                yield Draw(
                    question_id=row["question_id"],
                    index=index,
                    request=request,
                    parent_id=row["parent_id"],
                    round=row["round"] + 1,
                    gold_shown=row["gold_shown"],
                )
