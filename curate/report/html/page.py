"""Writes the page: charts, samples, models and parameters into one HTML file.

The page holds plotly.js, its own few lines of script and style, and the data as JSON; its content
policy forbids every request. Texts of models enter as JSON and are shown by `textContent` alone, so
that a rationale holding a tag is text.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final, cast

import jinja2
import numpy as np
import orjson
import polars as pl
from markupsafe import Markup

from curate.errors import InputError, count_of
from curate.release.flat import flat
from curate.report.html.audit import MOST, Audit, chosen_few
from curate.report.html.choice import arms_chart, frontier_chart, sweep_chart, what_if_chart
from curate.report.html.figures import Chart, Numbers
from curate.report.html.flow import coverage_chart, funnel_charts, pass_rate_chart
from curate.report.html.gradients import gradients_chart
from curate.report.html.planted import faults_charts
from curate.report.html.projection import project
from curate.report.html.score_charts import score_charts
from curate.report.html.scores import in_order, map_chart, scores_chart, scores_length_chart
from curate.report.scores.comparison import Comparison
from curate.store.whole import write_whole
from filters.columns import VERDICT_PREFIX

_RATIONALES: Final = 1_300_000
"""Bytes of rationales and their scores on a page; the longest texts are cut to a common length that
keeps to it.
"""
_NUMBER: Final = 8
"""Bytes of a score."""
_QUESTIONS: Final = 400_000
"""Bytes of questions."""
_ANSWER: Final = 200
"""Characters of an answer."""


def write_report(reference: Path, out: Path | None = None) -> Path:
    """Write the report of a finished run.

    Args:
        reference: a run folder, or ``runs/<name>``, whose latest run is meant.
        out: the file; by default beside the run folder, named after it.

    Returns:
        The file, which appears whole or not at all.

    Raises:
        InputError: there is no such run, or `out` can't be written.
    """
    audit = Audit.read(reference)
    path = out or page_path(audit.folder)
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder; wanted a file, as in report.html", "--out")
    few = chosen_few(audit)
    samples = few.with_row_index("place").join(
        audit.texts(few["sample_id"].to_list()), on="sample_id", maintain_order="left"
    )
    save(page(audit.run.title, _context(audit, samples)), path)
    return path


def page_path(run: Path) -> Path:
    """Name the report of a run: beside its folder, which never changes, and named after it."""
    return run.with_name(f"{run.name}.html")


def page(title: str, context: Mapping[str, Any], template: str = "report.html.jinja") -> str:
    """Fill in a page.

    Args:
        title: of the page.
        context: what the template names beside style and scripts.
        template: file beside this module.
    """
    folder = resources.files("curate.report.html")
    return fill(
        template,
        title=title,
        # our own files, and plotly's
        style=Markup((folder / "page.css").read_text("utf-8")),  # noqa: S704
        script=Markup((folder / "page.js").read_text("utf-8")),  # noqa: S704
        plotly=Markup(_plotly()),  # noqa: S704
        **context,
    )


def fill(template: str, **context: Any) -> str:
    """Fill in a file beside this module; what it is given is escaped."""
    folder = resources.files("curate.report.html")
    loader = jinja2.FunctionLoader(lambda name: (folder / name).read_text("utf-8"))
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["json"] = _json
    environment.filters["coded"] = _coded
    environment.filters["broken"] = _broken
    return environment.get_template(template).render(**context)


def save(text: str, path: Path) -> None:
    """Write a page so that it appears whole or not at all."""
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise InputError(
            f"can't write {str(path)!r}: {error.strerror}; name another file", "--out"
        ) from error


def figures_of(charts: Sequence[Chart]) -> dict[str, Any]:
    """Give the figures of charts by key, as the page's script takes them."""
    return {chart.key: [view.figure for view in chart.views] for chart in charts}


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def _json(value: object) -> Markup:
    """Write data into a script element, where only ``<`` could end it."""
    return Markup(orjson.dumps(value).decode().replace("<", "\\u003c"))  # noqa: S704 - escaped


def _coded(text: str) -> Markup:
    """Set what stands between backticks as code."""
    parts = [Markup.escape(part) for part in text.split("`")]
    coded = Markup("<code>%s</code>")
    return Markup("").join(coded % part if n % 2 else part for n, part in enumerate(parts))


