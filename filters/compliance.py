"""Compliance: a rationale must have turned out as its prompt asked."""

import re
from collections.abc import Collection, Mapping, Sequence
from fnmatch import translate
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from filters.conditions import Condition, Range, value_is
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
    """By prompt, ``*`` standing for any text: columns, each with a value, several of them, or
    ``{min, max}``. All that fit a row's prompt count.
    """

    def reads(self) -> Sequence[str]:
        """Name the prompt and every column with a condition."""
        columns = (column for conditions in self.expect.values() for column in conditions)
        return tuple(dict.fromkeys(("prompt_id", *columns)))

    def conditions(self) -> Sequence[tuple[str, Condition]]:
        """Name every column with what is expected of it."""
        return [pair for conditions in self.expect.values() for pair in conditions.items()]

    def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Hold each row to the conditions of its prompt, in order; the first that fails is told."""
        failures = [
            _failure(frame, prompt, column, condition)
            for prompt, conditions in self.expect.items()
            for column, condition in conditions.items()
        ]
        failed = frame.select(pl.coalesce(*failures).alias("failed")).unnest("failed")
        measured = failed["column"].is_null() | failed["value"].is_not_null()
        judged = failed.select(
            keep=pl.when(measured).then(pl.col("column").is_null()),
            reason=pl.when(pl.col("column").is_null())
            .then(None)
            .when(measured)
            .then(pl.lit("not_as_asked"))
            .otherwise(pl.lit("not_measured")),
        )
        return self.verdicts(judged["keep"], judged["reason"], evidence=failed.to_dict())


def _failure(frame: pl.DataFrame, prompt: str, column: str, condition: Condition) -> pl.Expr:
    """Give the evidence where a row of a prompt does not fulfil a condition, else null."""
    fits = re.compile(translate(prompt))
    prompts = [name for name in frame["prompt_id"].unique().drop_nulls() if fits.match(name)]
    fails = pl.col("prompt_id").is_in(prompts) & ~value_is(pl.col(column), condition)
    evidence = pl.struct(
        column=pl.lit(column),
        value=pl.col(column).cast(pl.String),
        wanted=pl.lit(_said(condition)),
    )
    return pl.when(fails).then(evidence)


def _said(condition: Condition) -> str:
    """Write a condition as a recipe has it."""
    if isinstance(condition, Range):
        bounds: Mapping[str, Any] = condition.model_dump(exclude_none=True)
        return ", ".join(f"{name} {bound:g}" for name, bound in bounds.items())
    values = condition if isinstance(condition, tuple) else (condition,)
    return " or ".join(str(v).lower() if isinstance(v, bool) else f"{v}" for v in values)
