"""``curate effect`` on a whole run with a drawn student: what is told, killed and asked again."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from curate import cli
from curate.engine.effect import command
from curate.engine.effect import trainings as module
from curate.engine.effect.command import run_effect, seconds_of
from curate.errors import InputError
from curate.models.students.answering import Answer, Answerer
from curate.release.effect.facts import Effect
from curate.release.effect.kept import kept
from curate.report.effect.page import write_effect
from curate.report.effect.view import EffectView
from tests.curate.engine.test_thresholds import write_student
from tests.curate.imported_sums import do, write
from tests.curate.report.html.browser import Theme, opened

ARMS = ("untrained", "random", "selected", "answer_only", "wrong")
QUICK = (
    "student=student",
    "answer_tokens=8",
    "epochs=1",
    "batch=4",
    "rank=2",
    "dtype=float32",
    "seeds=2",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run on sums for a student, and other sums to test with."""
    folder = tmp_path_factory.mktemp("effect")
    write(folder)
    rows = [json.loads(line) for line in (folder / "pool.jsonl").read_text().splitlines()]
    write_student(folder / "student", [row["question"] + row["text"] for row in rows])
    tests = [{"question": f"Add up the numbers {a} and 90, please.", "answer": str(a + 90)}
             for a in range(10)]  # fmt: skip
    lines = (json.dumps(row) + "\n" for row in tests)
    (folder / "test.jsonl").write_text("".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("CURATE_STORE", str(folder / "store"))
        student = f"measures={{score: {{student: {folder / 'student'}, calibrate: 0}}}}"
        do(folder, student, "select.order_by=[rd_paper]", "select.budget={rows: 24}")
        yield folder


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CURATE_STORE", str(folder / "store"))


def find_out(*options: str, arms: Sequence[str] = ARMS, **more: Any) -> Effect:
    return run_effect(Path("runs/sums"), Path("test.jsonl"), arms=arms,
                      options=(*QUICK, *options), **more)  # fmt: skip


def said(effect: Effect) -> str:
    return " ".join(repr(EffectView(effect)).split())


@pytest.fixture(scope="module")
def effect(folder: Path) -> Effect:
    del folder
    return find_out()


def test_every_arm_is_trained_alike(effect: Effect) -> None:
    arms = {one.arm: one for one in effect.arms}
    assert list(arms) == list(ARMS)
    assert [one.trainings for one in effect.arms] == [1, 2, 2, 2, 2]
    assert {len(losses) for one in effect.arms for losses in one.losses} == {effect.updates}
    chosen = arms["selected"].tokens
    for name in ("random", "wrong"):
        assert arms[name].tokens == pytest.approx(chosen, rel=0.05), "half a row of so few is more"
    assert arms["answer_only"].tokens < chosen / 2
    for figure in ("right", "golds"):
        assert arms["random"].by(figure).to_baseline is None
        assert arms["untrained"].by(figure).to_untrained is None
        assert arms["selected"].by(figure).to_baseline is not None
    assert effect.test.questions == 10
    assert "as many tokens to learn; answers alone as many rows" in said(effect)


def test_asked_again_it_trains_nothing_and_says_the_same(
    effect: Effect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("nothing is left to train")

    monkeypatch.setattr(module, "train", refuse)
    monkeypatch.setattr(Answerer, "load", refuse)
    assert find_out() == effect, "its hours too, which are those of the first call"


def test_killed_anywhere_it_gives_the_same(
    effect: Effect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    train, answers = module.train, Answerer.answers
    steps = {"taken": 0, "most": 0}

    def step() -> None:
        steps["taken"] += 1
        if steps["taken"] > steps["most"]:
            raise KeyboardInterrupt

    def training(*given: Any) -> list[float]:
        step()
        losses = train(*given)
        step()
        return losses

    def answering(answerer: Answerer, prompts: Sequence[Any]) -> Iterator[Answer]:
        for answer in answers(answerer, prompts):
            step()
            yield answer

    monkeypatch.setattr(module, "train", training)
    monkeypatch.setattr(Answerer, "answers", answering)
    for most in (4, 13, 1, 19, 37):
        steps.update(taken=0, most=most)
        with pytest.raises(KeyboardInterrupt):
            find_out()
    steps.update(taken=0, most=1000)
    again = find_out()
    assert again.hours > 0
    assert again.model_copy(update={"hours": effect.hours}) == effect


@pytest.mark.parametrize("where", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_two_at_a_time_give_the_same(
    effect: Effect, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    twice = find_out("workers=2", f"executor={where}")
    for one, other in zip(twice.arms, effect.arms, strict=True):
        assert (one.arm, one.rows, one.tokens, one.trainings) == (
            other.arm, other.rows, other.tokens, other.trainings,
        )  # fmt: skip
        # Fewer threads add up in another order.
        assert one.golds.level.value == pytest.approx(other.golds.level.value, rel=1e-4)
        for ours, theirs in zip(one.losses, other.losses, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4)


def test_what_can_not_be_kept_is_told_all_the_same(
    effect: Effect, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", "runs/sums")

    monkeypatch.setattr(command, "keep", refuse)
    assert find_out() == effect
    assert "not kept beside the run, so no card will tell of it" in capsys.readouterr().err


def test_without_a_test_nothing_is_trained() -> None:
    with pytest.raises(InputError, match=r"no test is named; .*--test FILE"):
        run_effect(Path("runs/sums"), arms=ARMS, options=QUICK)


def test_a_recipe_says_what_is_trained_and_asked(
    effect: Effect, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESTS", ".")
    options = ", ".join(option.replace("=", ": ") for option in QUICK)
    section = (
        "effect={test: {path: '${TESTS}/test.jsonl', gold: {type: number}}, "
        f"arms: [{', '.join(ARMS)}], {options}}}"
    )
    student = f"measures={{score: {{student: {folder / 'student'}, calibrate: 0}}}}"
    again = do(folder, student, "select.order_by=[rd_paper]", "select.budget={rows: 24}", section,
               "name=told")  # fmt: skip
    facts = run_effect(again.folder)
    assert list(kept(again.folder).values()) == [facts]
    assert facts.arms == effect.arms
    assert facts.command == "curate effect runs/told --test test.jsonl", "the rest is the recipe's"
    usual = run_effect(again.folder, options=["batch=16", "learning_rate=0.001"])
    assert usual.command == (
        "curate effect runs/told --test test.jsonl --set batch=16 --set learning_rate=0.001"
    ), "a default too, where the recipe says otherwise"
    assert {one.arm for one in run_effect(again.folder, arms=("random", "selected")).arms} == {
        "random", "selected",
    }  # fmt: skip
    assert len(kept(again.folder)) == 3


def test_what_there_is_no_time_for_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    cut = find_out(budget="0s")
    assert {unit.arm for unit in cut.left_out} == {*ARMS} - {"untrained"}
    assert [one.arm for one in cut.arms] == ["untrained"], "which takes no training"
    assert "No time for random (seed 0, 1)" in said(cut)


def test_time_is_planned_by_what_trainings_took_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    arms = ("random", "selected")
    one = find_out("seeds=1", arms=arms)
    took = 3600 * one.hours / 2
    cut = find_out("seeds=2", arms=arms, budget=f"{took / 10:.3f}s")
    assert [(unit.arm, unit.seed) for unit in cut.left_out] == [("random", 1), ("selected", 1)], (
        "a tenth of what one takes is too little even for the first"
    )


def test_arms_are_compared_with_whichever_is_wanted(effect: Effect) -> None:
    other = find_out("baseline=wrong")
    assert "The selection beside arm wrong: " in said(other)
    assert "beside wrong" in said(other)
    arms = {one.arm: one.golds for one in other.arms}
    usual = {one.arm: one.golds for one in effect.arms}
    assert arms["wrong"].to_baseline is None
    there, back = arms["random"].to_baseline, usual["wrong"].to_baseline
    assert there is not None
    assert back is not None
    assert there.value == pytest.approx(-back.value)
    with pytest.raises(InputError, match="baseline 'selected' is none of the arms"):
        find_out("baseline=selected", arms=("untrained", "random"))


def test_of_one_training_nothing_is_concluded(effect: Effect) -> None:
    once = find_out("seeds=1", arms=("random", "selected"))
    assert once.expected is None
    assert once.arms[1].gained is once.arms[1].lost is None, "the untrained student was not asked"
    to_baseline = once.arms[1].golds.to_baseline
    assert to_baseline is not None
    assert to_baseline.low is None
    assert "can't be told of one training each" in said(once)
    assert effect.expected is not None


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("45m", 2700), ("2h", 7200), ("1h 30m", 5400), (None, None)]
)
def test_spans_of_time(text: str | None, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "2 hours", "h", "-1h"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no span of time"):
        seconds_of(text)


def test_wrong_options_are_told() -> None:
    with pytest.raises(InputError, match="epoch: "):
        find_out("epoch=3")
    with pytest.raises(InputError, match="no arm is called 'best'"):
        find_out("seeds=3", arms=("selected", "best"))
    with pytest.raises(InputError, match="60 test questions of 60 stand in the pool"):
        run_effect(Path("runs/sums"), Path("questions.jsonl"), arms=ARMS, options=QUICK)


def test_the_command_prints_json_or_a_table(effect: Effect) -> None:
    settings = [word for option in QUICK for word in ("--set", option)][:-2]
    arms = [word for arm in ARMS for word in ("--arm", arm)]
    words = ["effect", "runs/sums", "--test", "test.jsonl", "--seeds", "2", *settings, *arms]
    result = CliRunner().invoke(cli.app, [*words, "--json"], catch_exceptions=False)
    assert Effect.model_validate_json(result.stdout) == effect
    table = CliRunner().invoke(cli.app, words, env={"COLUMNS": "120"}).stdout
    assert "The selection beside a random one of its size: " in table
    assert all(arm in table for arm in ARMS)


@pytest.mark.parametrize(("width", "theme"), [(1400, "light"), (390, "dark")])
def test_the_page_opens_quietly_and_is_accessible(
    effect: Effect, tmp_path: Path, width: int, theme: Theme
) -> None:
    page = write_effect(effect, tmp_path / "effect.html")
    with opened(page, width, theme) as seen:
        assert seen.violations() == []
        assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert seen.said == []
        assert seen.asked == []
        assert "selected" in seen.page.locator("#effect table").inner_text()
