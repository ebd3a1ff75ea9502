"""The student as a recipe names it, and how it is asked where the recipe leaves that open."""

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from curate.errors import ModelError
from curate.models.rendering import Layout
from curate.models.students.tokenizing import has_chat_template, is_encoder_decoder

DType = Literal["auto", "float32", "bfloat16", "float16", "served"]


class ScoreOptions(BaseModel):
    r"""The student and how it is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    student: str
    """Folder or Hub id of the model that will be trained."""
    revision: str | None = None
    """Commit, tag or branch; locked on first use where it is not given."""
    templates: tuple[str, ...] = Field(
        default=(" The answer is {answer}.", "\nAnswer: {answer}\n"), min_length=1
    )
    """Target lines, each with ``{answer}`` once; the first is the one the student will be trained
    on. What stands after the answer ends its span; where nothing does, the end of the turn or text.
    """
    calibrate: int = Field(default=64, ge=0)
    """Questions with a right and a wrong sibling on which the student is tested before it is
    trusted; 0 for no test, and then ``variant: masked`` abstains.
    """
    layout: Literal["chat", "plain"] | None = None
    """``chat`` or ``plain``; default chat where the tokenizer has a chat template."""
    mask: str = Field(default="___", min_length=1)
    """What the rationale's own final value is replaced by in `rd_masked`."""
    dtype: DType = "auto"
    """In which the student computes; ``auto`` is bfloat16 on an NVIDIA GPU, else float32;
    ``served``: the student is not loaded but asked where `runtime.student` says, which is slower.
    """
    per_token: bool = False
    """Also release the log-probability of every token of rationale and answer, the entropies of the
    rationale's (none of a served student), their ranks where a score reads them, and where each
    token ends, in columns of lists. What was scored without is run again and keeps its scores. A
    score that is made of them, such as `rsr`, needs no such word.
    """

    @field_validator("templates")
    @classmethod
    def _one_answer_each(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        for template in templates:
            if template.count("{answer}") != 1:
                raise ValueError(
                    f"template {template!r} must hold {{answer}} exactly once, for example "
                    "' The answer is {answer}.'"
                )
        return templates


def choose_layout(options: ScoreOptions, folder: Path) -> Layout:
    """Choose how a student is asked: by its architecture, the options, its tokenizer.

    Raises:
        ModelError: ``chat`` is wanted of a student without a chat template.
    """
    if is_encoder_decoder(folder):
        return "encoder"
    chats = has_chat_template(folder)
    if options.layout == "chat" and not chats:
        raise ModelError(
            f"layout 'chat' is wanted but the tokenizer of {options.student!r} has no chat "
            "template; drop `layout` under measures.score, or set it to plain"
        )
    return options.layout or ("chat" if chats else "plain")


def choose_dtype(dtype: DType) -> str:
    """Choose the type a student computes in, without asking torch, which takes seconds to load."""
    if dtype != "auto":
        return dtype
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}
    return "bfloat16" if Path("/dev/nvidiactl").exists() and not hidden else "float32"
