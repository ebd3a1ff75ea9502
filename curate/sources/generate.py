"""The source that samples a teacher on the questions themselves."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

import polars as pl
from pydantic import Field, field_validator, model_validator

from curate.errors import InputError
from curate.models.teachers.base import Request
from curate.sources.sampled import Draw, SampledSource, log_key, prompt_key, seed_of
from curate.sources.templates import PromptTemplate


class Generate(SampledSource):
    """Samples a teacher, `samples` times a question."""

    use: Literal["generate"] = "generate"
    name: str = Field(default="", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Unique among the sources; by default the last part of the model's name."""

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

    @field_validator("samples", mode="before")
    @classmethod
    def _no_mapping(cls, value: object) -> object:
        if isinstance(value, dict):
            raise InputError(
                f"{value!r} is reserved: sampling until enough are correct is not there yet; "
                "give a number, as in samples: 8",
                where="samples",
            )
        return value

    def draws(
        self, subjects: pl.DataFrame, template: PromptTemplate, identity: Mapping[str, Any]
    ) -> Iterator[Draw]:
        """List `samples` draws of every question."""
        sampled = self.sampling_for(template).identity()
        for row in subjects.iter_rows(named=True):
            rendered = template.render(row)
            stem = prompt_key(identity, rendered, sampled)
            for index in range(self.samples):
                seed = seed_of(stem, index) if self.seeds else None
                request = Request(
                    key=log_key(stem, index, seed),
                    messages=rendered.messages,
                    prompt=rendered.prompt,
                    seed=seed,
                )
                yield Draw(row["question_id"], index, request)
