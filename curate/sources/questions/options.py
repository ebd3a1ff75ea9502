"""The recipe's `questions` block: which columns hold what, and how an answer is taken from one."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from string import ascii_uppercase
from typing import Annotated, NamedTuple, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from curate.sources.tables import TableOptions
from curate.sources.tables.cells import cell, joined, text
from filters.answers import GoldType, canonical, designated


def _one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    if groups != 1:
        raise ValueError(f"{pattern!r} has {groups} groups, wanted one, around what to take")
    return pattern


OneGroup = Annotated[str, AfterValidator(_one_group)]
"""A regular expression with one group, which says what to take."""

_BY_LETTER = re.compile(r"(?:op(?:tion)?[_ ]?)?([A-Za-z]|\d)", re.IGNORECASE)
_MARKED = re.compile(r"\s*\(?([A-Za-z])[).:]\s*(\S.*)", re.DOTALL)

Columns = str | Annotated[tuple[str, ...], Field(min_length=1)]
"""A column (or dotted path, see `curate.sources.tables.cells.cell`), or several."""


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Choices(NamedTuple):
    """Options of a question, in order.

    Attributes:
        texts: the options.
        labels: what the source calls them where it says so (``A`` or ``1``), else empty.
    """

    texts: Sequence[str]
    labels: Sequence[str] = ()


class Gold(NamedTuple):
    """A known answer as it stands in the source.

    Attributes:
        text: the answer; the whole column where `extract` found nothing.
        found: false where `extract` found nothing.
    """

    text: str
    found: bool = True


class ChoicesInText(_Options):
    """Options that stand inside a text, such as ``Answer choices: (A) one, (B) two``."""

    column: str
    """Holds the text."""
    after: str = ""
    """Look only behind the last place where this stands."""
    pattern: OneGroup
    """Finds one option after another; its group is the option's text."""

    def find(self, row: object) -> list[str]:
        """Find the options in one row's text."""
        whole = joined(row, self.column) or ""
        tail = whole.rsplit(self.after, 1)[-1] if self.after else whole
        return [option.strip() for option in re.findall(self.pattern, tail)]


class QuestionColumns(_Options):
    """Which column holds what."""

    question: Columns = "question"
    """The text; several columns are joined by a space. A nested column is written ``a.b``."""
    gold: str = "answer"
    """The known answer."""
    choices: Columns | ChoicesInText | None = None
    """A column holding a list of options, an object with `text` and `label` lists, a list of such
    objects, an object by letter, or any of these written as text (the usual forms of data sets,
    labels that stand before the texts taken off); or several columns, one an option; or where in a
    text they
    stand: ``{column: ..., after: ..., pattern: ...}``, the last with one group, around an option.
    Left out, options in the question itself are found for golds of type choice (``(A) one, (B)
    two`` and ``A: one, B: two``).
    """
    group: str | None = None
    """Questions of a group never straddle a split; by default each is its own."""
    domain: str | None = None
    """For quotas and reports."""
    rationale: str | None = None
    """The source's own worked solution, for a `gold` source."""
    licence: str | None = None
    """The row's terms."""
    id: str | None = None
    """The id the questions come with, for joins by id."""

    def paths(self) -> list[str]:
        """List all columns named."""
        choices = self.choices.column if isinstance(self.choices, ChoicesInText) else self.choices
        paths: list[str] = []
        for spec in (
            self.question,
            self.gold,
            choices,
            self.group,
            self.domain,
            self.rationale,
            self.licence,
            self.id,
        ):
            paths += [spec] if isinstance(spec, str) else list(spec or ())
        return list(dict.fromkeys(paths))

    def fact(self, row: object, column: str | None) -> str | None:
        """Read an optional column as text."""
        return None if column is None else text(cell(row, column), column)

    def options(self, row: object) -> Choices | None:
        """Read the options of one row; None where it has none.

        Raises:
            OptionsError: they are kept in no known form.
        """
        if self.choices is None:
            return None
        if isinstance(self.choices, ChoicesInText):
            choices = Choices(self.choices.find(row))
        elif isinstance(self.choices, str):
            choices = _listed(cell(row, self.choices), self.choices)
        else:
            choices = _labelled([text(cell(row, path), path) for path in self.choices], ())
        return choices if choices.texts else None


