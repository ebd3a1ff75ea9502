"""``curate effect --html``: what the arms of a run did for its student, in the report's style."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from curate.release.effect.facts import Effect, Figure
from curate.release.effect.words import (
    CLUSTERED,
    design_words,
    gap,
    heads,
    lead,
    nats,
    row,
    several,
    share,
)
from curate.report.html.figures import (
    PALETTE,
    Chart,
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
    yield f"{effect.test.questions:,}", "test questions"
    if smallest := effect.smallest.get(effect.figure):
        right = effect.figure == "right"
        yield (
            (f"{100 * smallest:.1f}", "points could be told")
            if right
            else (f"{smallest:.3f}", "nats a token could be told")
        )


def effect_charts(effect: Effect) -> Iterator[Chart]:
    """Draw what was found: beside chance, beside the untrained student, and how it was learned."""
    yield _figures(effect)
    yield _other(effect)
    if any(one.gained is not None for one in effect.arms):
        yield _sides(effect)
    if any(one.losses for one in effect.arms):
        yield _learning(effect)


def _figures(effect: Effect) -> Chart:
    says = (lead(effect), *design_words(effect), CLUSTERED, several(effect))
    numbers = Numbers(heads(effect), tuple(row(one, effect.figure) for one in effect.arms))
    views = tuple(_views(effect, effect.figure))
    return Chart("effect", "What each arm did", says, views, numbers, open=True)


def _other(effect: Effect) -> Chart:
    """Draw the arms by the other figure."""
    if effect.figure == "right":
        title, figure = "The same in nats", "golds"
        says = (
            "Nats a token that a student gives the known answers behind its own rationales, fewer "
            "are better: what it knows beyond saying it outright."
        )
    else:
        title, figure = "The same in right answers", "right"
        says = "The share of answers that are right, of which there are too few to tell arms apart."
    rows = [heads(effect), *(row(one, figure) for one in effect.arms)]
    shown = [(cells[0], *cells[-2:]) for cells in rows]
    numbers = Numbers(shown[0], tuple(shown[1:]))
    return Chart("other", title, (says,), tuple(_views(effect, figure)), numbers)


def _views(effect: Effect, name: Figure) -> Iterator[View]:
    """Draw arms by one figure: beside the baseline, the untrained student, and by themselves."""
    right, baseline, arms = name == "right", effect.baseline, effect.arms
    unit, scale = ("points", 100.0) if right else ("nats a token", 1.0)
    standings = {one.arm: one.by(name) for one in arms}
    other = {arm: one.to_baseline for arm, one in standings.items() if one.to_baseline}
    untrained = {arm: one.to_untrained for arm, one in standings.items() if one.to_untrained}
    for label, table, beside in (
        (f"Beside {plain(baseline)}", other, f"arm {baseline}"),
        ("Beside the untrained", untrained, "the untrained student"),
    ):
        if table:
            drawn = forest(
                table, f"{unit} beside {beside}", 0.0, "no difference", scale=scale,
                say=lambda one: gap(one, name),
            )  # fmt: skip
            yield View(label, drawn)
    levels = {arm: one.level for arm, one in standings.items()}
    title, say = ("% of answers", share) if right else ("nats a token of the known answers", nats)
    yield View(
        "Right answers" if right else "Nats", forest(levels, title, None, scale=scale, say=say)
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
    drawn = figure(
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
