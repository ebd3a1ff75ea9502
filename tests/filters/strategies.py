"""Random tables for filters, drawn from the types in filters/columns.py."""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
from hypothesis import strategies as st

from filters.columns import GLOSSARY, QUESTION_COLUMNS, VERDICT_PREFIX
from filters.contract import Filter

VERDICT: Final = pl.Struct({"keep": pl.Boolean, "reason": pl.String, "score": pl.Float64})
"""What a filter may know of an earlier one's verdict."""

_TEXTS: Final = (
    "",
    "7",
    "3 + 4 = 7",
    "First 3 + 4 = 7, then 7 * 2 = 14.",
    "The sum of 3 and 4 is 7. Multiply 7 by 2 to get 14.",
    "Tom had 12 apples and ate 5 of them, so 12 - 5 = 7 apples are left.",
    "Tom had 12 apples and ate 5 of them, so 12 - 5 = 7 are left.",
    "Again and again and again and again and again and again and again and again.",
    "Option A is too cold.\nOption B is warm.",
    "From 04/30/2021 count back ten days: April 20, 2021.",
    "I'm sorry, I cannot help with that.",
)
_POOLS: Final[dict[str, Sequence[str]]] = {
    "gold_type": ("number", "latex", "choice", "boolean", "date", "string"),
    "gold": ("7", "14", "A", "yes", "04/20/2021", "$\\frac{1}{2}$", "ynst", "?"),
    "answer": ("7", "7.0", "14", "(A)", "yes", "04/20/2021", "\\frac12", "ynst", "?"),
    "finish_reason": ("stop", "length", "error"),
    "verify_outcome": ("equal", "different", "unparseable", "too_large", "time_out"),
}
_UNIT_VECTORS: Final = (
    [1.0, 0.0, 0.0],
    [0.0, 1.0, 0.0],
    [0.6, 0.8, 0.0],
    [0.8, 0.6, 0.0],
    [0.0, 0.6, 0.8],
    [-1.0, 0.0, 0.0],
)


def value(column: str, dtype: pl.DataType) -> st.SearchStrategy[Any]:
    """Draw one value of a column: null, ordinary or odd, but of the declared type."""
    if column == "embedding":
        return st.none() | st.sampled_from(_UNIT_VECTORS)
    if column in _POOLS:
        return st.none() | st.sampled_from(_POOLS[column])
    if column.startswith(VERDICT_PREFIX):
        fields = {"keep": st.none() | st.booleans(), "reason": st.none(), "score": st.none()}
        return st.none() | st.fixed_dictionaries(fields)
    if isinstance(dtype, pl.List):
        return st.none() | st.lists(st.sampled_from(_TEXTS), min_size=1, max_size=4)
    if dtype == pl.String:
        return st.none() | st.sampled_from(_TEXTS) | st.text(max_size=30)
    if dtype == pl.Boolean:
        return st.none() | st.booleans()
    if dtype.is_float():
        return st.none() | st.floats(-1e6, 1e6)
    return st.none() | st.integers(0, 2_000)


def dtype_of(column: str) -> pl.DataType:
    """Give the declared type of a column a filter may read."""
    return VERDICT if column.startswith(VERDICT_PREFIX) else GLOSSARY[column].dtype


@st.composite
def tables(draw: st.DrawFn, gate: Filter) -> pl.DataFrame:
    """Draw a table that holds exactly what a filter asked for.

    Up to three questions with up to five samples each, siblings together, columns of a question
    equal in all its rows.
    """
    reads = [c for c in dict.fromkeys(gate.reads()) if c not in {"sample_id", "question_id"}]
    sizes = draw(st.lists(st.integers(1, 5), max_size=3))
    ids = draw(st.permutations([f"{number:04x}" for number in range(sum(sizes))]))
    rows: list[dict[str, Any]] = []
    for question, size in enumerate(sizes):
        shared = {
            name: draw(value(name, QUESTION_COLUMNS[name]))
            for name in reads
            if name in QUESTION_COLUMNS
        }
        for _ in range(size):
            own = {name: draw(value(name, dtype_of(name))) for name in reads if name not in shared}
            rows.append(
                {"sample_id": ids[len(rows)], "question_id": f"q{question}", **shared, **own}
            )
    schema = {name: dtype_of(name) for name in ("sample_id", "question_id", *reads)}
    return pl.DataFrame(rows, schema=schema)
