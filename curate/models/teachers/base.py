"""Interfaces between the engine and the libraries that run models. Imports nothing heavy."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from curate.models.teachers.tokens import Tokens

Message = dict[str, str]
"""``{"role": "system" | "user" | "assistant", "content": ...}``."""


class Sampling(BaseModel):
    """How a teacher is sampled; only what is set is sent and keyed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    temperature: float = Field(default=0.7, ge=0)
    """0 takes the likeliest token."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Share of the probability that is sampled from. On a CPU prefer `min_p`: for `top_p` vLLM
    sorts the whole vocabulary, which took three fifths of the time with a model of 0.5B.
    """
    top_k: int | None = Field(default=None, ge=1)
    """How many of the likeliest tokens are sampled from."""
    min_p: float | None = Field(default=None, ge=0, le=1)
    """Least probability of a token that is sampled, as a share of the likeliest one's."""
    presence_penalty: float | None = None
    """Taken off the logit of every token that the completion holds already."""
    frequency_penalty: float | None = None
    """Likewise, once for each time it stands there."""
    repetition_penalty: float | None = Field(default=None, gt=0)
    """By which the logits of tokens seen before are divided; above 1 fewer are repeated."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion."""
    max_tokens: int = Field(default=1024, ge=1)
    """Most tokens of a completion. In no key: a larger value continues samples that were cut, a
    smaller one uses what was paid for.
    """

    def identity(self) -> dict[str, Any]:
        """Give the parameters that were set, without `max_tokens`, for the log key."""
        return self.model_dump(mode="json", exclude={"max_tokens"}, exclude_none=True)


@dataclass(frozen=True, slots=True)
class Request:
    """One sample to draw.

    Attributes:
        key: log key, given back with the completion.
        messages: chat turns, rendered by the model's own template; exclusive with `prompt`.
        prompt: plain text for base models.
        seed: per-sample seed, None unless the recipe asks for seeds.
        prefix: text of this completion drawn earlier, to be continued, not repeated.
        prefix_tokens: how many tokens of the budget the prefix has used.
        earlier: the prefix's own tokens, None where they are not known.
    """

    key: str
    messages: tuple[Message, ...] | None = None
    prompt: str | None = None
    seed: int | None = None
    prefix: str = ""
    prefix_tokens: int = 0
    earlier: Tokens | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back for one request.

    Attributes:
        text: the whole completion, prefix included, as the model wrote it.
        reasoning: a server's separate reasoning field.
        finish_reason: ``stop``, ``length`` or ``error`` (failed for good).
        completion_tokens: in the teacher's tokens, prefix included; None where not reported.
        prompt_tokens: in the teacher's tokens; None where not reported.
        error: message where `finish_reason` is ``error``.
        tokens: the teacher's own, of `text`; None where they are not known.
    """

    key: str
    text: str
    finish_reason: Literal["stop", "length", "error"]
    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    reasoning: str | None = None
    error: str | None = None
    tokens: Tokens | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Generator(Protocol):
    """Draws samples from one teacher under one `Sampling`."""

    def identity(self) -> Mapping[str, Any]:
        """Identify the teacher for the log key: model, revision, adapter, dtype, template args.

        Loads nothing: it is asked on every run, also where all samples are recorded.
        """
        ...

    def preflight(self, requests: Iterable[Request]) -> None:
        """Refuse, before anything is loaded or spent, what can be known not to work.

        Args:
            requests: all that will be asked, siblings together; consumed.

        Raises:
            InputError: a prompt does not fit the model's context.
        """
        ...

    def generate(self, requests: Iterable[Request], sink: Callable[[Completion], None]) -> None:
        """Draw every request, calling `sink` from this thread as each completes, in any order.

        `requests` is read lazily, at most twice the engine's batch ahead. Siblings of a question
        come one after another, so that they share a cached prompt.

        Raises:
            BackendError: the engine or server refused or died. What reached `sink` is safe.
        """
        ...

    def close(self) -> None:
        """Free the model or the connections; no process of ours stays behind."""
        ...


@runtime_checkable
class Reusable(Generator, Protocol):
    """A generator that can go on for another source of its teacher, with what is loaded."""

    def resample(self, sampling: Sampling) -> None:
        """Draw under another `Sampling` from now on."""
        ...
