"""What a person sees of a run under way: in real terminals, in pipes, at any width."""

import io
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from curate.engine.progress import memory
from curate.engine.progress.live import STALLED, Region
from curate.engine.progress.memory import Memory
from curate.engine.progress.pace import Meter, Pace, frequency
from curate.engine.progress.progress import Progress
from curate.release.funnel import FilterCount
from tests.curate import imported_sums, sums
from tests.curate.screen import Screen, Terminal
from tests.servers.openai_server import Fault, read_book, serving

QUESTIONS = 36
ESCAPE = "\x1b"
TOO_LONG = Fault(400, match="has 39 nuts", body={"error": {"message": f"too {ESCAPE}[31mlong"}})
RUN = sums.command("run", "recipe.yaml")


def entry(name: str, live: int, covered: int) -> FilterCount:
    return FilterCount(
        name=name, rows=5276, kept=live, dropped={"cut_off": 5276 - live}, abstained={}, skipped=0,
        live=live, covered_before=1303, covered=covered, choice=4,
    )  # fmt: skip


FUNNEL = [entry("completeness", 5100, 1300), entry("rationale_difficulty", 2003, 1031)]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """Give a folder whose recipe samples a slow server, which refuses one question."""
    sums.write_questions(tmp_path, QUESTIONS)
    with serving(tmp_path / "book", [TOO_LONG], delay=0.2) as url:
        sums.write_recipe(tmp_path, url, [sums.source(samples=4)], in_flight=16)
        yield tmp_path


def drawn(region: Region, width: int, height: int = 40, *, encoding: str = "utf-8") -> str:
    """Draw a region once, as it stands, without a thread."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, force_terminal=True, width=width, height=height, color_system=None)
    console.print(region)
    file.flush()
    return file.buffer.getvalue().decode(encoding)  # pyright: ignore[reportAttributeAccessIssue]


def busy(title: str = "sample qwen7b", *, console: Console | None = None) -> tuple[Region, Pace]:
    """Give a region in the midst of a stage; its thread is ended."""
    region = Region(console or Console(file=io.StringIO(), force_terminal=True))
    region.filters += FUNNEL
    region.close()
    pace = Pace(title, 8000, "samples")
    pace.started -= 60
    region.begin(pace)
    pace.advance(1200, 240_000)
    pace.cut()
    pace.failed("HTTP 400: the prompt\nhas 5000 tokens \x1b]0;x\x07 and 4096 fit " * 3)
    return region, pace


@pytest.mark.parametrize("width", [40, 80, 120])
def test_what_a_region_says_fits_at_any_width(width: int) -> None:
    region, _ = busy()
    text = drawn(region, width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width - 2
    assert [line for line in lines if line != line.rstrip()] == []
    said = " ".join(text.split())
    assert "sample qwen7b" in said
    assert re.search(r" 15%( ━*╌*)? 1,200 of 8,000 samples", said)
    assert "━" in said
    assert "20.0 samples/s, 4,000 tokens/s, 5 m 40 s left, 1 failed for good, 1 cut off" in said
    assert re.search(r"completeness 5,100 (█* ?97% )?1,300", said)
    assert re.search(r"rationale_dif\S+ 2,003 (█* ?38% )?1,031", said)
    assert ("97%" in said) == (width > 40)
    assert "last error: HTTP 400: the pr" in said
    assert ESCAPE not in text
    assert width < 80 or "\\x1b]0;x\\x07" in said


def test_numbers_stand_under_each_other() -> None:
    heading, *rows = drawn(busy()[0], 80).splitlines()[3:7]
    assert {row.index("%") for row in rows} == {rows[0].index("%")}
    assert {len(row) for row in (heading, *rows)} == {len(heading)}


def test_a_low_terminal_shows_the_stage_and_the_last_filters() -> None:
    region, _ = busy()
    region.filters[:] = [entry(f"filter{number}", 5000 - number, 1000) for number in range(20)]
    text = drawn(region, 80, height=12)
    assert len(text.splitlines()) < 12
    assert "sample qwen7b" in text
    assert "filter19" in text
    assert "filter3 " not in text
    assert len(drawn(region, 80, height=4).splitlines()) == 3


def test_a_terminal_without_unicode_gets_ascii() -> None:
    region, pace = busy()
    pace.error = "no"
    assert drawn(region, 80, encoding="ascii").isascii()
    assert "####......" in drawn(region, 80, encoding="ascii")


def test_a_long_title_gets_a_line_of_its_own() -> None:
    first = drawn(busy(f"sample {'x' * 50}")[0], 80).splitlines()[0]
    assert first.endswith("x" * 50)


def test_a_stage_that_stands_still_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    region, pace = busy()
    drawn(region, 80)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + STALLED + 15)
    assert "nothing done for 25 s" in drawn(region, 80)
    pace.advance()
    assert "samples/s" in drawn(region, 80)


def test_a_rate_is_that_of_late(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    meter = Meter(Pace("sample", 1000, "samples", started=clock[0]))
    for second in range(300):
        clock[0] += 1
        meter.pace.advance(1 if second < 200 else 3, 10)
        meter.look()
    assert meter.rates() == (3, 10)
    assert meter.left() == (1000 - 500) / 3


@pytest.mark.parametrize(
    ("rate", "said"), [(0.07, "4.2 x/min"), (3.25, "3.2 x/s"), (1234.5, "1,234 x/s")]
)
def test_rates_read_as_a_person_would_say_them(rate: float, said: str) -> None:
    assert frequency(rate, "x") == said


def nvidia_smi(folder: Path, says: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("echo '10000, 81559'", r"memory \d\.\d GB, GPU 10.5 GB of 85.5 GB"),
        ("echo '10000, 81559'; echo '0, 81559'", r".*, 2 GPUs 10.5 GB of 171.0 GB"),
        ("echo '[N/A], [N/A]'", r"memory \d\.\d GB"),
        ("exit 9", r"memory \d\.\d GB"),
        ("sleep 60", r"memory \d\.\d GB"),
    ],
)
def test_memory_is_told_and_gpus_where_there_are_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, told: str
) -> None:
    nvidia_smi(tmp_path, says)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(memory, "PATIENCE", 0.3)
    looking = Memory()
    end = time.monotonic() + 10
    while not looking.told and time.monotonic() < end:
        time.sleep(0.01)
    looking.close()
    assert re.fullmatch(told, looking.told)


def resized(widths: list[int]) -> tuple[Screen, Region]:
    """Draw a region on a terminal that is given one width after the other."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=widths[0], height=60)
    screen = Screen(widths[0])
    region = Region(console)
    region.filters += FUNNEL
    console.print("before")
    pace = Pace("sample qwen7b", 8000, "samples")
    region.begin(pace)
    live, looking = region._live, region._memory
    assert live is not None
    assert looking is not None
    while not looking.told:
        time.sleep(0.01)
    pace.advance(1200, 240_000)
    for width in widths:
        console.width = width
        screen.resize(width)
        live.refresh()
        screen.feed(file.getvalue().replace("\n", "\r\n"))
        file.seek(0)
        file.truncate()
        text = screen.text()
        assert text.startswith("before\n")
        assert text.count("sample qwen7b") == text.count("memory") == 1, text
        assert text.count("5,100") == 1
    region.close()
    screen.feed(file.getvalue().replace("\n", "\r\n"))
    return screen, region


