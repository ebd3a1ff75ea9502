"""A comparison's figures against plain loops over the audit, and what is said of too few."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats
from typer.testing import CliRunner

from curate import cli
from curate.errors import InputError
from curate.measures.statistics import Estimate
from curate.report.html.page import write_report
from curate.report.html.score_page import write_score_comparison
from curate.report.result import Result
from curate.report.scores.comparison import Comparison, compare
from curate.report.scores.separation import SHORTEST
from curate.report.scores.words import agreement_words, verdict_words, which
from filters.columns import GLOSSARY, Column
from tests.curate.report.html.browser import Theme, opened
from tests.curate.report.scores.made_up import (
    QUESTIONS,
    TEACHERS,
    Scores,
    Values,
    audit_of,
    right_of,
    score,
    scored,
    write_run,
)

CHARM, WIT, GRASP = score("charm", "lower"), score("wit", "higher"), score("grasp", "higher")
MOOD = score("mood", "none")
FLAT = score("flat", "lower")
STATES = GLOSSARY["states_gold"]


def noise(seed: int) -> Callable[[pl.DataFrame], Values]:
    """Draw a value a row, to two digits, so that some siblings tie."""
    return lambda audit: np.random.default_rng(seed).normal(size=audit.height).round(1)


def grasp(audit: pl.DataFrame) -> Values:
    """Draw a value a row, higher where the row is right; some have none."""
    values = noise(7)(audit) + 2.0 * right_of(audit)
    return np.where(np.arange(audit.height) % 11 == 3, np.nan, values)


SCORES: Scores = {
    CHARM: noise(1),
    WIT: lambda audit: np.exp(-noise(1)(audit)) + noise(2)(audit) * 0.3,
    GRASP: grasp,
    MOOD: noise(4),
    FLAT: lambda audit: audit["question"].str.len_chars().to_numpy().astype(float),
    STATES: lambda audit: noise(5)(audit) > 0.5,
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without any score."""
    folder = tmp_path_factory.mktemp("taught")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        return write_run(folder)


