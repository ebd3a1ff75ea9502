"""Levels, formats and teachers: compared where all the rest is the same, or not at all."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.report.html.score_page import write_score_comparison
from curate.report.scores.comparison import Comparison, compare
from curate.report.scores.groups import Groups, by_number
from curate.report.scores.variants import format_of, level_of
from curate.report.scores.words import group_words, which
from filters.columns import GLOSSARY
from tests.curate.report.scores.made_up import QUESTIONS, Scores, Values, score, scored, write_run

PROMPTS = {
    "brief": ("level1", "level2"),
    "careful": ("level1", "level2"),
    "rash": ("level1", "level1_SYM"),
}
"""What each teacher's two samples of a question answer."""
COST = score("cost", "lower")


def prompts(audit: pl.DataFrame) -> Values:
    nth = audit.select(pl.int_range(pl.len()).over("question_id", "teacher")).to_series()
    pairs = zip(audit["teacher"], nth, strict=True)
    return np.array([PROMPTS[teacher][place] for teacher, place in pairs], dtype=object)


def cost(audit: pl.DataFrame) -> Values:
    """Make level 2 dearer by one, and the rash teacher, who wrote none of it, dearest by far."""
    noise = np.random.default_rng(3).normal(size=audit.height) * 0.1
    return noise + (prompts(audit) == "level2") + 5.0 * (audit["teacher"] == "rash").to_numpy()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("variants")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_STORE", str(folder / "store"))
        return write_run(folder)


