"""Orders: what puts the samples of one question before each other, each a kind a recipe can name.

A key of ``order_by`` is a column, or a mapping of one word to what a kind of order takes. Whatever
its kind, an order gives every sample a place among its siblings, the smaller first and null for
last, so that ties, missing values and trust in the student mean the same in all of them. To add a
kind: a class with the members of `ByColumn`, and a field of `Combined`.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

import numpy as np
import polars as pl
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    field_validator,
    model_serializer,
    model_validator,
)

from curate.select.ranking import (
    Order,
    Siblings,
    column_places,
    column_ranks,
    hashes,
    number,
)

WEIGHTS: Final = re.compile(r"(\d+(?:\.\d+)?)\^-rank\((-?[A-Za-z_]\w*)\)")
"""How the weights of a draw are written: a base, and the column whose rank is its exponent."""


@dataclass(frozen=True, slots=True)
class ByColumn:
    """The order of a column's values.

    Attributes:
        name: of the column.
        down: whether the largest comes first.
    """

    name: str
    down: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a column as a recipe names it, ``-column`` for the largest first."""
        return cls(text.removeprefix("-"), text.startswith("-"))

    @property
    def text(self) -> str:
        """The order as a person reads it."""
        return f"-{self.name}" if self.down else self.name

    @property
    def slug(self) -> str:
        """The order as part of a name."""
        return f"minus_{self.name}" if self.down else self.name

    @property
    def keys(self) -> tuple[str, ...]:
        """The column that it orders by."""
        return (self.text,)

    def turned(self) -> "ByColumn":
        """Give the order from the other end."""
        return ByColumn(self.name, not self.down)

    def places(self, siblings: Siblings) -> pl.Series:
        """Give each sample its place."""
        return column_places(siblings, self.name, down=self.down)

    def ranks(self, siblings: Siblings) -> pl.Series:
        """Rank each sample inside its question, from 1."""
        return column_ranks(siblings, self.name, down=self.down)

    def values(self, siblings: Siblings) -> pl.Series:
        """Give what is compared, as numbers."""
        frame = siblings.frame
        return frame.select(number(frame, self.name).cast(pl.Float64)).to_series()


