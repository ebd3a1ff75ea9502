"""The recipe's `questions` block: which columns hold what, and how an answer is taken from one."""

import re
from collections.abc import Mapping, Sequence
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
    """A column holding a list of options, or an object with `text` and `label` lists, or a list of
    such objects (the Hub's usual forms); or several columns, one an option; or where in a text they
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
        """Read the options of one row; None where it has none."""
        if self.choices is None:
            return None
        if isinstance(self.choices, ChoicesInText):
            choices = Choices(self.choices.find(row))
        elif isinstance(self.choices, str):
            choices = _listed(cell(row, self.choices), self.choices)
        else:
            values = [text(cell(row, path), path) for path in self.choices]
            choices = Choices([value for value in values if value is not None])
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


def _listed(value: object, column: str) -> Choices:
    """Read the forms in which data sets keep options."""
    if isinstance(value, Mapping):
        both = cast("Mapping[str, Sequence[object]]", value)
        return Choices(_texts(both.get("text"), column), _texts(both.get("label"), column))
    items = cast("Sequence[object]", value or ())
    if items and isinstance(items[0], Mapping):
        options = cast("Sequence[Mapping[str, object]]", items)
        return Choices(
            _texts([option.get("text") for option in options], column),
            _texts([option.get("label") for option in options], column),
        )
    return Choices(_texts(items, column))


def _texts(values: Sequence[object] | None, column: str) -> list[str]:
    return [content for value in values or () if (content := text(value, column)) is not None]