@pytest.mark.parametrize(
    "widths", [[120, 40], [40, 120], [100, 41, 80, 40, 30, 200], [80, 79, 78, 77, 20]]
)
def test_a_resize_leaves_nothing_behind(widths: list[int]) -> None:
    screen, _ = resized(widths)
    assert screen.text() == "before"
    assert screen.cursor


@pytest.mark.parametrize("columns", [40, 80, 140])
def test_a_run_shows_its_stage_and_fills_its_funnel(served: Path, columns: int) -> None:
    with Terminal(RUN, served, sums.environment(served), columns) as terminal:
        early = terminal.watch(lambda text: "samples/s" in text and "last error" in text)
        assert re.search(r"sample teacher\s[\s━╌]*\d+%\s+\d+ of 144 samples", early)
        assert re.search(r"failed\s+for\s+good", early)
        assert "━" in early
        assert "memory" in early
        assert "last error: HTTP 400: too" in early
        assert terminal.finish() == 0
        screen = terminal.screen
    assert screen.cursor
    end = screen.text()
    assert end.startswith("✓ sample teacher: 144 samples in ")
    assert end.count("completeness") == end.count("correctness") == end.count("choice:") == 1
    assert "memory" not in end
    assert "working" not in end
    folder = re.sub(r"\s", "", end)
    assert "datasets.load_dataset" in folder


