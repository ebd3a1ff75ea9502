"""Charts of where samples and questions went."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from curate.errors import count_of
from curate.release.funnel import FilterCount, Funnel, PickCount, percent
from curate.report.html.audit import Audit
from curate.report.html.figures import (
    COLOURS,
    PALETTE,
    ROW,
    Chart,
    Numbers,
    Trace,
    View,
    bars,
    figure,
    plain,
    share,
)

_MOST_GROUPS: Final = 9
"""Teachers told apart; the others are added up."""
_MOST_REASONS: Final = 8
"""Reasons told apart in the chart; the table has all."""
ALL: Final = "all samples"
_RATES: Final = ("never right", "up to half", "over half", "always right", "not judged")


def funnel_charts(audit: Audit) -> list[Chart]:
    """Show the funnel by reason, by teacher and by how hard its questions are."""
    funnel = audit.funnel
    views = [View("by reason", _by_reason(funnel))]
    says = [_summary(funnel)]
    teachers = _grouped(audit.rows["teacher"].fill_null("unknown"))
    if teachers.n_unique() > 1:
        views.append(View("by teacher", _by_group(audit, teachers)))
    rates = audit.pass_rates
    if rates is not None:
        hard = audit.rows.join(rates, on="question_id", how="left", maintain_order="left").select(
            _difficulty(pl.col("pass_rate"))
        )
        views.append(View("by difficulty", _by_group(audit, hard.to_series(), _RATES)))
        says.append(
            f"Difficulty is the share of a question's samples that were right: {', '.join(_RATES)}."
        )
    return [
        Chart("funnel", "Funnel", tuple(says), tuple(views), _funnel_numbers(funnel)),
        *([_teacher_chart(audit, teachers)] if teachers.n_unique() > 1 else []),
    ]


def _summary(funnel: Funnel) -> str:
    selection = funnel.picks[0] if funnel.picks else None
    last = funnel.filters[-1] if funnel.filters else None
    live = last.live if last else funnel.samples - funnel.quarantined
    text = (
        f"Of {count_of(funnel.samples, 'sample')} of {count_of(funnel.covered, 'question')} "
        f"{live:,} ({percent(live, funnel.samples)}) passed every filter"
    )
    if selection:
        questions = count_of(selection.questions, "question")
        text += f"; selected of them: {selection.rows:,}, of {questions}"
    return f"{text}."


def _by_reason(funnel: Funnel) -> dict[str, object]:
    lines = funnel.filters
    names = [ALL, *(line.name for line in lines)]
    lives = [funnel.samples - funnel.quarantined, *(line.live for line in lines)]
    traces = [bars("live", names, lives, "@live")]
    if funnel.quarantined:
        traces.append(bars("quarantined", [ALL], [funnel.quarantined], "@muted"))
    for name, counts in _reasons(lines):
        at = [line for line in lines if line.name in counts]
        colour = PALETTE[len(traces) % len(PALETTE)]
        sizes = [counts[line.name] for line in at]
        traces.append(bars(name, [line.name for line in at], sizes, colour))
    for pick in funnel.named:
        colour = COLOURS["selected"] if pick.name == "selected" else "@muted"
        label = "taken" if pick.name == "selected" else "taken by an arm"
        legend = {"showlegend": pick.name == "selected" or pick == funnel.named[1]}
        traces.append(bars(label, [_place(pick)], [pick.rows], colour, legendgroup=label, **legend))
    return _stacked(traces, [*names, *map(_place, funnel.named)])


def _place(pick: PickCount) -> str:
    """Name a bar of what was taken as no filter is called."""
    return pick.name if pick.name == "selected" else f"arm {pick.name}"


def _reasons(lines: Sequence[FilterCount]) -> list[tuple[str, dict[str, int]]]:
    """Give how often each reason stopped samples, filter by filter; the rarest are added up."""
    reasons: dict[str, dict[str, int]] = {}
    for line in lines:
        # Abstained rows stay in the bar of the live where the filter keeps them.
        losses = line.dropped if line.live != line.kept else line.dropped | line.abstained
        for reason, count in losses.items():
            reasons.setdefault(reason, {})[line.name] = count
    ordered = sorted(reasons.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    top, rest = ordered[:_MOST_REASONS], ordered[_MOST_REASONS:]
    if rest:
        others: dict[str, int] = {}
        for _, counts in rest:
            for name, count in counts.items():
                others[name] = others.get(name, 0) + count
        top.append((f"{len(rest)} rarer reasons", others))
    return top


def _stacked(traces: list[Trace], names: Sequence[str]) -> dict[str, object]:
    return figure(
        traces,
        height=ROW * len(names) + 110,
        x={"title": {"text": "samples"}, "tickformat": ",d"},
        y=_categories(names),
        barmode="stack",
        bargap=0.25,
    )


def _categories(names: Sequence[str]) -> dict[str, object]:
    """Set names down an axis in their order."""
    order = [plain(name) for name in reversed(names)]
    return {
        "type": "category", "categoryorder": "array", "categoryarray": order, "showgrid": False
    }  # fmt: skip


def _by_group(audit: Audit, groups: pl.Series, order: Sequence[str] = ()) -> dict[str, object]:
    """Stack, at each filter, the live samples of each group."""
    counts = _survivors(audit, groups)
    names = [name for name in order if name in counts] if order else list(counts)
    stages = [ALL, *(filter_.name for filter_ in audit.filters), "selected"]
    traces = [
        bars(name, stages, counts[name], PALETTE[number % len(PALETTE)])
        for number, name in enumerate(names)
    ]
    return _stacked(traces, stages)


def _survivors(audit: Audit, groups: pl.Series) -> dict[str, list[int]]:
    """Count each group's samples: all, those live after each filter, those selected."""
    rows = audit.rows.select("filter", "outcome", "selected", group=groups)
    used = pl.col("outcome") != "quarantined"
    after = [((pl.col("filter") > n) & used).sum() for n in range(len(audit.filters))]
    table = rows.group_by("group").agg(
        pl.len().alias("all"),
        *(expr.alias(f"after_{n}") for n, expr in enumerate(after)),
        pl.col("selected").sum().alias("taken"),
    )
    ordered = table.sort("all", "group", descending=[True, False])
    return {str(name): [int(n) for n in numbers] for name, *numbers in ordered.iter_rows()}