@pytest.fixture(scope="module")
def comparison(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    columns: Scores = {
        GLOSSARY["prompt_id"]: prompts,
        COST: cost,
        GLOSSARY["rd_masked"]: lambda audit: np.exp(cost(audit)),
    }
    return compare(scored(plain, tmp_path_factory.mktemp("scored") / "run", columns))


def by(comparison: Comparison, name: str) -> Groups:
    return next(groups for groups in comparison.variants if groups.by == name)


def test_levels_are_compared_among_those_who_wrote_all_of_them(comparison: Comparison) -> None:
    levels = by(comparison, "level")
    assert levels.within == ("brief plain", "careful plain")
    assert [(one.name, one.rows) for one in levels.groups] == [
        ("1", 2 * QUESTIONS), ("2", 2 * QUESTIONS)
    ]  # fmt: skip
    verdict = next(one for one in levels.verdicts if one.by == "cost")
    assert verdict.best == "1", "over all rows it would be level 2, which the dear one never wrote"
    assert verdict.lead is not None
    assert verdict.lead.value == pytest.approx(1, abs=0.1)
    assert "Compared where all the rest is the same: brief plain; careful plain." in list(
        group_words(levels)
    )


def test_teachers_are_compared_under_the_prompts_that_all_had(comparison: Comparison) -> None:
    assert comparison.teachers is not None
    assert comparison.teachers.within == ("level1",)
    assert {one.rows for one in comparison.teachers.groups} == {QUESTIONS}
    verdict = next(one for one in comparison.teachers.verdicts if one.by == "cost")
    assert set(verdict.alike) == {"brief", "careful"}


def test_formats_are_compared_within_a_teacher_and_level(comparison: Comparison) -> None:
    formats = by(comparison, "format")
    assert formats.within == ("rash 1",)
    assert [one.name for one in formats.groups] == ["plain", "symbolic"]
    verdict = next(one for one in formats.verdicts if one.by == "cost")
    assert verdict.best is None, "nothing was planted"


def test_every_combination_stands_beside_the_others(comparison: Comparison) -> None:
    cells = by(comparison, "variant")
    names = [one.name for one in cells.groups]
    assert names == [
        "brief level 1 plain", "brief level 2 plain", "careful level 1 plain",
        "careful level 2 plain", "rash level 1 plain", "rash level 1 symbolic",
    ]  # fmt: skip
    assert cells.within == ()
    assert set(cells.figures["rationale_words"]) == set(names), "what they are like, too"
    verdict = next(one for one in cells.verdicts if one.by == "cost")
    assert set(verdict.alike) == {"brief level 1 plain", "careful level 1 plain"}
    assert "Which variant for this student" in which(cells)


def of_prompts(
    plain: Path, folder: Path, prompt_of: Callable[[str, int, int], str | None]
) -> Groups:
    """Compare teachers whose samples cost what their prompts do, and nothing of their own."""

    def prompts_of(audit: pl.DataFrame) -> Values:
        places = audit.select(
            "teacher",
            pl.col("question").str.extract(r"is (\d+)").cast(pl.Int32),
            nth=pl.int_range(pl.len()).over("question_id", "teacher"),
        )
        return np.array([prompt_of(*row) for row in places.iter_rows()], dtype=object)

    def cost_of(audit: pl.DataFrame) -> Values:
        noise = np.random.default_rng(5).normal(size=audit.height) * 0.1
        return noise + np.array([prompt != "cheap" for prompt in prompts_of(audit)])

    columns: Scores = {GLOSSARY["prompt_id"]: prompts_of, COST: cost_of}
    teachers = compare(scored(plain, folder, columns)).teachers
    assert teachers is not None
    return teachers


def verdict_by_cost(teachers: Groups) -> str | None:
    return next(one.best for one in teachers.verdicts if one.by == "cost")


def test_who_had_another_prompt_is_not_the_better_teacher(plain: Path, tmp_path: Path) -> None:
    own = {"brief": "cheap", "careful": "dear", "rash": "dear"}
    teachers = of_prompts(plain, tmp_path / "run", lambda name, *_: own[name])
    assert teachers.scattered
    assert verdict_by_cost(teachers) is None
    assert "any two are compared where both are" in " ".join(group_words(teachers))
    low = teachers.figures["cost"]["brief"].high or 1
    assert low < 0.5, "though its samples are cheaper by far"


def test_one_without_a_prompt_does_not_undo_the_rest(plain: Path, tmp_path: Path) -> None:
    own = {"brief": "cheap", "careful": "cheap", "rash": None}
    teachers = of_prompts(plain, tmp_path / "run", lambda name, *_: own[name])
    assert teachers.scattered
    assert verdict_by_cost(teachers) is None, "the third is nowhere beside the others"


def test_a_mix_of_prompts_is_held_equal(plain: Path, tmp_path: Path) -> None:
    """Whoever answered the cheap prompt more often is not cheaper."""

    def prompt(name: str, question: int, nth: int) -> str:
        often = {"brief": True, "careful": False}.get(name, question % 4 < 2)
        alone = "cheap" if often else "dear"
        return alone if question % 2 else ("cheap", "dear")[nth]

    teachers = of_prompts(plain, tmp_path / "run", prompt)
    assert teachers.within == ()
    assert not teachers.scattered
    assert verdict_by_cost(teachers) is None
    figures = teachers.figures["cost"]
    assert (figures["brief"].value or 0) < (figures["careful"].value or 0) - 0.3


def test_gradients_of_whole_teachers_decide_nothing_within_a_prompt(
    plain: Path, tmp_path: Path
) -> None:
    folder = scored(plain, tmp_path / "run", {GLOSSARY["prompt_id"]: prompts, COST: cost})
    path = folder / "dataset" / "manifest.json"
    manifest = json.loads(path.read_text())
    groups = {
        name: {"questions": 30, "grace": {"value": at, "low": 0.9 * at, "high": 1.1 * at}}
        for name, at in (("brief", 1.0), ("careful", 2.0), ("rash", 3.0))
    }
    manifest["measures"]["gradient"] = {"instrument": {}, "facts": {"teachers": groups}}
    path.write_text(json.dumps(manifest))
    teachers = compare(folder).teachers
    assert teachers is not None
    assert teachers.within == ("level1",)
    assert "grace" in teachers.figures
    assert "grace" not in {verdict.by for verdict in teachers.verdicts}


def test_levels_stand_in_the_order_of_their_numbers() -> None:
    names = ["t level 10 plain", "t level 2 plain", "t level 1 symbolic", "a"]
    assert sorted(names, key=by_number) == [
        "a", "t level 1 symbolic", "t level 2 plain", "t level 10 plain"
    ]  # fmt: skip


def test_nothing_is_said_of_variants_where_prompts_say_none(plain: Path, tmp_path: Path) -> None:
    assert compare(scored(plain, tmp_path / "run", {COST: cost})).variants == ()


def test_a_score_that_is_not_trusted_decides_nothing(plain: Path, tmp_path: Path) -> None:
    columns: Scores = {COST: cost, GLOSSARY["rd_masked"]: lambda audit: np.exp(cost(audit))}
    folder = scored(plain, tmp_path / "run", columns)
    path = folder / "dataset" / "manifest.json"
    for follows, untrusted in ((True, ()), (False, ("rd_masked",)), (None, ("rd_masked",))):
        manifest = json.loads(path.read_text())
        manifest["calibration"] = {"student_follows": follows, "reason": "made up"}
        path.write_text(json.dumps(manifest))
        teachers = compare(folder).teachers
        assert teachers is not None
        assert teachers.untrusted == untrusted
        assert "rd_masked" in teachers.figures
        deciding = {verdict.by for verdict in teachers.verdicts}
        assert ("rd_masked" in deciding) == (follows is True)
        assert "cost" in deciding


@pytest.mark.parametrize(
    ("prompt", "level", "form"),
    [
        ("level-3", "3", "plain"),
        ("level3_SYM", "3", "symbolic"),
        ("level5_BSM", "5", "sub-questions"),
        ("level5_RaR", "5", "rephrase"),
        ("format-sub-questions", None, "sub-questions"),
        ("format-plain", None, "plain"),
        ("rephrase", None, None),
        ("cot-short", None, None),
    ],
)
def test_prompts_say_what_they_ask_for(prompt: str, level: str | None, form: str | None) -> None:
    assert (level_of(prompt), format_of(prompt)) == (level, form)


def test_the_page_has_a_table_of_them(comparison: Comparison, tmp_path: Path) -> None:
    page = write_score_comparison(comparison, tmp_path / "page.html").read_text("utf-8")
    for heading in ("Which level", "Which format", "Scores by variant", "rash level 1 symbolic"):
        assert heading in page