def test_the_funnel_fills_filter_by_filter(tmp_path: Path) -> None:
    imported_sums.write(tmp_path)
    command = [*RUN, "runtime.questions_per_shard=2"]
    with Terminal(command, tmp_path, sums.environment(tmp_path)) as terminal:
        assert terminal.finish() == 0
        seen = [text for text in terminal.seen if "questions_per_shard" not in text]
        end = terminal.screen.text()
    filling = [re.findall(r"^  (\w+) +[\d,]+  █+ +\d+%", text, re.MULTILINE) for text in seen]
    assert ["completeness", "length"] in filling
    chain = ["completeness", "length", "correctness", "diversity"]
    for names in filling:
        assert names == chain[: len(names)]  # also while the arm without one is judged
    assert any("filter " in text for text in seen)
    assert end.startswith("questions  60 in use of 60 rows")


def test_a_terminal_made_narrower_in_a_run_keeps_one_region(served: Path) -> None:
    def under_way(text: str) -> object:
        return "samples/s" in text and re.search(r"^.*?last error", text, re.DOTALL)

    command = [*RUN, "runtime.sources.teacher.in_flight=8"]
    with Terminal(command, served, sums.environment(served), 120) as terminal:
        terminal.watch(under_way)
        for columns in (50, 90, 40):
            before = len(terminal.raw)
            terminal.resize(columns)
            # a whole drawing at the new width, not the rest of the last one
            text = terminal.watch(
                lambda text, before=before: len(terminal.raw) > before + 100 and under_way(text)
            )
            assert text.count("sample teacher") == text.count("last error") == 1, text
            assert max(map(len, terminal.screen.lines())) <= columns
        assert terminal.finish() == 0
        end = terminal.screen.text()
    assert end.startswith("✓ sample teacher: 144 samples in ")
    assert end.count("sample teacher") == 1


def test_a_pipe_gets_plain_lines(served: Path) -> None:
    ended = sums.curate(served, "run", "recipe.yaml")
    assert ended.returncode == 0
    assert ESCAPE not in ended.stdout + ended.stderr
    lines = ended.stderr.splitlines()
    assert lines[0] == "sample teacher: 144 samples"
    assert lines[1] == "sample teacher: 1 failed for good: HTTP 400: too \\x1b[31mlong"
    assert re.fullmatch(r"✓ sample teacher: 144 samples in .* s; 4 failed for good", lines[-3])
    assert lines[-2:] == [
        "completeness: 140 live (97%), 35 questions, choice in 0%; 4 dropped: source_error",
        "correctness: 105 live (73%), 35 questions, choice in 100%; 35 dropped: wrong_answer",
    ]
    assert len(lines) == 5


def test_forced_colours_move_no_cursor_in_a_pipe(served: Path) -> None:
    ended = subprocess.run(
        RUN,
        cwd=served,
        env={**sums.environment(served), "FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not re.search(r"\x1b\[[0-9?]*[A-Zhl]", ended.stdout + ended.stderr)
    assert "\x1b[32m✓" in ended.stderr


def test_json_and_quiet_print_nothing_of_it(served: Path) -> None:
    ended = sums.curate(served, "run", "recipe.yaml", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["sampled"] == 4 * QUESTIONS
    with Terminal([*RUN, "--quiet"], served, sums.environment(served)) as terminal:
        assert terminal.finish() == 0
        assert terminal.raw == b""
    assert len(read_book(served / "book")) == 4 * QUESTIONS


def test_a_log_gets_long_lines_whole_and_braces_as_they_are() -> None:
    file = io.StringIO()
    progress = Progress(Console(file=file, width=40))
    progress.say(f"[/dim] {'long ' * 30}")
    assert file.getvalue() == f"[/dim] {'long ' * 30}\n"


def test_failures_are_told_once_in_a_while() -> None:
    file = io.StringIO()
    progress = Progress(Console(file=file, width=40))
    with progress.stage("sample teacher", 500, "samples") as stage:
        for number in range(500):
            stage.failed(f"no {number}")
            stage.advance()
    lines = file.getvalue().splitlines()
    assert lines[:2] == ["sample teacher: 500 samples", "sample teacher: 1 failed for good: no 0"]
    assert lines[2].endswith("s; 500 failed for good")
    assert len(lines) == 3


def per_advance(progress: Progress) -> float:
    """Give the seconds that telling of a unit takes."""
    with progress.shown(), progress.stage("sample teacher", 10**6, "samples") as stage:
        began = time.perf_counter()
        for _ in range(100_000):
            stage.advance(1, 5)
        return (time.perf_counter() - began) / 100_000


@pytest.mark.parametrize(
    "console",
    [
        lambda: Console(file=io.StringIO()),
        lambda: Console(file=io.StringIO(), force_terminal=True),
        lambda: Console(file=io.StringIO(), quiet=True),
    ],
)
def test_telling_of_a_unit_costs_next_to_nothing(console: Callable[[], Console]) -> None:
    assert per_advance(Progress(console())) < 5e-6
