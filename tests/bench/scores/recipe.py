"""The recipe that has every score measured of right and wrong rationales alike."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from curate.measures.signals import Signals
from tests.bench.scores.pools import Part

ANEW: Final[Mapping[str, Sequence[str]]] = {
    "local": ("nll_local", "step_nll_local"),
    "curve": ("answer_curve", "reveal_step"),
    "importance": ("step_importance", "prunable_share"),
}
"""Columns of the measures that read steps anew."""
EARLY: Final = {"before_filters": True}


def recipe(part: Part, student: str, dtype: str, anew: Sequence[str]) -> dict[str, Any]:
    """Have scores measured before a filter judges, and of `ANEW` those that are named."""
    by_step = {name: {"columns": list(ANEW[name]), **EARLY} for name in anew}
    return {
        "name": part.name.replace("_", "-"),
        "questions": {
            "path": "questions.jsonl",
            "gold": {"type": part.gold_type},
            **({"columns": {"choices": "choices"}} if part.gold_type == "choice" else {}),
        },
        "sources": [
            {
                "use": "import",
                "name": "pool",
                "path": "pool.jsonl",
                "columns": {
                    "question": "question",
                    "completion": "output",
                    "scores": {truth: truth for truth in part.truths},
                },
                "teacher": {"column": "teacher"},
            }
        ],
        "measures": {
            "score": {"student": student, "calibrate": part.calibrate, "dtype": dtype},
            "signals": {"columns": list(Signals.writes), **EARLY},
            "reflection": {"columns": ["answer_gain_reflective"], **EARLY},
            "casl": {"columns": ["casl"], **EARLY},
            **by_step,
        },
        "filters": [{"use": "correctness"}],
        "select": {"per_question": 1, "order_by": ["rd_masked"]},
        "arms": ["random"],
    }
