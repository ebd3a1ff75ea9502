"""Sources that ask a teacher: which samples are wanted, which must be drawn, what rows come.

The drawing itself is a `Generator`'s and the remembering the engine's: everything here is a pure
function of the subjects, the source and what the record holds, so that a run killed at any moment
asks exactly for what it lacks. A *subject* is what a teacher is asked about: a question, or a
question and a sample of it that another is made from. What a source of this kind asks is what it
lists as `draws`; all else (keys, resuming, replay, forecast) follows from that.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
from pydantic import Field

from curate.errors import RecordError, count_of
from curate.models.teachers.base import Completion, Request, Sampling
from curate.models.teachers.options import DType, Teacher
from curate.models.teachers.tokens import Tokens
from curate.sources.adaptive import Adaptive
from curate.sources.base import Source
from curate.sources.templates import (
    VARIABLES,
    PromptTemplate,
    Rendered,
    TemplateFile,
    load_template,
)
from curate.store.keys import key, rank, short_id
from filters.columns import SOURCE_COLUMNS, TOKEN_COLUMNS
from filters.conditions import Condition

SUBJECT_COLUMNS: Final = ("parent_id", "round", "gold_shown", "pass")
"""What is known of the sample that another is made from, beside what its prompt reads: its id, its
own round, whether its writer saw the known answer, and how often the source has gone on by now.
"""
TOKENS_SCHEMA: Final = {"sample_id": pl.String(), **TOKEN_COLUMNS}
"""Of what is known of the teachers' own tokens."""

Lookup = Callable[[str], Mapping[str, Any] | None]
"""Gives what the record holds under a log key: a value made by `record_value`, or None."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One sample that a source wants.

    Attributes:
        question_id: of its question.
        index: which draw it is, of the question or of the sample it is made from, from 0.
        request: what the teacher is asked.
        parent_id: the sample it is made from; None where it is made from the question alone.
        round: how many samples it goes back on, one made from the other.
        gold_shown: whether who wrote one of these saw the known answer.
    """

    question_id: str
    index: int
    request: Request
    parent_id: str | None = None
    round: int = 0
    gold_shown: bool = False


