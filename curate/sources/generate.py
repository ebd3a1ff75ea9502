"""The source that samples a teacher on the questions themselves."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, cast

import polars as pl
from pydantic import Field, model_validator

from curate.sources.adaptive import Adaptive
from curate.sources.base import Makes
from curate.sources.rollouts import FACTS
from curate.sources.sampled import Draw, SampledSource, prompt_key, request_of
from curate.sources.templates import PromptTemplate
from filters.columns import Glossary


class Generate(SampledSource):
    """Samples a teacher, `samples` times a question."""

    use: Literal["generate"] = "generate"
    name: str = Field(default="", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Unique among the sources; by default the last part of the model's name."""

    role: Literal["teacher", "student"] = Field(
        default="teacher", exclude_if=lambda value: value == "teacher"
    )
    """``teacher``: its samples are rows. ``student``: they are none, but say of each question what
    the student can do, in columns of all its rows: ``student_pass_rate``, ``student_right``,
    ``student_samples``, and ``student_overlap`` with the question's own solution. They are kept in
    the audit, and another source may go on from them.
    """
    about: tuple[str, ...] | None = Field(default=None, exclude_if=lambda value: value is None)
    """Whose questions it answers: names of `pose` sources, and ``""`` for those that the recipe
    came with; by default all.
    """
    samples: Annotated[int, Field(ge=1)] | Adaptive = 4
    """Rationales a question; more are drawn later without drawing these again. ``{min: 4, max: 32,
    until: {correct: 2}}`` draws in rounds, until so many of a question are right; ``until: {kept:
    2, by: [completeness, correctness]}`` counts what these filters keep, and ``in_all: 1000`` ends
    it once there are so many of all questions. Shares of right samples are then those of a draw
    that ended because of them: a little too high.
    """

    @model_validator(mode="before")
    @classmethod
    def _default_name(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        fields = cast("dict[str, object]", data)
        model = fields.get("model")
        if fields.get("name") or not isinstance(model, str):
            return fields
        last = model.rstrip("/").rsplit("/", 1)[-1]
        return {**fields, "name": re.sub(r"[^A-Za-z0-9._-]", "-", last)}

    @property
    def adaptive(self) -> Adaptive | None:
        """As many samples as it takes, where it is not a number."""
        return self.samples if isinstance(self.samples, Adaptive) else None

    @property
    def gives(self) -> Glossary:
        """What a student's samples say of their question."""
        return Glossary() if self.released else FACTS

    @property
    def makes(self) -> Makes:
        """Rows; facts, where it is the student."""
        return "rows" if self.role == "teacher" else "facts"

    @property
    def asked_about(self) -> Sequence[str] | None:
        """Whose questions it is about; None for all."""
        return self.about

    @property
    def in_words(self) -> str:
        """How many samples it asks for."""
        whose = f" of {' and '.join(name or 'those given' for name in self.about or ())}"
        return f"{self.adaptive or f'{self.samples} a question'}{whose if self.about else ''}"

    def wanted(self, questions: int) -> int | None:
        """Count the samples wanted of so many questions; None where it takes their samples."""
        return None if isinstance(self.samples, Adaptive) else questions * self.samples

    def draws(
        self, subjects: pl.DataFrame, template: PromptTemplate, identity: Mapping[str, Any]
    ) -> Iterator[Draw]:
        """List `samples` draws of every question, or as many as are ``due`` of it in a round."""
        sampled = self.sampling_for(template).identity()
        usual = self.samples.min if isinstance(self.samples, Adaptive) else self.samples
        for row in subjects.iter_rows(named=True):
            rendered = template.render(row)
            stem = prompt_key(identity, rendered, sampled)
            drawn = row.get("drawn", 0)
            for index in range(drawn, drawn + row.get("due", usual)):
                request = request_of(stem, rendered, index, seeded=self.seeds)
                yield Draw(row["question_id"], index, request)
