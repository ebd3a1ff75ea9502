"""What an effect comes to, in sentences; what can't be told is said to be so."""

from collections.abc import Iterator, Sequence
from typing import Final

from curate.errors import count_of
from curate.release.effect.facts import ArmEffect, Difference, Effect, Figure, Unit

CANT_TELL: Final = "not distinguishable"
FLOOR: Final = 0.05
"""Share of right answers below which arms are all alike."""
CUT: Final = 0.1
"""Share of answers cut off, beyond which it is said."""
CLUSTERED: Final = (
    "± is half of a 95 % interval: arms are compared on each question, and the trainings of an arm "
    "count as one cluster each."
)
UNMEASURED: Final = (
    "**Effect not measured**: whether a student learns more from this selection than from a "
    "random one was not tried; `curate effect` tries it."
)
"""What a card says of a release before anybody tried."""
RANDOM: Final = "random"
SELECTED: Final = "selected"
_FEWER: Final = "fewer nats are better"


def share(difference: Difference, form: str = "z.1%") -> str:
    """Say a share, or a difference of two, with its interval."""
    return _said(difference, form, 1.0)


def points(difference: Difference) -> str:
    """Say a difference of two shares in points, with its interval."""
    return _said(difference, "+z.1f", 100.0)


def nats(difference: Difference, sign: str = "") -> str:
    """Say nats a token, with their interval."""
    return _said(difference, f"{sign}z.3f", 1.0)


def gap(difference: Difference, figure: Figure) -> str:
    """Say a difference in a figure, with its interval."""
    return points(difference) if figure == "right" else nats(difference, "+")


def within(difference: Difference, form: str, scale: float = 1.0) -> str:
    """Say a figure and half of its interval, for a table."""
    value, high = difference.value, difference.high
    around = "" if high is None else f" ±{scale * (high - value):{form.lstrip('+')}}"
    return f"{scale * value:{form}}{around}"


def _said(difference: Difference, form: str, scale: float) -> str:
    value, low, high = difference.value, difference.low, difference.high
    if low is None or high is None:
        return f"{scale * value:{form}}"
    return f"{scale * value:{form}} ({scale * low:{form}} to {scale * high:{form}})"


def lead(effect: Effect) -> str:
    """Say first what the selection did, beside chance and beside no training at all."""
    own = _selection(effect)
    other = "a random one of its size" if effect.baseline == RANDOM else f"arm {effect.baseline}"
    if own is None or (standing := own.by(effect.figure)).to_baseline is None:
        return f"The selection was not compared with {other}."
    words = f"The selection beside {other}: {_verdict(standing.to_baseline, effect.figure)}."
    if standing.to_untrained is None:
        return words
    return f"{words} Beside no training: {_verdict(standing.to_untrained, effect.figure)}."


def _selection(effect: Effect) -> ArmEffect | None:
    return next((one for one in effect.arms if one.arm == SELECTED), None)


def _verdict(difference: Difference, figure: Figure) -> str:
    unit = "points of right answers" if figure == "right" else "nats a token of the known answers"
    if difference.low is None:
        return (
            f"{gap(difference, figure)} {unit}, and whether that is more than luck can't be told "
            "of one training each"
        )
    if not difference.distinguishable:
        return f"{CANT_TELL}, {gap(difference, figure)} {unit}"
    return (
        f"{'better' if _better(difference, figure) else 'worse'}, {gap(difference, figure)} {unit}"
    )


def _better(difference: Difference, figure: Figure) -> bool:
    return (difference.value > 0) == (figure == "right")


def design_words(effect: Effect) -> Iterator[str]:
    """Say what was done, and what it could have told."""
    test, options = effect.test, effect.options
    yield (
        f"{effect.student}, {'adapters' if effect.method == 'lora' else 'all weights'} trained in "
        f"{count_of(effect.updates, 'update')}, then asked {count_of(test.questions, 'question')} "
        f"of {test.name}"
        + (f"; {test.dropped:,} left out, for the pool has them" if test.dropped else "")
        + "."
    )
    silent = any(one.arm == "answer_only" for one in effect.arms) and options["match"] == "tokens"
    yield (
        f"All arms had as many updates and as many {options['match']} to learn"
        + ("; answers alone as many rows, for they have so few tokens." if silent else ".")
    )
    if effect.figure == "golds":
        best = max(one.right.level.value for one in effect.arms)
        yield (
            f"No arm answers more than {best:.1%} rightly, so being right can't tell them apart. "
            "They are compared by the nats a token that a student gives the known answers behind "
            f"its own rationales: {_FEWER}."
        )
    yield from _cut_words(effect)
    yield from _smallest_words(effect)
    if effect.left_out:
        yield f"No time for {listed(effect.left_out)}; the same command goes on with them."


