"""The recipe's ``effect`` section: what is trained on which arms, and what is asked afterwards."""

from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from curate.models.students.methods import Method
from curate.release.effect.words import RANDOM
from curate.sources.questions.options import QuestionsOptions

ARMS: Final = ("untrained", "random", "random_correct", "selected")
"""What every comparison needs: the student alone, chance, and what was chosen."""
Match = Literal["tokens", "rows"]
Overlap = Literal["refuse", "drop"]
_APART: Final = frozenset({"test", "student", "executor", "workers"})
"""Options that change nothing of what comes out, and the test, of which more is known elsewhere."""


class EffectOptions(BaseModel):
    """Students trained on arms of a finished run and asked a test: the section ``effect``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    test: QuestionsOptions | None = None
    """Questions with known answers, of which the pool has none; keys as of `questions`. A relative
    path starts where the command is given; ``--test FILE`` names another.
    """
    student: str | None = None
    """Where the student lies that the run was scored for, where that was a folder."""
    arms: tuple[str, ...] = ARMS
    """``untrained``, ``selected``, ``answer_only``, ``longest``, ``wrong`` (wrong samples as they
    are, to see whether harm is seen), an arm of the run, or any arm that a recipe may name but
    those of the form ``without:FILTER``. Random arms are drawn anew for every training.
    """
    baseline: str = RANDOM
    """The arm that all others are compared with."""
    seeds: int = Field(default=3, ge=1)
    """Trainings of each arm; of one alone nothing can be concluded."""
    match: Match = "tokens"
    """What all arms have as much of, beside updates: ``tokens`` that the student is to say, or
    ``rows``. Arms of answers alone are matched by rows, for so few tokens would be repeated often.
    """
    epochs: float = Field(default=3, gt=0)
    """How often the selection is gone over; other arms have as many tokens, or rows."""
    batch: int = Field(default=16, ge=1)
    """Rows of the selection in an update."""
    micro_batches: int = Field(default=4, ge=1)
    """Parts of an update, computed one after another: more of them need less memory. On a CPU four
    rows a part are the fastest.
    """
    method: Method = "lora"
    """Low-rank adapters of all linear layers, or all weights (``full``)."""
    rank: int = Field(default=16, ge=1)
    """Of the adapters; their scale is twice as much."""
    learning_rate: float | None = Field(default=None, gt=0)
    """The highest; by default 2e-4 for adapters and 2e-5 for all weights."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """In which the network computes: ``auto`` for bfloat16 where the machine multiplies it itself.
    """
    answer_tokens: int = Field(default=320, ge=1)
    """Most tokens of an answer."""
    answering: Literal["auto", "transformers", "vllm"] = "auto"
    """What answers: ``auto`` for vLLM where it is installed and there is so much to ask that its
    start is worth it, else transformers.
    """
    overlap: Overlap = "refuse"
    """Where the pool has a test question, or nearly: ``refuse`` the test, or ``drop`` the question.
    """
    executor: Literal["local", "ray"] = "local"
    """Where trainings run: on this machine, or on a ``ray`` cluster whose nodes see the store."""
    workers: int | None = Field(default=None, ge=1)
    """Trainings at a time; by default one for each GPU, or one here where there is none. Each has a
    GPU of its own, or its share of the cores.
    """

    @model_validator(mode="after")
    def _baseline_is_an_arm(self) -> Self:
        if self.baseline not in {RANDOM, *self.arms}:
            raise ValueError(f"baseline {self.baseline!r} is none of the arms; name it there too")
        return self

    @property
    def design(self) -> dict[str, Any]:
        """What decides what comes out of the same test."""
        return self.model_dump(mode="json", exclude=set(_APART))
