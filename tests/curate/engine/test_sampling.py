"""Runs that sample a teacher behind a server: what is asked, reused, and left by a failure."""

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, pin, run
from curate.errors import BackendError, InputError, RecordError
from curate.recipe.files import read_recipe
from tests.curate import sums
from tests.servers.openai_server import Fault, read_book, serving

QUESTIONS = 12
FREED_PORT = "http://127.0.0.1:9/v1"
"""Where nothing listens: a run that asks there fails."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / sums.STORE))
    sums.write_questions(tmp_path, QUESTIONS)
    return tmp_path


@pytest.fixture
def served(folder: Path) -> Iterator[Path]:
    """Give a folder whose recipe samples two a question from a server with the book ``book``."""
    with serving(folder / "book") as url:
        sums.write_recipe(folder, url, [sums.source()])
        yield folder


def do(folder: Path, *overrides: str, **options: Any) -> RunResult:
    file = read_recipe(str(folder / "recipe.yaml"), overrides)
    return run(file, RunOptions(runs=folder / "runs", **options), Progress(quiet=True))


def book(folder: Path) -> list[dict[str, Any]]:
    return read_book(folder / "book")


def texts(result: RunResult) -> dict[str, str]:
    return dict(result.audit.select("sample_id", "raw_output").iter_rows())


def latest(folder: Path) -> str | None:
    mark = folder / "runs" / "sums" / "latest"
    return mark.read_text() if mark.exists() else None


def test_rows_are_what_the_server_wrote(served: Path) -> None:
    result = do(served)
    asked = book(served)
    assert len(asked) == result.audit.height == result.tally.sampled == 2 * QUESTIONS
    assert {entry["text"] for entry in asked} == set(texts(result).values())
    prompt_of = {entry["text"]: entry["prompt"] for entry in asked}
    for row in result.audit.iter_rows(named=True):
        assert row["question"] in prompt_of[row["raw_output"]]
        assert (row["source"], row["teacher"]) == ("teacher", "tiny-teacher")
    assert set(result.audit["verdict_correctness"].struct.field("keep")) == {True}
    assert sum(result.summary.configs[0].splits.values()) == 2 * QUESTIONS


def test_running_again_asks_nothing_wherever_the_server_is(served: Path) -> None:
    first = do(served)
    again = do(served, f"runtime.sources.teacher.url={FREED_PORT}")
    assert (again.tally.sampled, again.tally.reused) == (0, 2 * QUESTIONS)
    assert again.summary.dataset_hash == first.summary.dataset_hash
    assert len(book(served)) == 2 * QUESTIONS


def test_more_samples_ask_only_for_the_new_ones(served: Path) -> None:
    few = do(served)
    many = do(served, "sources.teacher.samples=4")
    asked = Counter(entry["prompt"] for entry in book(served)[2 * QUESTIONS :])
    assert list(asked.values()) == [2] * QUESTIONS
    assert (many.tally.sampled, many.tally.reused) == (2 * QUESTIONS, 2 * QUESTIONS)
    assert texts(few).items() < texts(many).items()
    assert set(many.audit.group_by("question_id").len()["len"]) == {4}
    back = do(served)
    assert back.tally.sampled == 0
    assert back.summary.dataset_hash == few.summary.dataset_hash


def test_a_limit_is_only_a_beginning(served: Path) -> None:
    few = do(served, limit=5)
    assert len(book(served)) == 10
    whole = do(served)
    assert whole.tally.sampled == 2 * (QUESTIONS - 5)
    assert texts(few).items() < texts(whole).items()


@pytest.mark.parametrize(
    "change",
    [
        "sources.teacher.sampling.temperature=0.1",
        "sources.teacher.model=other",
        "sources.0.seeds=true",
    ],
)
def test_what_decides_a_sample_asks_anew(served: Path, change: str) -> None:
    first = do(served)
    other = do(served, change)
    assert other.tally.sampled == 2 * QUESTIONS
    assert not set(texts(first)) & set(texts(other))


CUT_AT = 15
"""Tokens that a sum of two numbers just fits into and one of three does not."""


@pytest.mark.parametrize("continued", [True, False])
def test_more_tokens_ask_only_for_samples_that_were_cut(served: Path, *, continued: bool) -> None:
    reach = f"runtime.sources.teacher.continue_cut={json.dumps(continued)}"
    short = do(served, reach, f"sources.teacher.sampling.max_tokens={CUT_AT}")
    cut = short.audit.filter(pl.col("finish_reason") == "length")
    assert set(cut["question"].str.contains("beads")) == {True}
    assert cut.height == 2 * QUESTIONS // 3
    asked = len(book(served))
    long = do(served, reach, "sources.teacher.sampling.max_tokens=60")
    more = book(served)[asked:]
    assert long.tally.sampled == len(more) == cut.height
    assert long.tally.reused == 2 * QUESTIONS - cut.height
    rows = long.audit.join(cut.select("sample_id", old="raw_output"), on="sample_id", how="left")
    kept = rows.filter(pl.col("old").is_null())
    assert dict(kept.select("sample_id", "raw_output").iter_rows()).items() <= texts(short).items()
    drawn = rows.filter(pl.col("old").is_not_null())
    assert drawn.height == cut.height
    assert set(drawn["finish_reason"]) == {"stop"}
    written = {entry["text"] for entry in more}
    for row in drawn.iter_rows(named=True):
        begin = row["old"] if continued else ""
        assert row["raw_output"].startswith(begin)
        assert row["raw_output"].removeprefix(begin) in written
    assert {entry["body"]["max_tokens"] for entry in more} == {60 - CUT_AT if continued else 60}
    assert do(served, f"sources.teacher.sampling.max_tokens={CUT_AT}").tally.sampled == 0


def test_replay_needs_no_server_and_gives_the_same(served: Path) -> None:
    first = do(served)
    away = f"runtime.sources.teacher.url={FREED_PORT}"
    again = do(served, away, replay=True)
    assert again.tally.sampled == 0
    assert again.summary.dataset_hash == first.summary.dataset_hash
    assert len(book(served)) == 2 * QUESTIONS


def test_replay_refuses_where_something_is_missing(served: Path) -> None:
    do(served)
    before, asked = latest(served), len(book(served))
    lacking = f"the record lacks {QUESTIONS} samples of source 'teacher'; run without --replay"
    with pytest.raises(RecordError, match=f"--replay: {lacking}"):
        do(served, "sources.teacher.samples=3", replay=True)
    assert latest(served) == before
    assert len(book(served)) == asked
    assert not list((served / "runs" / "sums").glob(".*"))


def test_replay_needs_no_weights_of_a_teacher_that_is_locked(served: Path) -> None:
    model = {"name": "nobody/absent", "revision": "c0ffee", "how": "hub"}
    lock = {"models": {"nobody/absent": model}, "dtypes": {"teacher": "float32"}}
    (served / "recipe.lock.json").write_text(json.dumps(lock))
    engine = "sources.teacher.model=nobody/absent", "runtime.sources.teacher={backend: vllm}"
    with pytest.raises(RecordError, match=f"--replay: the record lacks {2 * QUESTIONS} samples"):
        do(served, *engine, replay=True)


def test_a_damaged_sample_is_asked_for_again_and_no_other(served: Path) -> None:
    first = do(served)
    (segment,) = (served / sums.STORE / "record" / "samples").glob("*/*.log")
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[7] = lines[7].replace(b"Draw", b"Drew", 1)
    segment.write_bytes(b"".join(lines))
    again = do(served)
    assert (again.tally.sampled, again.tally.damaged) == (1, 1)
    assert len(book(served)) == 2 * QUESTIONS + 1
    old, new = texts(first), texts(again)
    assert old.keys() == new.keys()
    assert [new[name] for name in new if new[name] != old[name]] == [book(served)[-1]["text"]]


def test_a_key_that_a_server_quotes_is_in_no_file_and_no_message(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-s3cret-value"
    monkeypatch.setenv("TEACHER_KEY", secret)
    quoting = {"error": {"message": f"Incorrect API key provided: {secret}"}}
    refused = Fault(400, match="Ann has 24", body=quoting)
    with serving(faults=[refused]) as url:
        sums.write_recipe(folder, url, [sums.source()], api_key_env="TEACHER_KEY")
        spoken = [sums.curate(folder, "run", "recipe.yaml", "--out", "run")]
    spoken.append(sums.curate(folder, "report", "run"))
    with serving(faults=[Fault(401, body=quoting)]) as url:
        sums.write_recipe(folder, url, [sums.source()], api_key_env="TEACHER_KEY")
        spoken.append(sums.curate(folder, "run", "recipe.yaml", "--retry", "failed"))
    assert [done.returncode for done in spoken] == [0, 0, 1]
    assert "Incorrect API key provided: [key]" in spoken[-1].stderr
    errors = pl.read_parquet(folder / "run" / "audit" / "samples-*.parquet")["error"]
    assert set(errors.drop_nulls()) == {"HTTP 400: Incorrect API key provided: [key]"}
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(files) > 10
    assert not [path for path, content in files.items() if secret.encode() in content]
    tables = [pl.read_parquet(path) for path in files if path.suffix == ".parquet"]
    assert not [table for table in tables if secret in table.write_json()]
    assert not [done for done in spoken if secret in done.stdout + done.stderr]


@pytest.mark.parametrize("status", [401, 404])
def test_a_server_that_turns_us_away_ends_the_run_and_keeps_what_came(
    folder: Path, status: int
) -> None:
    fault = Fault(status, at=list(range(9, 999)), body={"error": {"message": "go away"}})
    with serving(folder / "book", [fault]) as url:
        sums.write_recipe(folder, url, [sums.source()], in_flight=3)
        ended = sums.curate(folder, "run", "recipe.yaml")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert [line for line in ended.stderr.splitlines() if "go away" in line]
    assert ended.stderr.count("error:") == 1
    assert "Traceback" not in ended.stderr
    delivered = {entry["text"] for entry in book(folder) if entry["status"] == 200}
    assert len(delivered) == 9
    assert {value["text"] for value in sums.recorded(folder).values()} == delivered
    assert latest(folder) is None
    with serving(folder / "book") as url:
        asked = len(book(folder))
        sums.write_recipe(folder, url, [sums.source()])
        result = do(folder)
    assert len(book(folder)) - asked == result.tally.sampled == 2 * QUESTIONS - 9
    assert delivered <= set(texts(result).values())


def test_requests_that_fail_for_good_are_rows_dropped_with_their_error(folder: Path) -> None:
    fault = Fault(400, match="has 21 nuts", body={"error": {"message": "too long a prompt"}})
    with serving(folder / "book", [fault]) as url:
        sums.write_recipe(folder, url, [sums.source()])
        result = do(folder)
        again = do(folder)
    failed = result.audit.filter(pl.col("finish_reason") == "error")
    assert failed.height == 2
    verdict = failed["verdict_completeness"].struct
    assert verdict.field("reason").to_list() == ["source_error"] * 2
    evidence = verdict.field("evidence").struct.field("error").to_list()
    assert evidence == ["HTTP 400: too long a prompt"] * 2
    assert result.audit.height == 2 * QUESTIONS
    assert result.funnel.sources[0].errors == 2
    questions = pl.read_parquet(result.folder / "audit" / "questions-*.parquet")
    hurt = questions.filter(pl.col("question").str.contains("has 21 nuts"))
    assert hurt.select("samples_asked", "samples_received").row(0) == (2, 0)
    assert again.tally.sampled == 0
    assert again.summary.dataset_hash == result.summary.dataset_hash


def test_two_sources_are_two_teachers(folder: Path) -> None:
    both = [sums.source(), sums.source("other", samples=3)]
    with serving(folder / "book") as url:
        sums.write_recipe(folder, url, both[:1])
        alone = do(folder)
        sums.write_recipe(folder, url, both)
        result = do(folder)
    models = Counter(entry["model"] for entry in book(folder))
    assert models == {"tiny-teacher": 2 * QUESTIONS, "tiny-other": 3 * QUESTIONS}
    assert (result.tally.sampled, result.tally.reused) == (3 * QUESTIONS, 2 * QUESTIONS)
    assert texts(alone).items() < texts(result).items()
    rows = dict(result.audit.group_by("source", "teacher").len().rows_by_key(("source", "teacher")))
    assert rows == {
        ("teacher", "tiny-teacher"): [(2 * QUESTIONS,)],
        ("other", "tiny-other"): [(3 * QUESTIONS,)],
    }
    manifest = json.loads((result.folder / "dataset" / "manifest.json").read_bytes())
    assert {name: given["model"] for name, given in manifest["teachers"].items()} == {
        "teacher": "tiny-teacher",
        "other": "tiny-other",
    }


def test_an_interrupted_run_goes_on_where_it_was(folder: Path) -> None:
    in_flight = 3  # answers that the server gave and the client has yet to read
    with serving(folder / "book", delay=0.3) as url:
        sums.write_recipe(folder, url, [sums.source()], in_flight=in_flight)
        process = subprocess.Popen(
            sums.command("run", "recipe.yaml", "--quiet"),
            cwd=folder,
            env=sums.environment(folder),
            stderr=subprocess.PIPE,
            text=True,
        )
        while len(book(folder)) < 5 + in_flight and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        answered, kept = len(book(folder)), len(sums.recorded(folder))
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "stopped; what was sampled and measured is kept" in said
    assert 5 <= answered - in_flight <= kept < 2 * QUESTIONS
    with serving(folder / "book") as url:
        sums.write_recipe(folder, url, [sums.source()])
        assert do(folder).tally.sampled == 2 * QUESTIONS - kept


def test_json_is_all_that_is_printed(served: Path) -> None:
    ended = sums.curate(served, "run", "recipe.yaml", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    told = json.loads(ended.stdout)
    assert (told["sampled"], told["rows"]) == (2 * QUESTIONS, 2 * QUESTIONS)
    assert told["funnel"]["samples"] == 2 * QUESTIONS
    manifest = json.loads((served / told["folder"] / "dataset" / "manifest.json").read_bytes())
    assert told["dataset_hash"] == manifest["dataset_hash"]


def test_a_fine_run_says_what_it_did_and_where_it_lies(served: Path) -> None:
    ended = sums.curate(served, "run", "recipe.yaml")
    assert ended.returncode == 0
    assert f"sampled {2 * QUESTIONS}, measured 0, reused 0" in ended.stdout
    again = sums.curate(served, "run", "recipe.yaml")
    assert f"sampled 0, measured 0, reused {2 * QUESTIONS}" in again.stdout


WRONG = {
    "an unknown key": ("select.per_qestion=2", "per_question"),
    "a wrong type": ("sources.teacher.samples=many", "'many'"),
    "an unknown filter": ("filters.0.use=completness", "completeness"),
    "no such questions": ("questions.path=nowhere.jsonl", "nowhere.jsonl"),
    "a column nobody writes": ("select.order_by=[rational_words]", "rationale_words"),
    "a filter without its student": ("filters.0.use=rationale_difficulty", "student"),
    "no such template": ("sources.teacher.prompt={file: none.jinja}", "none.jinja"),
    "no such source": ("runtime.sources.teachr={backend: openai, url: 'http://x'}", "teacher"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_recipe_writes_nothing(folder: Path, case: str) -> None:
    change, said = WRONG[case]
    sums.write_recipe(folder, FREED_PORT, [sums.source()])
    before = sorted(folder.rglob("*"))
    ended = sums.curate(folder, "run", "recipe.yaml", change)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert sorted(folder.rglob("*")) == before


def test_questions_that_are_missing_leave_no_digest_of_the_student(folder: Path) -> None:
    student = folder / "student"
    student.mkdir()
    (student / "config.json").write_text("{}")
    sums.write_recipe(folder, FREED_PORT, [sums.source()])
    before = sorted(folder.rglob("*"))
    scored = f"measures.score.student={student}", "filters.1={use: rationale_difficulty, max: 1.0}"
    with pytest.raises(InputError, match=r"nowhere\.jsonl"):
        do(folder, *scored, "questions.path=nowhere.jsonl")
    assert sorted(folder.rglob("*")) == before


def test_a_pin_that_fails_leaves_the_lock_as_it_was(served: Path) -> None:
    do(served)
    lock = served / "recipe.lock.json"
    before = lock.read_bytes()
    with pytest.raises(InputError, match="absent"):
        pin(read_recipe(str(served / "recipe.yaml"), ["questions.path=absent-*.jsonl"]))
    assert lock.read_bytes() == before
    lock.write_text("not a lock file")
    pin(read_recipe(str(served / "recipe.yaml")))
    assert lock.read_bytes() == before


def test_a_folder_in_use_is_refused_before_anything_is_asked(served: Path) -> None:
    out = served / "here"
    out.mkdir()
    (out / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match="not empty"):
        do(served, out=out)
    assert book(served) == []


def test_a_key_that_is_not_set_is_named_before_anything_is_asked(
    served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    with pytest.raises(InputError, match="TEACHER_KEY"):
        do(served, "runtime.sources.teacher.api_key_env=TEACHER_KEY")
    assert book(served) == []
    assert latest(served) is None


def test_a_server_that_is_not_there_leaves_no_run(folder: Path) -> None:
    sums.write_recipe(folder, FREED_PORT, [sums.source()], patience=0)
    with pytest.raises(BackendError, match="cannot be reached"):
        do(folder)
    assert latest(folder) is None
    assert not (folder / "runs").exists()
