"""Quotas: how much of a selection has which value of a column.

Sizes are by largest remainder (Hamilton), so a quota is held to less than one row where there are
enough rows. Where there are not, the rest is left empty and said: filled up with others, a mix
would be another one than was asked for.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

GROUP: Final = "quota_group"
"""Column that says of each row which part of the quota it may fill; null for none."""


_LOOKED_FURTHER: Final = 10_000
"""Rows beyond those of which no value can be short that are tried: remainders may allow some."""


class Part(NamedTuple):
    """One value of a quota.

    Attributes:
        value: of the column, or a band of it (``200..600``).
        wanted: rows that the quota gives it.
        taken: rows that it got.
        live: live rows that have it.
    """

    value: str
    wanted: int
    taken: int
    live: int

    def __str__(self) -> str:
        """Say it in a clause."""
        short = f" ({self.wanted - self.taken:,} short)" if self.taken < self.wanted else ""
        none = "" if self.live else ", and no live row has it"
        return f"{self.value} {self.taken:,} of {self.wanted:,}{short}{none}"


class Quota(BaseModel):
    """Shares or numbers of rows by the values of a column."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    by: str = Field(min_length=1)
    """The column, such as ``teacher``, ``domain`` or ``prompt_id``; one of numbers needs `cuts`."""
    ratio: dict[str, float] | Literal["uniform"] | None = None
    """Parts of the whole by value, in any unit (``{math: 2, code: 1}``); ``uniform`` gives every
    value that live samples have the same. Rows of other values are not taken. Without a budget it
    is as many rows as the ratio allows.
    """
    count: dict[str, int] | None = None
    """Rows by value instead."""
    cuts: tuple[float, ...] = ()
    """Where bands of a column of numbers begin: ``[200, 600]`` makes ``..200``, ``200..600`` and
    ``600..``, of which each begins with its first number.
    """

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        if (self.ratio is None) == (self.count is None):
            raise ValueError("name one of the two: ratio: {math: 2, code: 1}, or count: {math: 50}")
        numbers = self.ratio if isinstance(self.ratio, dict) else self.count
        if numbers is not None and (
            not numbers or not all(math.isfinite(n) and n > 0 for n in numbers.values())
        ):
            raise ValueError(f"got {numbers}; wanted a number above 0 for each value")
        if list(self.cuts) != sorted(set(self.cuts)):
            raise ValueError(f"got cuts {list(self.cuts)}; wanted them rising, each once")
        if self.cuts and numbers is not None:
            for value in numbers:
                if value not in self.bands:
                    raise ValueError(f"no band is called {value!r}; there are {self.bands}")
        return self

    @property
    def bands(self) -> list[str]:
        """The names of the bands, the lowest first."""
        edges = [f"{cut:g}" for cut in self.cuts]
        pairs = zip(["", *edges], [*edges, ""], strict=True)
        return [f"{low}..{high}" for low, high in pairs] if edges else []

    def groups(self, column: pl.Expr) -> pl.Expr:
        """Name the part that each row may fill; null where its value is null."""
        if not self.cuts:
            return column.cast(pl.String)
        number = column.cast(pl.Float64).fill_nan(None)
        band = pl.lit(self.bands[0])
        for cut, name in zip(self.cuts, self.bands[1:], strict=True):
            band = pl.when(number >= cut).then(pl.lit(name)).otherwise(band)
        return pl.when(number.is_not_null()).then(band)

    def parts(self, live: pl.Series, rows: int | None, free: Mapping[str, int]) -> dict[str, int]:
        """Say how many rows each value is to get.

        Args:
            live: groups of all live rows.
            rows: of the budget; None for as many as the ratio allows.
            free: rows that may be taken, by value.
        """
        if self.count is not None:
            return dict(self.count)
        ratio = self._ratio(live)
        if rows is None:
            rows = _most(ratio, free)
        return apportioned(ratio, rows)

    def weights(self, live: pl.Series) -> dict[str, float]:
        """Give the share of the whole that each value has, of rows or of tokens."""
        ratio = self.count or self._ratio(live)
        total = sum(ratio.values())
        return {value: part / total for value, part in ratio.items()}

    def _ratio(self, live: pl.Series) -> Mapping[str, float]:
        if isinstance(self.ratio, dict):
            return self.ratio
        return dict.fromkeys(sorted(live.drop_nulls().unique()), 1.0)


def apportioned(ratio: Mapping[str, float], rows: int) -> dict[str, int]:
    """Divide rows by largest remainder; equal remainders go to the first in alphabetic order."""
    total = sum(ratio.values())
    exact = {value: rows * part / total for value, part in ratio.items()}
    sizes = {value: math.floor(size) for value, size in exact.items()}
    left = rows - sum(sizes.values())
    order = sorted(ratio, key=lambda value: (-round(exact[value] - sizes[value], 9), value))
    for value in order[:left]:
        sizes[value] += 1
    return sizes


def _most(ratio: Mapping[str, float], free: Mapping[str, int]) -> int:
    """Give the most rows of which no value is short."""
    if not ratio:
        return 0
    total = sum(ratio.values())
    sure = math.floor(min(free.get(value, 0) * total / part for value, part in ratio.items()))
    most = min((free.get(value, 0) + 1) * total / part for value, part in ratio.items())
    most = min(math.floor(most), sum(free.values()), sure + _LOOKED_FURTHER)
    for rows in range(most, sure, -1):
        if all(size <= free.get(value, 0) for value, size in apportioned(ratio, rows).items()):
            return rows
    return sure


def filled(
    quota: Quota, eligible: pl.DataFrame, live: pl.Series, rows: int | None, tokens: int | None
) -> pl.DataFrame:
    """Take the first of each value, as many as the quota gives it.

    Args:
        quota: by which.
        eligible: rows that may be taken, best first, with `GROUP` and ``tokens``.
        live: groups of all live rows.
        rows: of the budget; None where it has no rows.
        tokens: likewise; each value then has its share of them.
    """
    if tokens is not None:
        shares = quota.weights(live)
        most = pl.col(GROUP).replace_strict(
            list(shares), [share * tokens for share in shares.values()], default=0.0,
            return_dtype=pl.Float64,
        )  # fmt: skip
        return eligible.filter(pl.col("tokens").cum_sum().over(GROUP) <= most)
    free = dict(eligible.group_by(GROUP).len().drop_nulls().iter_rows())
    sizes = quota.parts(live, rows, free)
    size = pl.col(GROUP).replace_strict(
        list(sizes), list(sizes.values()), default=0, return_dtype=pl.Int64
    )
    return eligible.filter(pl.int_range(pl.len()).over(GROUP) < size)


def parts_of(quota: Quota, live: pl.Series, taken: pl.Series, rows: int | None) -> Iterator[Part]:
    """Say of each value what the quota gave it and what it got.

    Args:
        quota: by which it was taken.
        live: groups of all live rows.
        taken: groups of the rows taken.
        rows: of the budget; None where it has none, so that nothing can be short of a ratio.
    """
    got = dict(taken.drop_nulls().value_counts().iter_rows())
    living = dict(live.drop_nulls().value_counts().iter_rows())
    sizes = quota.parts(live, len(taken) if rows is None else rows, got)
    for value, size in sizes.items():
        yield Part(value, size, got.get(value, 0), living.get(value, 0))


def in_words(parts: Sequence[Part], by: str) -> str:
    """Say a quota in a line."""
    return f"quota by {by}: {', '.join(map(str, parts))}"
