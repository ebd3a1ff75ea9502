"""How a source's text is read, as its recipe says: what parsing needs to know of it."""

from pydantic import BaseModel, ConfigDict, Field


class AnswerOptions(BaseModel):
    r"""How to find the answer in a source's text.

    Attributes:
        after: strings after which the answer stands ("The answer is", "\nA:"); the last one in
            the text counts and no other form is tried. Empty: all known forms.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: tuple[str, ...] = ()


class TextOptions(BaseModel):
    """How a source's text is read.

    Attributes:
        answer: how to find the answer.
        stop: strings at which run-on text is cut before anything else, at the first of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer: AnswerOptions = Field(default_factory=AnswerOptions)
    stop: tuple[str, ...] = ()
