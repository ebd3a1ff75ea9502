"""Random tables for filters and measures, drawn from the types in the glossary."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import polars as pl
from hypothesis import strategies as st

from filters.columns import GLOSSARY, QUESTION_COLUMNS, VERDICT_PREFIX, Glossary
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
_UNIT_VECTORS: Final = (
    [1.0, 0.0, 0.0],
    [0.0, 1.0, 0.0],
    [0.6, 0.8, 0.0],
    [0.8, 0.6, 0.0],
    [0.0, 0.6, 0.8],
    [-1.0, 0.0, 0.0],
)
_POOLS: Final[dict[str, Sequence[Any]]] = {
    "gold_type": ("number", "latex", "choice", "boolean", "date", "string"),
    "gold": ("7", "14", "A", "yes", "04/20/2021", "$\\frac{1}{2}$", "ynst", "?"),
    "answer": ("7", "7.0", "14", "(A)", "yes", "04/20/2021", "\\frac12", "ynst", "?"),
    "finish_reason": ("stop", "length", "error"),
    "source": ("teacher", "strict"),
    "verify_outcome": ("equal", "different", "unparseable", "too_large", "time_out"),
    "embedding": _UNIT_VECTORS,
}
_LOGS: Final = st.floats(-20, 0, width=32)
_TOKENS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "rationale_token_ends": st.integers(1, 40),
    "rationale_logprobs": _LOGS,
    "rationale_entropies": st.floats(0, 9, width=32),
    "rationale_ranks": st.integers(1, 100),
    "answer_logprobs_with_rationale": _LOGS,
    "answer_logprobs_without_rationale": _LOGS,
}
"""One entry a token: of a row's rationale there are as many of each, and so of its answer."""


def value(column: str, dtype: pl.DataType) -> st.SearchStrategy[Any]:
    """Draw one value of a column: null, ordinary or odd, but of the declared type."""
    return st.none() | present(column, dtype)


def present(column: str, dtype: pl.DataType) -> st.SearchStrategy[Any]:
    """Draw one value of a column that is not null."""
    if column in _POOLS:
        return st.sampled_from(_POOLS[column])
    if column.startswith(VERDICT_PREFIX):
        fields = {"keep": st.none() | st.booleans(), "reason": st.none(), "score": st.none()}
        return st.fixed_dictionaries(fields)
    if column in _TOKENS:
        return st.lists(_TOKENS[column], min_size=1, max_size=6)
    if isinstance(dtype, pl.List):
        return st.lists(_entry(dtype.inner), min_size=1, max_size=4)
    if dtype == pl.String:
        return st.sampled_from(_TEXTS) | st.text(max_size=30)
    if dtype == pl.Boolean:
        return st.booleans()
    if dtype.is_float():
        return st.floats(-1e6, 1e6)
    return st.integers(0, 2_000)


def _align(row: dict[str, Any]) -> None:
    """Bring lists over the same tokens to one length, and ends into order."""
    for text in ("rationale_", "answer_"):
        lists = [name for name in _TOKENS if name.startswith(text) and row.get(name)]
        length = min((len(row[name]) for name in lists), default=0)
        row |= {name: row[name][:length] for name in lists}
    if ends := row.get("rationale_token_ends"):
        row["rationale_token_ends"] = sorted(ends)


def _entry(dtype: Any) -> st.SearchStrategy[Any]:
    """Draw an entry of a list: a text, or what is told of a token."""
    if dtype == pl.Int32:
        return st.integers(0, 60)
    return st.floats(-20, 0, width=32) if dtype == pl.Float32 else st.sampled_from(_TEXTS)


def dtype_of(column: str, glossary: Glossary = GLOSSARY) -> pl.DataType:
    """Give the declared type of a column that may be read."""
    return VERDICT if column.startswith(VERDICT_PREFIX) else glossary[column].dtype


def tables(filter_: Filter) -> st.SearchStrategy[pl.DataFrame]:
    """Draw a table that holds exactly what a filter asked for."""
    return rows(filter_.reads())


@st.composite
def rows(
    draw: st.DrawFn,
    columns: Iterable[str],
    *,
    glossary: Glossary = GLOSSARY,
    never_null: Collection[str] = (),
) -> pl.DataFrame:
    """Draw a table with ids and the columns asked for.

    Up to three questions with up to five samples each, siblings together, columns of a question
    equal in all its rows.
    """
    reads = [c for c in dict.fromkeys(columns) if c not in {"sample_id", "question_id"}]
    schema = {name: dtype_of(name, glossary) for name in ("sample_id", "question_id", *reads)}
    values = {
        name: (present if name in never_null else value)(name, schema[name]) for name in reads
    }
    sizes = draw(st.lists(st.integers(1, 5), max_size=3))
    ids = draw(st.permutations([f"{number:04x}" for number in range(sum(sizes))]))
    drawn: list[dict[str, Any]] = []
    for question, size in enumerate(sizes):
        shared = {name: draw(values[name]) for name in reads if name in QUESTION_COLUMNS}
        for _ in range(size):
            own = {name: draw(values[name]) for name in reads if name not in shared}
            _align(own)
            drawn.append(
                {"sample_id": ids[len(drawn)], "question_id": f"q{question}", **shared, **own}
            )
    return pl.DataFrame(drawn, schema=schema)