class GoldOptions(_Options):
    r"""How the known answer is taken and compared."""

    type: GoldType
    """How answers are compared."""
    extract: OneGroup | None = None
    r"""Pattern with one group that finds the answer in its column, as ``'Answer:\s*(.+)'``; by
    default what stands in a box (``\boxed{...}``) or behind the last ``####`` is taken, and all of
    it where there is neither.
    """
    index_from: int | None = None
    """The column holds an option's place, counted from this number."""
    max_refused: float = Field(default=0.5, ge=0, le=1)
    """Largest share of rows whose gold may fail its own verifier."""

    def take(self, row: object, column: str, choices: Choices | None) -> "Gold | None":
        """Take the answer's text from a row; None where there is none."""
        value = cell(row, column)
        whole = text(value, column)
        if whole is None or not whole.strip():
            return None
        raw = whole.strip()
        if self.extract:
            match = re.search(self.extract, whole)
            if match is None:
                return Gold(raw, found=False)
            raw = match[1].strip()
        elif isinstance(value, str):
            raw = designated(raw)
        else:
            raw = self._written(raw)
        if choices and self.index_from is not None and raw.isdecimal():
            return Gold(_letter(int(raw) - self.index_from))
        if choices and raw in choices.labels:
            return Gold(_letter(choices.labels.index(raw)))
        return Gold(raw)

    def _written(self, value: str) -> str:
        """Write a number or truth value that came as such and not as text: 18, not 18.0."""
        key = canonical(value, self.type) if self.type in {"number", "boolean"} else None
        return {"true": "yes", "false": "no"}.get(key or "", key or value)


class QuestionsOptions(TableOptions):
    """The recipe's `questions` block."""

    columns: QuestionColumns = QuestionColumns()
    """Which column of the files holds what."""
    gold: GoldOptions
    """How the known answers are read."""
    limit: int | None = Field(default=None, ge=1)
    """Use only the first so many usable questions; ``--limit`` says another number."""


def _letter(place: int) -> str:
    """Name an option by its place, A first; a place without a letter is named by its number."""
    return ascii_uppercase[place] if 0 <= place < len(ascii_uppercase) else str(place)


class OptionsError(ValueError):
    """What stands where options are wanted is none of the forms in which they are kept."""


def _listed(value: object, column: str) -> Choices:
    """Read the forms in which data sets keep options.

    Raises:
        OptionsError: it is none of them, or an option within is null, so that letters would shift.
    """
    if isinstance(value, str):
        value = _parsed(value, column)
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, object]", value)
        if isinstance(fields.get("text"), Sequence) and not isinstance(fields.get("text"), str):
            return _labelled(_items(fields["text"], column), _items(fields.get("label"), column))
        names = sorted(fields)
        if names and all(_BY_LETTER.fullmatch(name) for name in names):
            texts = [text(fields[name], column) for name in names]
            return _labelled(texts, [name[-1].upper() for name in names])
        raise OptionsError(f"an object of {', '.join(names)}; wanted options by letter, or `text`")
    items = _items(value, column)
    if items and all(isinstance(item, Mapping) for item in items):
        rows = cast("Sequence[Mapping[str, object]]", items)
        return _labelled(
            [text(row.get("text"), column) for row in rows], [row.get("label") for row in rows]
        )
    return _labelled([text(item, column) for item in items], ())


def _parsed(written: str, column: str) -> object:
    """Read a list or an object that was written as text, as a table of text files has it."""
    bare = written.strip()
    if not bare:
        return None
    if bare[:1] in "[{(":
        for read in (json.loads, ast.literal_eval):
            with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
                return read(bare)
    raise OptionsError(
        f"column {column!r} holds text ({bare[:40]!r}), wanted a list of options; take them out of "
        "the text with {column, pattern}"
    )


def _items(value: object, column: str) -> list[object]:
    if value is None:
        return []
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(cast("Sequence[object]", value))
    raise OptionsError(f"column {column!r} holds {str(value)[:40]!r}, wanted a list of options")


def _labelled(texts: Sequence[object], labels: Sequence[object]) -> Choices:
    """Make choices, labels that stand before the texts taken off and nulls at the end left out."""
    last = max((place for place, item in enumerate(texts) if item is not None), default=-1)
    options = list(texts[: last + 1])
    if None in options:
        raise OptionsError(f"option {_letter(options.index(None))} is null, and another follows it")
    names = [str(label) for label in labels[: last + 1] if label is not None]
    written = [str(option) for option in options]
    marks = [_MARKED.fullmatch(option) for option in written]
    if len(written) > 1 and all(
        mark and mark[1].upper() == _letter(place) for place, mark in enumerate(marks)
    ):
        written = [mark[2] for mark in marks if mark]
    return Choices(written, names if len(names) == len(written) else ())