def _cut_words(effect: Effect) -> Iterator[str]:
    cuts = [f"{one.cut:.0%} of {one.arm}" for one in effect.arms if one.cut > CUT]
    if cuts:
        most = effect.options["answer_tokens"]
        yield (
            f"Answers cut off at {most} tokens, which are hardly right: {', '.join(cuts)}; "
            f"`--set answer_tokens={2 * most}` gives them room."
        )


def _smallest_words(effect: Effect) -> Iterator[str]:
    if effect.expected is None:
        yield "Every arm was trained once, so nothing is known of luck; `--seeds 3` tells of it."
        return
    seen = [
        f"{100 * value:.1f} points" if figure == "right" else f"{value:.3f} nats a token"
        for figure, value in effect.smallest.items()
    ]
    yield (
        "The smallest difference that four of five repetitions would tell was expected to be "
        f"{100 * effect.expected:.1f} points"
        + (f"; as it turned out, {' or '.join(seen)}." if seen else ".")
    )


def several(effect: Effect) -> str:
    """Say how many comparisons there are, of which some differ by chance."""
    count = sum(one.right.to_baseline is not None for one in effect.arms)
    return (
        f"Of {count_of(count, 'comparison')} with arm {effect.baseline}, one in twenty would look "
        "different where none is."
    )


def telling(arm: ArmEffect, figure: Figure) -> str:
    """Mark an arm that is better or worse than the baseline."""
    difference = arm.by(figure).to_baseline
    if difference is None:
        return ""
    if difference.low is None:
        return "?"
    return "" if not difference.distinguishable else "+" if _better(difference, figure) else "-"


def heads(effect: Effect) -> tuple[str, ...]:
    """Give the heads of the table."""
    return (
        "arm", "runs", "rows", "epochs", "tokens", "right", "nats",
        f"beside {effect.baseline}", "beside untrained",
    )  # fmt: skip


def row(arm: ArmEffect, figure: Figure) -> tuple[str, ...]:
    """Say an arm in a row of the table; see `heads`."""
    own = arm.by(figure)
    form, scale = ("+z.1f", 100.0) if figure == "right" else ("+z.3f", 1.0)
    beside, untrained = (
        within(one, form, scale) if one else "" for one in (own.to_baseline, own.to_untrained)
    )
    return (
        arm.arm,
        f"{arm.trainings}",
        f"{arm.rows:,}" if arm.rows else "",
        f"{arm.epochs:.1f}" if arm.rows else "",
        f"{arm.tokens:,}" if arm.tokens else "",
        f"{within(arm.right.level, 'z.1f', 100.0)} %",
        within(arm.golds.level, "z.3f"),
        f"{telling(arm, figure)} {beside}".strip(),
        untrained,
    )


def listed(units: list[Unit]) -> str:
    """Name trainings, those of an arm together."""
    seeds: dict[str, list[int]] = {}
    for unit in units:
        seeds.setdefault(unit.arm, []).append(unit.seed)
    return ", ".join(f"{arm} (seed {', '.join(map(str, of))})" for arm, of in seeds.items())


def card_lead(effects: Sequence[Effect]) -> str:
    """Say in a card, in a line for each test, what the selection did for its student."""
    return "\n\n".join(
        f"**Effect on {effect.student}**, asked {count_of(effect.test.questions, 'question')} of "
        f"{effect.test.name}: {lead(effect)[0].lower()}{lead(effect)[1:]}"
        for effect in effects
    )


def card_section(effect: Effect) -> str:
    """Say in a card what each arm did, as Markdown."""
    rows = [heads(effect), *(row(one, effect.figure) for one in effect.arms)]
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |" for cells in rows]
    lines.insert(1, "| :--- |" + " ---: |" * (len(rows[0]) - 1))
    paragraphs = [*design_words(effect), f"{CLUSTERED} {several(effect)}"]
    took = f"It took {effect.hours:.1f} hours, and this makes it again: `{effect.command}`"
    table = "\n".join(lines)
    return f"## Effect on {effect.student}\n\n{' '.join(paragraphs)}\n\n{table}\n\n{took}\n"
