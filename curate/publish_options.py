"""The recipe's ``publish`` section: what of a run leaves it, and where to."""

from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from curate.formats import Think

Part = Literal["arms", "rejected", "audit"]
Format = Literal["messages", "prompt-completion", "alpaca", "text", "tasks", "dpo", "rl"]

AUDIT: Final = "audit"


class PublishOptions(BaseModel):
    """What a release holds beside the selection, and where it is published.

    Attributes:
        repo: ``owner/name`` on the Hub, or ``file://DIR``; nothing goes there without ``run
            --push`` or ``curate push``.
        private: whether a repository on the Hub that is not there yet is made private.
        include: what else is in the release: control arms, rejected samples with their reasons,
            and, only when named, the audit: every sample with every verdict. What is left out
            stays in the run folder.
        formats: the selection once more as records of these formats, each a config; ``rl`` has a
            record for each question.
        think: where the records have the rationale: before the target line, in a ``<think>`` block,
            or in ``reasoning_content``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    repo: str | None = Field(default=None, min_length=1)
    private: bool = True
    include: tuple[Part, ...] = ("arms", "rejected")
    formats: tuple[Format, ...] = ()
    think: Think = "none"

    @model_validator(mode="after")
    def _strings_have_no_field(self) -> Self:
        if self.think == "field" and "alpaca" in self.formats:
            raise ValueError(
                "alpaca records are strings, which have no reasoning field; use `think: inline` or "
                "`none`, or leave alpaca out"
            )
        return self