def _broken(name: str) -> Markup:
    """Let a long name in snake_case be broken behind its underscores."""
    return Markup("_<wbr>").join(name.split("_"))


def _context(audit: Audit, samples: pl.DataFrame) -> dict[str, Any]:
    charts = list(_charts(audit, samples))
    return {
        "charts": charts,
        "figures": figures_of(charts),
        "headline": list(_headline(audit)),
        "notes": audit.funnel.notes,
        "facts": list(_facts(audit)),
        "samples": _samples(audit, samples),
        "sampled": _sampled(audit, samples),
        "finished": datetime.fromisoformat(audit.account["finished"]).strftime(
            "%Y-%m-%d %H:%M UTC"
        ),
        "dataset_hash": audit.manifest["dataset_hash"],
        "folder": str(audit.folder),
        "score": audit.score.name if audit.score else None,
        "outcomes": sorted(samples["outcome"].unique()),
        "reasons": sorted(
            f"{name}: {reason}"
            for name, reason in samples.select("rejected_by", "rejected_reason").unique().rows()
            if name
        ),
        "teachers": sorted(samples["teacher"].drop_nulls().unique()),
    }


def _charts(audit: Audit, samples: pl.DataFrame) -> Iterator[Chart]:
    yield from funnel_charts(audit)
    layout = project(audit, samples, samples)
    comparison = Comparison.of(audit)
    charts = (
        coverage_chart(audit), pass_rate_chart(audit), scores_chart(audit),
        scores_length_chart(audit, samples), *(score_charts(comparison) if comparison else ()),
        map_chart(audit, samples, layout), what_if_chart(audit), frontier_chart(audit),
        arms_chart(audit), sweep_chart(audit), gradients_chart(audit),
    )  # fmt: skip
    yield from (chart for chart in charts if chart is not None)
    yield from faults_charts(audit)


def _headline(audit: Audit) -> Iterator[tuple[str, str]]:
    funnel = audit.funnel
    if funnel.picks:
        selection = funnel.picks[0]
        yield f"{selection.rows:,}", "rows selected"
        yield f"{selection.questions:,}", "questions covered"
        for number, unit in selection.lengths:
            yield f"{number:,}", f"{unit}s"
    yield f"{funnel.samples:,}", "samples judged"
    tally = audit.account["tally"]
    yield f"{tally['sampled']:,}", "sampled in this run"
    yield f"{tally['reused']:,}", "taken from the record"


def _sampled(audit: Audit, samples: pl.DataFrame) -> str:
    if samples.height == audit.rows.height:
        return f"All {count_of(samples.height, 'sample')}."
    whole = samples.filter("sibling")["question_id"].n_unique()
    return (
        f"{samples.height:,} of {count_of(audit.rows.height, 'sample')} (at most {MOST:,}): all of "
        f"{count_of(whole, 'question')}, and a few of every other way a sample ended. Charts count "
        "all rows."
    )


