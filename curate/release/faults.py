"""What planted faults showed of the scores, as a table for the card and the report."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

SAYS: Final = (
    "Share of the pairs in which a score prefers the right rationale to its own copy with a fault, "
    "a tie counting half, with the 95 % interval over questions. A score that sees nothing has 0.5."
)


def fault_headings(facts: Mapping[str, Any]) -> list[str]:
    """Say what each column is of.

    Args:
        facts: ``planted_faults`` of a manifest.
    """
    return ["score", *(f"{fault['meaning']} ({fault['copies']})" for fault in facts["faults"])]


def fault_rows(facts: Mapping[str, Any]) -> Iterator[list[str]]:
    """Give each score's name, and a text for every fault.

    Args:
        facts: ``planted_faults`` of a manifest.
    """
    for score, shares in facts["scores"].items():
        yield [score, *(_share(shares[fault["name"]]) for fault in facts["faults"])]


def _share(share: Mapping[str, Any]) -> str:
    if share["value"] is None:
        return "too few pairs"
    return f"{share['value']:.2f} ({share['low']:.2f} to {share['high']:.2f})"
