r"""Prompt templates: how a question becomes what a teacher reads.

A template is a Jinja file whose named blocks are the turns of a chat, ``system`` (optional) and
``user``, or the one block ``prompt`` of a base model. Worked examples are turns before the
question: ``user_1``, ``assistant_1``, ``user_2`` ... ``{% set stop = ["\nQuestion:"] %}`` names
strings that end a completion. It may read `VARIABLES` and nothing else; whether it reads the gold
is found in its syntax tree, not declared. Blocks were chosen over a list of turns in YAML because
a template then stays readable text, and over one text with separators because a question may hold
any separator. A template of a source that goes on from samples may read `PARENT_VARIABLES` too; one
that asks ``{% if rationale is defined %}`` serves other sources as well.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Final, cast

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict

from curate.errors import InputError
from curate.models.teachers.base import Message
from curate.store.keys import key
from filters.answers import without_options

VARIABLES: Final = ("question", "gold", "gold_type", "choices", "domain")
"""Columns of a question that a template may read."""
PARENT_VARIABLES: Final = ("rationale", "answer", "output", "problem")
"""What a template may read beside, where samples are made of samples: the other's reasoning, its
answer, all that was written, and what was wrong with it (null where nothing was).
"""

CHAT_BLOCKS: Final = {"system", "user"}
PLAIN_BLOCKS: Final = {"prompt"}
_EXAMPLE: Final = re.compile(r"(?:user|assistant)_([1-9]\d*)")

_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
)


class TemplateFile(BaseModel):
    """A template of the user's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    file: str
    """Path of the Jinja file, relative to the recipe."""