def _samples(audit: Audit, samples: pl.DataFrame) -> dict[str, Any]:
    """Give the browser's rows; questions once."""
    questions = samples.unique("question_id", maintain_order=True).select(
        "question_id", "question", "gold"
    )
    places = {row: number for number, row in enumerate(questions["question_id"])}
    scores = [score.name for score in in_order(audit)]
    numbers = [*scores, *([audit.length] if audit.length else [])]
    texts = max(_RATIONALES - _NUMBER * samples.height * len(numbers), _RATIONALES // 2)
    longest = _longest(samples["rationale"], texts)
    longest_question = _longest(questions["question"], _QUESTIONS)
    return {
        "folder": str(audit.folder),
        "numbers": numbers,
        "questions": [
            {"id": id_, "text": _cut(text, longest_question), "gold": _cut(gold, _ANSWER)}
            for id_, text, gold in questions.iter_rows()
        ],
        "rows": [
            {
                "id": row["sample_id"], "q": places[row["question_id"]],
                "teacher": row["teacher"], "prompt": row.get("prompt_id"),
                "outcome": row["outcome"], "rank": row.get("selection_rank"),
                "why": f"{row['rejected_by']}: {row['rejected_reason']}"
                if row["rejected_by"]
                else None,
                "answer": _cut(row["answer"], _ANSWER), "text": _cut(row["rationale"], longest),
                "cut": len(row["rationale"] or "") > longest,
                "cluster": row.get("cluster"),
                "numbers": [_rounded(row[name]) for name in numbers],
                "verdicts": list(_verdicts(audit, row)),
            }
            for row in samples.iter_rows(named=True)
        ],
    }  # fmt: skip


def _verdicts(audit: Audit, row: Mapping[str, Any]) -> Iterator[tuple[str, str, str | None, Any]]:
    """Give a sample's verdicts up to the one that stopped it: filter, verdict, reason, score."""
    for filter_ in audit.filters:
        verdict = row[f"{VERDICT_PREFIX}{filter_.name}"]
        if verdict is None:
            return
        outcome = {True: "kept", False: "dropped", None: "abstained"}[verdict["keep"]]
        score = verdict["score"]
        yield (
            filter_.name,
            outcome,
            verdict["reason"],
            None if score is None else float(f"{score:.4g}"),
        )
        if row["rejected_by"] == filter_.name:
            return


def _rounded(value: float | None) -> float | None:
    """Round scores for a small page; counts stay as they are."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _cut(text: str | None, longest: int) -> str | None:
    return text if text is None or len(text) <= longest else f"{text[:longest]} …"


def _longest(texts: pl.Series, most: int) -> int:
    """Find the length to which texts are cut so that all together keep to so many bytes."""
    if not len(texts):
        return most
    strings = texts.fill_null("")
    # As if every character were as long as those of the text with the longest.
    width = (strings.str.len_bytes() / strings.str.len_chars().clip(1)).max()
    most = int(most / max(cast("float", width), 1.0))
    lengths = np.sort(strings.str.len_chars().to_numpy().astype(np.int64))
    after = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    rest = len(lengths) - np.arange(len(lengths))
    fitting = np.flatnonzero(after + lengths * rest <= most)
    if len(fitting) == len(lengths):
        return int(lengths[-1])
    place = int(fitting[-1]) + 1 if len(fitting) else 0
    return int((most - after[place]) // rest[place])


def _facts(audit: Audit) -> Iterator[tuple[str, Numbers]]:
    """Give the tables of models and parameters."""
    manifest = audit.manifest
    yield "Models", Numbers(("part", "model", "revision", "how"), tuple(_models(manifest)))
    yield (
        "Filters",
        Numbers(
            ("filter", "version", "on_abstain", "parameters"),
            tuple(
                (
                    entry["name"],
                    str(entry["version"]),
                    entry["on_abstain"],
                    _listed(entry["parameters"]),
                )
                for entry in manifest["filters"]
            ),
        ),
    )
    yield (
        "Selection",
        Numbers(
            ("key", "value"), tuple((path, _said(leaf)) for path, leaf in flat(manifest["select"]))
        ),
    )
    instruments = {
        name: _listed(measure["instrument"]) for name, measure in manifest["measures"].items()
    }
    yield "Measures", Numbers(("measure", "instrument"), tuple(instruments.items()))
    lock = manifest["lock"]
    pins = [
        (f"{part}: {name}", str(value))
        for part in ("data", "templates", "libraries", "dtypes")
        for name, value in lock[part].items()
    ]
    if pins:
        yield "Pinned", Numbers(("what", "value"), tuple(pins))
    if made_with := audit.run.made_with:
        yield "Made with", Numbers(("what", "version"), tuple(made_with.items()))
    settings = [("limit", str(manifest["limit"]))] if manifest["limit"] is not None else []
    settings += [("override", one) for one in manifest["overrides"]]
    recipe = [("recipe digest", manifest["recipe_digest"]), *settings]
    yield "Recipe", Numbers(("key", "value"), tuple(recipe))


def _models(manifest: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for source, teacher in manifest["teachers"].items():
        how = _listed({k: v for k, v in teacher.items() if k not in {"model", "revision"}})
        yield f"teacher {source}", str(teacher["model"]), str(teacher["revision"]), how
    for part, model in manifest["models"].items():
        yield part, model["name"], str(model["revision"]), model["how"]


def _listed(section: Mapping[str, Any]) -> str:
    return ", ".join(f"{path}: {_said(leaf)}" for path, leaf in flat(section) if path != "use")


def _said(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
