"""Compliance: a rationale must have turned out as its prompt asked."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import polars as pl
from pydantic import Field

from filters.conditions import Condition, Range, fits, value_is
from filters.contract import Example, Filter

Expectation = Annotated[Mapping[str, Condition], Field(min_length=1)]
"""Conditions by column."""


class Compliance(Filter):
    """Drop rationales that are not what their prompt asked for.

    What is asked for differs from prompt to prompt, so bounds are given prompt by prompt: the
    sub-questions of one, the computation that another must hold, how much longer than its parent a
    third may be. A prompt of which nothing is expected passes. (Key Factors,
    [arXiv 2502.18001](https://arxiv.org/abs/2502.18001), writes the same solution in six
    granularities and four formats.)
    """

    version: ClassVar[int] = 1
    reasons: ClassVar[Mapping[str, str]] = {
        "not_as_asked": "a column is not as its prompt has it; `column`, `value` and `wanted` say "
        "which",
        "not_measured": "a column that the prompt has conditions on holds nothing there",
    }
    abstains: ClassVar[Collection[str]] = ("not_measured",)
    evidence: ClassVar[Mapping[str, pl.DataType]] = {
        "column": pl.String(),
        "value": pl.String(),
        "wanted": pl.String(),
    }

    example: ClassVar[Example] = Example(
        (
            {"prompt_id": "format-sub-questions", "sub_questions": 3},
            {"prompt_id": "format-sub-questions", "sub_questions": 0},
            {"prompt_id": "format-plain", "sub_questions": 0},
        ),
        {"expect": {"*sub-questions": {"sub_questions": {"min": 2}}}},
    )

    use: Literal["compliance"] = "compliance"
    expect: Annotated[Mapping[str, Expectation], Field(min_length=1)]
    """By prompt, ``*`` standing for any text, and the name of a file without its digest: columns,
    each with a value, several of them, or ``{min, max}``. All that fit a row's prompt count.
    """

    def reads(self) -> Sequence[str]:
        """Name the prompt and every column with a condition."""
        columns = (column for conditions in self.expect.values() for column in conditions)
        return tuple(dict.fromkeys(("prompt_id", *columns)))

    def conditions(self) -> Sequence[tuple[str, Condition]]:
        """Name every column with what is expected of it."""
        return [pair for conditions in self.expect.values() for pair in conditions.items()]

    def prompts(self) -> Sequence[str]:
        """Name the prompts of which something is expected."""
        return list(self.expect)

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Hold each row to all conditions of its prompt.

        What is measured and fails decides, whatever else is not measured; the first is told of, in
        the order of names, so that the order in a recipe changes nothing.
        """
        failures = [
            _failure(frame, prompt, column, condition)
            for prompt, conditions in sorted(self.expect.items())
            for column, condition in sorted(conditions.items())
        ]
        measured = [
            pl.when(failure.struct.field("value").is_not_null()).then(failure)
            for failure in failures
        ]
        failed = frame.select(pl.coalesce(*measured, *failures).alias("failed")).unnest("failed")
        certain = failed["column"].is_null() | failed["value"].is_not_null()
        judged = failed.select(
            keep=pl.when(certain).then(pl.col("column").is_null()),
            reason=pl.when(pl.col("column").is_null())
            .then(None)
            .when(certain)
            .then(pl.lit("not_as_asked"))
            .otherwise(pl.lit("not_measured")),
        )
        return self.verdicts(judged["keep"], judged["reason"], evidence=failed.to_dict())


def _failure(frame: pl.DataFrame, pattern: str, column: str, condition: Condition) -> pl.Expr:
    """Give the evidence where a row of a prompt does not fulfil a condition, else null."""
    prompts = frame["prompt_id"].unique().to_list()
    fitting = pl.Series([name for name in prompts if fits(pattern, name)], dtype=pl.String)
    value = pl.col(column)
    if frame.schema[column].is_float():
        value = value.fill_nan(None)
    evidence = pl.struct(
        column=pl.lit(column), value=value.cast(pl.String), wanted=pl.lit(_said(condition))
    )
    asked_for = pl.col("prompt_id").is_in(fitting.implode(), nulls_equal=True)
    return pl.when(asked_for & ~value_is(value, condition)).then(evidence)


def _said(condition: Condition) -> str:
    """Write a condition as a recipe has it."""
    if isinstance(condition, Range):
        bounds: Mapping[str, float] = condition.model_dump(exclude_none=True)
        return ", ".join(f"{name} {_number(bound)}" for name, bound in bounds.items())
    values = condition if isinstance(condition, tuple) else (condition,)
    return " or ".join(str(v).lower() if isinstance(v, bool) else f"{v}" for v in values)


def _number(bound: float) -> str:
    return str(int(bound)) if bound.is_integer() else repr(bound)
