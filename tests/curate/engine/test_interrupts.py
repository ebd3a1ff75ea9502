"""Ctrl-C in a terminal: what is kept is told, and how to go on; a second one leaves at once."""

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.curate import imported_sums, sums
from tests.curate.screen import Terminal
from tests.servers.openai_server import serving

QUESTIONS = 36
RUN = sums.command("run", "recipe.yaml")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """Give a folder whose recipe samples a slow server."""
    sums.write_questions(tmp_path, QUESTIONS)
    with serving(delay=0.2) as url:
        sums.write_recipe(tmp_path, url, [sums.source(samples=4)], in_flight=16)
        yield tmp_path


def interrupted(terminal: Terminal) -> str:
    """Press Ctrl-C in the midst of sampling; give what the terminal shows at the end."""
    terminal.watch(lambda text: "samples/s" in text)
    terminal.press("\x03")
    assert terminal.finish() == 130
    assert terminal.screen.cursor
    assert terminal.raw.rfind(b"\x1b[?25h") > terminal.raw.rfind(b"\x1b[?25l")
    return terminal.screen.text()


def test_ctrl_c_stops_a_run_that_goes_on_later(served: Path) -> None:
    command = [*RUN, "select.per_question=1"]
    with Terminal(command, served, sums.environment(served)) as terminal:
        said = interrupted(terminal)
    kept = len(sums.recorded(served))
    assert 0 < kept < 4 * QUESTIONS
    lines = said.splitlines()
    assert re.fullmatch(r"sample teacher: stopped at \d+ of 144 samples after \d\.\d s", lines[0])
    assert int(lines[0].split()[4]) == kept
    assert lines[1] == "stopping; Ctrl-C again leaves at once"
    assert lines[2] == "stopped; what was sampled and measured is kept. To go on from there:"
    assert lines[3] == "  curate run recipe.yaml select.per_question=1"
    assert len(lines) == 4
    ended = sums.curate(served, *command[3:], "--json")
    told = json.loads(ended.stdout)
    assert (told["reused"], told["sampled"]) == (kept, 4 * QUESTIONS - kept)


def test_ctrl_c_reaches_workers_without_a_word_from_them(tmp_path: Path) -> None:
    imported_sums.write(tmp_path)
    command = [*RUN, "runtime.questions_per_shard=1", "runtime.workers=2"]
    with Terminal(command, tmp_path, sums.environment(tmp_path)) as terminal:
        terminal.watch(lambda text: re.search(r"filter \w+ .* [1-9]\d* of \d+ shards", text))
        terminal.press("\x03")
        assert terminal.finish() == 130
        said = terminal.screen.text()
    assert "Traceback" not in said
    assert re.match(r"filter \w+: stopped at \d+ of \d+ shards", said)
    assert "  curate run recipe.yaml runtime" in said


LASTING = """
import os, signal, sys, time
from curate.cli import _stopping
from curate.engine.progress.progress import Progress

sys.argv = ["curate", "run", "recipe.yaml"]
progress = Progress(at_interrupt=_stopping)
with progress.shown():
    try:
        with progress.stage("sample teacher", 9, "samples"):
            time.sleep(60)
    finally:
        time.sleep(60)
"""


def test_a_second_ctrl_c_leaves_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LASTING]
    with Terminal(command, tmp_path, sums.environment(tmp_path)) as terminal:
        terminal.watch(lambda text: "0 of 9 samples" in text)
        terminal.press("\x03")
        terminal.watch(lambda _: b"Ctrl-C again leaves at once\r\n" in terminal.raw)
        assert terminal.screen.cursor
        began = time.monotonic()
        terminal.press("\x03")
        assert terminal.finish(10) == 130
        assert time.monotonic() - began < 5
        assert "To go on from there:\n  curate run recipe.yaml" in terminal.screen.text()