class SampledSource(Source):
    """A source whose rows a teacher is asked for."""

    model: str = Field(min_length=1)
    """Hub id, folder, or the name under which a server offers it."""
    revision: str | None = None
    """Commit to pin; locked on first use where it is left out."""
    dtype: DType | None = None
    """Precision of the weights under vLLM; chosen for the machine and locked on first use where it
    is left out, because it changes what is sampled.
    """
    prompt: str | TemplateFile = "cot"
    """``cot``, ``cot-short`` (worked examples; brief), ``cot-fewshot`` (base models),
    ``gold-shown``; ``level-1`` (a bare sketch) to ``level-6`` (every step spelled out) and
    ``format-plain``, ``format-sub-questions``, ``format-rephrase`` and ``format-symbolic``, which
    show the known answer too; or ``{file: mine.jinja}``, a template of your own.
    """
    sampling: Sampling = Sampling()
    """How they are drawn; only what is set is sent."""
    seeds: bool = False
    """Give every sample a seed of its own, so that an engine can repeat it alone; off by default,
    since seeded sampling is slower and most servers do not keep the promise.
    """
    template_args: dict[str, Any] = Field(default_factory=dict)
    """For the model's chat template, as ``{enable_thinking: false}``."""

    @property
    def writer(self) -> str:
        """The model."""
        return self.model

    @property
    def parent(self) -> str | None:
        """The source whose samples its own are made from; None where questions suffice."""
        return None

    @property
    def conditions(self) -> Mapping[str, Condition]:
        """What holds of the samples that it goes on from, by filter or column."""
        return {}

    @property
    def most_rounds(self) -> int:
        """How often it goes on from what it made itself, the first time included."""
        return 1

    @property
    def adaptive(self) -> Adaptive | None:
        """As many samples as it takes; None where it is known before they are judged."""
        return None

    @property
    def asked_about(self) -> Sequence[str] | None:
        """Whose questions it is about: names of sources, "" for the recipe's; None for all."""
        return None

    @property
    def in_words(self) -> str:
        """How many samples it asks for, where `wanted` can't say."""
        return ""

    @property
    def variables(self) -> tuple[str, ...]:
        """What its prompt may read."""
        return VARIABLES

    def texts(self) -> Sequence[str]:
        """Name the file of its prompt, where it is one of the recipe's own."""
        return (self.prompt.file,) if isinstance(self.prompt, TemplateFile) else ()

    def template(self, folder: Path) -> PromptTemplate:
        """Read its prompt.

        Args:
            folder: of the recipe.

        Raises:
            InputError: there is no such template, or it is wrong.
        """
        return load_template(self.prompt, folder, self.variables)

    def teacher(self) -> Teacher:
        """Give the teacher as the backends know it."""
        return Teacher(self.model, self.revision, self.dtype, self.template_args)

    def sampling_for(self, template: PromptTemplate) -> Sampling:
        """Add the template's stop strings to those of the recipe."""
        stop = tuple(dict.fromkeys((*self.sampling.stop, *template.stop)))
        return self.sampling.model_copy(update={"stop": stop})

    @abstractmethod
    def draws(
        self, subjects: pl.DataFrame, template: PromptTemplate, identity: Mapping[str, Any]
    ) -> Iterator[Draw]:
        """List every sample wanted, siblings together so that they share a cached prompt.

        Args:
            subjects: rows with ``question_id`` and the template's `variables`, as far as it reads
                them, and where it has a `parent`, `SUBJECT_COLUMNS`; each of them is sampled, so
                quarantined questions must not be among them.
            template: of its prompt.
            identity: of the teacher, as its generator gives it.
        """

    @abstractmethod
    def wanted(self, questions: int) -> int | None:
        """Count the samples wanted of so many questions; None where that takes their samples."""

    def rows(
        self,
        subjects: pl.DataFrame,
        template: PromptTemplate,
        identity: Mapping[str, Any],
        lookup: Lookup,
    ) -> pl.DataFrame:
        """Make the rows, one a draw, a draw that failed for good included.

        Args:
            subjects: as in `draws`, in the order the rows shall have.
            template: of its prompt.
            identity: of the teacher.
            lookup: into the record.

        Returns:
            The columns of `SOURCE_COLUMNS`.

        Raises:
            RecordError: the record lacks samples, which is only possible where they were not asked
                for (a replay).
        """
        columns: dict[str, list[Any]] = {name: [] for name in SOURCE_COLUMNS}
        wanted = lacking = 0
        for draw in self.draws(subjects, template, identity):
            wanted += 1
            value = lookup(draw.request.key)
            if value is None:
                lacking += 1
                continue
            row = self._row(draw, value, template)
            for name, cells in columns.items():
                cells.append(row[name])
        if lacking:
            raise RecordError(
                f"source {self.name!r}: the record lacks {lacking:,} of "
                f"{count_of(wanted, 'sample')}; run without --replay to draw them"
            )
        return pl.DataFrame(columns, schema=dict(SOURCE_COLUMNS))

    def tokens(
        self,
        subjects: pl.DataFrame,
        template: PromptTemplate,
        identity: Mapping[str, Any],
        lookup: Lookup,
    ) -> pl.DataFrame:
        """Give the teacher's own tokens of the rows that `rows` makes.

        Returns:
            ``sample_id`` and `TOKEN_COLUMNS`; samples whose tokens nobody recorded are left out.
        """
        drawn = (
            (draw, Tokens.from_json((lookup(draw.request.key) or {}).get("tokens")))
            for draw in self.draws(subjects, template, identity)
        )
        columns = [(self._id(draw), list(t.ends), list(t.logprobs)) for draw, t in drawn if t]
        return pl.DataFrame(columns, schema=TOKENS_SCHEMA, orient="row")

    def _id(self, draw: Draw) -> str:
        return short_id(self.name, draw.question_id, draw.request.key)

    def _row(
        self, draw: Draw, value: Mapping[str, Any], template: PromptTemplate
    ) -> dict[str, Any]:
        return {
            "sample_id": self._id(draw),
            "question_id": draw.question_id,
            "sample_index": draw.index,
            "source": self.name,
            "teacher": self.model,
            "prompt_id": template.name,
            "parent_id": draw.parent_id,
            "round": draw.round,
            "gold_shown": template.gold_shown or draw.gold_shown,
            "raw_output": value["text"],
            "reasoning_field": value.get("reasoning"),
            "finish_reason": value["finish_reason"],
            "error": value.get("error"),
            "completion_tokens": value["completion_tokens"],
            "seed": draw.request.seed,
        }


def prompt_key(identity: Mapping[str, Any], rendered: Rendered, sampled: Mapping[str, Any]) -> str:
    """Hash what the siblings of a question share: teacher, rendered prompt, sampling."""
    return key(identity, rendered.messages, rendered.prompt, sampled)