def _grouped(names: pl.Series) -> pl.Series:
    """Add up all but the most frequent names."""
    counts = names.value_counts(sort=True)
    if counts.height <= _MOST_GROUPS + 1:
        return names
    top = counts[names.name].head(_MOST_GROUPS)
    others = f"{counts.height - _MOST_GROUPS} others"
    labels = pl.when(names.is_in(top.implode())).then(names).otherwise(pl.lit(others))
    return pl.select(labels.alias("group")).to_series()


def _difficulty(rate: pl.Expr) -> pl.Expr:
    never, half, most, always, unknown = _RATES
    return (
        pl.when(rate.is_null()).then(pl.lit(unknown))
        .when(rate <= 0).then(pl.lit(never)).when(rate <= 0.5).then(pl.lit(half))
        .when(rate < 1).then(pl.lit(most)).otherwise(pl.lit(always))
    )  # fmt: skip


def _funnel_numbers(funnel: Funnel) -> Numbers:
    rows = [(ALL, f"{funnel.samples:,}", "100%", f"{funnel.covered:,}", "", "")]
    for line in funnel.filters:
        losses = [f"{reason} {count:,}" for reason, count in _ordered(line.dropped)]
        losses += [f"{reason} {count:,} (abstained)" for reason, count in _ordered(line.abstained)]
        rows.append(
            (
                line.name, f"{line.live:,}", percent(line.live, funnel.samples),
                f"{line.covered:,}", percent(line.choice, line.covered_before), ", ".join(losses),
            )
        )  # fmt: skip
    rows += [
        (p.name, f"{p.rows:,}", percent(p.rows, funnel.samples), f"{p.questions:,}", "", "")
        for p in funnel.named
    ]
    return Numbers(("filter", "samples", "of all", "questions", "choice", "stopped"), tuple(rows))


