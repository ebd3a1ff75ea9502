"""The recipe's ``select`` section: the order of a question's samples, and how many are taken."""

from collections.abc import Collection
from decimal import Decimal
from typing import Final, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from curate.errors import count_of
from curate.select.orders import Key, columns_of
from curate.select.quota import Quota

EXTRAS: Final = ("stage", "weight")
"""Columns that are made beside a selection where its options ask for them."""


class Budget(BaseModel):
    """How much to take; exactly one of the three."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rows: int | None = Field(default=None, ge=1)
    """Number of samples."""
    tokens: int | None = Field(default=None, ge=1)
    """Sum of the tokens of the samples' rationales, counted by the student's tokenizer, so it wants
    a student under ``measures.score``.
    """
    share: float | None = Field(default=None, gt=0, le=1)
    """Of the samples live after the last filter, rounded down. ``without:`` arms take as many rows
    as this share of the chain's own pool, so that arms stay comparable.
    """

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        keys = [name for name in ("rows", "share", "tokens") if getattr(self, name) is not None]
        if len(keys) != 1:
            raise ValueError(
                f"got {', '.join(keys) or 'nothing'}; wanted exactly one of rows, tokens, share, "
                "for example {rows: 10000}"
            )
        return self

    @property
    def text(self) -> str:
        """The budget as a person reads it."""
        if self.share is not None:
            return f"{self.share:.4g} of the live samples"
        return count_of(self.rows, "row") if self.rows else count_of(self.tokens or 0, "token")

    @property
    def slug(self) -> str:
        """The budget as part of a name."""
        if self.share is not None:
            return f"share_{Decimal(str(self.share)):f}".replace(".", "_")
        return str(self.rows) if self.rows is not None else f"{self.tokens}_tokens"


class Stages(BaseModel):
    """A curriculum."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    by: tuple[Key, ...] = Field(min_length=1)
    """What orders the rows of the selection, of all questions together, as `order_by` has it."""
    count: int = Field(default=4, ge=2)
    """How many stages; a trainer that adds up takes all rows whose ``stage`` is at most its own."""


def weighing(text: str) -> pl.Expr:
    """Read an expression of columns.

    Raises:
        ValueError: it is none, or reads no column.
    """
    try:
        weight = pl.sql_expr(text)
    except (pl.exceptions.SQLInterfaceError, pl.exceptions.SQLSyntaxError) as error:
        raise ValueError(
            f"{text!r} is no expression of columns ({error}); wanted one such as "
            "exp(-nll_rationale)"
        ) from None
    if not weight.meta.root_names():
        raise ValueError(f"{text!r} reads no column, so all rows would weigh the same")
    return weight


class SelectOptions(BaseModel):
    """The recipe's ``select`` section."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    budget: Budget | None = None
    """How much to take, by one of three; left out, all that the other keys allow."""
    per_question: int | None = Field(default=None, ge=1)
    """Most samples of one question."""
    one_per: str | None = None
    """Column of which a question's samples must differ (``cluster``); a null is a group of its own.
    """
    quota: Quota | None = Field(default=None, exclude_if=lambda value: value is None)
    """How much of it has which value of a column; what lacks is left empty and said."""
    order_by: tuple[Key, ...] = ()
    """What orders the samples of one question, the first deciding: columns of numbers or flags,
    ``-column`` for descending; ``{rank_fusion: {keys: [COLUMN, -COLUMN], k: 60}}``, several at
    once by their ranks; or ``{draw: {weights: 2^-rank(COLUMN)}}``, a seeded draw that favours the
    first. Nulls come last in all of them, and what is still tied goes by seeded hash.
    """
    questions_by: tuple[Key, ...] = Field(default=(), exclude_if=lambda value: not value)
    """What orders the questions, by the best sample of each, as `order_by` has it; by default a
    seeded hash, since a budget cut by a score chooses questions more than rationales.
    """
    stages: Stages | None = Field(default=None, exclude_if=lambda value: value is None)
    """A curriculum: the selection in stages of equal size, by number in the column ``stage``."""
    weight: str | None = Field(default=None, exclude_if=lambda value: value is None)
    """A number for each row, in the column ``weight``, of the columns of the run:
    ``exp(-nll_rationale)``, ``1 / (1 + rd_masked)``; null where one of them is.
    """
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)
    """Of the hash that orders questions and breaks ties."""

    @property
    def extras(self) -> tuple[str, ...]:
        """The columns that it makes beside the selection."""
        made = dict(zip(EXTRAS, (self.stages, self.weight), strict=True))
        return tuple(name for name, value in made.items() if value is not None)

    def without(self, columns: Collection[str]) -> Self:
        """Give the same without the keys that read any of these, as if nobody wrote them."""
        gone = {*columns}
        return self.model_copy(
            update={
                "order_by": tuple(k for k in self.order_by if not gone & {*columns_of(k)}),
                "questions_by": tuple(k for k in self.questions_by if not gone & {*columns_of(k)}),
                "one_per": None if self.one_per in gone else self.one_per,
                "quota": None if self.quota and self.quota.by in gone else self.quota,
            }
        )

    @model_validator(mode="after")
    def _counted_once(self) -> Self:
        if self.budget is not None and self.quota is not None and self.quota.count is not None:
            raise ValueError(
                "quota.count says how many rows there are to be, and so does the budget; leave one "
                "out, or give the quota a ratio"
            )
        return self

    @field_validator("weight")
    @classmethod
    def _is_an_expression(cls, weight: str | None) -> str | None:
        if weight is not None:
            weighing(weight)
        return weight
