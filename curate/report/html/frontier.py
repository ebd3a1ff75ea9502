"""What a smaller or larger budget would have chosen: the selection is a prefix of one ranking."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.report.html.audit import Audit
from curate.report.html.scores import placed
from curate.select.ranking import may_be_taken

_POINTS = 200


@dataclass(frozen=True, slots=True)
class Frontier:
    """The selection under every budget.

    Attributes:
        rows: budgets, ascending.
        score: mean of the score to look at first, of the rows taken under each, NaN where none has
            one; geometric for Rationale Difficulty (it is a quotient, and one of 60 would hide a
            hundred of 0.5). None where the run measured none.
        clusters: distinct clusters among them, None where the run made none.
        questions: distinct questions among them.
        taken: rows the selection took.
    """

    rows: NDArray[np.int64]
    score: NDArray[np.float64] | None
    clusters: NDArray[np.int64] | None
    questions: NDArray[np.int64]
    taken: int


def frontier(audit: Audit) -> Frontier | None:
    """Follow the ranking to its end; None where no row is live."""
    ranked = audit.rows.filter("live").sort("selection_rank")
    one_per = "one_per" if "one_per" in ranked.columns else None
    most = audit.manifest["select"].get("per_question")
    ranked = ranked.filter(may_be_taken("question_id", one_per, most))
    if not ranked.height:
        return None
    budgets = np.unique(np.linspace(1, ranked.height, _POINTS).astype(np.int64))
    at = budgets - 1
    score = None
    if audit.score is not None:
        values = pl.Series(placed(ranked[audit.score.name].cast(pl.Float64), audit.score))
        values = values.fill_nan(None)
        means = values.fill_null(0).cum_sum() / values.is_not_null().cum_sum()
        score = means.to_numpy()[at]
        score = 2.0**score if audit.score.ratio else score
    clusters = None
    if "cluster" in ranked.columns:
        new = (
            pl.struct("question_id", "cluster").is_first_distinct()
            & pl.col("cluster").is_not_null()
        )
        clusters = ranked.select(new.cum_sum().cast(pl.Int64)).to_series().to_numpy()[at]
    questions = ranked.select(pl.col("question_id").is_first_distinct().cum_sum().cast(pl.Int64))
    return Frontier(
        budgets, score, clusters, questions.to_series().to_numpy()[at],
        int(audit.rows["selected"].sum()),
    )  # fmt: skip