@pytest.fixture(scope="module")
def run(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scored(plain, tmp_path_factory.mktemp("scored") / "run", SCORES)


@pytest.fixture(scope="module")
def comparison(run: Path) -> Comparison:
    return compare(run)


def siblings(run: Path) -> list[pl.DataFrame]:
    """Give the rows of each question, ``right`` judged, ``words`` counted."""
    audit = audit_of(run).with_columns(right=pl.Series(right_of(audit_of(run))))
    return audit.sort("question_id", "sample_id").partition_by("question_id")


def better(rows: pl.DataFrame, column: Column) -> Values:
    sign = -1 if column.score == "lower" else 1
    return sign * rows[column.name].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def spearman(a: Values, b: Values) -> float:
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[both], b[both]
    distinct = len(a) >= 3 and len(set(a)) > 1 and len(set(b)) > 1
    return float(stats.spearmanr(a, b).statistic) if distinct else float("nan")


def test_scores_are_those_that_tell_siblings_apart(comparison: Comparison) -> None:
    assert comparison.scores == {
        "charm": "lower", "wit": "higher", "grasp": "higher", "mood": "none"
    }  # fmt: skip
    assert (comparison.rows, comparison.scored) == (6 * QUESTIONS, 6 * QUESTIONS)
    assert comparison.questions == QUESTIONS


def test_agreement_is_the_mean_of_scipys_inside_questions(
    run: Path, comparison: Comparison
) -> None:
    for one, other in ((CHARM, WIT), (CHARM, GRASP), (WIT, MOOD)):
        each = [spearman(better(rows, one), better(rows, other)) for rows in siblings(run)]
        got = comparison.agreement[one.name][other.name]
        assert got == comparison.agreement[other.name][one.name]
        assert got.value == pytest.approx(np.nanmean(each))
        assert got.questions == np.count_nonzero(~np.isnan(each))
        assert got.low is not None
        assert got.high is not None
        assert got.low < got.value < got.high
    assert (comparison.agreement["charm"]["wit"].low or 0) > 0.5


def test_length_is_correlated_inside_questions(run: Path, comparison: Comparison) -> None:
    each = [
        spearman(better(rows, WIT), rows["rationale_words"].cast(pl.Float64).to_numpy())
        for rows in siblings(run)
    ]
    assert comparison.length["wit"]["rationale_words"].value == pytest.approx(np.nanmean(each))


def test_choices_are_the_best_live_rows_as_many_as_were_selected(
    run: Path, comparison: Comparison
) -> None:
    common = chance = taken = 0.0
    for rows in siblings(run):
        live = rows.filter("live")
        size = int(live["selected"].sum())
        if not 0 < size < live.height:
            continue
        # of normal values to one digit some tie; where they do, either choice is right
        tops = [set(np.argsort(-better(live, one), kind="stable")[:size]) for one in (WIT, MOOD)]
        common += len(tops[0] & tops[1])
        chance += size * size / live.height
        taken += size
    assert comparison.overlap is not None
    assert comparison.overlap.as_selected
    assert comparison.overlap.rows == taken
    assert comparison.overlap.chance.value == pytest.approx(chance / taken)
    assert set(comparison.overlap.shares) == {"selected", "charm", "wit", "grasp"}
    shared = comparison.overlap.shares["charm"]["wit"]
    assert shared.value is not None
    assert shared.value > (comparison.overlap.chance.value or 1)


def test_without_a_choice_in_the_selection_the_best_one_is_compared(
    plain: Path, tmp_path: Path
) -> None:
    all_live = scored(plain, tmp_path / "all", SCORES)
    path = next((all_live / "audit").glob("samples-*"))
    pl.read_parquet(path).with_columns(selected=pl.col("live")).write_parquet(path)
    found = compare(all_live).overlap
    assert found is not None
    assert not found.as_selected
    assert "selected" not in found.shares
    assert found.rows == found.questions == QUESTIONS


def pairs_won(rows: pl.DataFrame, values: Values, *, silent: bool) -> float:
    rows = rows.with_columns(values=pl.Series(values)).filter(pl.col("values").is_not_nan())
    rows = rows.filter(~pl.col("states_gold")) if silent else rows
    right = rows.filter("right")["values"].to_list()
    wrong = rows.filter(~pl.col("right"))["values"].to_list()
    wins = [(r > w) + (r == w) / 2 for r in right for w in wrong]
    return float(np.mean(wins)) if wins else float("nan")


def test_right_and_wrong_are_compared_pair_by_pair(run: Path, comparison: Comparison) -> None:
    found = {one.score: one for one in comparison.separation.scores}
    assert list(found) == ["charm", "wit", "grasp", "mood", SHORTEST]
    for one in (CHARM, GRASP, MOOD):
        for silent in (False, True):
            each = [pairs_won(rows, better(rows, one), silent=silent) for rows in siblings(run)]
            got = found[one.name].auc_unstated if silent else found[one.name].auc
            assert got.value == pytest.approx(np.nanmean(each))
            assert got.questions == np.count_nonzero(~np.isnan(each))
    assert (found["grasp"].auc.low or 0) > 0.8
    assert found["charm"].auc.beside(0.5) is False
    assert found["mood"].wrong.value is None


def test_length_is_taken_out_of_an_order(run: Path, comparison: Comparison) -> None:
    found = {one.score: one for one in comparison.separation.scores}
    places: dict[str, list[list[float]]] = {CHARM.name: [], "length": []}
    for rows in siblings(run):
        lengths = -rows["rationale_words"].cast(pl.Float64).to_numpy()
        for name, values in ((CHARM.name, better(rows, CHARM)), ("length", lengths)):
            places[name].append(((stats.rankdata(values) - 0.5) / len(values) - 0.5).tolist())
    own, other = (np.concatenate(places[name]) for name in (CHARM.name, "length"))
    slope = float(own @ other / (other @ other))
    each: list[float] = []
    for rows, values, lengths in zip(siblings(run), *places.values(), strict=True):
        left = (np.array(values) - slope * np.array(lengths)).tolist()
        each.append(pairs_won(rows, left, silent=False))
    assert found["charm"].auc_length.value == pytest.approx(np.nanmean(each))
    assert found[SHORTEST].auc_length.value is None
    assert found["grasp"].auc_length.beside(0.5), "it sees more than length"


def test_wrong_ones_are_counted_among_each_questions_best(
    run: Path, comparison: Comparison
) -> None:
    found = {one.score: one for one in comparison.separation.scores}
    shares: list[float] = []
    for rows in siblings(run):
        values = better(rows, CHARM)
        best = rows.filter(pl.Series(values == np.nanmax(values)))
        shares.append(1 - float(best["right"].to_numpy().mean()))
    assert found["charm"].wrong.value == pytest.approx(np.mean(shares))
    assert found["grasp"].wrong.high == 0, "it never takes one"
    assert comparison.separation.chance_wrong.value == pytest.approx(1 / 6)


def test_a_run_that_scored_right_samples_only_says_how_to_see_more(
    plain: Path, tmp_path: Path
) -> None:
    right_only: Scores = {CHARM: lambda a: np.where(right_of(a), noise(1)(a), np.nan)}
    found = compare(scored(plain, tmp_path / "right", right_only)).separation
    assert found.scores == ()
    assert found.note is not None
    assert "right samples only, behind correctness" in found.note
    assert "{columns: [rsr], before_filters: true}" in found.note


def test_teachers_are_compared_by_questions_that_both_have(
    run: Path, comparison: Comparison
) -> None:
    found = comparison.teachers
    assert found is not None
    assert {one.name for one in found.groups} == set(TEACHERS)
    assert all((one.rows, one.questions) == (2 * QUESTIONS, QUESTIONS) for one in found.groups)
    audit = audit_of(run).with_columns(right=pl.Series(right_of(audit_of(run))))
    for name in TEACHERS:
        own = audit.filter(teacher=name)
        by_question = own.group_by("question_id").agg(pl.col("grasp", "right").mean())
        assert found.figures["grasp"][name].value == pytest.approx(by_question["grasp"].mean())
        assert found.figures["pass rate"][name].value == pytest.approx(own["right"].mean())
    verdicts = {one.by: one for one in found.verdicts}
    assert set(verdicts) == {"charm", "wit", "grasp", "pass rate"}
    assert verdicts["charm"].best is None
    assert set(verdicts["charm"].alike) == set(TEACHERS)
    assert verdicts["pass rate"].best is None, "two teachers are always right"
    assert set(verdicts["pass rate"].alike) == {"brief", "careful"}
    assert which(found) == "Which teacher for this student: the data can't tell."


def planted(ahead: dict[str, str]) -> Scores:
    """Make scores by each of which a teacher is ahead of the others."""

    def values(name: str, seed: int) -> Callable[[pl.DataFrame], Values]:
        return lambda a: noise(seed)(a) * 0.1 + (a["teacher"] == name).to_numpy()

    return {
        score(by, "higher"): values(name, n) for n, (by, name) in enumerate(ahead.items())
    }  # fmt: skip


def test_a_teacher_that_is_ahead_is_named_and_two_are_not_made_one(
    plain: Path, tmp_path: Path
) -> None:
    found = compare(scored(plain, tmp_path / "one", planted({"a": "rash", "b": "rash"}))).teachers
    assert found is not None
    verdicts = {one.by: one for one in found.verdicts}
    assert (verdicts["a"].best, verdicts["b"].best) == ("rash", "rash")
    assert found.best is None, "the pass rate can't tell"
    assert "Ahead by a, b: rash." in which(found)
    assert verdicts["a"].lead is not None
    assert verdicts["a"].lead.value == pytest.approx(1, abs=0.1)
    found = compare(scored(plain, tmp_path / "two", planted({"a": "rash", "b": "brief"}))).teachers
    assert found is not None
    assert found.best is None
    said = which(found)
    assert "it depends on the figure" in said
    assert "Ahead by a: rash." in said
    assert "Ahead by b: brief." in said


def test_the_rsr_of_a_teacher_is_that_of_the_set(plain: Path, tmp_path: Path) -> None:
    def rank(audit: pl.DataFrame) -> Values:
        return np.abs(noise(1)(audit)) * 10 + 1

    def nll(audit: pl.DataFrame) -> Values:
        unknown = audit["question"].str.contains("is 30").to_numpy()
        return np.where(unknown, np.nan, np.abs(noise(2)(audit)) + 0.1)

    columns: Scores = {
        score("rsr", "lower"): lambda a: rank(a) / nll(a),
        score("rank_mean", "lower"): rank,
        GLOSSARY["nll_rationale"]: nll,
    }
    folder = scored(plain, tmp_path / "rsr", columns)
    found = compare(folder).teachers
    assert found is not None
    own = audit_of(folder).filter(pl.col("nll_rationale").is_not_null(), teacher="brief")
    wanted = own["rank_mean"].to_numpy().mean() / own["nll_rationale"].to_numpy().mean()
    assert found.figures["rsr"]["brief"].value == pytest.approx(wanted)


def test_ratios_are_averaged_and_compared_by_their_logarithm(plain: Path, tmp_path: Path) -> None:
    ease = score("ease", "lower", ratio=True)

    def values(audit: pl.DataFrame) -> Values:
        return np.where(audit["teacher"] == "brief", 0.5, 1.0) * np.exp(noise(1)(audit) * 0.01)

    found = compare(scored(plain, tmp_path / "ratio", {ease: values})).teachers
    assert found is not None
    verdict = next(one for one in found.verdicts if one.by == "ease")
    assert verdict.best == "brief"
    assert verdict.relative
    assert verdict.lead is not None
    assert verdict.lead.value == pytest.approx(1.0, abs=0.02), "half is half again as good"
    assert "by 9" in verdict_words(verdict) or "by 10" in verdict_words(verdict)


def test_few_questions_tell_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    few = scored(write_run(tmp_path / "few", questions=7), tmp_path / "run", SCORES)
    found = compare(few)
    assert found.agreement["charm"]["wit"].value is None
    assert found.agreement["charm"]["wit"].questions == 7
    assert {one.auc.value for one in found.separation.scores} == {None}
    assert found.teachers is not None
    assert found.teachers.figures == {}
    page = write_score_comparison(found, tmp_path / "few.html").read_text("utf-8")
    assert "can&#39;t tell" in page


def test_the_order_of_rows_changes_nothing(
    plain: Path, comparison: Comparison, tmp_path: Path
) -> None:
    turned = compare(scored(plain, tmp_path / "turned", SCORES, reverse=True))
    assert turned.model_dump_json() == comparison.model_dump_json()


def test_a_monotone_transform_changes_no_order(
    plain: Path, comparison: Comparison, tmp_path: Path
) -> None:
    cubed: Scores = {**SCORES, CHARM: lambda audit: np.exp(3 * noise(1)(audit))}
    other = compare(scored(plain, tmp_path / "cubed", cubed))
    for part in ("agreement", "overlap", "length", "separation"):
        assert getattr(other, part) == getattr(comparison, part)


def test_scores_that_say_the_same_are_said_to(plain: Path, tmp_path: Path) -> None:
    columns: Scores = {CHARM: noise(1), score("twin", "higher"): lambda a: -3 * noise(1)(a)}
    found = compare(scored(plain, tmp_path / "twins", columns))
    assert found.agreement["charm"]["twin"].value == pytest.approx(1)
    assert "In the same order, but for few siblings: charm and twin." in agreement_words(found)
    columns = {CHARM: noise(1), score("foe", "lower"): lambda a: -3 * noise(1)(a)}
    found = compare(scored(plain, tmp_path / "foes", columns))
    assert "Most opposed are charm and foe: -1.00 (-1.00 to -1.00)." in agreement_words(found)


def test_gradients_of_teachers_stand_beside_the_rest(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    path = folder / "dataset" / "manifest.json"
    manifest = json.loads(path.read_text())
    groups: dict[str, object] = {
        name: {"questions": 30, "grace": {"value": at, "low": 0.9 * at, "high": 1.1 * at}}
        for name, at in (("brief", 1.0), ("careful", 2.0))
    } | {"rash": {"reason": "too_few_questions"}}
    manifest["measures"]["gradient"] = {"instrument": {}, "facts": {"teachers": groups}}
    path.write_text(json.dumps(manifest))
    found = compare(folder).teachers
    assert found is not None
    assert found.figures["grace"]["careful"] == Estimate(2.0, 1.8, 2.2, 30)
    assert found.figures["grace"]["rash"].value is None
    [verdict] = [one for one in found.verdicts if one.by == "grace"]
    assert verdict_words(verdict) == "grace: brief, ahead of all; next is careful."


def test_columns_of_steps_are_set_beside_length(plain: Path, tmp_path: Path) -> None:
    steps = Column("steps", pl.Int32(), "made up", "tests")
    columns: Scores = {
        CHARM: noise(1), steps: lambda audit: (10 * noise(1)(audit)).astype(int)
    }  # fmt: skip
    found = compare(scored(plain, tmp_path / "steps", columns))
    assert set(found.length["charm"]) == {"rationale_words", "steps"}
    assert found.length["charm"]["steps"].value == pytest.approx(-1)


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_shows_every_part(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = invoke("scores", str(run))
    assert max(map(len, text.splitlines())) <= 80
    intervals = text[text.index("\nLength") : text.index("\nTeachers")]
    assert "\u2026" not in intervals, "each is shown whole"
    for part in ("Agreement", "What each would take", "Length", "Right and wrong", "Teachers"):
        assert part in text
    assert "Agreement" in repr(Result.open(run).scores())
    facts = json.loads(invoke("scores", str(run), "--json"))
    assert facts["agreement"]["charm"]["wit"]["questions"] == QUESTIONS
    assert facts["teachers"]["verdicts"][0]["by"] == "charm"


def test_a_run_without_scores_is_refused(plain: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no score of taught 0\.1\.0 tells"):
        compare(plain)
    with pytest.raises(InputError, match="no score"):
        compare(scored(plain, tmp_path / "flat", {FLAT: SCORES[FLAT]}))
    with pytest.raises(InputError, match="can't write"):
        write_score_comparison(compare(run), run / "run.json" / "page.html")


@pytest.mark.parametrize(("width", "theme"), [(1400, "light"), (390, "dark")])
def test_the_page_opens_quietly_and_is_accessible(
    run: Path, tmp_path: Path, width: int, theme: Theme
) -> None:
    page = tmp_path / "scores.html"
    invoke("scores", str(run), "--html", str(page))
    with opened(page, width, theme) as there:
        assert there.violations() == []
        assert there.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        cell = there.page.locator("#agreement tbody tr >> nth=0").locator("td >> nth=1")
        assert cell.inner_text().split() == there_wanted(run)
        assert there.said == []
        assert there.asked == []


def there_wanted(run: Path) -> list[str]:
    """Give what the cell of the first two scores says."""
    one = compare(run).agreement["charm"]["wit"]
    return [f"{one.value:.2f}", f"{one.low:.2f}", "to", f"{one.high:.2f}"]


def test_the_report_has_the_same_parts(run: Path, tmp_path: Path) -> None:
    report = write_report(run, tmp_path / "report.html").read_text("utf-8")
    for part in ("agreement", "overlap", "length", "separation", "which-teacher", "by-teacher"):
        assert f'<section id="{part}"' in report
