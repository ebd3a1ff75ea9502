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


def recipe(part: Part, student: str, dtype: str, *, anew: bool) -> dict[str, Any]:
    """Have scores measured before a filter judges; those that read steps anew if asked for."""
    by_step = {name: {"columns": list(columns), **EARLY} for name, columns in ANEW.items()}
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
            **(by_step if anew else {}),
        },
        "filters": [{"use": "correctness"}],
        "select": {"per_question": 1, "order_by": ["rd_masked"]},
        "arms": ["random"],
    }
