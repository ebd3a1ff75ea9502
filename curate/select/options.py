"""The recipe's ``select`` section: the order of a question's samples, and how many are taken."""

from collections.abc import Collection
from decimal import Decimal
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from curate.errors import count_of
from curate.select.orders import Key, columns_of


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
    order_by: tuple[Key, ...] = ()
    """What orders the samples of one question, the first deciding: columns of numbers or flags,
    ``-column`` for descending; ``{rank_fusion: {keys: [COLUMN, -COLUMN], k: 60}}``, several at
    once by their ranks; or ``{draw: {weights: 2^-rank(COLUMN)}}``, a seeded draw that favours the
    first. Nulls come last in all of them, and what is still tied goes by seeded hash.
    """
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)
    """Of the hash that orders questions and breaks ties."""

    def without(self, columns: Collection[str]) -> Self:
        """Give the same without the keys that read any of these, as if nobody wrote them."""
        keys = tuple(key for key in self.order_by if not {*columns} & {*columns_of(key)})
        one_per = None if self.one_per in columns else self.one_per
        return self.model_copy(update={"order_by": keys, "one_per": one_per})
