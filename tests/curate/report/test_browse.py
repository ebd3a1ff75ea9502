"""Browsing a run: what is chosen is what was asked for, every row on one page, nothing obeyed."""

import io
import itertools
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from curate import cli
from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, run
from curate.errors import InputError
from curate.errors.strict import validate
from curate.recipe.files import read_recipe
from curate.report.browse import BrowseOptions, Page, browse


def asked(folder: Path, **options: Any) -> Page:
    return browse(folder, validate(BrowseOptions, {"rows": 1000, **options}))


def shown(page: Page, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(page)
    text = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    return str(text)


@pytest.fixture(scope="module")
def audit(sums_run: Path) -> pl.DataFrame:
    return pl.read_parquet(sums_run / "audit" / "samples-*.parquet")


def test_conditions_choose_what_they_say(sums_run: Path, audit: pl.DataFrame) -> None:
    verdict = pl.col("verdict_correctness").struct.field("reason") == "wrong_answer"
    for options, expected in (
        ({}, pl.lit(value=True)),
        ({"verdict": "selected"}, pl.col("selected")),
        ({"verdict": "live"}, pl.col("live")),
        ({"verdict": "dropped"}, ~pl.col("live")),
        ({"filter": "correctness"}, verdict),
        ({"reason": "wrong_answer"}, verdict),
        ({"teacher": "pool"}, pl.lit(value=True)),
        ({"question": "plus 11"}, pl.col("question").str.contains("plus 11")),
        ({"between": ("rationale_words=5:7",)}, pl.col("rationale_words").is_between(5, 7)),
        ({"between": ("rationale_words=:5", "rationale_words=2:"), "verdict": "live"},
         pl.col("rationale_words").is_between(2, 5) & pl.col("live")),
    ):  # fmt: skip
        page = asked(sums_run, **options)
        wanted = audit.filter(expected)["sample_id"]
        assert sorted(row["sample_id"] for row in page.rows) == sorted(wanted)
        assert page.total == len(wanted) > 0


def test_pages_hold_every_row_once_in_one_order(sums_run: Path) -> None:
    whole = asked(sums_run, sort="-rationale_words").rows
    pages = [
        browse(sums_run, BrowseOptions(sort="-rationale_words", rows=70, page=number))
        for number in range(1, 6)
    ]
    assert [row for page in pages for row in page.rows] == whole
    assert {(page.total, page.pages) for page in pages} == {(300, 5)}
    words = [row["rationale_words"] for row in whole if row["rationale_words"] is not None]
    assert all(a >= b for a, b in itertools.pairwise(words))
    ranks = [row["selection_rank"] for row in asked(sums_run, verdict="selected").rows]
    assert ranks == list(range(1, 121))
    assert "page 1 of 5; --page 2 for more" in shown(pages[0])
    assert "--page" not in shown(pages[4])


def test_all_but_the_question_is_whole_on_a_narrow_terminal(sums_run: Path) -> None:
    page = browse(sums_run, BrowseOptions(reason="wrong_answer", rows=3))
    for row, line in zip(page.rows, shown(page, 80).splitlines()[1:], strict=False):
        said = [row["sample_id"], "correctness:", "wrong_answer", row["answer"], row["gold"]]
        assert line.split()[:6] == [*said, "What"]
    assert "rationale_words" not in shown(page, 80)
    assert "rationale…" in shown(page, 120)


def test_the_samples_of_one_question_stand_together(sums_run: Path) -> None:
    page = asked(sums_run, question="is 33 plus 3?")
    assert page.together
    assert len(page.rows) == 5
    said = shown(page, 100)
    assert len([line for line in said.splitlines() if line.count("╭─") == 2]) == 2, "side by side"
    assert shown(page, 60).count("╭─") == 5
    for text in ("33 - 3 = 30", "correctness: wrong_answer", "selected, rank", "(no rationale)"):
        assert text in said
    assert asked(sums_run, question=page.rows[0]["question_id"][:12]).rows == page.rows
    assert not asked(sums_run, question="plus 3").together


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"filter": "corectness"}, "no filter is called 'corectness'; did you mean 'correctness'"),
        ({"reason": "wrong"}, "no reason of this run is called 'wrong'"),
        ({"teacher": "gpt"}, "no teacher or source is called 'gpt'; there are: pool"),
        ({"sort": "rational_words"}, "no column 'rational_words'.*'rationale_words'"),
        ({"sort": "verdict_length"}, "no column 'verdict_length'"),
        ({"between": ("rd=0:1",)}, "no column 'rd'"),
        ({"between": ("rationale_words=a:b",)}, "wanted COLUMN=LOW:HIGH"),
        ({"between": ("rationale_words=5",)}, "wanted COLUMN=LOW:HIGH"),
        ({"verdict": "good"}, "'good'"),
    ],
)
def test_what_cannot_be_asked_is_said(sums_run: Path, options: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        asked(sums_run, **options)


def test_what_models_wrote_is_shown_and_not_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    evil = "\x1b[2J[bold]red[/bold] 4 * 2 = 8. The answer is 8"
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": "4 * 2?", "answer": "8"}))
    (tmp_path / "p.jsonl").write_text(json.dumps({"question": "4 * 2?", "text": evil}))
    (tmp_path / "r.yaml").write_text(
        "name: evil\nquestions: {path: q.jsonl, gold: {type: number}}\n"
        "sources: [{use: import, name: '[red]x', path: p.jsonl, columns: {question: question,"
        " completion: text}}]\nfilters: [{use: correctness}]\n"
    )
    options = RunOptions(out=tmp_path / "run")
    run(read_recipe(str(tmp_path / "r.yaml")), options, Progress(quiet=True))
    for said in (shown(asked(tmp_path / "run")), shown(asked(tmp_path / "run", question="4"))):
        assert "\x1b" not in said
    assert "\\x1b[2J[bold]red[/bold]" in said
    assert "[red]x" in said


def test_the_command(sums_run: Path) -> None:
    told = CliRunner().invoke(
        cli.app, ["show", str(sums_run), "--verdict", "selected", "--rows", "3", "--json"]
    )
    page = json.loads(told.output)
    assert (page["total"], page["pages"], len(page["rows"])) == (120, 40, 3)
    none = CliRunner().invoke(cli.app, ["show", str(sums_run), "--question", "nowhere"])
    assert none.output == "no sample is like that\n"
