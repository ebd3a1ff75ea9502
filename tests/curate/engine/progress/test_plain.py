"""Plain lines of a stage, for a log: how far it is, how fast, and how long it will still take."""

import io
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from curate.engine.progress import pace, progress
from curate.engine.progress.progress import Progress


def test_a_slow_stage_says_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=time.monotonic())  # when the stage starts, by the real one
    for module in (pace, progress):
        monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    out = io.StringIO()
    console = Console(file=out, width=100, force_interactive=False)
    with Progress(console).stage("train and ask", 4, "trainings") as stage:
        for _ in range(4):
            clock.now += 90
            stage.advance()
    assert out.getvalue().splitlines() == [
        "train and ask: 4 trainings",
        "train and ask: 1 of 4 trainings, 0.7 trainings/min, 4 m 30 s left",
        "train and ask: 2 of 4 trainings, 0.7 trainings/min, 3 m 00 s left",
        "train and ask: 3 of 4 trainings, 0.7 trainings/min, 1 m 30 s left",
        "train and ask: 4 of 4 trainings, 0.7 trainings/min",
        "✓ train and ask: 4 trainings in 6 m 00 s",
    ]