class _Kind(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class RankFusion(_Kind):
    """Reciprocal Rank Fusion: the largest sum of 1 / (k + rank) over several columns comes first.

    A rank is inside the question, from 1; what ties has the mean of its ranks. A column adds
    nothing to a sample of which it knows nothing: no value, or RD under a student that does not
    follow rationales; what no column knows comes last (Cormack et al. 2009, SIGIR; for rationales
    arXiv 2508.06135).
    """

    keys: tuple[str, ...] = Field(min_length=1)
    """Columns, ``-column`` where the largest ranks first."""
    k: float = Field(default=60.0, ge=0, le=1e6)
    """What is added to every rank; the larger, the less the first places count."""

    @property
    def text(self) -> str:
        """The order as a person reads it."""
        return f"rank_fusion({', '.join(self.keys)}; k={self.k:g})"

    @property
    def slug(self) -> str:
        """The order as part of a name."""
        own = "" if self.k == 60 else f"_k{_word(self.k)}"
        return "_".join(("rank_fusion", *(column.slug for column in self._columns))) + own

    def turned(self) -> "RankFusion":
        """Give the fusion of every column from its other end."""
        keys = tuple(column.turned().text for column in self._columns)
        return self.model_copy(update={"keys": keys})

    def places(self, siblings: Siblings) -> pl.Series:
        """Give each sample its place: its sum, the largest first."""
        # Equal sums of unequal shares may differ in the last bit, and are to tie.
        return -(self.values(siblings) * (self.k + 1)).round(12)

    def values(self, siblings: Siblings) -> pl.Series:
        """Add up the shares; null where there is none."""
        ranks = (column.ranks(siblings) for column in self._columns)
        shares = pl.DataFrame({str(n): 1 / (self.k + rank) for n, rank in enumerate(ranks)})
        ranked = pl.any_horizontal(pl.all().is_not_null())
        return shares.select(pl.when(ranked).then(pl.sum_horizontal(pl.all()))).to_series()

    @property
    def _columns(self) -> tuple[ByColumn, ...]:
        return tuple(map(ByColumn.parse, self.keys))


class Draw(_Kind):
    """A seeded draw without replacement: each next sample in proportion to its weight.

    A rank is inside the question, from 1; what ties has the mean of its ranks. What has no rank
    comes last. Drawn by Gumbel-top-k (Efraimidis and Spirakis 2006; Kool et al. 2019, arXiv
    1903.06059), so that fewer are always the first of more.
    """

    weights: str
    """``BASE^-rank(COLUMN)`` with a base above 1, as ``2^-rank(rsr)``: the first of a question
    weighs twice the second. ``rank(-COLUMN)`` where the largest ranks first.
    """

    @field_validator("weights")
    @classmethod
    def _is_a_power_of_a_rank(cls, weights: str) -> str:
        match = WEIGHTS.fullmatch(weights)
        if match is None or not 1 < float(match[1]) < float("inf"):
            raise ValueError(
                "wanted BASE^-rank(COLUMN) with a number above 1 for BASE, as in 2^-rank(rsr); "
                "rank(-COLUMN) weighs the largest most"
            )
        return weights

    @property
    def text(self) -> str:
        """The order as a person reads it."""
        return f"draw({self.weights})"

    @property
    def slug(self) -> str:
        """The order as part of a name."""
        return f"draw_{_word(self.base)}_{self.column.slug}"

    @property
    def base(self) -> float:
        """By what the weight is divided from rank to rank."""
        return float(self._parts[0])

    @property
    def column(self) -> ByColumn:
        """The column whose ranks weigh."""
        return ByColumn.parse(self._parts[1])

    @property
    def keys(self) -> tuple[str, ...]:
        """The column that it orders by."""
        return (self.column.text,)

    def turned(self) -> "Draw":
        """Give the draw that favours the other end."""
        base = self._parts[0]
        return self.model_copy(update={"weights": f"{base}^-rank({self.column.turned().text})"})

    def places(self, siblings: Siblings) -> pl.Series:
        """Give each sample its place: the logarithm of an exponential time at the weight's rate."""
        numbers = hashes(siblings.frame["sample_id"], *siblings.salt, self.text).to_numpy()
        uniform = ((numbers >> 12).astype(np.float64) + 0.5) / 2.0**52  # never 0 nor 1
        times = pl.Series("time", np.log(-np.log(uniform)))
        return times + self.column.ranks(siblings) * float(np.log(self.base))

    def values(self, siblings: Siblings) -> pl.Series:
        """Give what the column holds, as numbers."""
        return self.column.values(siblings)

    @property
    def _parts(self) -> tuple[str, str]:
        match = WEIGHTS.fullmatch(self.weights)
        assert match is not None
        return match[1], match[2]


class Combined(_Kind):
    """An order that is no column's; exactly one of these."""

    rank_fusion: RankFusion | None = None
    """Several columns at once, by Reciprocal Rank Fusion: the largest sum of 1 / (k + rank) comes
    first. A rank is inside the question, from 1; what ties has the mean of its ranks, and a column
    adds nothing where it has no value.
    """
    draw: Draw | None = None
    """A seeded draw without replacement, inside each question, that favours the first by a column.
    """

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1 or self.order is None:
            names = ", ".join(sorted(self.model_fields_set)) or "nothing"
            raise ValueError(
                f"got {names}; wanted exactly one of rank_fusion, draw, for example "
                "{rank_fusion: {keys: [rd_masked, nll_rationale]}}"
            )
        return self

    @model_serializer(mode="wrap")
    def _alone(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the kinds that it is not."""
        written: dict[str, Any] = write(self)
        return {word: options for word, options in written.items() if options is not None}

    @property
    def order(self) -> RankFusion | Draw | None:
        """The one that is set."""
        return self.rank_fusion or self.draw

    def turned(self) -> Self:
        """Give the same kind of order from the other end."""
        orders = {word: getattr(self, word).turned() for word in self.model_fields_set}
        return type(self).model_validate(orders)


def _form(value: object) -> str:
    return "combined" if isinstance(value, dict | Combined) else "column"


Key = Annotated[
    Annotated[str, Tag("column")] | Annotated[Combined, Tag("combined")], Discriminator(_form)
]
"""An order as a recipe writes it: a column, or a mapping that names another kind."""


def turned(key: Key) -> Key:
    """Give a recipe's key from its other end."""
    return ByColumn.parse(key).turned().text if isinstance(key, str) else key.turned()


def columns_of(key: Key) -> tuple[str, ...]:
    """Name the columns that a recipe's key orders by."""
    return tuple(text.removeprefix("-") for text in order_of(key).keys)


def order_of(key: Key) -> Order:
    """Give the order that a recipe's key stands for."""
    if isinstance(key, str):
        return ByColumn.parse(key)
    assert key.order is not None
    return key.order


def _word(value: float) -> str:
    """Write a number so that it can be part of a name."""
    return f"{value:g}".replace(".", "_").replace("+", "").replace("-", "_")
