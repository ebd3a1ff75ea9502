"""How a source's text is read, as its recipe says: what parsing needs to know of it."""

from pydantic import BaseModel, ConfigDict, Field


class AnswerOptions(BaseModel):
    r"""How to find the answer in a source's text."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    after: tuple[str, ...] = ()
    r"""Strings after which the answer stands ("The answer is", "\nA:"); the last one in the text
    counts and no other form is tried. Empty: all known forms.
    """


class TextOptions(BaseModel):
    """How a source's text is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    answer: AnswerOptions = Field(default_factory=AnswerOptions)
    """How to find the answer."""
    stop: tuple[str, ...] = ()
    """Strings at which run-on text is cut before anything else, at the first of them."""