def _ordered(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _teacher_chart(audit: Audit, teachers: pl.Series) -> Chart:
    """Show what share of each teacher's samples is left, filter by filter."""
    counts = _survivors(audit, teachers)
    stages = [*(filter_.name for filter_ in audit.filters), "selected"]
    rows = [
        (name, f"{all_:,}", *(percent(count, all_) for count in rest))
        for name, (all_, *rest) in counts.items()
    ]
    shares = [[count / all_ if all_ else 0.0 for count in rest] for all_, *rest in counts.values()]
    plot = figure(
        [
            {
                "type": "heatmap", "x": [plain(stage) for stage in stages],
                "y": [plain(name) for name in counts], "z": shares, "zmin": 0, "zmax": 1,
                "colorscale": [[0, "@card"], [1, "@live"]], "showscale": False,
                "xgap": 2, "ygap": 2,
                "text": [list(row[2:]) for row in rows], "texttemplate": "%{text}",
                "hovertemplate": "%{y}, after %{x}: %{text}<extra></extra>",
            }
        ],
        height=ROW * len(rows) + 70,
        x={"side": "top", "showgrid": False, "type": "category"},
        y={"autorange": "reversed", "showgrid": False, "type": "category"},
    )  # fmt: skip
    return Chart(
        "teachers",
        "Teachers",
        ("Share of a teacher's samples that is live after each filter, and that was selected.",),
        (View("", plot),),
        Numbers(("teacher", "samples", *stages), tuple(rows)),
    )


def coverage_chart(audit: Audit) -> Chart | None:
    """Show at which filter questions lost their last sample; None where there are no filters."""
    funnel = audit.funnel
    if not funnel.filters:
        return None
    losses = [line.covered_before - line.covered for line in funnel.filters]
    names = [line.name for line in funnel.filters]
    questions = audit.rows.group_by("question_id").agg(
        live=pl.col("live").any(), filter=pl.col("filter").max(),
        used=(pl.col("outcome") != "quarantined").any(), samples=pl.len(),
    )  # fmt: skip
    gone = questions.filter(~pl.col("live") & pl.col("used")).sort("filter", "question_id")
    listed = gone.head(_LISTED).select("question_id", "filter", "samples")
    rows = tuple(
        (str(question), names[int(number)], f"{samples:,}")
        for question, number, samples in listed.iter_rows()
    )
    after = funnel.filters[-1].covered
    before = funnel.filters[0].covered_before
    summary = (
        f"{after:,} of {count_of(before, 'question')} ({share(after, before)}) left with a sample "
        f"after the last filter; {sum(losses):,} lost every one."
    )
    says = [summary]
    if gone.height > _LISTED:
        says.append(
            f"The table lists {_LISTED} of them; `curate show {audit.folder} --verdict dropped` "
            "has all samples."
        )
    plot = figure(
        [bars("questions lost", names, losses, "@dropped")],
        height=ROW * len(names) + 70,
        x={"title": {"text": "questions lost"}, "tickformat": ",d"},
        y=_categories(names),
        showlegend=False,
    )
    numbers = Numbers(("question", "lost at", "samples"), rows) if rows else None
    views = (View("", plot),) if any(losses) else ()
    return Chart("coverage", "Coverage", tuple(says), views, numbers, "half")


def pass_rate_chart(audit: Audit) -> Chart | None:
    """Show how many questions were answered right how often; None where nobody judged answers."""
    rates = audit.pass_rates
    if rates is None or not rates.height:
        return None
    names = ["0", *(f"{n * 10}-{n * 10 + 10} %" for n in range(10)), "1"]
    rate = rates["pass_rate"]
    inner = (rate * 10).ceil().clip(1, 10).cast(pl.Int64)
    place = pl.select(pl.when(rate <= 0).then(0).when(rate >= 1).then(11).otherwise(inner))
    counted = dict(place.to_series().value_counts().iter_rows())
    counts = [int(counted.get(number, 0)) for number in range(12)]
    plot = figure(
        [
            {
                "type": "bar", "x": ["never", *names[1:-1], "always"], "y": counts,
                "marker": {"color": "@live"},
                "hovertemplate": "%{x}: %{y:,} questions<extra></extra>",
            }
        ],
        height=300,
        x={"title": {"text": "samples that were right"}, "type": "category", "tickangle": -45},
        y={"title": {"text": "questions"}, "tickformat": ",d"},
    )  # fmt: skip
    always, never = counts[-1], counts[0]
    summary = (
        f"Mean pass rate {rate.mean() or 0.0:.0%}. {count_of(never, 'question')} never answered "
        f"right, {always:,} always; between them right and wrong siblings can be compared. A "
        "sample stopped before its answer was judged counts as not right."
    )
    rows = tuple(zip(("never", *names[1:-1], "always"), map("{:,}".format, counts), strict=True))
    return Chart(
        "pass-rate", "Pass rate", (summary,), (View("", plot),),
        Numbers(("right", "questions"), rows), "half",
    )  # fmt: skip


_LISTED: Final = 200
