"""Statistics of effects on simulated truths: how often they say what is not so, and what is."""

from itertools import combinations

import numpy as np
import pytest

from curate.engine.effect.statistics import Answers, Design, Luck, difference, gain

DESIGNS = 1000
QUESTIONS, TRAININGS, ARMS = 600, 3, 4


class Nats:
    """Arms whose answers are nats a token, right-skewed as those are.

    Args:
        effect: of the first arm, in nats.
    """

    def __init__(self, effect: float = 0.0) -> None:
        self.effect = effect

    def arms(self, dice: np.random.Generator) -> list[Answers]:
        ease = dice.normal(0.3, 0.6, QUESTIONS)
        arms: list[Answers] = []
        for arm in range(ARMS):
            taste, luck = dice.normal(0, 0.2, QUESTIONS), dice.normal(0, 0.02, (TRAININGS, 1))
            noise = dice.normal(0, 0.3, (TRAININGS, QUESTIONS))
            mean = self.effect if arm == 0 else 0.0
            arms.append(np.exp(ease + taste + noise) + luck + mean)
        return arms


class World:
    """Arms that differ, on questions that are hard for all of them.

    Args:
        effect: of the first arm, in accuracy.
        luck: standard deviation of a training's accuracy.
        taste: of an arm's liking of a question, in logits.
    """

    def __init__(self, effect: float = 0.0, luck: float = 0.01, taste: float = 0.7) -> None:
        self.effect, self.luck, self.taste = effect, luck, taste

    def arms(self, dice: np.random.Generator) -> list[Answers]:
        ease = dice.normal(-0.4, 1.5, QUESTIONS)
        arms: list[Answers] = []
        for arm in range(ARMS):
            odds = 1 / (1 + np.exp(-ease - dice.normal(0, self.taste, QUESTIONS)))
            shift = (self.effect if arm == 0 else 0) + dice.normal(0, self.luck, (TRAININGS, 1))
            # what a shift in accuracy leaves where odds are at an end is spread over the others
            odds = np.clip(
                odds + shift * 4 * odds * (1 - odds) / np.mean(4 * odds * (1 - odds)), 0, 1
            )
            arms.append((dice.random((TRAININGS, QUESTIONS)) < odds).astype(np.float64))
        return arms


def shares(world: World | Nats, seed: int) -> dict[str, float]:
    """Simulate designs; give how often the first two arms are told apart, by our way and others."""
    dice = np.random.default_rng(seed)
    counts = {"ours": 0, "questions alone": 0, "rows": 0}
    for _ in range(DESIGNS):
        one, other, *_ = arms = world.arms(dice)
        counts["ours"] += difference(one, other, Luck.of(arms)).distinguishable
        gaps = one.mean(axis=0) - other.mean(axis=0)
        error = gaps.std(ddof=1) / np.sqrt(QUESTIONS)
        counts["questions alone"] += abs(gaps.mean()) > 1.96 * error
        error = np.sqrt((one.var() + other.var()) / one.size)
        counts["rows"] += abs(gaps.mean()) > 1.96 * error
    return {name: count / DESIGNS for name, count in counts.items()}


@pytest.mark.parametrize("luck", [0.0, 0.01, 0.03])
def test_equal_arms_are_told_apart_no_oftener_than_said(luck: float) -> None:
    share = shares(World(luck=luck), 5)
    assert 0.02 <= share["ours"] <= 0.07
    if luck == 0.03:
        assert share["questions alone"] > 0.2, "trainings of an arm are one cluster each"
        assert share["rows"] > 0.2


def test_the_smallest_difference_is_seen_in_four_of_five() -> None:
    pilots = [Design.of(World().arms(np.random.default_rng(seed))) for seed in range(20)]
    changed, unstable, luck = np.mean([(p.changed, p.unstable, p.luck) for p in pilots], axis=0)
    assert luck == pytest.approx(0.01, abs=0.005)
    smallest = Design(QUESTIONS, TRAININGS, ARMS, changed, unstable, 0.01).smallest
    assert smallest is not None
    assert 0.75 <= shares(World(effect=smallest), 7)["ours"] <= 0.85


def test_nats_are_told_apart_as_often_as_said() -> None:
    assert 0.02 <= shares(Nats(), 3)["ours"] <= 0.07
    pilots = [Design.of(Nats().arms(np.random.default_rng(seed))) for seed in range(40)]
    smallest = float(np.mean([pilot.smallest for pilot in pilots if pilot.smallest]))
    assert 0.75 <= shares(Nats(smallest), 4)["ours"] <= 0.85


def test_pairing_takes_out_how_hard_a_question_is() -> None:
    arms = World(luck=0.0, taste=0.2).arms(np.random.default_rng(1))
    one, other = arms[:2]
    paired = difference(one, other, Luck.of(arms)).error
    apart = np.sqrt((one.mean(axis=0).var(ddof=1) + other.mean(axis=0).var(ddof=1)) / QUESTIONS)
    assert paired < 0.75 * apart


def test_an_interval_is_never_without_end() -> None:
    """By few questions, what trainings vary by may seem to be just what chance explains."""
    dice = np.random.default_rng(8)
    for _ in range(300):
        ease = dice.normal(6, 1, 10)
        arms = [ease + dice.normal(0, 0.01, (2, 10)) for _ in range(4)]
        seen = difference(arms[0], arms[1], Luck.of(arms))
        assert seen.high is not None
        assert seen.high - seen.value <= 2.8 * seen.error, "four trainings beyond the first"


def test_one_training_of_each_tells_nothing() -> None:
    arms = [arm[:1] for arm in World(effect=0.3).arms(np.random.default_rng(1))]
    told = difference(*arms[:2], Luck.of(arms))
    assert told.low is None
    assert not told.distinguishable
    assert Design.of(arms).smallest is None


def test_the_untrained_student_has_no_luck() -> None:
    arms = World().arms(np.random.default_rng(1))
    untrained = arms[1][:1]
    luck = Luck.of(arms)
    assert gain(arms[0], untrained, luck).error < difference(arms[0], untrained, luck).error


def test_sides_and_order_change_nothing_but_the_sign() -> None:
    arms = World(effect=0.05).arms(np.random.default_rng(2))
    luck = Luck.of(arms)
    for one, other in combinations(arms, 2):
        there, back = difference(one, other, luck), difference(other, one, luck)
        assert there.value == pytest.approx(-back.value)
        assert there.low == pytest.approx(-back.high)
        turned = difference(one[::-1, ::-1], other[:, ::-1], luck)
        assert turned.error == pytest.approx(there.error)
