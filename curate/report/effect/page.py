"""``curate effect --html``: what the arms of a run did for its student, in the report's style."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from curate.release.effect import ArmEffect, Effect
from curate.report.effect.words import (
    CLUSTERED,
    design_words,
    lead,
    points,
    several,
    share,
    telling,
)
from curate.report.html.figures import (
    PALETTE,
    Cell,
    Chart,
    Figure,
    Numbers,
    Trace,
    View,
    figure,
    floats,
    forest,
    plain,
)
from curate.report.html.page import figures_of, page, save


def write_effect(effect: Effect, out: Path) -> Path:
    """Write an effect as a page.

    Args:
        effect: of a run's arms.
        out: the file, which appears whole or not at all.

    Raises:
        InputError: it can't be written.
    """
    charts = list(effect_charts(effect))
    context = {
        "charts": charts,
        "figures": figures_of(charts),
        "headline": list(_headline(effect)),
    }
    save(page(f"{effect.title}: effect", context, "effect.html.jinja"), out)
    return out


def _headline(effect: Effect) -> Iterator[tuple[str, str]]:
    yield f"{len(effect.arms):,}", "arms"
    yield f"{sum(one.trainings for one in effect.arms):,}", "students asked"
    yield f"{effect.questions:,}", "test questions"
    if effect.smallest:
        yield f"{100 * effect.smallest:.1f}", "points could be told"


def effect_charts(effect: Effect) -> Iterator[Chart]:
    """Draw what was found: beside chance, beside the untrained student, and how it was learned."""
    yield _figures(effect)
    if any(one.to_untrained for one in effect.arms):
        yield _sides(effect)
    if any(one.losses for one in effect.arms):
        yield _learning(effect)


def _figures(effect: Effect) -> Chart:
    says = (lead(effect), *design_words(effect), CLUSTERED, several(effect))
    random = {one.arm: one.to_random for one in effect.arms if one.to_random}
    untrained = {one.arm: one.to_untrained for one in effect.arms if one.to_untrained}
    right = {one.arm: one.accuracy for one in effect.arms}
    views = [View("Right answers", forest(right, "% of answers", None, scale=100, say=share))]
    for label, table, title in (
        ("Beside random", random, "points beside the random arm"),
        ("Beside the untrained", untrained, "points beside the untrained student"),
    ):
        if table:
            drawn = forest(table, title, 0.0, "no difference", scale=100, say=points)
            views.insert(0 if table is random else len(views), View(label, drawn))
    heads = ("arm", "trainings", "rows", "epochs", "tokens", "right", "beside random", "untrained")
    numbers = Numbers(heads, tuple(map(_row, effect.arms)))
    return Chart("effect", "What each arm did", says, tuple(views), numbers, open=True)


def _row(one: ArmEffect) -> tuple[str | Cell, ...]:
    return (
        one.arm,
        f"{one.trainings}",
        f"{one.rows:,}" if one.rows else "",
        f"{one.epochs:.1f}" if one.rows else "",
        f"{one.tokens:,}" if one.tokens else "",
        share(one.accuracy),
        f"{telling(one)} {points(one.to_random)}".strip() if one.to_random else "",
        points(one.to_untrained) if one.to_untrained else "",
    )


def _sides(effect: Effect) -> Chart:
    trained = [one for one in effect.arms if one.gained is not None and one.lost is not None]
    names = [plain(one.arm) for one in trained]
    traces: list[Trace] = [
        {
            "type": "bar", "orientation": "h", "name": label, "y": names,
            "x": floats(sign * 100 * value for value in values), "marker": {"color": colour},
            "hovertext": [f"{name}: {value:.1%} {label}"
                          for name, value in zip(names, values, strict=True)],
            "hoverinfo": "text",
        }
        for label, sign, colour, values in (
            ("gained", 1, "@selected", [one.gained or 0.0 for one in trained]),
            ("lost", -1, "@dropped", [one.lost or 0.0 for one in trained]),
        )
    ]  # fmt: skip
    drawn = figure(
        traces, height=30 * len(trained) + 110, barmode="relative",
        x={"title": {"text": "% of questions"}},
        y={"type": "category", "autorange": "reversed", "tickfont": {"size": 12}},
    )  # fmt: skip
    says = (
        (
            "Questions that changed sides: answered rightly after training and not before "
            "(gained), or before and not after (lost); the mean of an arm's trainings."
        ),
    )
    rows = tuple((one.arm, f"{one.gained:.1%}", f"{one.lost:.1%}") for one in trained)
    numbers = Numbers(("arm", "gained", "lost"), rows)
    return Chart("sides", "Answers that changed sides", says, (View("", drawn),), numbers)


def _learning(effect: Effect) -> Chart:
    trained = [one for one in effect.arms if one.losses]
    traces: list[Trace] = []
    for number, one in enumerate(trained):
        least = min(map(len, one.losses))
        means = np.mean([losses[:least] for losses in one.losses], axis=0)
        traces.append(
            {
                "type": "scatter", "mode": "lines", "name": plain(one.arm),
                "x": list(range(1, least + 1)), "y": floats(means.tolist()),
                "line": {"color": PALETTE[number % len(PALETTE)], "width": 2},
            }
        )  # fmt: skip
    drawn: Figure = figure(
        traces, height=380, x={"title": {"text": "update"}},
        y={"title": {"text": "nats a token"}, "rangemode": "tozero"},
    )  # fmt: skip
    rows = tuple(
        (one.arm, f"{np.mean([of[0] for of in one.losses]):.3f}",
         f"{np.mean([of[-1] for of in one.losses]):.3f}")
        for one in trained
    )  # fmt: skip
    says = (
        (
            "Loss on each update's own rows before it learned from them, the mean of an arm's "
            "trainings. Arms differ in how hard their rows are, so a lower curve is no better "
            "student."
        ),
    )
    numbers = Numbers(("arm", "first update", "last update"), rows)
    return Chart("learning", "Learning", says, (View("", drawn),), numbers)
