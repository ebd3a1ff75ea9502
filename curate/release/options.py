"""The recipe's ``publish`` section: what of a run leaves it, and where to."""

from typing import Any, Final, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from curate.release.export.trainers import reads, trainers, unknown
from curate.release.formats import FORMATS, format_of
from curate.release.formats.wording import Think

Part = Literal["arms", "rejected", "audit"]

AUDIT: Final = "audit"


def refuse_homeless_solution(think: Think, *, solution: bool) -> None:
    """Refuse to put a solution behind a thought that is not set apart.

    Raises:
        ValueError: there is no such thought.
    """
    if solution and think == "none":
        raise ValueError(
            "a solution stands behind a thought that is set apart, and `think: none` sets none "
            "apart; use `think: inline` or `think: field`, or leave `solution` out"
        )


class PublishOptions(BaseModel):
    """What a release holds beside the selection, and where it is published."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    repo: str | None = Field(default=None, min_length=1)
    """``owner/name`` on the Hub, or a folder: ``file://DIR``. Nothing goes there without ``curate
    push`` or ``run --push``, which tests it, the token, the version and every source's `terms`
    before anything is sampled.
    """
    private: bool = True
    """Whether a repository on the Hub that is not there yet is made private."""
    include: tuple[Part, ...] = ("arms", "rejected")
    """What the release holds beside the selection: control ``arms``, ``rejected`` samples with
    their reasons, and, only when named, the ``audit``: every sample with every verdict. What is
    left out stays in the run folder.
    """
    formats: tuple[str, ...] = ()
    """The selection once more as records, each format a config: ``messages``,
    ``prompt-completion``, ``alpaca``, ``text``, ``tasks``, ``dpo`` (pairs with rejected siblings),
    ``rl`` (questions with their pass rates).
    """
    think: Think = "none"
    """Where these records have the rationale, which is the thought of a model that thinks apart:
    before the target line (``none``), in a ``<think>`` block there (``inline``), or in
    ``reasoning_content`` (``field``); ``text``, ``tasks`` and ``rl`` have one place for it, or
    none.
    """
    solution: bool = False
    """Whether a thought that is set apart is followed by the solution as its teacher wrote it, in
    place of the target line; samples without one keep the line.
    """

    @field_validator("formats", mode="before")
    @classmethod
    def _formats_not_trainers(cls, names: object) -> object:
        """Know the names that `curate export` knows, and say of a trainer which format it reads."""
        for name in cast("list[object]", names) if isinstance(names, list | tuple) else ():
            if not isinstance(name, str) or name in FORMATS.names:
                continue
            if name not in trainers():
                raise ValueError(unknown(name))
            raise ValueError(
                f"{name!r} is a trainer, for which `curate export` writes files; a release holds "
                f"the format that it reads: {reads(name)}"
            )
        return cast("object", names)

    @model_validator(mode="after")
    def _rationales_have_a_place(self) -> Self:
        refuse_homeless_solution(self.think, solution=self.solution)
        for form in map(format_of, self.formats):
            if form.worded and self.think not in form.thinks:
                raise ValueError(
                    f"{form.name} records have no place for a rationale under `think: "
                    f"{self.think}`; use `think: {'` or `'.join(form.thinks)}`, or leave "
                    f"{form.name} out"
                )
        return self


def _connect() -> None:
    """Let a release hold any format that the registry knows."""
    names = cast("Any", Literal)[tuple(FORMATS.names)]
    PublishOptions.model_fields["formats"].annotation = tuple[names, ...]
    PublishOptions.model_rebuild(force=True)


FORMATS.watch(_connect)
_connect()
