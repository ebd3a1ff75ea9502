"""Effects of a run with made figures, for whoever keeps, carries or tells them."""

from pathlib import Path

from curate.release.effect.facts import ArmEffect, Difference, Effect, ExamFacts, Figure, Standing
from curate.release.read import Release


def standing(value: float, error: float = 0.01) -> Standing:
    level = Difference(0.4, 0.35, 0.45, 0.02)
    gap = Difference(value, value - 2 * error, value + 2 * error, error)
    return Standing(level=level, to_baseline=gap, to_untrained=gap)


def arm(name: str, gap: float) -> ArmEffect:
    return ArmEffect(
        arm=name, trainings=3, rows=48, epochs=3.0, tokens=9000, right=standing(gap),
        golds=standing(-gap), cut=0.0, gained=0.2, lost=0.1, losses=[[1.0, 0.5]],
    )  # fmt: skip


def effect_of(run: Path, gap: float = 0.031, figure: Figure = "right", **options: object) -> Effect:
    test = ExamFacts(name="asdiv.jsonl", digest="d", questions=1500, dropped=3, unread=0)
    return Effect(
        title="sums 0.1.0", dataset_hash=Release.open(run).manifest["dataset_hash"],
        student="org/small", revision="abc", test=test,
        options={
            "method": "lora", "match": "tokens", "seeds": 3, "baseline": "random",
            "answer_tokens": 320, **options,
        },
        updates=12,
        figure=figure, expected=0.03, smallest={"right": 0.025, "golds": 0.1},
        arms=[arm("random", 0.0), arm("selected", gap)], left_out=[], hours=1.26,
        command="curate effect runs/sums --test asdiv.jsonl", made_with={"trl": "1"},
    )  # fmt: skip
