"""Orders inside a question: lexicographic keys, scores that tie, and draws of a given length."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.store.keys import rank
from filters.columns import GLOSSARY

DIFFICULTY: Final = frozenset(GLOSSARY.where(lambda column: column.trusted))
"""Scores that count only under a student that follows rationales, and tie within rd_spread."""
TOKEN_TOLERANCE: Final = 0.02
"""How far a draw's tokens may lie from the target, as a share of it."""
MOST_DRAWS: Final = 24
"""Draws tried before the nearest is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Siblings:
    """Samples of a pool, which an order gives their places inside each question.

    Attributes:
        frame: ``row``, ``question`` (numbers), ``sample_id``, the columns that the order reads and
            those of `before`.
        before: places by the keys applied so far, the first deciding.
        salt: of what an order draws.
        trusting: order by RD also where the student does not follow rationales.
    """

    frame: pl.DataFrame
    before: tuple[str, ...] = ()
    salt: tuple[str | int, ...] = ()
    trusting: bool = False


class Order(Protocol):
    """What puts the samples of a question before each other; see `curate.select.orders`."""

    @property
    def text(self) -> str:
        """The order as a person reads it."""
        ...

    @property
    def slug(self) -> str:
        """The order as part of a name."""
        ...

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that it orders by, ``-column`` for descending."""
        ...

    def places(self, siblings: Siblings) -> pl.Series:
        """Give a number a row, the smaller first, null for last."""
        ...

    def values(self, siblings: Siblings) -> pl.Series:
        """Give the numbers by which a person compares samples so ordered (Float64)."""
        ...


def inside_questions(
    table: pl.DataFrame,
    pool: str,
    orders: Sequence[Order],
    salt: tuple[str | int, ...],
    *,
    trusting: bool,
) -> pl.DataFrame:
    """Order a pool's samples, question by question, best first.

    Args:
        table: ``row``, ``question`` (numbers), ``sample_id``, ``tokens`` and what the orders read.
        pool: Boolean column of the samples to order.
        orders: the first decides, each after it where those before it tie.
        salt: of what is drawn, and of the hash that breaks what is still tied.
        trusting: order by RD also where the student does not follow rationales.

    Returns:
        The rows of the pool with ``hash`` (UInt64), sorted; unknown tokens come last where they are
        a key, and are 0 where they are counted.
    """
    frame = table.filter(pool)
    names: list[str] = []
    for order in orders:
        siblings = Siblings(frame=frame, before=tuple(names), salt=salt, trusting=trusting)
        places = order.places(siblings)
        names.append(f"key_{len(names)}")
        frame = frame.with_columns(places.alias(names[-1]))
    # Only now, so that no key takes an unknown length for the least.
    counted = pl.col("tokens").cast(pl.Int64).fill_null(0)
    return frame.with_columns(counted, hash=hashes(frame["sample_id"], *salt)).sort(
        "question", *names, "hash", "sample_id", nulls_last=True
    )


def column_places(siblings: Siblings, name: str, *, down: bool) -> pl.Series:
    """Give each sample its place by one column, the smaller first; those that tie share one.

    Args:
        siblings: a pool.
        name: of the column; nulls and NaN have no place. RD has none either where it is not
            trusted, and what lies within its spread ties.
        down: whether the largest comes first.
    """
    frame = siblings.frame
    value = number(frame, name)
    if name not in DIFFICULTY:
        return frame.select(value.rank("dense", descending=down)).to_series()
    if not siblings.trusting:
        value = pl.when(follows(frame, name)).then(value)
    frame = frame.with_columns(own=-value.log() if down else value.log())
    if "rd_spread" in frame.columns:
        frame = _tie_within_spread(frame, siblings.before, "own")
    return frame["own"]


def column_ranks(siblings: Siblings, name: str, *, down: bool) -> pl.Series:
    """Rank each sample inside its question by one column.

    Returns:
        From 1; what ties has the mean of its ranks, and what has no place has no rank.
    """
    alone = replace(siblings, before=())
    places = column_places(alone, name, down=down)
    ranks = pl.col("place").rank("average").over("question")
    return siblings.frame.select("question", place=places).select(ranks).to_series()


def may_be_taken(question: str, one_per: str | None, per_question: int | None) -> pl.Expr:
    """Tell which rows a selection may take, whatever its budget.

    The first of each group that `one_per` tells apart, and of those the first `per_question`. Asked
    of rows in the order of their ranking, in which those it allows stand before all others of their
    question.

    Args:
        question: column that tells questions apart.
        one_per: column of which the rows of a question must differ; a null is a group of its own.
        per_question: most rows of one question.
    """
    allowed = pl.lit(value=True)
    if one_per is not None:
        nth = pl.int_range(pl.len()).over(question, one_per)
        allowed &= pl.col(one_per).is_null() | (nth == 0)
    if per_question is not None:
        allowed &= pl.int_range(pl.len()).over(question) < per_question
    return allowed


