"""What an effect comes to, in sentences; what can't be told is said to be so."""

from collections.abc import Iterator
from typing import Final

from curate.errors import count_of
from curate.release.effect import ArmEffect, Difference, Effect, Unit

CANT_TELL: Final = "not distinguishable"
FLOOR: Final = 0.05
"""Accuracy below which arms are all alike."""
CLUSTERED: Final = (
    "Intervals are of 95 %: arms are compared on each question, and the trainings of an arm count "
    "as one cluster each."
)
_SELECTED: Final = "selected"


def share(difference: Difference, form: str = "z.1%") -> str:
    """Say a share, or a difference of two, with its interval."""
    if difference.low is None or difference.high is None:
        return f"{difference.value:{form}}"
    return f"{difference.value:{form}} ({difference.low:{form}} to {difference.high:{form}})"


def points(difference: Difference) -> str:
    """Say a difference of two shares in points, with its interval."""
    value = f"{100 * difference.value:+z.1f}"
    if difference.low is None or difference.high is None:
        return value
    return f"{value} ({100 * difference.low:+z.1f} to {100 * difference.high:+z.1f})"


def lead(effect: Effect) -> str:
    """Say first what the selection did beside chance."""
    own = next((one for one in effect.arms if one.arm == _SELECTED), None)
    if own is None or own.to_random is None:
        return "The selection was not compared with a random one of its size."
    return f"The selection beside a random one of its size: {_verdict(own.to_random)}."


def _verdict(difference: Difference) -> str:
    if difference.low is None:
        return (
            f"{points(difference)} points, and whether that is more than luck can't be told of one "
            "training each"
        )
    if not difference.distinguishable:
        return f"{CANT_TELL}, {points(difference)} points"
    side = "better" if difference.value > 0 else "worse"
    return f"{side} by {points(difference)} points"


def design_words(effect: Effect) -> Iterator[str]:
    """Say what was done, and what it could have told."""
    yield (
        f"{effect.student}, {'adapters' if effect.method == 'lora' else 'all weights'} trained in "
        f"{count_of(effect.updates, 'update')}, then asked {count_of(effect.questions, 'question')}"
        + (f"; {effect.dropped:,} left out, for the pool has them" if effect.dropped else "")
        + "."
    )
    yield (
        f"All arms had as many updates and as many {effect.match} to learn"
        + ("; answers alone as many rows, for they have so few tokens." if _silent(effect) else ".")
    )
    if effect.expected is None:
        yield "Every arm was trained once, so nothing is known of luck; `--seeds 3` tells of it."
    else:
        seen = "" if effect.smallest is None else f"; as it turned out, {_points(effect.smallest)}"
        yield (
            "The smallest difference that four of five repetitions would tell was expected to be "
            f"{_points(effect.expected)}{seen}."
        )
    best = max(one.accuracy.value for one in effect.arms)
    if best < FLOOR:
        yield (
            f"No arm answers more than {best:.1%} rightly, so being right can't tell them apart: "
            "take easier questions, or a student that can answer some."
        )
    if effect.left_out:
        yield f"No time for {listed(effect.left_out)}; the same command goes on with them."


def _silent(effect: Effect) -> bool:
    return effect.match == "tokens" and any(one.arm == "answer_only" for one in effect.arms)


def several(effect: Effect) -> str:
    """Say how many comparisons there are, of which some differ by chance."""
    count = sum(one.to_random is not None for one in effect.arms)
    return (
        f"Of {count_of(count, 'comparison')} with the random arm, one in twenty would look "
        "different where none is."
    )


def telling(arm: ArmEffect) -> str:
    """Mark an arm that differs from the random one."""
    if arm.to_random is None:
        return ""
    if arm.to_random.low is None:
        return "?"
    return "" if not arm.to_random.distinguishable else "+" if arm.to_random.value > 0 else "-"


def listed(units: list[Unit]) -> str:
    """Name trainings, those of an arm together."""
    seeds: dict[str, list[int]] = {}
    for unit in units:
        seeds.setdefault(unit.arm, []).append(unit.seed)
    return ", ".join(f"{arm} (seed {', '.join(map(str, of))})" for arm, of in seeds.items())


def _points(value: float) -> str:
    return f"{100 * value:.1f} points"
