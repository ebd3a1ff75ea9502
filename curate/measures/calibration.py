"""Does this student follow rationales, or copy from them? Every scoring run asks itself.

Rationale Difficulty as published falls whenever the answer stands in the rationale, whoever wrote
it and about whatever. So on some questions of the pool, scores are compared: of a right against a
wrong sibling, with their own final values masked and not; of the rationale of *another* question
with this gold planted in it; and of the bare statement "It is GOLD.". A student for which right and
wrong siblings do not separate once values are masked is scoring the copy, and `student_follows` is
false.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal, NamedTuple

import numpy as np

from curate.measures.statistics import FEWEST, aucs, means, spearman

Kind = Literal["right", "wrong", "planted", "bare"]


class Scored(NamedTuple):
    """One calibration text's scores.

    Attributes:
        question: its question's id.
        kind: what the text is.
        paper: log RD under each template.
        masked: the same with the own final value masked.
    """

    question: str
    kind: Kind
    paper: Sequence[float]
    masked: Sequence[float]


def conclude(scored: Sequence[Scored]) -> dict[str, Any]:
    """Conclude from scored texts.

    Args:
        scored: at most a few a question and kind.

    Returns:
        ``student_follows``: true where the masked AUC's interval lies above 0.5, false where it
        does not, None where fewer than `FEWEST` questions have a right and a wrong sibling;
        ``reason`` says which in words; ``auc_masked`` and ``auc_unmasked`` with ``value``, 95 %
        interval ``low`` to ``high`` and ``questions``; ``median_rd_true``, ``median_rd_planted``,
        ``median_rd_bare`` (as published, unmasked); ``template_spearman``, rank agreement of the
        first two templates over right rationales, masked.
    """
    masked, unmasked = _auc(scored, masked=True), _auc(scored, masked=False)
    follows: bool | None = None
    if masked is None or masked["questions"] < FEWEST:
        reason = "too_few_pairs"
    else:
        follows = masked["low"] > 0.5
        reason = "right_below_wrong" if follows else "right_and_wrong_alike"
    return {
        "student_follows": follows,
        "reason": reason,
        "auc_masked": masked,
        "auc_unmasked": unmasked,
        "median_rd_true": _median(scored, "right"),
        "median_rd_planted": _median(scored, "planted"),
        "median_rd_bare": _median(scored, "bare"),
        "template_spearman": _spearman(
            [row.masked for row in scored if row.kind == "right" and len(row.masked) > 1]
        ),
    }


def _auc(scored: Sequence[Scored], *, masked: bool) -> dict[str, Any] | None:
    """Give the chance that a right sibling scores below a wrong one, questions weighing alike."""
    rows = [row for row in scored if row.kind in {"right", "wrong"}]
    logs = [float(np.mean(row.masked if masked else row.paper)) for row in rows]
    questions, group = np.unique([row.question for row in rows], return_inverse=True)
    right = np.array([row.kind == "right" for row in rows], dtype=np.bool_)
    shares = aucs(-np.array(logs, dtype=np.float64), right, group, len(questions))
    [auc] = means(shares[:, None], fewest=1)
    return asdict(auc) if auc.questions else None


def _median(scored: Sequence[Scored], kind: Kind) -> float | None:
    values = [float(np.exp(np.mean(row.paper))) for row in scored if row.kind == kind]
    return float(np.median(values)) if values else None


def _spearman(pairs: Sequence[Sequence[float]]) -> float | None:
    """Correlate the ranks of the first two templates' scores."""
    if len(pairs) < FEWEST:
        return None
    return spearman(*(np.array([pair[side] for pair in pairs]) for side in (0, 1)))