def number(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Read a key, with NaN as the null it stands for."""
    return pl.col(name).fill_nan(None) if frame.schema[name].is_float() else pl.col(name)


def follows(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Tell where a key may be trusted: RD only under a student that follows rationales."""
    if name in DIFFICULTY and "student_follows" in frame.columns:
        return pl.col("student_follows").fill_null(value=True)
    return pl.lit(value=True)


def hashes(ids: pl.Series, *salt: str | int) -> pl.Series:
    """Hash ids into an order that needs no random generator (UInt64)."""
    return pl.Series([rank(*salt, id_) for id_ in ids], dtype=pl.UInt64)


def _tie_within_spread(frame: pl.DataFrame, before: Sequence[str], column: str) -> pl.DataFrame:
    """Replace log RD by the number of its tie group, so that the next key decides inside it.

    "Closer than the spread" is not transitive, so groups are built greedily: siblings tied so far
    are walked from the best on; the first one leads a group, and all that follow belong to it as
    long as their log RD differs from the leader's by less than the larger of both spreads. Of
    siblings with equal log RD the one with the smallest spread comes first. Equal values always
    tie; nulls stay null.

    Args:
        frame: has ``question``, the columns of `before` and `column` (log RD, negated where the
            order is descending) and ``rd_spread`` in log RD; a null spread is 0.
        before: keys that were applied before this one.
        column: the key to replace.
    """
    spread = pl.col("rd_spread").fill_nan(None).fill_null(0.0)
    rows = (
        frame.select("row", "question", *before, column, spread=spread)
        .filter(pl.col(column).is_not_null())
        .sort("question", *before, column, "spread", nulls_last=True)
        .with_columns(sibling=pl.struct("question", *before).rle_id())
        .with_columns(place=pl.int_range(pl.len()).over("sibling"))
    )
    groups = _greedy_groups(
        rows["sibling"].to_numpy(),
        rows["place"].to_numpy(),
        rows[column].to_numpy(),
        rows["spread"].to_numpy(),
    )
    ties = rows.select("row", pl.Series(column, groups))
    return frame.drop(column).join(ties, on="row", how="left", maintain_order="left")


def _greedy_groups(
    sibling: NDArray[np.uint32],
    place: NDArray[np.int64],
    value: NDArray[np.float64],
    spread: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Walk all questions at once, one place after another; see `_tie_within_spread`."""
    group = np.zeros(len(value), dtype=np.int64)
    order = np.argsort(place, kind="stable")
    ends = np.cumsum(np.bincount(place)) if len(place) else np.zeros(0, dtype=np.int64)
    leader = order[: ends[0]].copy() if len(ends) else order
    for start, end in itertools.pairwise(ends):
        rows = order[start:end]
        first = leader[sibling[rows]]
        with np.errstate(invalid="ignore"):  # RD of 0 is -inf here; equal values tie all the same
            apart = np.abs(value[rows] - value[first]) >= np.maximum(spread[rows], spread[first])
        apart &= value[rows] != value[first]
        group[rows] = group[rows - 1] + apart
        leader[sibling[rows[apart]]] = rows[apart]
    return group


def matching_tokens(ordered: pl.DataFrame, target: int) -> pl.Series:
    """Draw each question's size at random so that the tokens come within 2 % of the target.

    Selections are shorter or longer than chance, and length alone trains differently. The draw is
    Gumbel-top-k with weights exp(tilt * tokens / mean tokens): at tilt 0 it is the plain random
    order, and for fixed noise the sum of tokens never falls as the tilt rises, so bisection finds
    a tilt that matches wherever one exists. Where none does (every sibling is longer, or the set
    is so small that one exchange moves more than 2 %), the nearest is taken.

    Args:
        ordered: ``row``, ``question``, ``hash``, ``tokens`` and ``size`` of the whole pool.
        target: tokens of the selection.

    Returns:
        Row numbers of the samples drawn.
    """
    uniform = (ordered["hash"].to_numpy().astype(np.float64) + 0.5) / 2.0**64
    noise = -np.log(-np.log1p(-uniform))
    tokens = ordered["tokens"].to_numpy().astype(np.float64)
    question = ordered["question"].to_numpy()
    size = ordered["size"].to_numpy()
    starts = np.flatnonzero(np.r_[True, question[1:] != question[:-1]])
    place = np.arange(len(question)) - np.repeat(starts, np.diff(np.r_[starts, len(question)]))
    scale = max(float(tokens.mean()), 1.0) if len(tokens) else 1.0

    def draw(tilt: float) -> NDArray[np.intp]:
        order = np.lexsort((-(noise + tilt * tokens / scale), question))
        return order[place < size]

    best = draw(0.0)
    low, high = -np.inf, np.inf
    tilt = 0.0
    for _ in range(MOST_DRAWS):
        rows = draw(tilt)
        gap = float(tokens[rows].sum()) - target
        if abs(gap) < abs(float(tokens[best].sum()) - target):
            best = rows
        if abs(gap) <= TOKEN_TOLERANCE * target:
            break
        low, high = (tilt, high) if gap < 0 else (low, tilt)
        if np.isinf(high):
            tilt = max(1.0, 2 * low)
        elif np.isinf(low):
            tilt = min(-1.0, 2 * high)
        else:
            tilt = (low + high) / 2
    return ordered["row"].gather(best)