@dataclass(frozen=True)
class PromptTemplate:
    """A template that was read and checked.

    Attributes:
        name: written into ``prompt_id``: a shipped template's name, or the file's stem and the
            first digits of its digest, since a file may change under the same name.
        digest: of the text, for the lock file.
        stop: strings that end a completion, added to those of the recipe.
        gold_shown: whether the teacher gets to see the known answer.
        variables: what it may read.
    """

    name: str
    text: str
    digest: str
    stop: tuple[str, ...]
    gold_shown: bool
    variables: tuple[str, ...] = VARIABLES

    @cached_property
    def _compiled(self) -> Template:
        return _ENVIRONMENT.from_string(self.text)

    @property
    def chat(self) -> bool:
        """Whether it makes chat turns, not the plain prompt of a base model."""
        return "user" in self._compiled.blocks

    def render(self, row: Mapping[str, Any]) -> "Rendered":
        """Render one question.

        Args:
            row: of the questions' table, for a sample made of another with what is known of
                that; columns beyond `variables` are not seen.

        Raises:
            InputError: the template fails on this question.
        """
        values = {name: row.get(name) for name in self.variables}
        values["question"] = without_options(str(row["question"]), row.get("choices"))
        if not self.chat:
            return Rendered(prompt=self._block("prompt", values))
        texts = {name: self._block(name, values).strip() for name in self._turns}
        for number in _examples(texts):
            if bool(texts[f"user_{number}"]) != bool(texts[f"assistant_{number}"]):
                raise InputError(
                    f"template {self.name!r} leaves half of worked example {number} empty for the "
                    f"question {str(values['question'])[:80]!r}: give user_{number} and "
                    f"assistant_{number} one guard"
                )
        turns = [
            {"role": name.partition("_")[0], "content": text}
            for name, text in texts.items()
            if text
        ]
        return Rendered(messages=tuple(turns))

    @cached_property
    def _turns(self) -> list[str]:
        """Name the chat's blocks in the order of its turns."""
        blocks = self._compiled.blocks
        examples = [f"{role}_{n}" for n in _examples(blocks) for role in ("user", "assistant")]
        return [*(["system"] if "system" in blocks else []), *examples, "user"]

    def _block(self, name: str, values: Mapping[str, Any]) -> str:
        context = self._compiled.new_context(dict(values))
        try:
            return "".join(self._compiled.blocks[name](context))
        except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
            raise InputError(
                f"template {self.name!r}, block {name!r}, fails on the question "
                f"{str(values['question'])[:80]!r}: {error}; guard optional columns with "
                "{% if choices %}, since they are null where a question has none"
            ) from error


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a teacher is asked: chat turns or a plain prompt, one of the two."""

    messages: tuple[Message, ...] | None = None
    prompt: str | None = None


def load_template(
    prompt: str | TemplateFile,
    folder: Path | None = None,
    variables: tuple[str, ...] = VARIABLES,
) -> PromptTemplate:
    """Read a shipped template by name, or a file.

    Args:
        prompt: what the recipe says under ``prompt``.
        folder: of the recipe, for a relative file; by default the working folder.
        variables: what it may read.

    Raises:
        InputError: there is no such template, it is no valid Jinja, has other blocks than those
            above, or reads something that is no variable of a question.
    """
    if isinstance(prompt, TemplateFile):
        path = (folder or Path()) / prompt.file
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{prompt.file!r} cannot be read as a template: {error}; give the path of a "
                "UTF-8 Jinja file relative to the recipe",
                where="prompt.file",
            ) from error
        return parse_template(f"{path.stem}-{key(text)[:8]}", text, variables)
    names = shipped_templates()
    if prompt not in names:
        close = difflib.get_close_matches(prompt, names, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise InputError(
            f"{prompt!r} is no shipped template; {hint}there are {', '.join(names)}, or name "
            "your own with prompt: {file: mine.jinja}",
            where="prompt",
        )
    text = _folder().joinpath(f"{prompt}.jinja").read_text("utf-8")
    return parse_template(prompt, text, variables)


def shipped_templates() -> list[str]:
    """Name the prompts that come with the package; others beside them say what they make."""
    names = [entry.name for entry in _folder().iterdir() if entry.name.endswith(".jinja")]
    return sorted(name.removesuffix(".jinja") for name in names if name.count(".") == 1)


def parse_template(name: str, text: str, variables: tuple[str, ...] = VARIABLES) -> PromptTemplate:
    """Check a template's text: its blocks, what it reads, its stop strings.

    Raises:
        InputError: as `load_template`.
    """
    try:
        tree = _ENVIRONMENT.parse(text)
    except TemplateSyntaxError as error:
        raise InputError(
            f"template {name!r}, line {error.lineno}: {error.message}; it must be valid Jinja",
            where="prompt",
        ) from error
    blocks = {block.name for block in tree.find_all(nodes.Block)}
    pairs = {f"{role}_{n}" for n in _examples(blocks) for role in ("user", "assistant")}
    chat = "user" in blocks and blocks >= pairs and blocks <= CHAT_BLOCKS | pairs
    if not (blocks == PLAIN_BLOCKS or chat):
        raise InputError(
            f"template {name!r} has the blocks {sorted(blocks)}; wanted is {{% block user %}} "
            "with or without {% block system %} and worked examples ({% block user_1 %} and "
            "{% block assistant_1 %}, then 2 ...) for a chat model, or {% block prompt %} alone "
            "for a base model",
            where="prompt",
        )
    reads = meta.find_undeclared_variables(tree) - {"stop"}
    guarded = _guarded(tree) & set(PARENT_VARIABLES)
    for variable in sorted(reads - guarded - set(variables)):
        close = difflib.get_close_matches(variable, variables, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        if variable in PARENT_VARIABLES:
            hint = "that is known of a sample which `use: rewrite` goes on from; "
        raise InputError(
            f"template {name!r} reads {variable!r}; {hint}there are {', '.join(variables)}",
            where="prompt",
        )
    return PromptTemplate(
        name=name,
        text=text,
        digest=key(text),
        stop=_stop_strings(name, tree),
        gold_shown="gold" in reads,
        variables=variables,
    )


def _examples(blocks: Iterable[str]) -> list[int]:
    """Give the numbers of the worked examples among the blocks, in order."""
    return sorted({int(match[1]) for block in blocks if (match := _EXAMPLE.fullmatch(block))})


def _guarded(tree: nodes.Template) -> set[str]:
    """Name the variables that a template asks for whether they are there: ``x is defined``."""
    tests = (test for test in tree.find_all(nodes.Test) if test.name == "defined")
    return {test.node.name for test in tests if isinstance(test.node, nodes.Name)}


def _folder() -> Any:
    return resources.files("curate.sources") / "prompts"


def _stop_strings(name: str, tree: nodes.Template) -> tuple[str, ...]:
    """Read ``{% set stop = [...] %}`` without running the template."""
    for assign in tree.find_all(nodes.Assign):
        if isinstance(assign.target, nodes.Name) and assign.target.name == "stop":
            value = _constant(assign.node)
            if isinstance(value, list):
                texts = [s for s in cast("list[object]", value) if isinstance(s, str) and s]
                if len(texts) == len(cast("list[object]", value)):
                    return tuple(texts)
            raise InputError(
                f"template {name!r} sets stop to something that is not a list of strings; write "
                r'{% set stop = ["\nQuestion:"] %}',
                where="prompt",
            )
    return ()


def _constant(node: nodes.Node) -> object:
    try:
        return node.as_const() if isinstance(node, nodes.Expr) else None
    except nodes.Impossible:
        return None
