"""GRACE and G-Vendi: what the gradients of rows say of their teacher, and of a set of rows.

Both are functions of the inner products of the gradients, taken at unit length, so that all is
computed on one matrix of rows by rows.

GRACE (arXiv 2511.02833) asks how well nine tenths of a teacher's questions prepare the student for
the rest. With S the second moment of the rows' gradients and d their dimensions,

    GRACE = mean over splits of trace(((1 - smoothing) S_train + smoothing / d)^-1 S_test)

low where what is held out pushes the student as the rest does, and weakly. Its authors' code takes
the train side at unit length and leaves the test side its own, so that a large gradient counts
more. It depends on the number of rows, the dimensions and the smoothing:
where rows are fewer than dimensions, what lies outside of their span decides. Only figures of equal
numbers of rows under one student compare.

G-Vendi (arXiv 2505.20161) is the exponential of the entropy of the eigenvalues of G / n, with G the
inner products of n rows: 1 where all push the same way, n where all push at right angles. It grows
with n, so it too compares at equal numbers of rows only.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from curate.store.keys import rank

Floats = NDArray[np.float64]


def inner_products(vectors: NDArray[Any]) -> Floats:
    """Multiply every row with every other (n x n), in double precision.

    Args:
        vectors: of unit length (n x d).
    """
    wide = np.asarray(vectors, dtype=np.float64)
    return wide @ wide.T


def g_vendi(products: Floats) -> float:
    """Give the effective number of different rows, from 1 to n.

    Args:
        products: inner products of vectors of unit length (n x n).
    """
    shares = np.linalg.eigvalsh(products) / len(products)
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


class Grace(NamedTuple):
    """GRACE of one teacher's rows, lower for one who suits the student better.

    Attributes:
        value: as its authors' code has it: gradients held out keep their length.
        unit: with all gradients of unit length, so that their directions alone count.
    """

    value: float
    unit: float


def grace(
    products: Floats,
    norms: Floats,
    questions: Sequence[str],
    dimensions: int,
    *,
    splits: int = 10,
    smoothing: float = 1e-3,
    seed: int = 0,
) -> Grace:
    """Hold a tenth of the questions out, several times, and give the mean of what that gives.

    Args:
        products: inner products of vectors of unit length (n x n).
        norms: length of each row's gradient (n).
        questions: id of each row's question; no question is on both sides of a split (n).
        dimensions: of the vectors.
        splits: how many are averaged; what is held out is chosen by seeded hash.
        smoothing: share of the train side's spectrum that is spread evenly.
        seed: of the hash.
    """
    names = sorted(set(questions))
    places = np.searchsorted(names, list(questions))
    traces: list[tuple[float, float]] = []
    for split in range(splits):
        ranks = np.array([rank(seed, "split", split, name) for name in names], dtype=np.uint64)
        test = np.isin(places, np.argsort(ranks)[: max(1, len(names) // 10)])
        surprise = _surprise(products, test, dimensions, smoothing)
        traces.append((float(np.mean(norms[test] ** 2 * surprise)), float(np.mean(surprise))))
    return Grace(*map(float, np.mean(traces, axis=0)))


def _surprise(products: Floats, test: NDArray[np.bool_], d: int, smoothing: float) -> Floats:
    """Give x' M^-1 x of each test row x, M the smoothed second moment of the other rows.

    With X these rows, M = a + c X'X, whose inverse is (1 - c X' (a + c XX')^-1 X) / a (Woodbury),
    so that d x d matrices are never made.
    """
    train = ~test
    floor, weight = smoothing / d, (1 - smoothing) / int(train.sum())
    inside = weight * products[np.ix_(train, train)]
    inside[np.diag_indices_from(inside)] += floor
    across = products[np.ix_(train, test)]
    explained = weight * (across * np.linalg.solve(inside, across)).sum(axis=0)
    return (np.diag(products)[test] - explained) / floor