def request_of(
    stem: str, rendered: Rendered, index: int, *, seeded: bool, again: int = 0
) -> Request:
    """Ask for one of the samples that share a rendered prompt.

    Args:
        stem: what they share, as `prompt_key` gives it.
        rendered: the prompt.
        index: which of them it is.
        seeded: whether it gets a seed of its own.
        again: as for `log_key`.
    """
    seed = seed_of(stem, index, again) if seeded else None
    name = log_key(stem, index, seed, again)
    return Request(key=name, messages=rendered.messages, prompt=rendered.prompt, seed=seed)


def log_key(stem: str, index: int, seed: int | None = None, again: int = 0) -> str:
    """Key one sample.

    Args:
        stem: what its siblings share.
        index: which of them it is.
        seed: part of it only where the recipe asks for seeds.
        again: how often its source has gone on; part of it only behind the first, where a text may
            come round again.
    """
    more = [] if seed is None else [seed]
    return key(stem, index, *more, *([f"round {again}"] if again > 1 else []))


def seed_of(stem: str, index: int, again: int = 0) -> int:
    """Give a sample a seed of its own; the arguments are those of `log_key`."""
    return rank("seed", stem, index, *([again] if again > 1 else [])) % 2**31


def readable(lookup: Lookup, odd: set[str] | None = None) -> Lookup:
    """Take entries that are no samples for none, so that they are drawn anew.

    Args:
        lookup: into the record.
        odd: takes the keys of such entries.
    """

    def look(key: str) -> Mapping[str, Any] | None:
        value = lookup(key)
        if value is None or is_sample(value):
            return value
        if odd is not None:
            odd.add(key)
        return None

    return look


def is_sample(value: Mapping[str, Any]) -> bool:
    """Tell whether an entry of the record is what `record_value` makes."""
    counts = (value.get("completion_tokens"), value.get("prompt_tokens"), value.get("max_tokens"))
    texts = (value.get("reasoning"), value.get("error"))
    return (
        isinstance(value.get("text"), str)
        and value.get("finish_reason") in {"stop", "length", "error"}
        and all(count is None or type(count) is int for count in counts)
        and all(text is None or isinstance(text, str) for text in texts)
    )


def missing(
    draws: Iterator[Draw], lookup: Lookup, max_tokens: int, retry: str | None = None
) -> Iterator[Request]:
    """Keep what must still be asked, with the text to be continued where a sample was cut.

    Args:
        draws: of the source.
        lookup: into the record; asked lazily, as requests are taken.
        max_tokens: that the recipe asks for now.
        retry: which samples that were drawn are to be drawn again, see `is_retried`.
    """
    for draw in draws:
        value = lookup(draw.request.key)
        if value is not None and retry is not None and is_retried(value, retry):
            value = None
        request = due(draw.request, value, max_tokens)
        if request is not None:
            yield request


def is_retried(value: Mapping[str, Any], which: str) -> bool:
    """Tell whether a sample is one of those to be drawn again.

    Args:
        value: as recorded.
        which: ``failed`` for all that failed for good, ``empty`` for those without any text, else
            those whose error has these words in it.
    """
    if which == "empty":
        return value["finish_reason"] == "stop" and not (value["text"] or value.get("reasoning"))
    error = value.get("error") or "" if value["finish_reason"] == "error" else None
    return error is not None and (which == "failed" or which.lower() in error.lower())


def due(request: Request, value: Mapping[str, Any] | None, max_tokens: int) -> Request | None:
    """Decide whether a sample must be drawn, continued or left alone.

    A sample that ended at a smaller token limit is continued, unless a server kept its reasoning
    apart, since there is no way to hand that back. A smaller limit than the recorded one uses what
    was paid for, and what failed for good is not asked again.
    """
    if value is None:
        return request
    if value["finish_reason"] != "length" or value["max_tokens"] >= max_tokens:
        return None
    if value.get("reasoning"):
        return request
    return Request(
        key=request.key,
        messages=request.messages,
        prompt=request.prompt,
        seed=request.seed,
        prefix=value["text"],
        prefix_tokens=value["completion_tokens"] or value["max_tokens"],
        earlier=Tokens.from_json(value.get("tokens")),
    )


def record_value(completion: Completion, max_tokens: int) -> dict[str, Any]:
    """Turn a completion into what the record keeps under its log key, JSON-able."""
    value: dict[str, Any] = {
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "completion_tokens": completion.completion_tokens,
        "max_tokens": max_tokens,
    }
    optional = {
        "prompt_tokens": completion.prompt_tokens,
        "reasoning": completion.reasoning,
        "error": completion.error,
        "tokens": completion.tokens and completion.tokens.as_json(),
        "extra": dict(completion.extra),
    }
    return value | {name: detail for name, detail in optional.items() if detail}
