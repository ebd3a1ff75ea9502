"""Which granularity, format and teacher for this student, where prompts say what they asked for.

Key Factors (arXiv 2502.18001) varies three things: how much a rationale spells out (levels 1 to 6),
the form it is put in, and who writes it. A prompt's name says the first two: ``level-3``,
``format-symbolic`` of this project, ``level3_SYM`` of the published files.
"""

import re
from collections.abc import Iterator
from typing import Final

import polars as pl

from curate.report.scores.groups import Groups, alike, everywhere, grouped
from curate.report.scores.pool import Pool

MOST: Final = 48
"""Combinations shown."""
_LEVEL: Final = re.compile(r"level[-_ ]?(\d+)", re.IGNORECASE)
_FORMATS: Final = {
    name: re.compile(words, re.IGNORECASE)
    for name, words in (
        ("sub-questions", r"sub-?questions|least-to-most|(?<![a-z])BSM(?![a-z])"),
        ("rephrase", r"format-rephrase|(?<![a-z])RaR(?![a-z])"),
        ("symbolic", r"symbolic|(?<![a-z])SYM(?![a-z])"),
    )
}
PLAIN: Final = "plain"


def variants(pool: Pool) -> tuple[Groups, ...]:
    """Set levels, formats, and all combinations with teachers side by side, as far as they differ.

    Returns:
        None of these where no prompt says a level or a format.
    """
    parts = pool.rows.select(
        "teacher",
        level=pool.rows["prompt_id"].map_elements(level_of, return_dtype=pl.String),
        format=pool.rows["prompt_id"].map_elements(format_of, return_dtype=pl.String),
    )
    varied = parts.drop_nulls("format").select("level", "format").n_unique() > 1
    return tuple(_compared(pool, parts)) if varied else ()


def _compared(pool: Pool, parts: pl.DataFrame) -> Iterator[Groups]:
    for factor, others in (("level", ["teacher", "format"]), ("format", ["teacher", "level"])):
        if (groups := grouped(pool, factor, alike(parts, factor, others))) is not None:
            yield groups
    named = pl.col("format").is_not_null()
    names = parts.select(pl.when(named).then(pl.concat_str(_name(), separator=" "))).to_series()
    if (groups := grouped(pool, "variant", everywhere(names), most=MOST)) is not None:
        yield groups


def _name() -> list[pl.Expr]:
    level = pl.when(pl.col("level").is_not_null()).then(pl.lit("level ") + pl.col("level"))
    return [pl.col("teacher").fill_null("?"), level.fill_null("no level"), pl.col("format")]


def level_of(prompt: str) -> str | None:
    """Give the level that a prompt's name says, as text; None where it says none."""
    level = _LEVEL.search(prompt)
    return level[1] if level else None


def format_of(prompt: str) -> str | None:
    """Give the format that a prompt's name says: plain where it says a level and no other."""
    named = next((name for name, form in _FORMATS.items() if form.search(prompt)), None)
    if named is None and (_LEVEL.search(prompt) or prompt == "format-plain"):
        return PLAIN
    return named
