"""One sample's way through the chain, as a person reads it."""

from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from curate.report.why import why
from filters.completeness import Completeness

GOLDEN = Path(__file__).parent / "golden"


def printed(what: RenderableType, width: int = 80) -> str:
    console = Console(width=width, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(what)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def audit_row(**given: Any) -> dict[str, Any]:
    return {
        "sample_id": "3fa9c1d200b7e411", "question_id": "9b1c00aa11bb22cc", "source": "qwen7b",
        "teacher": "Qwen/Qwen2.5-7B", "prompt_id": "cot",
        "question": "How many [b]eggs[/b] are left?", "gold": "3", "answer": "4",
        "rationale": "Seven eggs, and \x1b[31mthree\x1b[0m go.\n" + "Count again. " * 60,
        "verdict_completeness": {
            "keep": True, "reason": None, "score": 130.0,
            "evidence": {"finish_reason": "stop", "error": None},
        },
        "verdict_polite": {
            "keep": False, "reason": "refusal", "score": 0.123456,
            "evidence": {"finish_reason": "stop", "error": None},
        },
        "verdict_last": None, "selected": False, "selection_rank": None, "arm_all": True,
        "arm_random": False, **given,
    }  # fmt: skip


FILTERS = (Completeness(), Completeness(name="polite", min_words=4), Completeness(name="last"))


def test_the_way_of_a_dropped_sample() -> None:
    text = printed(why(audit_row(), FILTERS))
    assert text == (GOLDEN / "why-80.txt").read_text()
    assert "\x1b" not in text


def test_the_end_of_the_way() -> None:
    kept = audit_row()["verdict_completeness"]
    live = audit_row(verdict_polite=kept, verdict_last=kept, selection_rank=1200, live=True)
    said = printed(why(live, FILTERS, (), {"budget": {"rows": 1000}}))
    assert "live and not selected, rank 1,200; in the arms all" in said
    assert 'it stands beyond the budget {"rows": 1000}' in said
    assert "selected, rank 1,200; in the arms all" in printed(
        why(live | {"selected": True}, FILTERS)
    )
    unsure = kept | {"keep": None, "reason": "empty"}
    lenient = (Completeness(on_abstain="keep"),)
    assert "not live: completeness stopped it" in printed(
        why(audit_row(verdict_completeness=unsure), FILTERS[:1])
    )
    assert "live and not selected, not ranked" in printed(
        why(audit_row(verdict_completeness=unsure), lenient)
    )
